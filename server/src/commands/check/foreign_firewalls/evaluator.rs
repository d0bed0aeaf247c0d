//! Follows a packet through a chain and those that it jumps to.

use std::fmt;

use serde_json::Value;

use super::matching::{Matches, ProbePacket};
use super::rule::{ProbeVerdict, decisions};
use super::ruleset::{Base, ForeignChain, ForeignRule};

/// The kernel's own limit of jumps within jumps.
// NFT_JUMP_STACK_SIZE in include/net/netfilter/nf_tables.h.
const MAX_DEPTH: u8 = 16;

/// Rules looked at for one question: a large ruleset has some thousands.
const MAX_RULES: u32 = 100_000;

/// What a chain does with our packet.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Judgement {
    /// Lets it through.
    Open,
    /// Drops or rejects it.
    Closed(RulePlace),
    /// Lets it through from some addresses or interfaces, or not from some; or some of its ports.
    Partly(RulePlace),
    /// Cannot be told.
    Unclear(RulePlace),
    /// Gives it another address or port.
    PassedOn(RulePlace),
}

/// Where it is decided.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum RulePlace {
    Policy,
    Rule { chain: String, handle: u64 },
    TooLarge,
}

impl fmt::Display for RulePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Policy => f.write_str("policy drop"),
            Self::Rule { chain, handle } => write!(f, "rule with handle {handle} in chain {chain}"),
            Self::TooLarge => f.write_str("too many rules"),
        }
    }
}

/// The first place of each kind of end, apart for how surely a packet gets there.
#[derive(Debug, Default)]
struct PathEnds {
    accepted: [Option<RulePlace>; 3],
    dropped: [Option<RulePlace>; 3],
    passed_on: Option<RulePlace>,
    untracked: Option<RulePlace>,
}

/// One packet on its way.
pub(super) struct Evaluator<'a> {
    packet: ProbePacket<'a>,
    ends: PathEnds,
    budget: u32,
}

/// How we got here.
#[derive(Clone, Copy)]
struct Path {
    fit: Matches,
    /// By a rule for this port.
    named: bool,
    depth: u8,
}

impl<'a> Evaluator<'a> {
    /// What becomes of the packet, and where conntrack is told to leave it alone.
    pub(super) fn judge(
        packet: ProbePacket<'a>,
        chain: &'a ForeignChain,
        base: &Base,
    ) -> (Judgement, Option<RulePlace>) {
        let mut walk = Self { packet, ends: PathEnds::default(), budget: MAX_RULES };
        let start = Path { fit: Matches::Always, named: false, depth: 0 };
        if walk.chain(chain, start) {
            let policy = if base.drops { ProbeVerdict::Drop } else { ProbeVerdict::Accept };
            walk.end(&policy, start, &RulePlace::Policy);
        }
        if walk.budget == 0 {
            return (Judgement::Unclear(RulePlace::TooLarge), None);
        }
        let untracked = walk.ends.untracked.take();
        (walk.ends.judgement(), untracked)
    }

    /// Whether the packet may come out at the end of the chain.
    fn chain(&mut self, chain: &'a ForeignChain, mut way: Path) -> bool {
        let mut returned = false;
        for rule in &chain.rules {
            self.budget = self.budget.saturating_sub(1);
            if self.budget == 0 {
                return true;
            }
            if self.untracks(chain, rule) {
                let place = RulePlace::Rule { chain: chain.name.2.clone(), handle: rule.handle };
                self.ends.untracked.get_or_insert(place);
            }
            for (fit, named, verdict) in decisions(&self.packet, chain, rule) {
                let taken = Path { fit: way.fit.min(fit), named: way.named || named, ..way };
                let place = RulePlace::Rule { chain: chain.name.2.clone(), handle: rule.handle };
                match self.follow(chain, &verdict, taken, &place) {
                    NextRule::Gone if fit == Matches::Always => return returned,
                    NextRule::Back if fit == Matches::Always => return true,
                    NextRule::Back if fit == Matches::Unknown => {
                        returned = true;
                        way.fit = way.fit.min(Matches::Unknown);
                    }
                    NextRule::Stays | NextRule::Gone | NextRule::Back => {}
                }
            }
        }
        true
    }

    /// Whether the rule may keep our packet from conntrack. Of iptables' target CT, nft does not say what
    /// it does.
    fn untracks(&self, chain: &ForeignChain, rule: &ForeignRule) -> bool {
        let untracks = |statement: &Value| {
            let xt = &statement["xt"];
            statement.get("notrack").is_some() || (xt["type"] == "target" && xt["name"] == "CT")
        };
        let fits = |statement: &Value| {
            let comparison = statement.get("match");
            comparison.is_none_or(|what| self.packet.matches(chain, what) != Matches::Never)
        };
        rule.statements.iter().any(untracks) && rule.statements.iter().all(fits)
    }

    fn follow(
        &mut self,
        chain: &'a ForeignChain,
        verdict: &ProbeVerdict,
        way: Path,
        place: &RulePlace,
    ) -> NextRule {
        let (target, stays) = match verdict {
            ProbeVerdict::Return => return NextRule::Back,
            ProbeVerdict::Jump(target) => (target, NextRule::Stays),
            // `goto` pushes no return address: behind the target, the chain that jumped here continues
            // (nft(8)).
            ProbeVerdict::Goto(target) => (target, NextRule::Back),
            _ => {
                self.end(verdict, way, place);
                return NextRule::Gone;
            }
        };
        let ruleset = self.packet.ruleset;
        match ruleset.beside(chain, target) {
            Some(target) if way.depth < MAX_DEPTH => {
                let deeper = Path { depth: way.depth + 1, ..way };
                if self.chain(target, deeper) { stays } else { NextRule::Gone }
            }
            _ => {
                self.end(&ProbeVerdict::Unknown, way, place);
                stays
            }
        }
    }

    fn end(&mut self, verdict: &ProbeVerdict, way: Path, place: &RulePlace) {
        let mark = |ends: &mut [Option<RulePlace>; 3], fit| {
            let end = match fit {
                Matches::Always => &mut ends[0],
                Matches::Unknown => &mut ends[1],
                _ => &mut ends[2],
            };
            end.get_or_insert_with(|| place.clone());
        };
        match verdict {
            // Trusted and blocked addresses are nobody's mistake; a rule for this very port may be.
            ProbeVerdict::Accept | ProbeVerdict::Drop
                if way.fit == Matches::Conditionally && !way.named => {}
            ProbeVerdict::Accept => mark(&mut self.ends.accepted, way.fit),
            ProbeVerdict::Drop => mark(&mut self.ends.dropped, way.fit),
            ProbeVerdict::PassOn => {
                self.ends.passed_on.get_or_insert_with(|| place.clone());
                mark(&mut self.ends.accepted, way.fit);
            }
            ProbeVerdict::Unknown
            | ProbeVerdict::Return
            | ProbeVerdict::Jump(_)
            | ProbeVerdict::Goto(_) => {
                let fit = way.fit.min(Matches::Unknown);
                mark(&mut self.ends.accepted, fit);
                mark(&mut self.ends.dropped, fit);
            }
        }
    }
}

enum NextRule {
    /// On to the next rule.
    Stays,
    /// Decided.
    Gone,
    /// Back to the chain that jumped here.
    Back,
}

impl PathEnds {
    fn judgement(self) -> Judgement {
        let [accepted, maybe_accepted, accepted_from_some] = self.accepted;
        let [dropped, maybe_dropped, dropped_from_some] = self.dropped;
        if let Some(place) = self.passed_on {
            return Judgement::PassedOn(place);
        }
        match (accepted, dropped) {
            (None, Some(place)) => match (maybe_accepted, accepted_from_some) {
                (Some(place), _) => Judgement::Unclear(place),
                (None, Some(place)) => Judgement::Partly(place),
                (None, None) => Judgement::Closed(place),
            },
            (Some(_), _) => match (maybe_dropped, dropped_from_some) {
                (Some(place), _) => Judgement::Unclear(place),
                (None, Some(place)) => Judgement::Partly(place),
                (None, None) => Judgement::Open,
            },
            // All ends are ones that are not understood.
            (None, None) => {
                let place = maybe_dropped.or(maybe_accepted).or(dropped_from_some);
                place.or(accepted_from_some).map_or(Judgement::Open, Judgement::Unclear)
            }
        }
    }
}
