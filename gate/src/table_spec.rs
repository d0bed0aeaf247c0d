//! The content of the gate's table: its sets, and its chains as lists of rules, in order. Pure;
//! `sknock_netfilter::nft` encodes them, and prints a rule as nft lists it.
//!
//! Packets to this host pass the chain `input`, forwarded packets the chain `forward`. There the kernel has routed
//! them already, so no rule has to derive the route from an address.

pub(crate) mod block;
pub(crate) mod capture;
pub(crate) mod chain_kind;
pub(crate) mod flow_labels;
mod forged;
mod forward;
mod grant_rules;
mod incoming;
pub(crate) mod sets;

use std::fmt;
use std::time::Duration;

use sknock_netfilter::nft::rule::Chain;
use sknock_types::{PortRange, Transport};

use block::OnRevoke;
use capture::{Answers, KnockCapture, SourceLimit};
use chain_kind::ChainKind;
use grant_rules::Port;

/// What happens to traffic without a grant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FirewallPolicy {
    /// No filtering: the gate keeps grants, but no port is closed.
    None,
    /// TCP is reset, the rest gets "port unreachable": the port looks closed.
    Reject,
    /// The packet is dropped: the port does not answer.
    Drop,
}

/// The table, as configured.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TableSpec {
    /// What happens to traffic without a grant.
    pub policy: FirewallPolicy,
    /// The protected ports; empty: all traffic (deny-all mode).
    pub protected: Vec<PortRange>,
    /// Ports that need no grant.
    pub always_open: Vec<PortRange>,
    /// Where knocks arrive; UDP.
    pub knock_ports: Vec<PortRange>,
    /// The shortest and the longest knock: the UDP header's length field, which counts the header.
    pub knock_lengths: (u16, u16),
    /// The length of a knock with a tag, as above. The kernel does not capture datagrams of this length without a tag
    /// that is in force. `None`: the table does not test tags.
    pub tagged_length: Option<u16>,
    /// How knocks reach the network process.
    pub capture: KnockCapture,
    /// How many knocks one source may send; `None`: any number.
    pub source_limit: Option<SourceLimit>,
    /// What our answers to knocks look like.
    pub answers: Answers,
    /// UDP ports that the kernel may choose for a socket that names none.
    pub ephemeral: Vec<PortRange>,
    /// What happens to the connections of a grant that is closed early.
    pub on_revoke: OnRevoke,
    /// The size of each kernel set: twice [`Ceiling::live`](crate::Ceiling::live), because expired elements
    /// use their place until the kernel collects them.
    pub capacity: u32,
    /// How often the kernel collects expired elements: 1 to 5 s.
    pub gc_interval: Duration,
}

/// What the kernel returns to when a trial ends, and when.
#[derive(Clone, Copy, Debug)]
pub struct Rollback<'a> {
    /// The rules before the trial; `None`: there were none, so no packet is filtered.
    pub previous: Option<&'a TableSpec>,
    /// How long from now. Zero: at once.
    pub remaining: Duration,
}

impl TableSpec {
    /// The table's chains, base chains first.
    pub fn chains(&self) -> Vec<Chain> {
        let mut chains = self.for_knocks();
        chains.push(ChainKind::Input.chain(self.input()));
        if self.policy != FirewallPolicy::None {
            chains.extend(self.grant_chains());
            chains.extend(self.translated_chains());
            chains.extend(self.refusing_chains());
        }
        Self::base_chains_first(&mut chains);
        chains
    }

    /// The order in which the kernel lists them after it has replaced a table: base chains keep their places.
    fn base_chains_first(chains: &mut [Chain]) {
        chains.sort_by_key(|chain| {
            let place = || ChainKind::BASES.iter().position(|kind| kind.is_of(chain));
            (chain.hook.is_none(), chain.hook.and_then(|_| place()))
        });
    }

    /// The chains of a trial: each base chain first has the rules of `self`, while the trial lasts, then those
    /// `before`.
    ///
    /// The rules `before` capture no knocks. During the trial, the rules on trial capture them; after it, either the
    /// gate installs the previous table at once, or no process runs that could receive a knock.
    pub fn chains_on_trial(&self, before: Option<&Self>) -> Vec<Chain> {
        let tried: Vec<Chain> = self.chains().into_iter().map(chain_kind::on_trial).collect();
        let before = before.map(Self::chains).unwrap_or_default();
        let of = |kind: ChainKind, chains: &[Chain]| {
            chains.iter().find(|chain| kind.is_of(chain)).map(|chain| chain.lines.clone())
        };
        let base = |kind: ChainKind| {
            let has_tried = of(kind, &tried).is_some();
            let lines = of(kind, &before).filter(|_| kind != ChainKind::Knocks);
            (has_tried || lines.is_some())
                .then(|| kind.during_trial(has_tried, lines.unwrap_or_default()))
        };
        let bases: Vec<Chain> = ChainKind::BASES.into_iter().filter_map(base).collect();
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
            ChainKind::KnockMeter.chain(self.knock_meter()),
            ChainKind::Knocks.chain(self.knocks()),
            ChainKind::Answers.chain(self.answers()),
        ];
        let covered = |&ports: &PortRange| self.covers(ports);
        if self.capture == KnockCapture::Socket && self.dedicated_knock_ports().any(covered) {
            chains.push(ChainKind::Knock.chain(self.knock()));
        }
        if self.filters_by_tags() && self.knock_ports.iter().any(|&ports| self.drops_early(ports)) {
            chains.push(ChainKind::KnockUntagged.chain(Self::knock_untagged()));
        }
        if !self.dedicated_knock_ports().all(covered) {
            chains.push(ChainKind::KnockUnprotected.chain(self.knock_unprotected()));
            if self.capture != KnockCapture::Socket {
                chains.push(ChainKind::KnockClosed.chain(self.knock_closed()));
            }
        }
        chains
    }

    fn grant_chains(&self) -> Vec<Chain> {
        vec![
            ChainKind::Forged.chain(self.forged()),
            ChainKind::ForgedSource.chain(self.forged_source()),
            ChainKind::OwnDatagrams.chain(self.own_datagrams()),
            ChainKind::TcpSyn.chain(self.tcp_syn()),
            ChainKind::TcpMidstream.chain(self.tcp_midstream()),
            ChainKind::AnyGrant.chain(Self::any_grant(Port::Own)),
            ChainKind::Granted.chain(Self::granted(Port::Own)),
            ChainKind::Admit.chain(Self::admit()),
            ChainKind::AdmitReceived.chain(Self::admit_received()),
            ChainKind::Datagrams.chain(self.datagrams()),
        ]
    }

    fn translated_chains(&self) -> Vec<Chain> {
        let mut chains = vec![
            ChainKind::Translated.chain(self.translated()),
            ChainKind::TranslatedSyn.chain(self.translated_syn()),
            ChainKind::TranslatedAnyGrant.chain(Self::any_grant(Port::Dialled)),
            ChainKind::TranslatedGranted.chain(Self::granted(Port::Dialled)),
            ChainKind::TranslatedBack.chain(Self::translated_back()),
            ChainKind::Forward.chain(self.forward()),
            ChainKind::DialledBack.chain(self.dialled_back()),
        ];
        if !self.transports_tested_for_forgery().is_empty() {
            chains.push(ChainKind::PassedOn.chain(Self::passed_on()));
            chains.push(ChainKind::ForgedFlow.chain(self.forged_flow()));
        }
        chains
    }

    fn refusing_chains(&self) -> Vec<Chain> {
        let mut chains = vec![
            ChainKind::Refuse.chain(self.refuse()),
            ChainKind::BlockIn.chain(self.block_in()),
            ChainKind::BlockOut.chain(Self::block_out()),
            ChainKind::Output.chain(self.output()),
            ChainKind::AdmitAnswers.chain(Self::admit_answers()),
            ChainKind::IntoLoopback.chain(Self::into_loopback()),
            ChainKind::Masqueraded.chain(Self::masqueraded()),
            ChainKind::Postrouting.chain(Self::postrouting()),
        ];
        if self.policy == FirewallPolicy::Reject {
            chains.push(ChainKind::PlainReset.chain(Self::plain_reset()));
            chains.push(ChainKind::Resets.chain(Self::resets()));
        }
        chains
    }

    /// Checks the rules for contradictions.
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

/// Rules that contradict each other.
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
