//! What the gate's table looks like: its chains as lists of lines, in order. Pure; `nft` turns each
//! line into the kernel's expressions, and a line prints as nft would list it.

pub(crate) mod cutting;
pub(crate) mod hearing;
pub(crate) mod line;
mod short;

use std::fmt;
use std::time::Duration;

use crate::{Ending, Hearing, Line, Match, Meter, PortRange, Set, Transport, Verdict};

/// What happens to traffic that nobody let in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Policy {
    /// Nothing: grants are kept, but nothing is closed.
    None,
    /// TCP is reset, the rest gets "port unreachable": the port looks closed.
    Reject,
    /// Silence.
    Drop,
}

impl Policy {
    /// What it means for a transport, or for whatever it may be; a reset answers TCP only.
    fn verdict(self, transport: Option<Transport>) -> Option<Verdict> {
        match (self, transport) {
            (Self::None, _) => None,
            (Self::Drop, _) => Some(Verdict::Drop),
            (Self::Reject, Some(Transport::Tcp)) => Some(Verdict::Reset),
            (Self::Reject, _) => Some(Verdict::Unreachable),
        }
    }
}

/// The table, as configured.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rules {
    /// What happens to traffic that nobody let in.
    pub policy: Policy,
    /// The ports that the policy is for; empty: all traffic.
    pub protected: Vec<PortRange>,
    /// Open to everyone.
    pub always_open: Vec<PortRange>,
    /// Where knocks arrive; UDP.
    pub knock_ports: Vec<PortRange>,
    /// The shortest and the longest knock: the UDP header's length field, which counts the header.
    pub knock_lengths: (u16, u16),
    /// How they reach whoever judges them.
    pub hearing: Hearing,
    /// How many of them one source may send; nothing: any number.
    pub meter: Option<Meter>,
    /// What a grant that is closed before its time means for connections.
    pub ending: Ending,
    /// The most elements of each kernel set: twice [`Ceiling::live`](crate::Ceiling::live), because
    /// expired elements hold their place until they are collected.
    pub capacity: u32,
    /// How often the kernel collects expired elements: 1 to 5 s.
    pub gc_interval: Duration,
}

/// ICMP's and `ICMPv6`'s IP protocol numbers.
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

impl Rules {
    /// Where the chain `deny` sits: prerouting, after conntrack and before anyone's DNAT, so that a redirected
    /// port is judged as the client dialled it.
    pub const PRIORITY: i32 = libc::NF_IP_PRI_MANGLE;

    /// The chain `deny`, first line first.
    pub fn deny(&self) -> Vec<Line> {
        let mut chain = vec![Line::accept([Match::FromLoopback])];
        chain.extend(self.cuts());
        chain.push(Line::accept([Match::Established]));
        chain.extend(self.not_concerned());
        chain.push(Line::accept([Match::NotLocal]));
        if self.hearing == Hearing::Socket {
            chain.extend(self.knocks());
        }
        chain.extend(self.no_knocks());
        chain.extend([
            Line::accept([Match::Protocol(ICMP)]),
            Line::accept([Match::Protocol(ICMPV6)]),
            Line::accept([Match::IsV6(false), Match::UdpBetween { from: 67, to: 68 }]),
            Line::accept([Match::IsV6(true), Match::UdpBetween { from: 547, to: 546 }]),
        ]);
        chain.extend(self.always_open.iter().map(|&ports| Line::accept([Match::Ports(ports)])));
        chain.extend(
            [Set::Once4, Set::Once6]
                .map(|set| Line::accept([Match::New, Match::In(set), Match::Spend(set)])),
        );
        chain.extend([Set::Grant4, Set::Grant6].map(|set| Line::accept([Match::In(set)])));
        chain.extend(self.verdict());
        chain
    }

    /// The last lines: for protected ports only if there are any, else for all that is left.
    fn verdict(&self) -> Vec<Line> {
        if !self.protected.is_empty() {
            let line = |ports: &PortRange| {
                let verdict = self.policy.verdict(Some(ports.transport()))?;
                Some(Line { matches: vec![Match::Ports(*ports)], verdict })
            };
            return self.protected.iter().filter_map(line).collect();
        }
        let everything = self.policy.verdict(None).map(|verdict| Line { matches: vec![], verdict });
        let tcp = Match::Protocol(Transport::Tcp.number());
        let reset = (self.policy == Policy::Reject)
            .then(|| Line { matches: vec![tcp], verdict: Verdict::Reset });
        reset.into_iter().chain(everything).collect()
    }

    /// Whether these rules can mean what they say.
    pub fn check(&self) -> Result<(), Contradiction> {
        if let Some(&ports) = self.knock_ports.iter().find(|p| p.transport() != Transport::Udp) {
            return Err(Contradiction::KnockPortNotUdp(ports));
        }
        if self.policy == Policy::None && !self.protected.is_empty() {
            return Err(Contradiction::ProtectedByNothing);
        }
        let open = |ports: &&PortRange| self.always_open.iter().any(|open| open.overlaps(ports));
        self.protected
            .iter()
            .find(open)
            .map_or(Ok(()), |&ports| Err(Contradiction::ProtectedAndOpen(ports)))
    }
}

/// Rules that cannot mean what they say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Contradiction {
    /// Knocks are UDP datagrams.
    KnockPortNotUdp(PortRange),
    /// Protected ports with [`Policy::None`].
    ProtectedByNothing,
    /// A port that is protected and open to everyone.
    ProtectedAndOpen(PortRange),
}

impl std::error::Error for Contradiction {}

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KnockPortNotUdp(ports) => {
                write!(f, "{ports} cannot be a knock port: knocks are UDP; name a udp port")
            }
            Self::ProtectedByNothing => f.write_str(
                "there are protected ports, but the policy protects nothing; set it to reject or drop",
            ),
            Self::ProtectedAndOpen(ports) => {
                write!(f, "{ports} is protected and open to everyone; take it out of one of the two")
            }
        }
    }
}
