//! Follows a packet through a chain and those that it jumps to.

use std::fmt;

use super::fit::{Course, Fit, Packet};
use super::legacy::{self, Legacy};
use super::ruleset::{Base, Chain, Rule};
use serde_json::Value;

/// The kernel's own limit of jumps within jumps.
const DEEPEST: u8 = 16;

/// Rules looked at for one question: a large ruleset has some thousands.
const MOST_RULES: u32 = 100_000;

/// What a chain does with our packet.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Judgement {
    /// Lets it through.
    Open,
    /// Drops or rejects it.
    Closed(Place),
    /// Lets it through from some addresses or interfaces, or not from some; or some of its ports.
    Partly(Place),
    /// Cannot be told.
    Unclear(Place),
    /// Gives it another address or port.
    PassedOn(Place),
}

/// Where it is decided.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Place {
    Policy,
    Rule { chain: String, handle: u64 },
    TooLarge,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Policy => f.write_str("policy drop"),
            Self::Rule { chain, handle } => write!(f, "rule with handle {handle} in chain {chain}"),
            Self::TooLarge => f.write_str("too many rules"),
        }
    }
}

#[derive(Clone, Debug)]
enum Verdict {
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
struct Ends {
    accepted: [Option<Place>; 3],
    dropped: [Option<Place>; 3],
    passed_on: Option<Place>,
    untracked: Option<Place>,
}

/// One packet on its way.
pub(super) struct Walk<'a> {
    packet: Packet<'a>,
    ends: Ends,
    budget: u32,
}

/// How we got here.
#[derive(Clone, Copy)]
struct Way {
    fit: Fit,
    /// By a rule for this port.
    named: bool,
    depth: u8,
}

impl<'a> Walk<'a> {
    /// What becomes of the packet, and where conntrack is told to leave it alone.
    pub(super) fn judge(
        packet: Packet<'a>,
        chain: &'a Chain,
        base: &Base,
    ) -> (Judgement, Option<Place>) {
        let mut walk = Self { packet, ends: Ends::default(), budget: MOST_RULES };
        let start = Way { fit: Fit::Yes, named: false, depth: 0 };
        if walk.chain(chain, start) {
            let policy = if base.drops { Verdict::Drop } else { Verdict::Accept };
            walk.end(&policy, start, &Place::Policy);
        }
        if walk.budget == 0 {
            return (Judgement::Unclear(Place::TooLarge), None);
        }
        let untracked = walk.ends.untracked.take();
        (walk.ends.judgement(), untracked)
    }

    /// Whether the packet may come out at the end of the chain.
    fn chain(&mut self, chain: &'a Chain, mut way: Way) -> bool {
        let mut returned = false;
        for rule in &chain.rules {
            self.budget = self.budget.saturating_sub(1);
            if self.budget == 0 {
                return true;
            }
            if self.untracks(chain, rule) {
                let place = Place::Rule { chain: chain.name.2.clone(), handle: rule.handle };
                self.ends.untracked.get_or_insert(place);
            }
            for (fit, named, verdict) in self.decisions(chain, rule) {
                let taken = Way { fit: way.fit.min(fit), named: way.named || named, ..way };
                let place = Place::Rule { chain: chain.name.2.clone(), handle: rule.handle };
                match self.follow(chain, &verdict, taken, &place) {
                    Next::Gone if fit == Fit::Yes => return returned,
                    Next::Back if fit == Fit::Yes => return true,
                    Next::Back if fit == Fit::Unclear => {
                        returned = true;
                        way.fit = way.fit.min(Fit::Unclear);
                    }
                    Next::Stays | Next::Gone | Next::Back => {}
                }
            }
        }
        true
    }

    /// Whether the rule may keep our packet from conntrack. Of iptables' target CT, nft does not say what
    /// it does.
    fn untracks(&self, chain: &Chain, rule: &Rule) -> bool {
        let untracks = |statement: &Value| {
            let xt = &statement["xt"];
            statement.get("notrack").is_some() || (xt["type"] == "target" && xt["name"] == "CT")
        };
        let fits = |statement: &Value| {
            let comparison = statement.get("match");
            comparison.is_none_or(|what| self.packet.matches(chain, what) != Fit::No)
        };
        rule.statements.iter().any(untracks) && rule.statements.iter().all(fits)
    }

    fn follow(&mut self, chain: &'a Chain, verdict: &Verdict, way: Way, place: &Place) -> Next {
        let (target, stays) = match verdict {
            Verdict::Return => return Next::Back,
            Verdict::Jump(target) => (target, Next::Stays),
            Verdict::Goto(target) => (target, Next::Back),
            _ => {
                self.end(verdict, way, place);
                return Next::Gone;
            }
        };
        let ruleset = self.packet.ruleset;
        match ruleset.beside(chain, target) {
            Some(target) if way.depth < DEEPEST => {
                let deeper = Way { depth: way.depth + 1, ..way };
                if self.chain(target, deeper) { stays } else { Next::Gone }
            }
            _ => {
                self.end(&Verdict::Unknown, way, place);
                stays
            }
        }
    }

    fn end(&mut self, verdict: &Verdict, way: Way, place: &Place) {
        let mark = |ends: &mut [Option<Place>; 3], fit| {
            let end = match fit {
                Fit::Yes => &mut ends[0],
                Fit::Unclear => &mut ends[1],
                _ => &mut ends[2],
            };
            end.get_or_insert_with(|| place.clone());
        };
        match verdict {
            // Trusted and blocked addresses are nobody's mistake; a rule for this very port may be.
            Verdict::Accept | Verdict::Drop if way.fit == Fit::Sometimes && !way.named => {}
            Verdict::Accept => mark(&mut self.ends.accepted, way.fit),
            Verdict::Drop => mark(&mut self.ends.dropped, way.fit),
            Verdict::PassOn => {
                self.ends.passed_on.get_or_insert_with(|| place.clone());
                mark(&mut self.ends.accepted, way.fit);
            }
            Verdict::Unknown | Verdict::Return | Verdict::Jump(_) | Verdict::Goto(_) => {
                let fit = way.fit.min(Fit::Unclear);
                mark(&mut self.ends.accepted, fit);
                mark(&mut self.ends.dropped, fit);
            }
        }
    }

    /// What a rule decides, and of which packets.
    fn decisions(&self, chain: &Chain, rule: &Rule) -> Vec<(Fit, bool, Verdict)> {
        let mut read = Read { fit: Fit::Yes, named: false, state: false, address: false };
        let mut decisions = Vec::new();
        for statement in &rule.statements {
            let Some((kind, what)) = statement.as_object().and_then(|all| all.iter().next()) else {
                read.fit = read.fit.min(Fit::Unclear);
                continue;
            };
            if kind == "vmap" {
                decisions.extend(self.mapped(chain, what));
            } else if let Some(verdict) = read.statement(&self.packet, chain, kind, what) {
                decisions.push((Fit::Yes, false, verdict));
            }
            if read.fit == Fit::No {
                return Vec::new();
            }
        }
        let each = decisions.into_iter().filter_map(|(fit, named, verdict)| {
            let named = named || read.named;
            let fit = fit.min(read.fit).min(read.usual(&self.packet, named, &verdict));
            (fit != Fit::No).then_some((fit, named, verdict))
        });
        each.collect()
    }

    /// `{"key", "data"}`: a verdict for each value.
    fn mapped(&self, chain: &Chain, map: &Value) -> Vec<(Fit, bool, Verdict)> {
        let (key, data) = (&map["key"], &map["data"]);
        let named_set = data.as_str().and_then(|name| name.strip_prefix('@'));
        let entries = match (&data["set"], named_set) {
            (Value::Array(entries), _) => Some(entries.as_slice()),
            (_, Some(name)) => self.packet.ruleset.elements(chain, name),
            _ => None,
        };
        let Some(entries) = entries else { return vec![(Fit::Unclear, false, Verdict::Unknown)] };
        let entry = |entry: &Value| {
            let fit = self.packet.is(chain, key, entry.get(0)?);
            let named = fit != Fit::No && self.packet.is_port(key);
            let verdict = entry.get(1)?.as_object()?.iter().next();
            let verdict = verdict.and_then(|(kind, what)| verdict_of(kind, what));
            match (fit, verdict) {
                (Fit::No, _) => None,
                // `continue` is the one that is none.
                (fit, verdict) => verdict.map(|verdict| (fit, named, verdict)),
            }
        };
        entries.iter().filter_map(entry).collect()
    }
}

enum Next {
    /// On to the next rule.
    Stays,
    /// Decided.
    Gone,
    /// Back to whoever jumped here.
    Back,
}

/// What has been read of a rule.
struct Read {
    fit: Fit,
    named: bool,
    state: bool,
    address: bool,
}

impl Read {
    fn statement(
        &mut self,
        packet: &Packet<'_>,
        chain: &Chain,
        kind: &str,
        what: &Value,
    ) -> Option<Verdict> {
        let fit = match kind {
            "match" => {
                let fit = packet.matches(chain, what);
                self.named |= fit != Fit::No && packet.is_port(&what["left"]);
                fit
            }
            // Within the limit is the rule, over it the exception.
            "limit" | "quota" | "ct count" if what["inv"] != true => Fit::Yes,
            "set" if what["stmt"].is_null() => Fit::Yes,
            "limit" | "quota" | "ct count" | "meter" | "synproxy" | "set" => Fit::Sometimes,
            "counter" | "log" | "mangle" | "notrack" | "last" | "secmark" | "ct helper"
            | "ct timeout" | "ct expectation" | "flow" | "dup" | "snat" | "masquerade"
            | "continue" | "map" => Fit::Yes,
            "xt" => match legacy::read(what) {
                Legacy::Match(fit) => fit,
                Legacy::State => {
                    self.state = true;
                    Fit::Yes
                }
                // LOCAL, as a rule.
                Legacy::Address if packet.course == Course::Foreign => Fit::No,
                Legacy::Address => {
                    self.address = true;
                    Fit::Yes
                }
                Legacy::Drop => return Some(Verdict::Drop),
                Legacy::PassOn => return Some(Verdict::PassOn),
            },
            _ => match verdict_of(kind, what) {
                Some(verdict) => return Some(verdict),
                None => Fit::Unclear,
            },
        };
        self.fit = self.fit.min(fit);
        None
    }

    /// What iptables' matches without their values are used for.
    fn usual(&self, packet: &Packet<'_>, named: bool, verdict: &Verdict) -> Fit {
        let returns = matches!(verdict, Verdict::Return);
        let state = match (self.state, named, verdict) {
            // That conntrack leaves it alone is rarely asked for.
            (true, true, Verdict::Accept) if packet.course == Course::Leaving => Fit::Unclear,
            (false, ..) | (_, true, Verdict::Accept) => Fit::Yes,
            (true, true, _) => Fit::Unclear,
            (true, false, _) => Fit::No,
        };
        let address = if self.address && !returns { Fit::Unclear } else { Fit::Yes };
        state.min(address)
    }
}

fn verdict_of(kind: &str, what: &Value) -> Option<Verdict> {
    let target = || what["target"].as_str().unwrap_or_default().to_owned();
    Some(match kind {
        "accept" => Verdict::Accept,
        "drop" | "reject" => Verdict::Drop,
        "return" => Verdict::Return,
        "jump" => Verdict::Jump(target()),
        "goto" => Verdict::Goto(target()),
        "dnat" | "redirect" | "tproxy" | "fwd" => Verdict::PassOn,
        "queue" => Verdict::Unknown,
        _ => return None,
    })
}

impl Ends {
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
