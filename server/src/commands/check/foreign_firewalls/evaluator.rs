//! Follows a packet through a chain and those that it jumps to.

use std::fmt;

use super::legacy::{self, Legacy};
use super::matching::{Course, Matches, ProbePacket};
use super::ruleset::{Base, ForeignChain, ForeignRule};
use serde_json::Value;

/// The kernel's own limit of jumps within jumps.
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

#[derive(Clone, Debug)]
enum ProbeVerdict {
    Accept,
    Drop,
    PassOn,
    /// Decided by a program, or by something that is not understood.
    Unknown,
    Return,
    Jump(String),
    Goto(String),
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
            for (fit, named, verdict) in self.decisions(chain, rule) {
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

    /// What a rule decides, and of which packets.
    fn decisions(
        &self,
        chain: &ForeignChain,
        rule: &ForeignRule,
    ) -> Vec<(Matches, bool, ProbeVerdict)> {
        let mut read =
            RuleSoFar { fit: Matches::Always, named: false, state: false, address: false };
        let mut decisions = Vec::new();
        for statement in &rule.statements {
            let Some((kind, what)) = statement.as_object().and_then(|all| all.iter().next()) else {
                read.fit = read.fit.min(Matches::Unknown);
                continue;
            };
            if kind == "vmap" {
                decisions.extend(self.mapped(chain, what));
            } else if let Some(verdict) = read.statement(&self.packet, chain, kind, what) {
                decisions.push((Matches::Always, false, verdict));
            }
            if read.fit == Matches::Never {
                return Vec::new();
            }
        }
        let each = decisions.into_iter().filter_map(|(fit, named, verdict)| {
            let named = named || read.named;
            let fit = fit.min(read.fit).min(read.usual(&self.packet, named, &verdict));
            (fit != Matches::Never).then_some((fit, named, verdict))
        });
        each.collect()
    }

    /// `{"key", "data"}`: a verdict for each value.
    fn mapped(&self, chain: &ForeignChain, map: &Value) -> Vec<(Matches, bool, ProbeVerdict)> {
        let (key, data) = (&map["key"], &map["data"]);
        let named_set = data.as_str().and_then(|name| name.strip_prefix('@'));
        let entries = match (&data["set"], named_set) {
            (Value::Array(entries), _) => Some(entries.as_slice()),
            (_, Some(name)) => self.packet.ruleset.elements(chain, name),
            _ => None,
        };
        let Some(entries) = entries else {
            return vec![(Matches::Unknown, false, ProbeVerdict::Unknown)];
        };
        let entry = |entry: &Value| {
            let fit = self.packet.is(chain, key, entry.get(0)?);
            let named = fit != Matches::Never && self.packet.is_port(key);
            let verdict = entry.get(1)?.as_object()?.iter().next();
            let verdict = verdict.and_then(|(kind, what)| verdict_of(kind, what));
            match (fit, verdict) {
                (Matches::Never, _) => None,
                // `continue` is the one that is none.
                (fit, verdict) => verdict.map(|verdict| (fit, named, verdict)),
            }
        };
        entries.iter().filter_map(entry).collect()
    }
}

enum NextRule {
    /// On to the next rule.
    Stays,
    /// Decided.
    Gone,
    /// Back to whoever jumped here.
    Back,
}

/// What has been read of a rule.
struct RuleSoFar {
    fit: Matches,
    named: bool,
    state: bool,
    address: bool,
}

impl RuleSoFar {
    fn statement(
        &mut self,
        packet: &ProbePacket<'_>,
        chain: &ForeignChain,
        kind: &str,
        what: &Value,
    ) -> Option<ProbeVerdict> {
        let fit = match kind {
            "match" => {
                let fit = packet.matches(chain, what);
                self.named |= fit != Matches::Never && packet.is_port(&what["left"]);
                fit
            }
            // Within the limit is the rule, over it the exception.
            "limit" | "quota" | "ct count" if what["inv"] != true => Matches::Always,
            "set" if what["stmt"].is_null() => Matches::Always,
            "limit" | "quota" | "ct count" | "meter" | "synproxy" | "set" => Matches::Conditionally,
            "counter" | "log" | "mangle" | "notrack" | "last" | "secmark" | "ct helper"
            | "ct timeout" | "ct expectation" | "flow" | "dup" | "snat" | "masquerade"
            | "continue" | "map" => Matches::Always,
            "xt" => match legacy::read(what) {
                Legacy::Match(fit) => fit,
                Legacy::State => {
                    self.state = true;
                    Matches::Always
                }
                // LOCAL, as a rule.
                Legacy::Address if packet.course == Course::Foreign => Matches::Never,
                Legacy::Address => {
                    self.address = true;
                    Matches::Always
                }
                Legacy::Drop => return Some(ProbeVerdict::Drop),
                Legacy::PassOn => return Some(ProbeVerdict::PassOn),
            },
            _ => match verdict_of(kind, what) {
                Some(verdict) => return Some(verdict),
                None => Matches::Unknown,
            },
        };
        self.fit = self.fit.min(fit);
        None
    }

    /// What iptables' matches without their values are used for.
    fn usual(&self, packet: &ProbePacket<'_>, named: bool, verdict: &ProbeVerdict) -> Matches {
        let returns = matches!(verdict, ProbeVerdict::Return);
        let state = match (self.state, named, verdict) {
            // That conntrack leaves it alone is rarely asked for.
            (true, true, ProbeVerdict::Accept) if packet.course == Course::Leaving => {
                Matches::Unknown
            }
            (false, ..) | (_, true, ProbeVerdict::Accept) => Matches::Always,
            (true, true, _) => Matches::Unknown,
            (true, false, _) => Matches::Never,
        };
        let address = if self.address && !returns { Matches::Unknown } else { Matches::Always };
        state.min(address)
    }
}

fn verdict_of(kind: &str, what: &Value) -> Option<ProbeVerdict> {
    let target = || what["target"].as_str().unwrap_or_default().to_owned();
    Some(match kind {
        "accept" => ProbeVerdict::Accept,
        "drop" | "reject" => ProbeVerdict::Drop,
        "return" => ProbeVerdict::Return,
        "jump" => ProbeVerdict::Jump(target()),
        "goto" => ProbeVerdict::Goto(target()),
        "dnat" | "redirect" | "tproxy" | "fwd" => ProbeVerdict::PassOn,
        "queue" => ProbeVerdict::Unknown,
        _ => return None,
    })
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
