//! The chains of the table: their names, where the kernel asks them, and their lines. Pure.

use std::fmt;

use super::rule::{Match, Rule, Verdict};

/// What a chain is for.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Part {
    /// Base chain: takes knocks out before the kernel tracks them.
    Knocks,
    /// How many knocks one source may send, and where they go.
    KnockMeter,
    /// Base chain: judges all that the kernel delivers to this host.
    Input,
    /// What arrives at a knock port that the policy closes, with `intake = socket`.
    Knock,
    /// The same at a knock port that the policy leaves open.
    KnockUnprotected,
    /// The first packet of a TCP connection.
    TcpSyn,
    /// Other TCP packets of no connection that conntrack knows.
    TcpMidstream,
    /// UDP, where all traffic is closed.
    Udp,
    /// Asks for a grant, for single use or not.
    Judge,
    /// Asks for a grant that is not for single use.
    Granted,
    /// Lets the first packet of a single-use connection in, and remembers it.
    Admit,
    /// Base chain: judges published ports of others.
    Forward,
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
    /// Base chain: what leaves with one of our addresses in place of the sender's.
    Postrouting,
    /// The way back of blocked flows behind masquerading.
    Masqueraded,
    /// Base chain: resets of closed ports.
    Resets,
    /// Makes resets of closed ports alike, whoever sends them.
    PlainReset,
}

/// Where in the kernel a base chain is asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Hook {
    /// All that arrives, before it is routed.
    Prerouting,
    /// What is delivered to this host.
    Input,
    /// What is passed on to others.
    Forward,
    /// What this host sends.
    Output,
    /// All that leaves, as it leaves.
    Postrouting,
}

impl Part {
    /// The parts that the kernel asks by itself.
    pub(super) const BASES: [Self; 7] = [
        Self::Knocks,
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
            Self::Input => "input",
            Self::Knock => "knock",
            Self::KnockUnprotected => "knock_unprotected",
            Self::TcpSyn => "tcp_syn",
            Self::TcpMidstream => "tcp_midstream",
            Self::Udp => "udp_all",
            Self::Judge => "judge",
            Self::Granted => "granted",
            Self::Admit => "admit",
            Self::Forward => "forward",
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
            Self::Input => Some((Hook::Input, mangle)),
            Self::Forward => Some((Hook::Forward, mangle)),
            Self::Answers => Some((Hook::Output, raw)),
            Self::Output | Self::Resets => Some((Hook::Output, mangle)),
            // After every translation of sources.
            Self::Postrouting => Some((Hook::Postrouting, libc::NF_IP_PRI_NAT_SRC + 50)),
            _ => None,
        }
    }
}

/// A chain's name: rules on trial have chains of their own, beside those from before.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ChainName {
    /// What it is for.
    pub part: Part,
    /// Whether it belongs to rules on trial.
    pub on_trial: bool,
}

impl From<Part> for ChainName {
    fn from(part: Part) -> Self {
        Self { part, on_trial: false }
    }
}

impl fmt::Display for ChainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.on_trial { "trial_" } else { "" }, self.part.name())
    }
}

/// A chain with its lines, first line first.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Chain {
    /// Its name.
    pub name: ChainName,
    /// Where the kernel asks it, and its priority there.
    pub hook: Option<(Hook, i32)>,
    /// What it does with a packet. A packet that no line ends is accepted.
    pub lines: Vec<Rule>,
}

impl Chain {
    pub(super) fn new(part: Part, lines: Vec<Rule>) -> Self {
        Self { name: part.into(), hook: part.hook(), lines }
    }

    /// The same for rules on trial: asked by nobody but the base chain of this part, and leading only
    /// to other chains of the trial.
    pub(super) fn on_trial(mut self) -> Self {
        let trial = |name: ChainName| ChainName { on_trial: true, ..name };
        for line in &mut self.lines {
            line.verdict = match line.verdict {
                Verdict::Jump(name) => Verdict::Jump(trial(name)),
                Verdict::Goto(name) => Verdict::Goto(trial(name)),
                other => other,
            };
        }
        Self { name: trial(self.name), hook: None, lines: self.lines }
    }

    /// The base chain of a part: first it asks the rules on trial, while these have time left.
    pub(super) fn during_trial(part: Part, tried: bool, before: Vec<Rule>) -> Self {
        let trial = ChainName { part, on_trial: true };
        let verdict = if tried { Verdict::Goto(trial) } else { Verdict::Accept };
        let gate = Rule { matches: vec![Match::OnTrial], verdict };
        Self::new(part, std::iter::once(gate).chain(before).collect())
    }
}
