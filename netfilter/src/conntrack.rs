//! The kernel's table of connections (`nfnetlink_conntrack.h`): lists and deletes entries. What an entry says of
//! a connection is what the client dialled, before anyone's DNAT, and who answers. Of all zones, only TCP and
//! UDP.

pub mod insert;

use std::collections::BTreeSet;
use std::net::IpAddr;

use nix::errno::Errno;

use crate::error::NetfilterError;
use crate::flow::FlowKey;
use crate::message::{MessageBuilder, NESTED, NetlinkMessage, attribute, attributes, ip_address};
use crate::socket::Netlink;
use sknock_types::Transport;

/// How many connections are listed before they are deleted: some MB. 10,000 take a fifth of a second.
const AT_ONCE: usize = 10_000;

/// How often at most: more connections than the kernel keeps by default, on hosts with much memory. What is left over
/// passes nothing while its flow is in the blocklist.
const MAX_ROUNDS: usize = 100;

/// How often the kernel looks through its connections for some of them, rather than once for all. Of
/// 250,000, all take it some 0.7 s on a busy machine, few of them 0.1 s.
const MAX_LISTINGS: usize = 6;

/// `NFNL_SUBSYS_CTNETLINK`, `IPCTNL_MSG_CT_NEW`, `IPCTNL_MSG_CT_GET` and `IPCTNL_MSG_CT_DELETE`.
const SUBSYSTEM: libc::c_int = 1;
const NEW: libc::c_int = 0;
const GET: libc::c_int = 1;
const DELETE: libc::c_int = 2;

/// `CTA_TUPLE_ORIG`, `CTA_TUPLE_REPLY`, `CTA_STATUS`, `CTA_ID`, `CTA_ZONE` and `CTA_LABELS`.
const ORIGINAL: u16 = 1;
const REPLY: u16 = 2;
const STATUS: u16 = 3;
const ID: u16 = 12;
const ZONE: u16 = 18;
const LABELS: u16 = 22;
/// `CTA_FILTER`, in which 1 is `CTA_FILTER_ORIG_FLAGS` and 2 `CTA_FILTER_REPLY_FLAGS`. Their flags
/// `CTA_FILTER_F_CTA_PROTO_NUM`, `CTA_FILTER_F_CTA_PROTO_SRC_PORT` and `CTA_FILTER_F_CTA_PROTO_DST_PORT`.
const FILTER: u16 = 25;
const BY_NUMBER: u32 = 1 << 3;
const BY_SOURCE_PORT: u32 = 1 << 4;
const BY_DESTINATION_PORT: u32 = 1 << 5;
/// In a tuple: `CTA_TUPLE_IP` and `CTA_TUPLE_PROTO`.
const ADDRESSES: u16 = 1;
const PORTS: u16 = 2;
/// `IPS_EXPECTED`: a conntrack helper has announced it, on behalf of a connection that was admitted.
const EXPECTED: u32 = 1;
/// `IPS_SRC_NAT`.
const SOURCE_TRANSLATED: u32 = 1 << 4;
/// `IPS_DST_NAT`.
const TRANSLATED: u32 = 1 << 5;

/// A connection, as its first packet was.
pub struct ConntrackEntry<'a> {
    /// From which address, to which port.
    pub flow: FlowKey,
    /// From which port.
    pub from_port: u16,
    /// To which address.
    pub to: IpAddr,
    /// Which address and port answer. They differ from those above if the destination was translated.
    pub answers: (IpAddr, u16),
    /// Whether its destination was translated.
    pub translated: bool,
    /// Whether its source was translated.
    pub source_translated: bool,
    /// The port that is answered. It differs from the port it came from if the source was translated.
    pub answered_port: u16,
    /// The bits of its label. An entry has none if no rule that sets labels was there when it was made.
    pub label: u128,
    family: u8,
    /// Its zone, if that is not the default one. One that counts for the first direction only is in `tuple`.
    zone: Option<&'a [u8]>,
    tuple: &'a [u8],
    id: &'a [u8],
}

/// Which connections to list. The kernel looks through all in any case, but to hand one over takes it
/// far longer than to pass over it. Check what is listed all the same: Linux before 5.8 hands over all.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum DumpFilter {
    /// All.
    Any,
    /// Those of one family to one port, as dialled. Not by address: of IPv6, kernels hand over just the
    /// wrong ones.
    To {
        /// Whether it is IPv6.
        v6: bool,
        /// TCP or UDP.
        transport: Transport,
        /// Destination port.
        port: u16,
    },
    /// Those of one family that one port answers, whatever was dialled.
    AnsweredBy {
        /// Whether it is IPv6.
        v6: bool,
        /// TCP or UDP.
        transport: Transport,
        /// The port that answers.
        port: u16,
    },
}

impl ConntrackEntry<'_> {
    /// The flow as it arrives at who answers, after anyone's DNAT.
    pub fn arriving(&self) -> FlowKey {
        FlowKey { port: self.answers.1, ..self.flow }
    }
}

/// Hands over these connections, but those that a conntrack helper has announced.
pub fn list(
    netlink: &mut Netlink,
    only: DumpFilter,
    mut each: impl FnMut(&ConntrackEntry<'_>),
) -> Result<(), NetfilterError> {
    let read = netlink.list(&only.request(), |message| {
        if let Some(tracked) = ConntrackEntry::read(message) {
            each(&tracked);
        }
    });
    read.map_err(NetfilterError::while_doing("list conntrack entries"))
}

/// Deletes the connections of these flows to the addresses in `own`, as dialled or as they arrive there; how many
/// those were.
pub fn delete(
    netlink: &mut Netlink,
    flows: &BTreeSet<FlowKey>,
    own: &BTreeSet<IpAddr>,
) -> Result<usize, NetfilterError> {
    let to = |flow: &FlowKey| {
        let FlowKey { address, transport, port } = *flow;
        DumpFilter::of(address.is_ipv6(), transport, port)
    };
    let is_of = |one: &ConntrackEntry<'_>| {
        flows.contains(&one.flow) && own.contains(&one.to)
            || flows.contains(&one.arriving()) && own.contains(&one.answers.0)
    };
    delete_where(netlink, &DumpFilter::few(flows.iter().flat_map(to)), is_of)
}

/// Deletes the connections of these listings that are `wanted`; how many those were.
pub fn delete_where(
    netlink: &mut Netlink,
    listings: &BTreeSet<DumpFilter>,
    wanted: impl Fn(&ConntrackEntry<'_>) -> bool,
) -> Result<usize, NetfilterError> {
    let mut deleted = 0;
    for _ in 0..MAX_ROUNDS {
        let requests = deletions(netlink, listings, &wanted)?;
        deleted += delete_all(netlink, &requests)?;
        if requests.len() < AT_ONCE {
            break;
        }
    }
    Ok(deleted)
}

/// The requests that delete the first of them.
fn deletions(
    netlink: &mut Netlink,
    listings: &BTreeSet<DumpFilter>,
    wanted: impl Fn(&ConntrackEntry<'_>) -> bool,
) -> Result<Vec<Vec<u8>>, NetfilterError> {
    let mut requests = Vec::new();
    for only in listings {
        list(netlink, *only, |one| {
            // The listing is read to its end all the same: what is left in the socket would be taken for the
            // next answer.
            if requests.len() < AT_ONCE && wanted(one) {
                requests.push(one.deletion());
            }
        })?;
    }
    Ok(requests)
}

fn delete_all(netlink: &mut Netlink, requests: &[Vec<u8>]) -> Result<usize, NetfilterError> {
    let mut deleted = 0;
    for request in requests {
        match netlink.ask(request) {
            Ok(()) => deleted += 1,
            // It has just ended by itself.
            Err(Errno::ENOENT) => {}
            Err(errno) => {
                return Err(NetfilterError::while_doing("terminate a connection")(errno));
            }
        }
    }
    Ok(deleted)
}

impl DumpFilter {
    /// The listings that have all connections to these ports, of both families.
    pub fn to_ports(ports: impl Iterator<Item = (Transport, u16)>) -> BTreeSet<Self> {
        let to = |(transport, port)| {
            [false, true].into_iter().flat_map(move |v6| Self::of(v6, transport, port))
        };
        Self::few(ports.take(MAX_LISTINGS).flat_map(to))
    }

    /// The port as dialled, and as it answers.
    fn of(v6: bool, transport: Transport, port: u16) -> [Self; 2] {
        [Self::To { v6, transport, port }, Self::AnsweredBy { v6, transport, port }]
    }

    /// These; one listing of all, if they are too many. Does not look at more than it needs for that.
    fn few(listings: impl Iterator<Item = Self>) -> BTreeSet<Self> {
        let mut few = BTreeSet::new();
        for listing in listings {
            few.insert(listing);
            if few.len() > MAX_LISTINGS {
                return BTreeSet::from([Self::Any]);
            }
        }
        few
    }

    fn request(self) -> Vec<u8> {
        let (direction, v6, transport, port) = match self {
            Self::Any => {
                return MessageBuilder::new(SUBSYSTEM, GET, libc::AF_UNSPEC, 0).listing().finish();
            }
            Self::To { v6, transport, port } => (ORIGINAL, v6, transport, port),
            Self::AnsweredBy { v6, transport, port } => (REPLY, v6, transport, port),
        };
        let family = if v6 { libc::AF_INET6 } else { libc::AF_INET };
        // `CTA_PROTO_NUM`, and `CTA_PROTO_SRC_PORT` or `CTA_PROTO_DST_PORT`.
        let (kind, flag) =
            if direction == REPLY { (2, BY_SOURCE_PORT) } else { (3, BY_DESTINATION_PORT) };
        let number = attribute(1, &[transport.number()]);
        let ports = [number, attribute(kind, &port.to_be_bytes())].concat();
        let flags = (BY_NUMBER | flag).to_ne_bytes();
        MessageBuilder::new(SUBSYSTEM, GET, family, 0)
            .listing()
            .with(direction | NESTED, &attribute(PORTS | NESTED, &ports))
            // The attribute of the flags has the number of its tuple.
            .with(FILTER | NESTED, &attribute(direction, &flags))
            .finish()
    }
}

impl<'a> ConntrackEntry<'a> {
    fn read(message: &NetlinkMessage<'a>) -> Option<Self> {
        let (header, body) = message.body.split_first_chunk::<4>()?;
        if message.of_subsystem(SUBSYSTEM) != Some(NEW) {
            return None;
        }
        let (mut tuple, mut reply, mut id, mut zone) = (None, None, None, None);
        let (mut status, mut label) = (0, 0);
        for (kind, content) in attributes(body) {
            match kind {
                ORIGINAL => tuple = Some(content),
                REPLY => reply = Some(content),
                ID => id = Some(content),
                // ctnetlink writes numbers big-endian, unlike those in the headers of netlink messages.
                STATUS => status = u32::from_be_bytes(content.try_into().ok()?),
                // Written only if a bit is set (`ctnetlink_dump_labels`).
                LABELS => label = bits(content)?,
                ZONE => zone = Some(content),
                _ => {}
            }
        }
        let (tuple, id) = (tuple?, id?);
        let (flow, from_port, to) = ends(tuple)?;
        let (back, port, _) = ends(reply?)?;
        let answers = (back.address, port);
        (status & EXPECTED == 0).then_some(Self {
            flow,
            from_port,
            to,
            answers,
            translated: status & TRANSLATED != 0,
            source_translated: status & SOURCE_TRANSLATED != 0,
            answered_port: back.port,
            label,
            family: header[0],
            zone,
            tuple,
            id,
        })
    }

    /// The request that deletes this one and no other: a younger one of the same ends has another id.
    fn deletion(&self) -> Vec<u8> {
        let request = MessageBuilder::new(SUBSYSTEM, DELETE, self.family.into(), 0)
            .with(ORIGINAL | NESTED, self.tuple)
            .with(ID, self.id);
        let request = match self.zone {
            Some(zone) => request.with(ZONE, zone),
            None => request,
        };
        request.finish()
    }
}

/// A label: an array of the machine's words.
fn bits(content: &[u8]) -> Option<u128> {
    let words = content
        .chunks_exact(size_of::<usize>())
        .map(|word| word.try_into().map(usize::from_ne_bytes).expect("a word long"));
    let shifted = words.zip((0..).step_by(usize::BITS as usize));
    shifted
        .map(|(word, first)| u128::try_from(word).ok()?.checked_shl(first))
        .try_fold(0, |all, one| Some(all | one?))
}

fn ends(tuple: &[u8]) -> Option<(FlowKey, u16, IpAddr)> {
    let (mut from, mut to, mut transport, mut port) = (None, None, None, None);
    let mut from_port = 0;
    for (kind, content) in attributes(tuple) {
        match kind {
            ADDRESSES => {
                for (kind, bytes) in attributes(content) {
                    // `CTA_IP_V4_SRC`, `CTA_IP_V4_DST`, and the same of IPv6.
                    match kind {
                        1 | 3 => from = Some(ip_address(bytes)?),
                        2 | 4 => to = Some(ip_address(bytes)?),
                        _ => {}
                    }
                }
            }
            PORTS => {
                for (kind, bytes) in attributes(content) {
                    // `CTA_PROTO_NUM`, `CTA_PROTO_SRC_PORT` and `CTA_PROTO_DST_PORT`.
                    match kind {
                        1 => transport = Some(Transport::from_number(*bytes.first()?)?),
                        2 => from_port = u16::from_be_bytes(bytes.try_into().ok()?),
                        3 => port = Some(u16::from_be_bytes(bytes.try_into().ok()?)),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    let flow = FlowKey { address: from?, transport: transport?, port: port? };
    Some((flow, from_port, to?))
}
