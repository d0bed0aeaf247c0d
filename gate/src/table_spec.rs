//! What the gate's table looks like: its sets, and its chains as lists of rules, in order. Pure;
//! `sknock_netfilter::nft` encodes them, and a rule prints as nft would list it.
//!
//! Whatever the kernel delivers to this host passes `input`, and what it passes on `forward`: there
//! the kernel has routed it already, and nothing has to be guessed from an address.

pub(crate) mod block;
pub(crate) mod capture;
pub(crate) mod flow_labels;
mod forged;
mod forward;
mod incoming;
mod judge;
pub(crate) mod part;
pub(crate) mod sets;

use std::fmt;
use std::time::Duration;

use sknock_netfilter::nft::rule::Chain;
use sknock_types::{PortRange, Transport};

use block::OnRevoke;
use capture::{Answers, KnockCapture, SourceLimit};
use judge::Port;
use part::Part;

/// What happens to traffic without a grant.
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
    /// What happens to traffic without a grant.
    pub policy: FirewallPolicy,
    /// The ports that the policy is for; empty: all traffic.
    pub protected: Vec<PortRange>,
    /// Open to everyone.
    pub always_open: Vec<PortRange>,
    /// Where knocks arrive; UDP.
    pub knock_ports: Vec<PortRange>,
    /// The shortest and the longest knock: the UDP header's length field, which counts the header.
    pub knock_lengths: (u16, u16),
    /// How long a knock is that has a tag, as above. Datagrams of this length without one that is in force are not
    /// captured. Nothing: no tags are asked for.
    pub tagged_length: Option<u16>,
    /// How they reach the network process.
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

/// What the kernel returns to when a trial ends, and when.
#[derive(Clone, Copy, Debug)]
pub struct Rollback<'a> {
    /// The rules from before; nothing: no packet is filtered.
    pub previous: Option<&'a TableSpec>,
    /// How long from now. Zero: at once.
    pub remaining: Duration,
}

impl TableSpec {
    /// The table's chains, base chains first.
    pub fn chains(&self) -> Vec<Chain> {
        let mut chains = self.for_knocks();
        chains.push(Part::Input.chain(self.input()));
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
        chains.sort_by_key(|chain| {
            let place = || Part::BASES.iter().position(|part| part.is_of(chain));
            (chain.hook.is_none(), chain.hook.and_then(|_| place()))
        });
    }

    /// The same for rules from before a trial: the base chains first ask `self`, while the trial lasts.
    ///
    /// Of the rules from before, knocks are not captured. They are judged by the rules on trial as
    /// long as these are in force; after that, either the gate installs the whole table from before
    /// at once, or no process lives to receive one.
    pub fn chains_on_trial(&self, before: Option<&Self>) -> Vec<Chain> {
        let tried: Vec<Chain> = self.chains().into_iter().map(part::on_trial).collect();
        let before = before.map(Self::chains).unwrap_or_default();
        let of = |part: Part, chains: &[Chain]| {
            chains.iter().find(|chain| part.is_of(chain)).map(|chain| chain.lines.clone())
        };
        let base = |part: Part| {
            let has_tried = of(part, &tried).is_some();
            let lines = of(part, &before).filter(|_| part != Part::Knocks);
            (has_tried || lines.is_some())
                .then(|| part.during_trial(has_tried, lines.unwrap_or_default()))
        };
        let bases: Vec<Chain> = Part::BASES.into_iter().filter_map(base).collect();
        let inner = before.into_iter().filter(|chain| chain.hook.is_none());
        let mut chains: Vec<Chain> = inner.chain(tried).chain(bases).collect();
        Self::base_chains_first(&mut chains);
        chains
    }

    fn for_knocks(&self) -> Vec<Chain> {
        if self.knock_ports.is_empty() {
            return Vec::new();
        }
        let mut chains = vec![
            Part::KnockMeter.chain(self.knock_meter()),
            Part::Knocks.chain(self.knocks()),
            Part::Answers.chain(self.answers()),
        ];
        let covered = |&ports: &PortRange| self.covers(ports);
        if self.capture == KnockCapture::Socket && self.dedicated_knock_ports().any(covered) {
            chains.push(Part::Knock.chain(self.knock()));
        }
        if self.filters_by_tags() && self.knock_ports.iter().any(|&ports| self.drops_early(ports)) {
            chains.push(Part::KnockUntagged.chain(Self::knock_untagged()));
        }
        if !self.dedicated_knock_ports().all(covered) {
            chains.push(Part::KnockUnprotected.chain(self.knock_unprotected()));
        }
        chains
    }

    fn judging(&self) -> Vec<Chain> {
        vec![
            Part::Forged.chain(self.forged()),
            Part::ForgedSource.chain(self.forged_source()),
            Part::TcpSyn.chain(self.tcp_syn()),
            Part::TcpMidstream.chain(self.tcp_midstream()),
            Part::Judge.chain(Self::judge(Port::Own)),
            Part::Granted.chain(Self::granted(Port::Own)),
            Part::Admit.chain(Self::admit()),
            Part::AdmitReceived.chain(Self::admit_received()),
            Part::Udp.chain(self.udp()),
        ]
    }

    fn translating(&self) -> Vec<Chain> {
        let mut chains = vec![
            Part::Translated.chain(self.translated()),
            Part::TranslatedSyn.chain(self.translated_syn()),
            Part::TranslatedJudge.chain(Self::judge(Port::Dialled)),
            Part::TranslatedGranted.chain(Self::granted(Port::Dialled)),
            Part::TranslatedBack.chain(Self::translated_back()),
            Part::Forward.chain(self.forward()),
            Part::DialledBack.chain(self.dialled_back()),
        ];
        if !self.tells_forged_flows().is_empty() {
            chains.push(Part::PassedOn.chain(Self::passed_on()));
            chains.push(Part::ForgedFlow.chain(self.forged_flow()));
        }
        chains
    }

    fn ending(&self) -> Vec<Chain> {
        let mut chains = vec![
            Part::Refuse.chain(self.refuse()),
            Part::BlockIn.chain(self.block_in()),
            Part::BlockOut.chain(Self::block_out()),
            Part::Output.chain(self.output()),
            Part::AdmitAnswers.chain(Self::admit_answers()),
            Part::IntoLoopback.chain(Self::leaving_by_loopback()),
            Part::Masqueraded.chain(Self::masqueraded()),
            Part::Postrouting.chain(Self::postrouting()),
        ];
        if self.policy == FirewallPolicy::Reject {
            chains.push(Part::PlainReset.chain(Self::plain_reset()));
            chains.push(Part::Resets.chain(Self::resets()));
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

    /// Whether the policy closes any of these ports.
    pub(super) fn covers(&self, ports: PortRange) -> bool {
        let protected =
            self.protected.is_empty() || self.protected.iter().any(|p| p.overlaps(&ports));
        self.policy != FirewallPolicy::None && protected
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
