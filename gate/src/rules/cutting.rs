//! How connections are ended that were let in once: what the table does with who was cut off. Pure.
//!
//! To delete a connection from the kernel's table of connections is not enough: the server's next
//! packet would enter it again, the other way round, and the client's would belong to it. So who was
//! cut off is kept out in both directions, before it is asked what is established.

use crate::{Line, Match, Policy, PortRange, Rules, Transport, Verdict};

/// What becomes of connections when a grant is closed before its time is over.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Ending {
    /// They end.
    #[default]
    Cut,
    /// They go on; new ones are refused.
    Close,
}

/// Ports that a host gets answers of DHCP at, from servers that it never asked by that address.
const DHCP: [u16; 2] = [68, 546];

impl Rules {
    /// Where the chain `back` sits: postrouting, after everyone's SNAT, so that the way back is judged
    /// by the port that the client dialled.
    pub const BACK_PRIORITY: i32 = libc::NF_IP_PRI_NAT_SRC + 50;

    /// Whether a connection to this port needs a grant. Only such may be cut: to be kept off a port
    /// that is open to everybody else would be a lock-out.
    pub fn closes(&self, transport: Transport, port: u16) -> bool {
        let here = |one: &PortRange| one.contains(transport, port);
        let protected = self.protected.is_empty() || self.protected.iter().any(here);
        let dhcp = transport == Transport::Udp && DHCP.contains(&port);
        let open = self.always_open.iter().any(here) || self.for_knocks_only().any(here);
        self.policy != Policy::None && protected && !open && !dhcp
    }

    /// Whether knocks arrive at this port, perhaps among other things.
    pub(crate) fn hears(&self, transport: Transport, port: u16) -> bool {
        self.knock_ports.iter().any(|ports| ports.contains(transport, port))
    }

    /// The lines of `deny` that come before the one on what is established.
    pub(super) fn cuts(&self) -> Vec<Line> {
        let line = |v6| Line {
            matches: vec![Match::CutOff { v6 }, Match::ToLocal],
            verdict: Verdict::Cut,
        };
        let closing = self.policy != Policy::None;
        [false, true].into_iter().filter(|_| closing).map(line).collect()
    }

    /// The chain `cut`: what becomes of packets of who was cut off.
    pub fn cut(&self) -> Vec<Line> {
        let all = |verdict| Line { matches: vec![], verdict };
        let tcp = Match::Protocol(Transport::Tcp.number());
        match self.policy {
            Policy::None => vec![],
            Policy::Drop => vec![all(Verdict::Drop)],
            Policy::Reject => vec![
                Line { matches: vec![tcp], verdict: Verdict::Reset },
                all(Verdict::Unreachable),
            ],
        }
    }

    /// The chain `back`: what leaves for who was cut off, and only from this host's own addresses.
    pub fn back(&self) -> Vec<Line> {
        let line = |v6| Line {
            matches: vec![Match::ToCutOff { v6 }, Match::FromLocal],
            verdict: Verdict::Mute,
        };
        let mut chain = vec![Line::accept([Match::IntoLoopback])];
        chain.extend([false, true].map(line));
        chain
    }

    /// The chain `mute`: all but resets, which are our own answers too.
    pub fn mute(&self) -> Vec<Line> {
        vec![
            Line { matches: vec![Match::TcpReset], verdict: Verdict::Return },
            Line { matches: vec![], verdict: Verdict::Drop },
        ]
    }
}
