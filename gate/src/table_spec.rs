//! What the gate's table looks like: its chains as lists of lines, in order. Pure; `nft` turns each
//! line into the kernel's expressions, and a line prints as nft would list it.
//!
//! Whatever the kernel delivers to this host passes `input`, and what it passes on `forward`: there
//! it has decided already, and nothing has to be guessed from an address.

mod begun_here;
pub(crate) mod block;
pub(crate) mod capture;
pub(crate) mod chain;
mod fast_path;
mod incoming;
mod judge;
mod refuse;
pub(crate) mod rule;
mod text;

use std::fmt;
use std::time::Duration;

use crate::{Answers, KnockCapture, OnRevoke, PortRange, SourceLimit, Transport};
use chain::{Chain, Part};
use judge::Port;

/// What happens to traffic that nobody let in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FirewallPolicy {
    /// Nothing: grants are kept, but nothing is closed.
    None,
    /// TCP is reset, the rest gets "port unreachable": the port looks closed.
    Reject,
    /// Silence.
    Drop,
}

/// The table, as configured.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TableSpec {
    /// What happens to traffic that nobody let in.
    pub policy: FirewallPolicy,
    /// The ports that the policy is for; empty: all traffic.
    pub protected: Vec<PortRange>,
    /// Open to everyone.
    pub always_open: Vec<PortRange>,
    /// Where knocks arrive; UDP.
    pub knock_ports: Vec<PortRange>,
    /// The shortest and the longest knock: the UDP header's length field, which counts the header.
    pub knock_lengths: (u16, u16),
    /// How they reach whoever judges them.
    pub capture: KnockCapture,
    /// How many of them one source may send; nothing: any number.
    pub source_limit: Option<SourceLimit>,
    /// What our answers to knocks look like.
    pub answers: Answers,
    /// UDP ports that the kernel may choose for a socket that names none.
    pub ephemeral: Vec<PortRange>,
    /// What a grant that is closed before its time means for connections.
    pub on_revoke: OnRevoke,
    /// The most elements of each kernel set: twice [`Ceiling::grants`](crate::Ceiling::live), because
    /// expired elements hold their place until they are collected.
    pub capacity: u32,
    /// How often the kernel collects expired elements: 1 to 5 s.
    pub gc_interval: Duration,
}

impl TableSpec {
    /// The table's chains, base chains first.
    pub fn chains(&self) -> Vec<Chain> {
        let mut chains = self.for_knocks();
        chains.push(Chain::new(Part::Input, self.input()));
        if self.policy != FirewallPolicy::None {
            chains.extend(self.judging());
            chains.extend(self.translating());
            chains.extend(self.ending());
        }
        Self::base_chains_first(&mut chains);
        chains
    }

    /// As they are listed after one description has taken the place of another.
    fn base_chains_first(chains: &mut [Chain]) {
        chains.sort_by_key(|chain| (chain.hook.is_none(), chain.hook.map(|_| chain.name.part)));
    }

    /// The same for rules from before a trial: the base chains first ask `self`, while the trial lasts.
    ///
    /// Of the rules from before, knocks are not captured. They are judged by the rules on trial as
    /// long as these are in force; after that, either the gate installs the whole table from before
    /// at once, or nobody is alive to receive one.
    pub fn chains_on_trial(&self, before: Option<&Self>) -> Vec<Chain> {
        let tried: Vec<Chain> = self.chains().into_iter().map(Chain::on_trial).collect();
        let mut bases: Vec<Chain> = Part::BASES
            .into_iter()
            .filter_map(|part| {
                let has = |chains: &[Chain]| chains.iter().any(|chain| chain.name.part == part);
                let before = before.map(Self::chains).unwrap_or_default();
                let lines = before.iter().find(|chain| chain.name.part == part);
                let lines = lines.filter(|_| part != Part::Knocks);
                let lines = lines.map(|chain| chain.lines.clone());
                (has(&tried) || lines.is_some())
                    .then(|| Chain::during_trial(part, has(&tried), lines.unwrap_or_default()))
            })
            .collect();
        let inner = before.map(Self::chains).unwrap_or_default();
        let mut chains: Vec<Chain> =
            inner.into_iter().filter(|chain| chain.hook.is_none()).collect();
        chains.extend(tried);
        chains.append(&mut bases);
        Self::base_chains_first(&mut chains);
        chains
    }

    fn for_knocks(&self) -> Vec<Chain> {
        if self.knock_ports.is_empty() {
            return Vec::new();
        }
        let mut chains = vec![
            Chain::new(Part::KnockMeter, self.knock_meter()),
            Chain::new(Part::Knocks, self.knocks()),
            Chain::new(Part::Answers, self.answers()),
        ];
        let covered = |&ports: &PortRange| self.covers(ports);
        if self.capture == KnockCapture::Socket && self.dedicated_knock_ports().any(covered) {
            chains.push(Chain::new(Part::Knock, self.knock()));
        }
        if !self.dedicated_knock_ports().all(covered) {
            chains.push(Chain::new(Part::KnockUnprotected, self.knock_unprotected()));
        }
        chains
    }

    fn judging(&self) -> Vec<Chain> {
        let mut chains = vec![
            Chain::new(Part::TcpSyn, self.tcp_syn()),
            Chain::new(Part::TcpMidstream, self.tcp_midstream()),
            Chain::new(Part::Judge, Self::judge(Port::Own)),
            Chain::new(Part::Granted, Self::granted(Port::Own)),
            Chain::new(Part::Admit, Self::admit()),
        ];
        if self.protected.is_empty() {
            chains.push(Chain::new(Part::Udp, self.udp_all()));
        }
        chains
    }

    fn translating(&self) -> Vec<Chain> {
        vec![
            Chain::new(Part::Translated, self.translated()),
            Chain::new(Part::TranslatedSyn, self.translated_syn()),
            Chain::new(Part::TranslatedJudge, Self::judge(Port::Dialled)),
            Chain::new(Part::TranslatedGranted, Self::granted(Port::Dialled)),
            Chain::new(Part::TranslatedBack, Self::translated_back()),
            Chain::new(Part::Forward, Self::forward()),
        ]
    }

    fn ending(&self) -> Vec<Chain> {
        let mut chains = vec![
            Chain::new(Part::Refuse, self.refuse()),
            Chain::new(Part::BlockIn, self.block_in()),
            Chain::new(Part::BlockOut, Self::block_out()),
            Chain::new(Part::Output, self.output()),
            Chain::new(Part::Masqueraded, Self::masqueraded()),
            Chain::new(Part::Postrouting, Self::postrouting()),
        ];
        if self.policy == FirewallPolicy::Reject {
            chains.push(Chain::new(Part::PlainReset, Self::plain_reset()));
            chains.push(Chain::new(Part::Resets, Self::resets()));
        }
        chains
    }

    /// Whether these rules can mean what they say.
    pub fn check(&self) -> Result<(), SpecError> {
        if let Some(&ports) = self.knock_ports.iter().find(|p| p.transport() != Transport::Udp) {
            return Err(SpecError::KnockPortNotUdp(ports));
        }
        if self.policy == FirewallPolicy::None && !self.protected.is_empty() {
            return Err(SpecError::ProtectedByNothing);
        }
        let open = |ports: &&PortRange| self.always_open.iter().any(|open| open.overlaps(ports));
        self.protected
            .iter()
            .find(open)
            .map_or(Ok(()), |&ports| Err(SpecError::ProtectedAndOpen(ports)))
    }
}

/// Rules that cannot mean what they say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SpecError {
    /// Knocks are UDP datagrams.
    KnockPortNotUdp(PortRange),
    /// Protected ports with [`FirewallPolicy::None`].
    ProtectedByNothing,
    /// A port that is protected and open to everyone.
    ProtectedAndOpen(PortRange),
}

impl std::error::Error for SpecError {}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KnockPortNotUdp(ports) => {
                write!(f, "{ports} cannot be a knock port: knocks use UDP. Set a udp port")
            }
            Self::ProtectedByNothing => f.write_str(
                "protectedPorts has no effect with this policy. Set it to reject or drop",
            ),
            Self::ProtectedAndOpen(ports) => {
                write!(f, "{ports} is protected and always open. Remove it from one of the two")
            }
        }
    }
}
