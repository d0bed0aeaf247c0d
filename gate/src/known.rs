//! Connections that were there before us. A host without a stateful firewall does not track them,
//! and the chain `input` would take their next packet for a new connection, and reset it: the
//! administrator's own session first of all. So they are entered into the kernel's table of
//! connections before the protection goes up.

mod entry;
mod sockets;

use nix::errno::Errno;

use crate::Error;
use crate::nft::socket::Netlink;

pub(crate) use sockets::{Sockets, address};

use crate::{Transport, Way};

/// Makes every TCP connection of this host known to conntrack; how many were not.
///
/// Connections that are passed on to others (NAT, containers) are tracked already, or could not be
/// passed on.
pub(crate) fn introduce(netlink: &mut Netlink, sockets: &mut Sockets) -> Result<usize, Error> {
    let unreadable = |_| Error::while_doing("list the connections of this host")(Errno::EIO);
    let mut introduced = 0;
    for connection in sockets.established().map_err(unreadable)? {
        match netlink.ask(&entry::request(&connection)) {
            Ok(()) => introduced += 1,
            Err(Errno::EEXIST) => {}
            Err(errno) => {
                return Err(Error::while_doing("enter a connection into conntrack")(errno));
            }
        }
    }
    Ok(introduced)
}

/// Who has a TCP connection to a port of this host that somebody listens at, and to which address: as
/// far as the host itself is asked, whatever conntrack has seen of it.
pub(crate) fn served(sockets: &mut Sockets) -> Result<Vec<(Way, std::net::IpAddr)>, Error> {
    let unreadable = |_| Error::while_doing("list the connections of this host")(Errno::EIO);
    let way = |Connection { remote, local }| {
        let (address, port) = (remote.ip(), local.port());
        (Way { address, transport: Transport::Tcp, port }, local.ip())
    };
    Ok(sockets.served().map_err(unreadable)?.into_iter().map(way).collect())
}

/// One TCP connection of this host. Both addresses are of one family, and canonical.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Connection {
    remote: std::net::SocketAddr,
    local: std::net::SocketAddr,
}
