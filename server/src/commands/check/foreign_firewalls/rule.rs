//! What one rule of another firewall decides, and of which packets.

use serde_json::Value;

use super::matching::{Course, Matches, ProbePacket};
use super::ruleset::{ForeignChain, ForeignRule};

/// What a rule says of a packet.
#[derive(Clone, Debug)]
pub(super) enum ProbeVerdict {
    Accept,
    Drop,
    PassOn,
    /// Decided by a program, or by something that is not understood.
    Unknown,
    Return,
    Jump(String),
    Goto(String),
}

/// What a rule decides, and of which packets.
pub(super) fn decisions(
    packet: &ProbePacket<'_>,
    chain: &ForeignChain,
    rule: &ForeignRule,
) -> Vec<(Matches, bool, ProbeVerdict)> {
    let mut read = RuleSoFar { fit: Matches::Always, named: false, state: false, address: false };
    let mut decisions = Vec::new();
    for statement in &rule.statements {
        let Some((kind, what)) = statement.as_object().and_then(|all| all.iter().next()) else {
            read.fit = read.fit.min(Matches::Unknown);
            continue;
        };
        if kind == "vmap" {
            decisions.extend(mapped(packet, chain, what));
        } else if let Some(verdict) = read.statement(packet, chain, kind, what) {
            decisions.push((Matches::Always, false, verdict));
        }
        if read.fit == Matches::Never {
            return Vec::new();
        }
    }
    let each = decisions.into_iter().filter_map(|(fit, named, verdict)| {
        let named = named || read.named;
        let fit = fit.min(read.fit).min(read.usual(packet, named, &verdict));
        (fit != Matches::Never).then_some((fit, named, verdict))
    });
    each.collect()
}

/// `{"key", "data"}`: a verdict for each value.
fn mapped(
    packet: &ProbePacket<'_>,
    chain: &ForeignChain,
    map: &Value,
) -> Vec<(Matches, bool, ProbeVerdict)> {
    let (key, data) = (&map["key"], &map["data"]);
    let named_set = data.as_str().and_then(|name| name.strip_prefix('@'));
    let entries = match (&data["set"], named_set) {
        (Value::Array(entries), _) => Some(entries.as_slice()),
        (_, Some(name)) => packet.ruleset.elements(chain, name),
        _ => None,
    };
    let Some(entries) = entries else {
        return vec![(Matches::Unknown, false, ProbeVerdict::Unknown)];
    };
    let entry = |entry: &Value| {
        let fit = packet.is(chain, key, entry.get(0)?);
        let named = fit != Matches::Never && packet.is_port(key);
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
            "xt" => match legacy(what) {
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

/// What a part of a rule means that nft cannot show: of rules that iptables made it shows names of matches and targets,
/// not their values. They are taken for what they are usually used for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Legacy {
    /// It decides nothing, or fits so.
    Match(Matches),
    /// `--ctstate`: of a new connection if the rule names the port, else of those that exist.
    State,
    /// `--dst-type`: LOCAL, if what fits is let off.
    Address,
    /// The packet is dropped.
    Drop,
    /// The packet gets another address or port.
    PassOn,
}

/// Reads `{"type", "name"}`.
fn legacy(xt: &Value) -> Legacy {
    let name = xt["name"].as_str().unwrap_or_default();
    let is_target = xt["type"] == "target";
    Legacy::Match(match name {
        "conntrack" | "state" if !is_target => return Legacy::State,
        "addrtype" => return Legacy::Address,
        "REJECT" => return Legacy::Drop,
        "DNAT" | "REDIRECT" | "TPROXY" | "NETMAP" => return Legacy::PassOn,
        "comment" | "limit" | "LOG" | "NFLOG" | "AUDIT" | "TRACE" | "MARK" | "CONNMARK"
        | "CLASSIFY" | "DSCP" | "TOS" | "TCPMSS" | "TTL" | "HL" | "CT" | "SET" | "TCPOPTSTRIP"
        | "CHECKSUM" | "SECMARK" | "CONNSECMARK" | "SNAT" | "MASQUERADE" => Matches::Always,
        "icmp" | "icmp6" | "sctp" | "dccp" | "esp" | "ah" => Matches::Never,
        "hashlimit" | "recent" | "connlimit" | "connmark" | "mac" | "mark" | "statistic"
        | "physdev" | "iprange" | "owner" | "policy" | "rpfilter" | "time" | "set" | "geoip"
        | "string" | "u32" | "length" | "dscp" | "tos" | "ttl" | "hl" | "devgroup" | "rt"
        | "hbh" | "dst" | "frag" | "ipv6header" | "socket" => Matches::Conditionally,
        _ => Matches::Unknown,
    })
}
