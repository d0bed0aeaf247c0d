//! Which addresses are this host's own (`rtnetlink`): a connection to another one only passes through.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::address;
use crate::FirewallError;
use crate::nft::message::{MessageBuilder, attributes};
use crate::nft::socket::Netlink;

/// `RTM_GETADDR` and `RTM_NEWADDR`.
const GET: u16 = 22;
const NEW: u16 = 20;
/// `struct ifaddrmsg`.
const FIXED: usize = 8;
/// `IFA_ADDRESS`, which on a link between two is the other end's, and `IFA_LOCAL`, which IPv6 does
/// without.
const ADDRESS: u16 = 1;
const LOCAL: u16 = 2;

/// All addresses of all interfaces.
pub(crate) fn list(routes: &mut Netlink) -> Result<BTreeSet<IpAddr>, FirewallError> {
    let mut own = BTreeSet::new();
    let request = MessageBuilder::to_routes(GET, &[0; FIXED]).listing().finish();
    let listed = routes.list(&request, |message| {
        if message.kind == NEW {
            own.extend(message.body.get(FIXED..).and_then(read));
        }
    });
    listed.map(|()| own).map_err(FirewallError::while_doing("list the addresses of this host"))
}

fn read(body: &[u8]) -> Option<IpAddr> {
    let one = |wanted| attributes(body).find(|(kind, _)| *kind == wanted);
    let (_, bytes) = one(LOCAL).or_else(|| one(ADDRESS))?;
    address(bytes)
}
