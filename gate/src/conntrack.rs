//! The kernel's table of connections (`nfnetlink_conntrack.h`), read and shortened. What it says of a
//! connection is what the client dialled, before anyone's DNAT. Only the default zone, only TCP and UDP.

pub(crate) mod baseline;
pub(crate) mod local_addresses;

use std::net::IpAddr;

use crate::nft::message::{MessageBuilder, NetlinkMessage, attribute, attributes};
use crate::nft::socket::Netlink;
use crate::{FirewallError, FlowKey, Transport};

/// `NFNL_SUBSYS_CTNETLINK`, `IPCTNL_MSG_CT_NEW`, `IPCTNL_MSG_CT_GET` and `IPCTNL_MSG_CT_DELETE`.
const SUBSYSTEM: libc::c_int = 1;
const NEW: u16 = 1 << 8;
const GET: libc::c_int = 1;
const DELETE: libc::c_int = 2;

/// `CTA_TUPLE_ORIG`, `CTA_STATUS`, `CTA_ID` and `CTA_ZONE`.
const ORIGINAL: u16 = 1;
const STATUS: u16 = 3;
const ID: u16 = 12;
const ZONE: u16 = 18;
/// `NLA_F_NESTED`.
const NESTED: u16 = 1 << 15;
/// `CTA_FILTER`, in which 1 is `CTA_FILTER_ORIG_FLAGS`, and its flags `CTA_FILTER_F_CTA_PROTO_NUM` and
/// `CTA_FILTER_F_CTA_PROTO_DST_PORT`.
const FILTER: u16 = 25;
const FLAGS: u32 = 1 << 3 | 1 << 5;
/// In a tuple: `CTA_TUPLE_IP`, `CTA_TUPLE_PROTO` and `CTA_TUPLE_ZONE`.
const ADDRESSES: u16 = 1;
const PORTS: u16 = 2;
const OWN_ZONE: u16 = 3;
/// `IPS_EXPECTED`: a helper has announced it, on behalf of a connection that was let in.
const EXPECTED: u32 = 1;

/// A connection, as its first packet was.
pub(crate) struct ConntrackEntry<'a> {
    /// From whom, to which port.
    pub(crate) flow: FlowKey,
    /// To which address.
    pub(crate) to: IpAddr,
    family: u8,
    tuple: &'a [u8],
    id: &'a [u8],
}

/// Which connections to list. The kernel looks through all in any case, but to hand one over takes it
/// far longer than to pass over it. Ask the answer all the same: Linux before 5.8 hands over all.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum DumpFilter {
    /// All.
    Any,
    /// Those of one family to one port, as dialled. Not by address: of IPv6, kernels hand over just the
    /// wrong ones.
    To { v6: bool, transport: Transport, port: u16 },
}

/// Hands over these connections, but those that a helper has announced.
pub(crate) fn list(
    netlink: &mut Netlink,
    only: DumpFilter,
    mut each: impl FnMut(&ConntrackEntry<'_>),
) -> Result<(), FirewallError> {
    let read = netlink.list(&only.request(), |message| {
        if let Some(tracked) = ConntrackEntry::read(message) {
            each(&tracked);
        }
    });
    read.map_err(FirewallError::while_doing("list conntrack entries"))
}

impl DumpFilter {
    fn request(self) -> Vec<u8> {
        let Self::To { v6, transport, port } = self else {
            return MessageBuilder::new(SUBSYSTEM, GET, libc::AF_UNSPEC, 0).listing().finish();
        };
        let family = if v6 { libc::AF_INET6 } else { libc::AF_INET };
        let (number, port) = (attribute(1, &[transport.number()]), port.to_be_bytes());
        let ports = [number, attribute(3, &port)].concat();
        MessageBuilder::new(SUBSYSTEM, GET, family, 0)
            .listing()
            .with((ORIGINAL | NESTED).into(), &attribute(PORTS | NESTED, &ports))
            .with((FILTER | NESTED).into(), &attribute(1, &FLAGS.to_ne_bytes()))
            .finish()
    }
}

impl<'a> ConntrackEntry<'a> {
    fn read(message: &NetlinkMessage<'a>) -> Option<Self> {
        let (header, body) = message.body.split_first_chunk::<4>()?;
        if message.kind != NEW {
            return None;
        }
        let (mut tuple, mut id, mut expected) = (None, None, false);
        for (kind, content) in attributes(body) {
            match kind {
                ORIGINAL => tuple = Some(content),
                ID => id = Some(content),
                STATUS => {
                    let status = u32::from_be_bytes(content.try_into().ok()?);
                    expected = status & EXPECTED != 0;
                }
                ZONE => return None,
                _ => {}
            }
        }
        let (tuple, id) = (tuple?, id?);
        let (flow, to) = ends(tuple)?;
        (!expected).then_some(Self { flow, to, family: header[0], tuple, id })
    }

    /// The request that deletes this one and no other: a younger one of the same ends has another id.
    pub(crate) fn deletion(&self) -> Vec<u8> {
        let original = libc::c_int::from(ORIGINAL | NESTED);
        MessageBuilder::new(SUBSYSTEM, DELETE, self.family.into(), 0)
            .with(original, self.tuple)
            .with(ID.into(), self.id)
            .finish()
    }
}

fn ends(tuple: &[u8]) -> Option<(FlowKey, IpAddr)> {
    let (mut from, mut to, mut transport, mut port) = (None, None, None, None);
    for (kind, content) in attributes(tuple) {
        match kind {
            ADDRESSES => {
                for (kind, bytes) in attributes(content) {
                    // `CTA_IP_V4_SRC`, `CTA_IP_V4_DST`, and the same of IPv6.
                    match kind {
                        1 | 3 => from = Some(address(bytes)?),
                        2 | 4 => to = Some(address(bytes)?),
                        _ => {}
                    }
                }
            }
            PORTS => {
                for (kind, bytes) in attributes(content) {
                    // `CTA_PROTO_NUM` and `CTA_PROTO_DST_PORT`.
                    match kind {
                        1 => transport = Some(Transport::from_number(*bytes.first()?)?),
                        3 => port = Some(u16::from_be_bytes(bytes.try_into().ok()?)),
                        _ => {}
                    }
                }
            }
            OWN_ZONE => return None,
            _ => {}
        }
    }
    Some((FlowKey { address: from?, transport: transport?, port: port? }, to?))
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}
