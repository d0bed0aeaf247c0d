//! Room for a burst, whatever the system allows programs by default (`net.core.rmem_max`).

use nix::sys::socket::{getsockopt, sockopt};
use sknock_server::knock::intake::socket::KnockSocket;

use crate::group::alone;

/// Thousands of knocks of 2.3 kB each, as the kernel counts.
const ROOM: usize = 16 << 20;

#[test]
fn a_bound_socket_holds_a_burst_of_thousands() {
    alone(|| {
        let socket = KnockSocket::bind(5000).unwrap();
        assert_eq!(getsockopt(&socket, sockopt::RcvBuf), Ok(ROOM));
    });
}

#[test]
fn the_socket_of_a_group_holds_a_burst_of_thousands() {
    alone(|| {
        let group = sknock_netfilter::nflog::bind_group(9).unwrap();
        assert_eq!(getsockopt(&group, sockopt::RcvBuf), Ok(ROOM));
    });
}
