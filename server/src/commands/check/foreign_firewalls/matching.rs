//! Does an expression of nft fit our packet: the first one of a connection, from somewhere, to a port
//! of this host or to another one; or an answer to a knock?

use serde_json::{Value, json};
use sknock_protocol::{Service, Transport};

use super::ruleset::{ForeignChain, Ruleset};

/// How an expression fits; of several, the first in this order decides.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Matches {
    /// Never.
    Never,
    /// It depends on what we do not know of the packet: an address, an interface, a mark.
    Conditionally,
    /// It is not understood.
    Unknown,
    /// Always.
    Always,
}

impl Matches {
    fn not(self) -> Self {
        match self {
            Self::Never => Self::Always,
            Self::Always => Self::Never,
            open => open,
        }
    }

    fn when(fits: bool) -> Self {
        if fits { Self::Always } else { Self::Never }
    }
}

/// Where our packet goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Course {
    /// To a port of this host.
    Arriving,
    /// To a port of another host, by way of this one.
    Foreign,
    /// From a port of this host, an answer to a knock, which conntrack is told to leave alone.
    Leaving,
}

/// The packet, and where the rule stands that it meets.
#[derive(Clone, Copy, Debug)]
pub(super) struct ProbePacket<'a> {
    pub(super) service: Service,
    pub(super) v6: bool,
    pub(super) course: Course,
    pub(super) ruleset: &'a Ruleset,
}

impl ProbePacket<'_> {
    /// `{"op", "left", "right"}` in a rule of `chain`.
    pub(super) fn matches(&self, chain: &ForeignChain, statement: &Value) -> Matches {
        let (left, right) = (&statement["left"], &statement["right"]);
        let between = |first: u64, last: u64| {
            if self.is_port(left) {
                self.is(chain, left, &json!({ "range": [first, last] }))
            } else {
                self.concerns(left).min(Matches::Conditionally)
            }
        };
        match (statement["op"].as_str(), right.as_u64().unwrap_or_default()) {
            (Some("==" | "in"), _) => self.is(chain, left, right),
            (Some("!="), _) => match self.concerns(left) {
                Matches::Always => self.is(chain, left, right).not(),
                other => other,
            },
            (Some("<"), port) => between(0, port.saturating_sub(1)),
            (Some("<="), port) => between(0, port),
            (Some(">"), port) => between(port.saturating_add(1), u64::MAX),
            (Some(">="), port) => between(port, u64::MAX),
            _ => Matches::Unknown,
        }
    }

    /// Whether what stands left has that value, or one of those values, or one of a named set.
    pub(super) fn is(&self, chain: &ForeignChain, left: &Value, right: &Value) -> Matches {
        let Some(name) = right.as_str().and_then(|name| name.strip_prefix('@')) else {
            return self.among(left, right);
        };
        match self.ruleset.elements(chain, name) {
            None => Matches::Unknown,
            // It is filled as packets come, or by a program.
            Some([]) => self.concerns(left).min(Matches::Conditionally),
            Some(elements) => self.any(left, elements),
        }
    }

    /// Of alternatives the best decides; what is not understood is better than none.
    fn any(&self, left: &Value, values: &[Value]) -> Matches {
        values.iter().map(|value| self.among(left, value)).max().unwrap_or(Matches::Never)
    }

    /// No name is looked up in here, so it goes no deeper than the listing itself.
    fn among(&self, left: &Value, right: &Value) -> Matches {
        if let Value::Array(values) = right {
            return self.any(left, values);
        }
        if let Value::Array(values) = &right["set"] {
            return self.any(left, values);
        }
        if !right["elem"].is_null() {
            return self.among(left, &right["elem"]["val"]);
        }
        match (&left["concat"], &right["concat"]) {
            (Value::Array(left), Value::Array(right)) => {
                let pairs = left.iter().zip(right);
                pairs.map(|(left, right)| self.among(left, right)).min().unwrap_or(Matches::Unknown)
            }
            (Value::Null, _) => self.has(left, right),
            _ => Matches::Unknown,
        }
    }

    /// One expression, one value.
    fn has(&self, left: &Value, right: &Value) -> Matches {
        let Some((kind, what)) = left.as_object().and_then(|left| left.iter().next()) else {
            return Matches::Unknown;
        };
        let field = |name: &str| what[name].as_str().unwrap_or_default();
        match &**kind {
            "payload" => self.concerns(left).min(match (field("protocol"), field("field")) {
                ("tcp" | "udp" | "th", field) if field == self.port_field() => self.port(right),
                ("ip", "protocol") | ("ip6", "nexthdr") => self.protocol(right),
                _ => Matches::Conditionally,
            }),
            "meta" => match field("key") {
                "l4proto" => self.protocol(right),
                "nfproto" => Matches::when(right == if self.v6 { "ipv6" } else { "ipv4" }),
                "protocol" => Matches::when(right == if self.v6 { "ip6" } else { "ip" }),
                "pkttype" => Matches::when(right == "host" || right == "unicast"),
                "iif" | "iifname" | "oif" | "oifname" if right == "lo" => Matches::Never,
                _ => Matches::Conditionally,
            },
            "ct" => match field("key") {
                "state" if self.course == Course::Leaving => Matches::when(right == "untracked"),
                "state" => Matches::when(right == "new"),
                // The first packet of a flow that is not translated has no status bit that nft names
                // (assured, snat, ...).
                "status" => Matches::Never,
                "direction" => Matches::when(right == "original" && self.course != Course::Leaving),
                _ => Matches::Conditionally,
            },
            "fib" => {
                let of = |flag: &str| match &what["flags"] {
                    Value::Array(flags) => flags.iter().any(|each| each == flag),
                    one => one == flag,
                };
                match field("result") {
                    "type" if of("daddr") && !of("saddr") => Matches::when(match self.course {
                        Course::Arriving => right == "local",
                        Course::Foreign | Course::Leaving => right == "unicast",
                    }),
                    _ => Matches::Conditionally,
                }
            }
            "&" | "|" | "^" | "<<" | ">>" => self.concerns(left).min(Matches::Conditionally),
            "rt" | "socket" | "osf" | "numgen" | "jhash" | "symhash" | "exthdr" | "ip option"
            | "tcp option" | "sctp chunk" | "ipsec" => Matches::Conditionally,
            _ => Matches::Unknown,
        }
    }

    /// Whether our packet has that header at all: an expression about another never fits, not even
    /// the negated one.
    fn concerns(&self, left: &Value) -> Matches {
        if let Some(Value::Array(parts)) =
            ["&", "|", "^", "<<", ">>", "concat"].iter().find_map(|kind| left.get(kind))
        {
            return parts.iter().map(|part| self.concerns(part)).min().unwrap_or(Matches::Always);
        }
        match left["payload"]["protocol"].as_str() {
            None | Some("th" | "ether" | "vlan") => Matches::Always,
            Some("tcp") => Matches::when(self.service.transport() == Transport::Tcp),
            Some("udp") => Matches::when(self.service.transport() == Transport::Udp),
            Some("ip") => Matches::when(!self.v6),
            Some("ip6") => Matches::when(self.v6),
            Some(
                "icmp" | "icmpv6" | "igmp" | "sctp" | "dccp" | "udplite" | "ah" | "esp" | "comp"
                | "arp",
            ) => Matches::Never,
            Some(_) => Matches::Unknown,
        }
    }

    fn port(&self, right: &Value) -> Matches {
        let bound = |value: &Value| value.as_u64();
        let range = match &right["range"] {
            Value::Array(ends) => ends.first().and_then(bound).zip(ends.get(1).and_then(bound)),
            _ => bound(right).map(|port| (port, port)),
        };
        let Some((first, last)) = range else { return Matches::Unknown };
        let (from, to) = (u64::from(self.service.first()), u64::from(self.service.last()));
        match () {
            () if first <= from && to <= last => Matches::Always,
            () if last < from || to < first => Matches::Never,
            () => Matches::Conditionally,
        }
    }

    fn protocol(&self, right: &Value) -> Matches {
        let ours = self.service.transport();
        let name = if ours == Transport::Tcp { "tcp" } else { "udp" };
        match right {
            Value::String(other) => Matches::when(other == name),
            Value::Number(other) => Matches::when(other.as_u64() == Some(ours as u64)),
            _ => Matches::Unknown,
        }
    }

    /// Whether an expression is about the port that is dialled, or the one that an answer is from.
    pub(super) fn is_port(&self, left: &Value) -> bool {
        let payload = |value: &Value| value["payload"]["field"] == self.port_field();
        match &left["concat"] {
            Value::Array(parts) => parts.iter().any(payload),
            _ => payload(left),
        }
    }

    fn port_field(&self) -> &'static str {
        if self.course == Course::Leaving { "sport" } else { "dport" }
    }
}
