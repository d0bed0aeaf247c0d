//! The chains of the table: their purposes, names, hooks and priorities. Pure.

use sknock_netfilter::nft::rule::{Chain, ChainName, Hook, Match, Rule, Verdict};

use super::sets::TRIAL;

/// What a chain is for.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum ChainKind {
    /// Base chain: captures knocks before conntrack.
    Knocks,
    /// Limits the rate of each source, and captures its knocks.
    KnockMeter,
    /// Drops datagrams as long as a knock without a tag in force, at a port that the policy `drop` closes.
    KnockUntagged,
    /// Base chain: drops first packets of flows from the wire with an own address as source.
    Forged,
    /// Base chain: filters packets that the kernel delivers to this host.
    Input,
    /// Drops UDP from a protected port if its source is an own address, no address, broadcast or anycast.
    ForgedSource,
    /// Datagrams from the wire whose source is an address of this host.
    OwnDatagrams,
    /// Base chain: what is as long as a knock at a knock port that the policy leaves open and nobody binds.
    KnockClosed,
    /// What arrives at a knock port that the policy closes, with `intake = socket`.
    Knock,
    /// The same at a knock port that the policy leaves open.
    KnockUnprotected,
    /// The first packet of a TCP connection.
    TcpSyn,
    /// Other TCP packets of no connection that conntrack knows.
    TcpMidstream,
    /// UDP outside admitted flows, or with an own address as source.
    Datagrams,
    /// Looks up any grant.
    AnyGrant,
    /// Looks up a grant for many connections.
    Granted,
    /// Labels a flow in which a packet had a grant.
    AdmitReceived,
    /// Labels a flow in which this host has sent a packet.
    AdmitAnswers,
    /// Accepts the first packet of a single-use connection, and adds it to `begun`.
    Admit,
    /// Base chain: filters packets to published ports of other machines.
    Forward,
    /// Tests first packets of forwarded flows, and labels forged ones.
    PassedOn,
    /// Refuses answers in forwarded flows whose first packet was forged.
    ForgedFlow,
    /// Refuses a SYN in the reply direction of a masqueraded flow.
    DialledBack,
    /// Packets whose destination was translated (DNAT, redirect).
    Translated,
    /// [`ChainKind::TcpSyn`], by the port as dialled.
    TranslatedSyn,
    /// [`ChainKind::AnyGrant`], by the port as dialled.
    TranslatedAnyGrant,
    /// [`ChainKind::Granted`], by the port as dialled.
    TranslatedGranted,
    /// Drops packets to blocked flows, by the port as dialled.
    TranslatedBack,
    /// Drops or rejects a packet without a grant, by the policy.
    Refuse,
    /// Drops or rejects a packet of a blocked flow, by the policy.
    BlockIn,
    /// Drops a packet to a blocked flow.
    BlockOut,
    /// Base chain: excludes our answers to knocks from conntrack.
    Answers,
    /// Base chain: drops packets to blocked flows, and labels flows in which this host sends.
    Output,
    /// Drops packets over `lo` from a link-local address that is not ours.
    IntoLoopback,
    /// Base chain: packets that leave with a translated source.
    Postrouting,
    /// Drops packets to blocked flows behind masquerading.
    Masqueraded,
    /// Base chain: resets of closed ports.
    Resets,
    /// Makes resets of closed ports alike, whichever part of the kernel sends them.
    PlainReset,
}

impl ChainKind {
    /// The base chains.
    pub const BASES: [Self; 9] = [
        Self::Knocks,
        Self::Forged,
        Self::Input,
        Self::KnockClosed,
        Self::Forward,
        Self::Answers,
        Self::Output,
        Self::Postrouting,
        Self::Resets,
    ];

    /// Its name in the kernel.
    pub fn name(self) -> &'static str {
        match self {
            Self::Knocks => "knocks",
            Self::KnockMeter => "knock_meter",
            Self::KnockUntagged => "knock_untagged",
            Self::Forged => "forged",
            Self::ForgedSource => "forged_source",
            Self::OwnDatagrams => "own_datagrams",
            Self::KnockClosed => "knock_closed",
            Self::Input => "input",
            Self::Knock => "knock",
            Self::KnockUnprotected => "knock_unprotected",
            Self::TcpSyn => "tcp_syn",
            Self::TcpMidstream => "tcp_midstream",
            Self::Datagrams => "datagrams",
            Self::AnyGrant => "any_grant",
            Self::Granted => "granted",
            Self::Admit => "admit",
            Self::AdmitReceived => "admit_received",
            Self::AdmitAnswers => "admit_answers",
            Self::Forward => "forward",
            Self::PassedOn => "passed_on",
            Self::ForgedFlow => "forged_flow",
            Self::DialledBack => "dialled_back",
            Self::Translated => "translated",
            Self::TranslatedSyn => "translated_syn",
            Self::TranslatedAnyGrant => "translated_any_grant",
            Self::TranslatedGranted => "translated_granted",
            Self::TranslatedBack => "translated_back",
            Self::Refuse => "refuse",
            Self::BlockIn => "block_in",
            Self::BlockOut => "block_out",
            Self::Answers => "answers",
            Self::Output => "output",
            Self::IntoLoopback => "into_loopback",
            Self::Postrouting => "postrouting",
            Self::Masqueraded => "masqueraded",
            Self::Resets => "resets",
            Self::PlainReset => "plain_reset",
        }
    }

    /// The hook and the priority of a base chain; `None` for other chains.
    ///
    /// `knocks` and `answers` come before conntrack (-200), so that knocks and answers leave no entry in it. All
    /// others but `forged` come after conntrack and DNAT (-100 in prerouting), before the filters of other programs
    /// (0).
    pub fn hook(self) -> Option<(Hook, i32)> {
        let (raw, mangle) = (libc::NF_IP_PRI_RAW, libc::NF_IP_PRI_MANGLE);
        match self {
            Self::Knocks => Some((Hook::Prerouting, raw)),
            // After conntrack has found the entry or made one, before that is confirmed and NAT changes it.
            Self::Forged => Some((Hook::Prerouting, mangle)),
            Self::Input => Some((Hook::Input, mangle)),
            // After the filters of others, which may be silent at all ports. Before the conntrack entry is confirmed.
            Self::KnockClosed => Some((Hook::Input, libc::NF_IP_PRI_SECURITY + 50)),
            Self::Forward => Some((Hook::Forward, mangle)),
            Self::Answers => Some((Hook::Output, raw)),
            // After every translation of destinations: it may take away what seems to stay on this host.
            Self::Output => Some((Hook::Output, libc::NF_IP_PRI_NAT_DST + 50)),
            Self::Resets => Some((Hook::Output, mangle)),
            // After every translation of sources.
            Self::Postrouting => Some((Hook::Postrouting, libc::NF_IP_PRI_NAT_SRC + 50)),
            _ => None,
        }
    }
}

/// The prefix of the names of chains on trial: the table also has the chains from before.
const ON_TRIAL: &str = "trial_";

impl From<ChainKind> for ChainName {
    fn from(kind: ChainKind) -> Self {
        Self { prefix: "", name: kind.name() }
    }
}

impl ChainKind {
    pub(super) fn chain(self, lines: Vec<Rule>) -> Chain {
        Chain { name: self.into(), hook: self.hook(), lines }
    }

    /// Whether this chain is of this kind, on trial or not.
    pub(super) fn is_of(self, chain: &Chain) -> bool {
        chain.name.name == self.name()
    }

    /// The base chain of this kind: first the rules on trial, as long as the set `trial` has elements.
    pub(super) fn during_trial(self, tried: bool, before: Vec<Rule>) -> Chain {
        let trial = ChainName { prefix: ON_TRIAL, name: self.name() };
        let verdict = if tried { Verdict::Goto(trial) } else { Verdict::Accept };
        let first = Rule::new([Match::FamilyIn(TRIAL)], verdict);
        self.chain(std::iter::once(first).chain(before).collect())
    }
}

/// The same chain for rules on trial: it has no hook, and leads only to other chains of the trial.
pub(super) fn on_trial(mut chain: Chain) -> Chain {
    let trial = |name: ChainName| ChainName { prefix: ON_TRIAL, ..name };
    for line in &mut chain.lines {
        line.verdict = match line.verdict {
            Verdict::Jump(name) => Verdict::Jump(trial(name)),
            Verdict::Goto(name) => Verdict::Goto(trial(name)),
            other => other,
        };
    }
    Chain { name: trial(chain.name), hook: None, lines: chain.lines }
}
