//! Connections that were there before us. A host without a stateful firewall does not track them,
//! and the chain `input` would take their next packet for a new connection, and reset it: the
//! administrator's own session first of all. So they are entered into the kernel's table of
//! connections before the protection goes up.

mod entry;
mod sockets;

use nix::errno::Errno;

use crate::FirewallError;
use crate::nft::socket::Netlink;

pub(crate) use sockets::{Sockets, address};

use crate::{FlowKey, Transport};

/// Makes every TCP connection of this host known to conntrack; how many were not.
///
/// Connections that are passed on to others (NAT, containers) are tracked already, or could not be
/// passed on.
pub(crate) fn track_existing(
    netlink: &mut Netlink,
    sockets: &mut Sockets,
) -> Result<usize, FirewallError> {
    let unreadable =
        |_| FirewallError::while_doing("list the connections of this host")(Errno::EIO);
    let mut introduced = 0;
    for connection in sockets.established().map_err(unreadable)? {
        match netlink.ask(&entry::request(&connection)) {
            Ok(()) => introduced += 1,
            Err(Errno::EEXIST) => {}
            Err(errno) => {
                return Err(FirewallError::while_doing("add a conntrack entry")(errno));
            }
        }
    }
    Ok(introduced)
}

/// Who has a TCP connection to a port of this host that somebody listens at, and to which address: as
/// far as the host itself is asked, whatever conntrack has seen of it.
pub(crate) fn established_to_listeners(
    sockets: &mut Sockets,
) -> Result<Vec<(FlowKey, std::net::IpAddr)>, FirewallError> {
    let unreadable =
        |_| FirewallError::while_doing("list the connections of this host")(Errno::EIO);
    let flow = |HostConnection { remote, local }| {
        let (address, port) = (remote.ip(), local.port());
        (FlowKey { address, transport: Transport::Tcp, port }, local.ip())
    };
    Ok(sockets.established_to_listeners().map_err(unreadable)?.into_iter().map(flow).collect())
}

/// One TCP connection of this host. Both addresses are of one family, and canonical.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct HostConnection {
    remote: std::net::SocketAddr,
    local: std::net::SocketAddr,
}
