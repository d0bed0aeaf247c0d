//! The chains of the table: what each is for, its name, and where the kernel asks it. Pure.

use sknock_netfilter::nft::rule::{Chain, ChainName, Hook, Match, Rule, Verdict};

use super::sets::TRIAL;

/// What a chain is for.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Part {
    /// Base chain: takes knocks out before the kernel tracks them.
    Knocks,
    /// How many knocks one source may send, and where they go.
    KnockMeter,
    /// What is as long as a knock and has no tag, at a port that the policy closes silently.
    KnockUntagged,
    /// Base chain: packets from outside that name this host's own address as their source begin no flow.
    Forged,
    /// Base chain: judges all that the kernel delivers to this host.
    Input,
    /// Datagrams from a protected port whose source is an address of this host, or none.
    ForgedSource,
    /// What arrives at a knock port that the policy closes, with `intake = socket`.
    Knock,
    /// The same at a knock port that the policy leaves open.
    KnockUnprotected,
    /// The first packet of a TCP connection.
    TcpSyn,
    /// Other TCP packets of no connection that conntrack knows.
    TcpMidstream,
    /// UDP of no flow.
    Udp,
    /// Asks for a grant, for single use or not.
    Judge,
    /// Asks for a grant that is not for single use.
    Granted,
    /// Labels a flow in which a packet had a grant.
    AdmitReceived,
    /// Labels a flow in which this host has sent a packet.
    AdmitAnswers,
    /// Lets the first packet of a single-use connection in, and remembers it.
    Admit,
    /// Base chain: judges published ports of others.
    Forward,
    /// What is passed on: whether the first packet of its flow was forged.
    PassedOn,
    /// What is passed on, of a flow whose first packet was.
    ForgedFlow,
    /// A SYN that comes to what dials out in this host's name.
    DialledBack,
    /// Packets whose destination was translated (DNAT, redirect).
    Translated,
    /// [`Part::TcpSyn`], by the port as dialled.
    TranslatedSyn,
    /// [`Part::Judge`], by the port as dialled.
    TranslatedJudge,
    /// [`Part::Granted`], by the port as dialled.
    TranslatedGranted,
    /// The way back of translated packets.
    TranslatedBack,
    /// Ends a packet without a grant, as the policy says.
    Refuse,
    /// Ends a packet of a blocked flow.
    BlockIn,
    /// Ends a packet to a blocked flow.
    BlockOut,
    /// Base chain: our answers to knocks are not tracked.
    Answers,
    /// Base chain: the way back of blocked flows.
    Output,
    /// What this host says to itself: who sends in another's name begins no flow of UDP at a protected port.
    IntoLoopback,
    /// Base chain: what leaves with one of our addresses in place of the sender's.
    Postrouting,
    /// The way back of blocked flows behind masquerading.
    Masqueraded,
    /// Base chain: resets of closed ports.
    Resets,
    /// Makes resets of closed ports alike, whichever part of the kernel sends them.
    PlainReset,
}

impl Part {
    /// The parts that the kernel asks by itself.
    pub const BASES: [Self; 8] = [
        Self::Knocks,
        Self::Forged,
        Self::Input,
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
            Self::Input => "input",
            Self::Knock => "knock",
            Self::KnockUnprotected => "knock_unprotected",
            Self::TcpSyn => "tcp_syn",
            Self::TcpMidstream => "tcp_midstream",
            Self::Udp => "datagrams",
            Self::Judge => "judge",
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
            Self::TranslatedJudge => "translated_judge",
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

    /// Where the kernel asks it, and its priority there; nothing: other chains lead to it.
    ///
    /// Knocks and answers come before conntrack (-200), so that they leave no entry in it. All else is
    /// judged after conntrack and every translation of destinations (-100 in prerouting), before the
    /// filters of others (0).
    pub fn hook(self) -> Option<(Hook, i32)> {
        let (raw, mangle) = (libc::NF_IP_PRI_RAW, libc::NF_IP_PRI_MANGLE);
        match self {
            Self::Knocks => Some((Hook::Prerouting, raw)),
            // After conntrack has found the entry or made one, before that is confirmed and NAT changes it.
            Self::Forged => Some((Hook::Prerouting, mangle)),
            Self::Input => Some((Hook::Input, mangle)),
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

/// What the names of chains of rules on trial begin with: they stand beside those from before.
const ON_TRIAL: &str = "trial_";

impl From<Part> for ChainName {
    fn from(part: Part) -> Self {
        Self { prefix: "", name: part.name() }
    }
}

impl Part {
    pub(super) fn chain(self, lines: Vec<Rule>) -> Chain {
        Chain { name: self.into(), hook: self.hook(), lines }
    }

    /// Whether this chain is of this part, on trial or not.
    pub(super) fn is_of(self, chain: &Chain) -> bool {
        chain.name.name == self.name()
    }

    /// The base chain of this part: first it asks the rules on trial, while these have time left.
    pub(super) fn during_trial(self, tried: bool, before: Vec<Rule>) -> Chain {
        let trial = ChainName { prefix: ON_TRIAL, name: self.name() };
        let verdict = if tried { Verdict::Goto(trial) } else { Verdict::Accept };
        let first = Rule::new([Match::FamilyIn(TRIAL)], verdict);
        self.chain(std::iter::once(first).chain(before).collect())
    }
}

/// The same chain for rules on trial: asked only by the base chain of this part, and leading only
/// to other chains of the trial.
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
