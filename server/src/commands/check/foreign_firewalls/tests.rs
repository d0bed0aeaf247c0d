//! What rulesets are taken for, as nft 1.0.6 lists them. ufw's are made by its own files and iptables;
//! those of firewalld and Docker are written as these two write them.

use std::path::Path;

use super::{Conflicts, Manner, judge};
use crate::config;

/// `intake = socket`: the knock has to arrive, too.
const SOCKET: &str = "protectedPorts = tcp/22\nintake = socket";

/// Judges a listing for a configuration with these lines.
#[track_caller]
fn judged(json: &str, lines: &str) -> Conflicts {
    let none = std::iter::empty();
    let text = format!("[DEFAULT]\nserverPFXFile = x.pfx\nuser = nobody\n{lines}\n");
    let settings = config::parse(&text, Path::new("/x.ini"), none).unwrap();
    Conflicts { shut: Vec::new(), beside: Vec::new(), ..judge(json.as_bytes(), &settings).unwrap() }
}

macro_rules! ruleset {
    ($name:literal) => {
        include_str!(concat!("../../../../tests/rulesets/", $name, ".json"))
    };
}

fn others<const CLOSED: usize, const UNCLEAR: usize>(
    closed: [&str; CLOSED],
    unclear: [&str; UNCLEAR],
) -> Conflicts {
    Conflicts {
        closed: closed.map(str::to_owned).to_vec(),
        unclear: unclear.map(str::to_owned).to_vec(),
        ..Conflicts::default()
    }
}

/// What comes back from the ports beside tcp/22.
fn beside(json: &str) -> Vec<(String, Manner)> {
    let none = std::iter::empty();
    let text = "[DEFAULT]\nserverPFXFile = x.pfx\nuser = nobody\nprotectedPorts = tcp/22\n";
    let settings = config::parse(text, Path::new("/x.ini"), none).unwrap();
    let beside = judge(json.as_bytes(), &settings).unwrap().beside;
    beside.into_iter().map(|beside| (beside.services, beside.manner)).collect()
}

#[test]
fn the_answers_of_neighbouring_ports_are_determined() {
    let everywhere = |manner| vec![("tcp/22".to_owned(), manner)];
    let prohibited = || everywhere(Manner::Other("admin-prohibited".to_owned()));
    assert_eq!(beside(ruleset!("ufw-closed")), everywhere(Manner::Silent));
    assert_eq!(beside(ruleset!("ufw-open")), everywhere(Manner::Silent));
    assert_eq!(beside(ruleset!("firewalld")), prohibited());
    assert_eq!(beside(ruleset!("policy-drop-open")), prohibited());
    assert_eq!(beside(ruleset!("policy-drop")), everywhere(Manner::Silent));
    assert_eq!(beside(r#"{"nftables":[]}"#), everywhere(Manner::Closed));
}

#[test]
fn a_closed_ufw_is_reported_with_all_that_it_drops() {
    let denied = [
        "table ip filter, chain INPUT drops tcp/22 over IPv4, udp/62344 over IPv4 (policy drop)",
        "table ip6 filter, chain INPUT drops tcp/22 over IPv6, udp/62344 over IPv6 (policy drop)",
    ];
    assert_eq!(judged(ruleset!("ufw-closed"), SOCKET), others(denied, []));
}

#[test]
fn ufw_with_the_ports_open_is_not_in_the_way() {
    assert_eq!(judged(ruleset!("ufw-open"), SOCKET), Conflicts::default());
}

#[test]
fn dropped_ports_are_distinguished_from_ports_that_ufw_accepts() {
    let lines = "protectedPorts = tcp/22, tcp/23, udp/53\nintake = socket";
    let denied = [
        "table ip filter, chain INPUT drops tcp/23 over IPv4, udp/53 over IPv4 (policy drop)",
        "table ip6 filter, chain INPUT drops tcp/23 over IPv6, udp/53 over IPv6 (policy drop)",
    ];
    assert_eq!(judged(ruleset!("ufw-open"), lines), others(denied, []));
}

#[test]
fn knocks_by_nflog_need_no_permission_of_another_firewall() {
    let lines = "protectedPorts = tcp/2222\nintake = nflog";
    assert_eq!(judged(ruleset!("policy-drop"), lines), Conflicts::default());
    let socket = "protectedPorts = tcp/2222\nintake = socket";
    let denied = ["table inet filter, chain input drops udp/62344 (policy drop)"];
    assert_eq!(judged(ruleset!("policy-drop"), socket), others(denied, []));
}

#[test]
fn a_chain_that_drops_knocks_before_the_capture_is_named() {
    let found = judged(ruleset!("for-some"), "protectedPorts = tcp/2222\nintake = nflog");
    assert!(
        found.unclear.iter().any(|place| place.contains("table ip raw, chain prerouting")),
        "{found:?}"
    );
}

#[test]
fn a_policy_that_drops_is_named() {
    let found = judged(ruleset!("policy-drop"), SOCKET);
    let denied = ["table inet filter, chain input drops tcp/22, udp/62344 (policy drop)"];
    assert_eq!(found, others(denied, []));
}

#[test]
fn ports_that_are_open_to_some_addresses_only_are_reported() {
    let found = judged(ruleset!("policy-drop"), "protectedPorts = tcp/80\nintake = nflog");
    let denied = ["table inet filter, chain input drops tcp/80 over IPv6 (policy drop)"];
    let place = "table inet filter, chain input accepts tcp/80 over IPv4 only in part (rule with handle 10 in chain input)";
    assert_eq!(found, others(denied, [place]));
}

#[test]
fn neighbouring_ports_are_evaluated_singly_and_reported_together() {
    let found = judged(ruleset!("policy-drop"), "protectedPorts = tcp/2220-2223");
    let denied = ["table inet filter, chain input drops tcp/2220-2221, tcp/2223 (policy drop)"];
    assert_eq!(found, others(denied, []));
}

#[test]
fn sets_maps_limits_and_lists_of_blocked_addresses_are_no_conflict() {
    let lines = "protectedPorts = tcp/22, tcp/8000-8010, udp/53\nintake = socket";
    assert_eq!(judged(ruleset!("policy-drop-open"), lines), Conflicts::default());
}

#[test]
fn a_rule_that_rejects_the_rest_is_named_with_its_handle() {
    let found = judged(ruleset!("policy-drop-open"), "protectedPorts = tcp/23");
    let [denied] = &*found.closed else { panic!("{found:?}") };
    assert!(denied.starts_with("table inet filter, chain input drops tcp/23 (rule with handle "));
}

#[test]
fn firewalld_is_understood_zone_by_zone() {
    assert_eq!(judged(ruleset!("firewalld"), "protectedPorts = tcp/22"), Conflicts::default());
    let found = judged(ruleset!("firewalld"), SOCKET);
    let [denied] = &*found.closed else { panic!("{found:?}") };
    assert!(
        denied.starts_with("table inet firewalld, chain filter_INPUT drops udp/62344 (rule with"),
        "{denied}"
    );
    assert!(denied.ends_with("in chain filter_IN_public)"), "{denied}");
}

#[test]
fn a_port_published_by_docker_is_reported_as_redirected() {
    let found = judged(ruleset!("docker"), "protectedPorts = tcp/22, tcp/8080");
    assert_eq!(found.closed, Vec::<String>::new());
    let [passed] = &*found.unclear else { panic!("{found:?}") };
    let begin = "table ip nat, chain PREROUTING redirects tcp/8080 over IPv4 to another";
    assert!(passed.starts_with(begin), "{passed}");
}

#[test]
fn partial_rules_for_a_port_and_earlier_chains_are_reported() {
    let found = judged(ruleset!("for-some"), "protectedPorts = tcp/22");
    assert_eq!(found.closed, Vec::<String>::new());
    let told = |what: &str| found.unclear.iter().any(|place| place.contains(what));
    assert!(told("table inet filter, chain input accepts tcp/22 only in part"), "{found:?}");
    assert!(
        told("table netdev early, chain in sees packets before sknock and was not tested"),
        "{found:?}"
    );
}

#[test]
fn rules_that_cannot_be_evaluated_are_reported_as_unclear() {
    let open = ruleset!("policy-drop").replace("\"right\": 2222", "\"right\": {\"martian\": 1}");
    let found = judged(&open, SOCKET);
    assert_eq!(found.closed, ["table inet filter, chain input drops udp/62344 (policy drop)"]);
    let [unclear] = &*found.unclear else { panic!("{found:?}") };
    assert!(unclear.contains("the rules for tcp/22 could not be evaluated"), "{unclear}");

    let strange = ruleset!("ufw-open").replace("\"name\": \"limit\"", "\"name\": \"martian\"");
    assert_eq!(
        judged(&strange, SOCKET),
        Conflicts::default(),
        "it is not on the way of our packet"
    );
}

#[test]
fn an_all_traffic_deny_needs_what_may_be_opened() {
    let some = judged(ruleset!("policy-drop"), "allowedServices = tcp/2222");
    assert_eq!(some, Conflicts::default());
    let all = judged(ruleset!("policy-drop"), "");
    assert_eq!(all.closed, ["table inet filter, chain input drops udp/1-65535 (policy drop)"]);
    assert!(all.unclear[0].contains("accepts tcp/1-65535 over IPv4 only in part"), "{all:?}");
    assert_eq!(judged(ruleset!("policy-drop"), "firewallPolicy = none"), Conflicts::default());
}

#[test]
fn our_own_table_is_no_conflict() {
    let ours = ruleset!("policy-drop").replace("\"filter\"", "\"sknock\"");
    assert_eq!(judged(&ours, SOCKET), Conflicts::default());
}

#[test]
fn chains_that_jump_in_circles_or_nowhere_end_as_not_understood() {
    for target in ["input", "nowhere"] {
        let jump = format!("{{\"jump\": {{\"target\": \"{target}\"}}}}");
        let text = ruleset!("policy-drop").replacen("{\"accept\": null}", &jump, 1);
        let found = judged(&text, SOCKET);
        assert_eq!(found.closed.len() + found.unclear.len(), 1, "{found:?}");
    }
}

#[test]
fn what_is_no_listing_is_an_error() {
    let none = std::iter::empty();
    let text = "[DEFAULT]\nserverPFXFile = x.pfx\nuser = nobody\n";
    let settings = config::parse(text, Path::new("/x.ini"), none).unwrap();
    for listing in ["", "[]", "{}", "{\"nftables\": 7}", "table inet filter {"] {
        assert!(judge(listing.as_bytes(), &settings).is_err(), "{listing}");
    }
    let odd = r#"{"nftables": [null, 7, {}, {"rule": null}, {"rule": 7}, {"set": [1]}, {"map": 7},
                  {"chain": {"name": 5}}, {"chain": 7}, {"rule": {"expr": 7}}]}"#;
    assert_eq!(judge(odd.as_bytes(), &settings), Ok(Conflicts::default()));
}

#[test]
fn an_element_named_like_its_own_set_causes_no_endless_recursion() {
    let text = ruleset!("policy-drop-open").replace("[22, {", "[\"@admitted\", {");
    let found = judged(&text, "protectedPorts = tcp/22");
    assert!(found.unclear[0].contains("could not be evaluated"), "{found:?}");
}

/// An output policy that lets through what belongs to a connection, and these lines.
fn strict_output(lines: &str) -> String {
    let established = r#"{"match": {"op": "in", "left": {"ct": {"key": "state"}},
        "right": ["established", "related"]}}"#;
    let rule = |statements: &str, handle: u8| {
        format!(
            r#", {{"rule": {{"family": "inet", "table": "filter", "chain": "output",
                "handle": {handle}, "expr": [{statements}, {{"accept": null}}]}}}}"#
        )
    };
    let more = if lines.is_empty() { String::new() } else { rule(lines, 3) };
    format!(
        r#"{{"nftables": [{{"chain": {{"family": "inet", "table": "filter", "name": "output",
            "type": "filter", "hook": "output", "prio": 0, "policy": "drop"}}}} {}{more}]}}"#,
        rule(established, 2)
    )
}

#[test]
fn a_strict_output_policy_drops_answers_unless_it_names_the_port() {
    let protected = "protectedPorts = tcp/22";
    let found = judged(&strict_output(""), protected);
    let denied = "table inet filter, chain output drops answers from udp/62344 (policy drop)";
    assert_eq!(found, Conflicts { answers: vec![denied.to_owned()], ..Conflicts::default() });
    let by_port = r#"{"match": {"op": "==", "left": {"payload": {"protocol": "udp",
        "field": "sport"}}, "right": 62344}}"#;
    let untracked = r#"{"match": {"op": "in", "left": {"ct": {"key": "state"}},
        "right": "untracked"}}"#;
    for lets_out in [by_port, untracked] {
        assert_eq!(judged(&strict_output(lets_out), protected), Conflicts::default(), "{lets_out}");
    }
    let to_port = by_port.replace("sport", "dport");
    assert_eq!(judged(&strict_output(&to_port), protected).answers, [denied], "to some only");
}

/// A chain in prerouting with one rule.
fn before_routing(kind: &str, statements: &str) -> String {
    format!(
        r#"{{"nftables": [{{"chain": {{"family": "inet", "table": "other", "name": "pre",
            "type": "{kind}", "hook": "prerouting", "prio": -300, "policy": "accept"}}}},
            {{"rule": {{"family": "inet", "table": "other", "chain": "pre", "handle": 7,
                "expr": [{statements}]}}}}]}}"#
    )
}

#[test]
fn a_rule_that_exempts_protected_ports_from_conntrack_is_named() {
    let port = |port: u16| {
        format!(
            r#"{{"match": {{"op": "==", "left": {{"payload": {{"protocol": "tcp",
                "field": "dport"}}}}, "right": {port}}}}}, {{"notrack": null}}"#
        )
    };
    let found = judged(&before_routing("filter", &port(22)), "protectedPorts = tcp/22, udp/53");
    let place = "table inet other, chain pre has tcp/22 (rule with handle 7 in chain pre)";
    assert_eq!(found, Conflicts { untracked: vec![place.to_owned()], ..Conflicts::default() });
    let other = judged(&before_routing("filter", &port(80)), "protectedPorts = tcp/22");
    assert_eq!(other, Conflicts::default());
    let iptables = r#"{"xt": {"type": "target", "name": "CT"}}"#;
    let found = judged(&before_routing("filter", iptables), "protectedPorts = tcp/22");
    assert_eq!(found.untracked.len(), 1, "{found:?}");
}

#[test]
fn dnat_for_other_addresses_is_reported_in_deny_all_mode() {
    let dnat = r#"{"dnat": {"addr": "10.0.0.5", "family": "ip"}}"#;
    let place = "table inet other, chain pre (rule with handle 7 in chain pre)";
    let any = before_routing("nat", dnat);
    assert_eq!(judged(&any, "allowedServices = tcp/22").passed_on, [place]);
    assert_eq!(judged(&any, "protectedPorts = tcp/22").passed_on, [""; 0]);
    let local = r#"{"match": {"op": "==", "left": {"fib": {"result": "type", "flags": "daddr"}},
        "right": "local"}}, "#;
    let published = before_routing("nat", &format!("{local}{dnat}"));
    assert_eq!(judged(&published, "allowedServices = tcp/22").passed_on, [""; 0]);
    assert_eq!(judged(ruleset!("docker"), "allowedServices = tcp/22").passed_on, [""; 0]);
}
