//! Adds conntrack entries of connections that were there before us. A host without a stateful firewall does not
//! track them, and the chain `input` would take their next packet for a new connection, and reset it: the
//! administrator's own session first of all. So they are added before the protection is loaded.

use std::net::{IpAddr, SocketAddr};

use nix::errno::Errno;

use super::{NEW, ORIGINAL, SUBSYSTEM};
use crate::error::NetfilterError;
use crate::host::{HostConnection, TcpSockets};
use crate::message::{MessageBuilder, NESTED, attribute};
use crate::socket::Netlink;

/// `IPS_SEEN_REPLY | IPS_ASSURED | IPS_CONFIRMED`: packets have passed both ways.
const STATUS: u32 = 2 | 4 | 8;
/// Five days, as the kernel keeps an idle connection (`nf_conntrack_tcp_timeout_established`).
const SECONDS: u32 = 5 * 24 * 3600;
/// `TCP_CONNTRACK_ESTABLISHED`.
const ESTABLISHED: u8 = 3;
/// `IP_CT_TCP_FLAG_BE_LIBERAL`, as value and mask: the kernel did not see the windows being negotiated.
const LIBERAL: [u8; 2] = [8, 8];

/// `CTA_TUPLE_REPLY`, `CTA_PROTOINFO` and `CTA_TIMEOUT`.
const REPLY: u16 = 2;
const PROTOINFO: u16 = 4;
const TIMEOUT: u16 = 7;

/// Adds every established TCP connection of this host; how many were not known.
///
/// Connections that are passed on to others (NAT, containers) are tracked already, or could not be
/// passed on.
pub fn track_existing(
    netlink: &mut Netlink,
    sockets: &mut TcpSockets,
) -> Result<usize, NetfilterError> {
    let mut added = 0;
    for connection in sockets.established()? {
        match netlink.ask(&request(&connection)) {
            Ok(()) => added += 1,
            Err(Errno::EEXIST) => {}
            Err(errno) => {
                return Err(NetfilterError::while_doing("add a conntrack entry")(errno));
            }
        }
    }
    Ok(added)
}

/// The request that adds `connection`; `EEXIST` if it is known already.
fn request(connection: &HostConnection) -> Vec<u8> {
    let HostConnection { remote, local } = *connection;
    let family = if local.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    // `CTA_PROTOINFO_TCP_FLAGS_ORIGINAL` and `_REPLY`, and below `CTA_PROTOINFO_TCP_STATE`. Without
    // BE_LIBERAL conntrack would call packets outside of the windows that it has not seen invalid.
    let liberal = [attribute(4, &LIBERAL), attribute(5, &LIBERAL)].concat();
    let tcp = [attribute(1, &[ESTABLISHED]), liberal].concat();
    MessageBuilder::new(SUBSYSTEM, NEW, family, 0)
        .creating()
        // As if the other side had dialled: the list of sockets does not tell, and `conntrack::delete` looks
        // for clients there.
        .with(ORIGINAL | NESTED, &tuple(remote, local))
        .with(REPLY | NESTED, &tuple(local, remote))
        .with(super::STATUS, &STATUS.to_be_bytes())
        .with(TIMEOUT, &SECONDS.to_be_bytes())
        .with(PROTOINFO | NESTED, &attribute(1 | NESTED, &tcp))
        .finish()
}

fn tuple(source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    let addresses = match (source.ip(), destination.ip()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            [attribute(1, &source.octets()), attribute(2, &destination.octets())].concat()
        }
        (source, destination) => {
            [attribute(3, &v6(source)), attribute(4, &v6(destination))].concat()
        }
    };
    let ports = [
        attribute(1, &[6]),
        attribute(2, &source.port().to_be_bytes()),
        attribute(3, &destination.port().to_be_bytes()),
    ];
    [attribute(1 | NESTED, &addresses), attribute(2 | NESTED, &ports.concat())].concat()
}

fn v6(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}
