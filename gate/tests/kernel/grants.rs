//! What the kernel holds open, and for how long.

use std::net::Ipv4Addr;
use std::time::Duration;

use nix::errno::Errno;
use sknock_gate::{
    BootInstant, Ceiling, CertId, Change, DenyReason, Firewall, FirewallPolicy, Gate, GrantElement,
    GrantKey, GrantLabel, Outcome, OwnerName, Request, Response, Serial, TableContent, TableSpec,
    Transport,
};

use crate::netns::{Net, until};
use crate::setup::{
    ask, begun, ceiling, cert, elements, grant_request, handle, held_by, once, open, raised, range,
    rules, tcp, tell, udp,
};

const ALICE: &str = "192.0.2.7";

/// What the kernel has left of the only door, in seconds, rounded up.
fn left(net: &Net) -> u64 {
    let elements = elements(net);
    let [only] = elements.as_slice() else { panic!("{elements:?}") };
    u64::try_from(only.remaining.as_millis().div_ceil(1000)).unwrap()
}

#[test]
fn one_knock_opens_all_requested_ports_and_no_others() {
    let net = Net::new();
    let mut gate = raised(&net, rules(FirewallPolicy::Drop), ceiling());
    let services = [range(Transport::Udp, 60000, 60010), tcp(22)];
    open(&mut gate, grant_request(&[ALICE, "2001:db8::7"], &services, 60));
    let mut grant_keys: Vec<String> = elements(&net)
        .iter()
        .map(|element| {
            let GrantKey { address, transport, port, single_use } = element.grant_key;
            assert!(!single_use);
            format!("{address} {transport} {port}")
        })
        .collect();
    grant_keys.sort();
    let mut expected: Vec<String> = [ALICE, "2001:db8::7"]
        .iter()
        .flat_map(|address| {
            let udp = (60000..=60010).map(move |port| format!("{address} udp {port}"));
            udp.chain([format!("{address} tcp 22")])
        })
        .collect();
    expected.sort();
    assert_eq!(grant_keys, expected);
}

#[test]
fn the_kernel_ends_a_grant_and_the_gate_forgets_it() {
    let net = Net::new();
    let mut gate = raised(&net, rules(FirewallPolicy::Drop), ceiling());
    open(&mut gate, grant_request(&[ALICE], &[tcp(22)], 1));
    assert_eq!(elements(&net).len(), 1);
    until("the kernel ends the grant", || elements(&net).is_empty());
    let record = Request::Open(grant_request(&[ALICE], &[tcp(80)], 60)).encode().unwrap();
    // The kernel counts in jiffies and may be some milliseconds ahead of the gate.
    let later = BootInstant::now().after(Duration::from_secs(1));
    assert!(matches!(handle(&mut gate, &record, later), Outcome::Opened(_)));
    assert_eq!(gate.live().len(), 1);
}

/// The kernel's timeouts stand still while the machine is suspended. Here the gate is told a later time
/// instead.
#[test]
fn reinstalling_the_table_shortens_grants_by_the_time_in_suspend() {
    let net = Net::new();
    let mut gate = raised(&net, rules(FirewallPolicy::Drop), ceiling());
    open(&mut gate, grant_request(&[ALICE], &[tcp(22)], 600));
    assert!(left(&net) > 500);
    let later = BootInstant::now().after(Duration::from_secs(550));
    assert!(matches!(gate.install(later), Outcome::Activated { open: 1, .. }));
    assert!((1..=50).contains(&left(&net)), "{} s", left(&net));
    let much_later = BootInstant::now().after(Duration::from_secs(601));
    assert!(matches!(gate.install(much_later), Outcome::Activated { open: 0, .. }));
    assert_eq!(elements(&net).len(), 0);
}

#[test]
fn a_lower_maximum_lifetime_shortens_active_grants() {
    let net = Net::new();
    let mut gate = raised(&net, rules(FirewallPolicy::Drop), ceiling());
    open(&mut gate, grant_request(&[ALICE], &[tcp(22)], 600));
    let lower = Ceiling { longest: Duration::from_secs(20), ..ceiling() };
    let outcome = gate.reconfigure(rules(FirewallPolicy::Drop), lower, BootInstant::now());
    assert!(matches!(outcome, Outcome::Activated { open: 1, .. }), "{outcome}");
    assert!((1..=20).contains(&left(&net)), "{} s", left(&net));
}

#[test]
fn a_refresh_lengthens_and_never_shortens() {
    let net = Net::new();
    let mut gate = raised(&net, rules(FirewallPolicy::Drop), ceiling());
    for (asked, expected) in [(100, 100), (50, 100), (300, 300), (1, 300)] {
        open(&mut gate, grant_request(&[ALICE], &[tcp(22)], asked));
        assert_eq!(left(&net), expected);
    }
    assert_eq!(gate.live().len(), 1);
}

#[test]
fn an_element_has_the_label_of_its_longest_grant() {
    let net = Net::new();
    let mut gate = raised(&net, rules(FirewallPolicy::Drop), ceiling());
    open(&mut gate, grant_request(&[ALICE], &[tcp(22)], 100));
    open(&mut gate, held_by(2, grant_request(&[ALICE], &[tcp(22)], 50)));
    assert_eq!(elements(&net)[0].label.cert, cert(1));
    open(&mut gate, held_by(3, grant_request(&[ALICE], &[tcp(22)], 200)));
    assert_eq!(elements(&net)[0].label.cert, cert(3));
}

#[test]
fn revoking_closes_all_of_one_holder_and_nothing_else() {
    let net = Net::new();
    let mut gate = raised(&net, rules(FirewallPolicy::Drop), ceiling());
    open(&mut gate, grant_request(&[ALICE, "2001:db8::7"], &[tcp(22), udp(53)], 600));
    open(&mut gate, once(grant_request(&[ALICE], &[tcp(80)], 600)));
    open(&mut gate, held_by(2, grant_request(&["192.0.2.8"], &[tcp(22)], 600)));
    assert_eq!(ask(&mut gate, &Request::close(cert(1))), Response::Closed { count: 5 });
    let left = elements(&net);
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].label.cert, cert(2));
    assert_eq!(ask(&mut gate, &Request::close(cert(1))), Response::Closed { count: 0 });
}

#[test]
fn an_issuer_whose_hash_differs_in_its_last_byte_closes_nothing_of_another() {
    let net = Net::new();
    let mut gate = raised(&net, rules(FirewallPolicy::Drop), ceiling());
    open(&mut gate, held_by(1, grant_request(&["192.0.2.9"], &[tcp(22)], 600)));
    let mut other = cert(1);
    other.issuer[CertId::ISSUER - 1] ^= 1;
    assert_eq!(ask(&mut gate, &Request::close(other)), Response::Closed { count: 0 });
    assert_eq!(ask(&mut gate, &Request::CloseIssuer(other.issuer)), Response::Closed { count: 0 });
    assert_eq!(elements(&net).len(), 1);
    assert_eq!(ask(&mut gate, &Request::close(cert(1))), Response::Closed { count: 1 });
}

#[test]
fn revoking_an_issuer_closes_what_everyone_below_it_holds_and_nothing_else() {
    let net = Net::new();
    let mut gate = raised(&net, rules(FirewallPolicy::Drop), ceiling());
    let mut other = grant_request(&["192.0.2.9"], &[tcp(22)], 600);
    other.label.cert.issuer[CertId::ISSUER - 1] = 0xcb;
    open(&mut gate, other.clone());
    for serial in 1..=100 {
        open(
            &mut gate,
            held_by(serial, grant_request(&[&format!("192.0.2.{serial}")], &[tcp(80)], 600)),
        );
    }
    let below = Request::CloseIssuer(cert(1).issuer);
    let counts = [64, 36, 0].map(|count| Response::Closed { count });
    assert_eq!([(); 3].map(|()| ask(&mut gate, &below)), counts, "some at a time");
    let left = elements(&net);
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].label.cert, other.label.cert);
}

#[test]
fn revoking_one_of_two_behind_one_address_leaves_the_other_what_it_had() {
    let net = Net::new();
    let mut gate = raised(&net, rules(FirewallPolicy::Drop), ceiling());
    open(&mut gate, grant_request(&[ALICE], &[tcp(22)], 600));
    open(&mut gate, held_by(2, grant_request(&[ALICE], &[tcp(22)], 60)));
    assert_eq!(left(&net), 600);
    assert_eq!(ask(&mut gate, &Request::close(cert(1))), Response::Closed { count: 1 });
    assert_eq!(left(&net), 60);
    assert_eq!(ask(&mut gate, &Request::close(cert(2))), Response::Closed { count: 1 });
    assert!(elements(&net).is_empty());
}

#[test]
fn revoking_what_the_kernel_lost_already_is_no_error() {
    let net = Net::new();
    let mut gate = raised(&net, rules(FirewallPolicy::Drop), ceiling());
    open(&mut gate, grant_request(&[ALICE], &[tcp(22)], 600));
    net.nft("flush set inet sknock grant4");
    assert_eq!(ask(&mut gate, &Request::close(cert(1))), Response::Closed { count: 1 });
    open(&mut gate, held_by(2, grant_request(&[ALICE], &[tcp(22)], 600)));
    net.nft("flush ruleset");
    assert_eq!(ask(&mut gate, &Request::close(cert(2))), Response::Closed { count: 1 });
}

#[test]
fn a_full_set_takes_all_of_a_knock_or_nothing() {
    let net = Net::new();
    let small = TableSpec { capacity: 4, ..rules(FirewallPolicy::Drop) };
    let mut gate = raised(&net, small, ceiling());
    open(&mut gate, grant_request(&[ALICE], &[range(Transport::Tcp, 1, 2)], 1));
    let three = Request::Open(grant_request(&[ALICE], &[range(Transport::Tcp, 11, 13)], 60));
    assert_eq!(ask(&mut gate, &three), Response::NoCapacity);
    assert_eq!(elements(&net).len(), 2);
    open(&mut gate, grant_request(&[ALICE], &[range(Transport::Tcp, 1, 2)], 1));
    until("expired elements make room", || {
        // The kernel puts off collecting whenever somebody changes a table meanwhile.
        std::thread::sleep(Duration::from_millis(700));
        matches!(ask(&mut gate, &three), Response::Opened { .. })
    });
    assert_eq!(elements(&net).len(), 3);
}

#[test]
fn the_gate_refuses_before_the_kernel_is_full() {
    let net = Net::new();
    let mut gate = raised(&net, rules(FirewallPolicy::Drop), Ceiling { live: 3, ..ceiling() });
    open(&mut gate, grant_request(&[ALICE], &[range(Transport::Tcp, 1, 3)], 60));
    let one_more = Request::Open(grant_request(&[ALICE], &[tcp(4)], 60));
    assert_eq!(ask(&mut gate, &one_more), Response::Refused(DenyReason::Live));
    open(&mut gate, grant_request(&[ALICE], &[tcp(2)], 60));
    assert_eq!(elements(&net).len(), 3);
}

#[test]
fn a_shortest_timeout_is_not_for_ever() {
    let net = Net::new();
    let grant_key = GrantKey {
        address: ALICE.parse().unwrap(),
        transport: Transport::Tcp,
        port: 22,
        single_use: false,
    };
    let label = grant_request(&[ALICE], &[tcp(22)], 1).label;
    let mut firewall = net.inside(|| Firewall::open().unwrap());
    for remaining in [Duration::ZERO, Duration::from_micros(1), Duration::from_millis(1)] {
        let element = GrantElement { grant_key, remaining, label };
        let content = TableContent { grants: &[element], ..TableContent::default() };
        firewall.install(&rules(FirewallPolicy::Drop), content).unwrap();
        until("it ends", || firewall.dump().unwrap().is_empty());
        firewall.change(&Change { add: &[element], ..Change::default() }).unwrap();
        until("it ends", || firewall.dump().unwrap().is_empty());
    }
}

#[test]
fn a_restarted_gate_keeps_running_grants_and_can_still_close_them() {
    let net = Net::new();
    let mut before = raised(&net, rules(FirewallPolicy::Drop), ceiling());
    open(&mut before, grant_request(&[ALICE, "2001:db8::7"], &[tcp(22), udp(53)], 600));
    open(&mut before, once(held_by(2, grant_request(&["2001:db8::7"], &[tcp(80)], 600))));
    drop(before);
    let seen = |mut elements: Vec<GrantElement>| {
        elements.sort_by_key(|element| element.grant_key);
        elements.into_iter().map(|element| (element.grant_key, element.label)).collect::<Vec<_>>()
    };
    let open_before = seen(elements(&net));

    let mut gate = begun(&net, rules(FirewallPolicy::Reject), ceiling());
    assert_eq!(tell(&mut gate, &Request::Activate), Outcome::Activated { open: 5, dropped: 0 });
    assert_eq!(seen(elements(&net)), open_before);
    assert!(elements(&net).iter().all(|element| element.remaining > Duration::from_secs(590)));
    assert_eq!(ask(&mut gate, &Request::close(cert(1))), Response::Closed { count: 4 });
    assert_eq!(elements(&net).len(), 1);
}

#[test]
fn a_restarted_gate_applies_the_new_request_limits_to_saved_grants() {
    let net = Net::new();
    let mut before = raised(&net, rules(FirewallPolicy::Drop), ceiling());
    open(&mut before, grant_request(&[ALICE], &[range(Transport::Tcp, 1, 4)], 600));
    drop(before);
    let today = Ceiling {
        services: vec![range(Transport::Tcp, 1, 3)],
        longest: Duration::from_secs(60),
        ..ceiling()
    };
    let mut gate = begun(&net, rules(FirewallPolicy::Drop), today);
    assert_eq!(tell(&mut gate, &Request::Activate), Outcome::Activated { open: 3, dropped: 1 });
    let found = elements(&net);
    assert_eq!(found.len(), 3);
    assert!(found.iter().all(|element| element.remaining <= Duration::from_secs(60)), "{found:?}");
}

#[test]
fn twenty_thousand_grants_are_loaded_in_one_transaction() {
    let net = Net::new();
    let label = grant_request(&[ALICE], &[tcp(22)], 1).label;
    let many: Vec<GrantElement> = (0..20_000_u16)
        .map(|n| {
            let [high, low] = n.to_be_bytes();
            let address = if n % 2 == 0 {
                [10, 0, high, low].into()
            } else {
                format!("2001:db8::{n:x}").parse().unwrap()
            };
            let grant_key =
                GrantKey { address, transport: Transport::Tcp, port: 22, single_use: false };
            GrantElement { grant_key, remaining: Duration::from_secs(600), label }
        })
        .collect();
    let mut firewall = net.inside(|| Firewall::open().unwrap());
    let content = TableContent { grants: &many, ..TableContent::default() };
    firewall
        .install(&TableSpec { capacity: 20_000, ..rules(FirewallPolicy::Drop) }, content)
        .unwrap();
    assert_eq!(firewall.dump().unwrap().len(), 20_000);
    // Too many for the sets: then nothing of it, and what was there stays.
    let before = net.nft("list chain inet sknock input");
    let error =
        firewall.install(&TableSpec { capacity: 9_999, ..rules(FirewallPolicy::Reject) }, content);
    assert!(error.unwrap_err().to_string().contains("The set is full"));
    assert_eq!(net.nft("list chain inet sknock input"), before);
    assert_eq!(firewall.dump().unwrap().len(), 20_000);
    // The socket is fit for use after all that.
    let remove = &[many[0].grant_key, many[1].grant_key];
    firewall.change(&Change { remove, ..Change::default() }).unwrap();
    assert_eq!(firewall.dump().unwrap().len(), 19_998);
}

/// As many as `maxGrants` may be, each with the longest comment.
#[test]
fn a_million_grants_are_loaded_in_one_transaction() {
    const MILLION: u32 = 1_000_000;
    let net = Net::new();
    let label = GrantLabel {
        cert: CertId { issuer: [0xca; CertId::ISSUER], serial: Serial::new(&[0xff; 20]).unwrap() },
        name: OwnerName::truncated(&"n".repeat(OwnerName::MAX_LEN)),
        ..grant_request(&[ALICE], &[tcp(22)], 1).label
    };
    let element = |n: u32| {
        let address = Ipv4Addr::from_bits(Ipv4Addr::new(10, 0, 0, 0).to_bits() + n).into();
        let grant_key =
            GrantKey { address, transport: Transport::Tcp, port: 22, single_use: false };
        GrantElement { grant_key, remaining: Duration::from_secs(600), label }
    };
    let mut many: Vec<GrantElement> = (0..MILLION).map(element).collect();
    let mut firewall = net.inside(|| Firewall::open().unwrap());
    let content = TableContent { grants: &many, ..TableContent::default() };
    firewall
        .install(&TableSpec { capacity: MILLION, ..rules(FirewallPolicy::Drop) }, content)
        .unwrap();
    // There they are: no room for another, and none of these is new.
    let refused =
        |one: GrantElement, firewall: &mut Firewall| firewall.add(&[one]).unwrap_err().errno();
    assert_eq!(refused(element(MILLION), &mut firewall), Some(Errno::ENFILE));
    assert_eq!(refused(many.swap_remove(777_777), &mut firewall), Some(Errno::EEXIST));
}

#[test]
fn nothing_is_granted_before_the_table_is_installed() {
    let net = Net::new();
    let mut gate =
        Gate::new(rules(FirewallPolicy::Drop), ceiling(), net.inside(|| Firewall::open().unwrap()));
    for request in [Request::Open(grant_request(&[ALICE], &[tcp(22)], 60)), Request::close(cert(1))]
    {
        assert_eq!(ask(&mut gate, &request), Response::Refused(DenyReason::NotInstalled));
    }
    assert_eq!(net.nft("list ruleset"), "");
}

#[test]
fn garbage_is_answered_and_opens_nothing() {
    let net = Net::new();
    let mut gate = raised(&net, rules(FirewallPolicy::Drop), ceiling());
    let good = Request::Open(grant_request(&[ALICE], &[tcp(22)], 60)).encode().unwrap();
    let mut dice = 1_u64;
    let mut roll = || {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        dice.to_be_bytes()
    };
    for length in (0..2 * Request::LEN).chain([65_536, 1 << 20]) {
        let noise: Vec<u8> = (0..length).flat_map(|_| roll()).take(length).collect();
        let mut padded = good.to_vec();
        padded.resize(length, 0);
        for record in [noise, padded].iter().filter(|record| record.as_slice() != good) {
            let outcome = handle(&mut gate, record, BootInstant::now());
            assert_eq!(outcome.response(), Response::Refused(DenyReason::NotARequest));
        }
    }
    assert!(elements(&net).is_empty());
}
