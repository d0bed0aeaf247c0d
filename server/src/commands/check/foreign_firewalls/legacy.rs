//! What nft shows of rules that iptables made: names of matches and targets, not what they look for.
//! So they are taken for what they are usually used for.

use serde_json::Value;

use super::matching::Matches;

/// What a part of a rule means that nft cannot show.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Legacy {
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
pub(super) fn read(xt: &Value) -> Legacy {
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
