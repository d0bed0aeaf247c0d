//! How knocks get from the network to whoever judges them, and how many one source may send. Pure.
//!
//! A datagram of a knock's length at a knock port enters the chain `knock`, from `hear` if the kernel
//! hands out copies, from `deny` if there is a socket. Who has sent too many leaves it again, and is
//! then treated like anyone who did not knock.

use std::time::Duration;

use crate::{Line, Match, Rules, Verdict};

/// How knocks reach the network process.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Hearing {
    /// They are let through to a bound UDP socket.
    Socket,
    /// The kernel hands a copy to this NFLOG group, and then treats the knock like any datagram at a
    /// port where nobody listens. It is not let through anywhere.
    Log {
        /// Whoever [listens to the group](crate::listen) gets the copies.
        group: u16,
    },
}

/// How many knocks one source may send: an IPv4 address, or an IPv6 network of 64 bits.
///
/// Sources are not proven here, so the limit is what somebody must spend who wants to silence a
/// client by forging its address. When so many sources are remembered that no more fit in, the
/// others go unmetered: forged ones cannot crowd honest ones out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Meter {
    /// In the long run; at least 1.
    pub per_second: u32,
    /// At one time; at least 1.
    pub burst: u32,
    /// How many sources of each family are remembered; each takes about 200 bytes of the kernel's
    /// memory.
    pub sources: u32,
}

impl Meter {
    /// For how long a source is remembered after its last knock: longer than an empty meter takes to
    /// fill up, or forgetting would be a gain.
    pub fn memory(&self) -> Duration {
        let refill = self.burst.div_ceil(self.per_second.max(1));
        Duration::from_secs(u64::from(refill) + 1)
    }
}

impl Rules {
    /// Where the chain `hear` sits: after fragments are put together, before connection tracking and
    /// before our own `deny`. Both are in prerouting, because `deny` has to be: in a later hook, what
    /// it denies would never be heard.
    pub const HEAR_PRIORITY: i32 = libc::NF_IP_PRI_RAW;

    /// The chain that finds knocks to be copied, first line first; empty if there is a socket.
    pub fn hear(&self) -> Vec<Line> {
        match self.hearing {
            Hearing::Socket => Vec::new(),
            Hearing::Log { .. } => self.knocks(),
        }
    }

    /// The lines that take a knock's length at a knock port to the chain `knock`.
    pub(super) fn knocks(&self) -> Vec<Line> {
        let line = |&ports| Line {
            matches: vec![Match::Ports(ports), Match::UdpLength(self.knock_lengths)],
            verdict: Verdict::Knock,
        };
        self.knock_ports.iter().map(line).collect()
    }

    /// The chain `knock`: what becomes of a datagram that may be one.
    pub fn knock(&self) -> Vec<Line> {
        let mut chain = Vec::new();
        let back = |item| Line { matches: vec![item], verdict: Verdict::Return };
        if let Hearing::Log { .. } = self.hearing {
            // `deny` has asked this already; `hear` asks it only of what may be a knock.
            chain.push(back(Match::NotLocal));
        }
        if let Some(meter) = self.meter {
            chain.extend([false, true].map(|v6| back(Match::Over { v6, meter })));
        }
        let verdict = match self.hearing {
            Hearing::Socket => Verdict::Accept,
            Hearing::Log { group } => Verdict::Log { group, snaplen: self.snaplen() },
        };
        chain.push(Line { matches: vec![], verdict });
        chain
    }

    /// How much of a packet is copied: the longest knock behind the longest IP header, which is that
    /// of IPv4 with all options.
    fn snaplen(&self) -> u32 {
        u32::from(self.knock_lengths.1) + 60
    }
}
