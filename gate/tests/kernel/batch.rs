//! Many records at once do what they do one by one.

use sknock_gate::{
    BootInstant, FirewallPolicy, Gate, GrantRequest, Request, Response, TableSpec, Transport,
};

use crate::netns::Net;
use crate::setup::{
    ceiling, cert, elements, grant_request, held_by, open, raised, range, rules, tcp,
};

const ALICE: &str = "192.0.2.7";
const BOB: &str = "192.0.2.8";

fn ask_all(gate: &mut Gate, requests: &[Request]) -> Vec<Response> {
    let records: Vec<_> = requests.iter().map(|request| request.encode().unwrap()).collect();
    let records: Vec<&[u8]> = records.iter().map(|record| &record[..]).collect();
    let outcome = gate.handle_batch(&records, BootInstant::now());
    outcome.iter().map(sknock_gate::Outcome::response).collect()
}

fn opened(seconds: u32) -> Response {
    Response::Opened { seconds, clipped: false }
}

fn for_bob(services: &[sknock_gate::PortRange], seconds: u32) -> GrantRequest {
    held_by(2, grant_request(&[BOB], services, seconds))
}

#[test]
fn all_requests_of_a_batch_are_granted_and_answered_in_order() {
    let net = Net::new();
    let mut gate = raised(&net, rules(FirewallPolicy::Drop), ceiling());
    let requests: Vec<Request> = (1..=50)
        .map(|port| Request::Open(grant_request(&[ALICE], &[tcp(port)], u32::from(port))))
        .collect();
    let answers = ask_all(&mut gate, &requests);
    assert_eq!(answers, (1..=50).map(opened).collect::<Vec<_>>());
    assert_eq!(elements(&net).len(), 50);
}

#[test]
fn repeated_requests_for_a_grant_last_as_long_as_the_longest() {
    let net = Net::new();
    let mut gate = raised(&net, rules(FirewallPolicy::Drop), ceiling());
    let grant_requests =
        [60, 600, 30].map(|seconds| Request::Open(grant_request(&[ALICE], &[tcp(22)], seconds)));
    assert_eq!(ask_all(&mut gate, &grant_requests), [60, 600, 30].map(opened));
    let left = elements(&net)[0].remaining.as_secs();
    assert!((598..=600).contains(&left), "{left}");
}

#[test]
fn a_close_request_among_open_requests_keeps_its_place_in_order() {
    let net = Net::new();
    let mut gate = raised(&net, rules(FirewallPolicy::Drop), ceiling());
    let before = Request::Open(for_bob(&[tcp(1)], 60));
    let after = Request::Open(for_bob(&[tcp(2)], 60));
    let answers = ask_all(&mut gate, &[before, Request::close(cert(2)), after]);
    assert_eq!(answers, [opened(60), Response::Closed { count: 1 }, opened(60)]);
    assert_eq!(elements(&net).iter().map(|one| one.grant_key.port).collect::<Vec<_>>(), [2]);
}

#[test]
fn a_request_without_space_does_not_affect_the_others() {
    let net = Net::new();
    let small = TableSpec { capacity: 4, ..rules(FirewallPolicy::Drop) };
    let mut gate = raised(&net, small, ceiling());
    let wide = Request::Open(grant_request(&[ALICE], &[range(Transport::Tcp, 11, 14)], 60));
    let narrow = |port| Request::Open(for_bob(&[tcp(port)], 60));
    let answers = ask_all(&mut gate, &[narrow(1), wide, narrow(2)]);
    assert_eq!(answers, [opened(60), Response::NoCapacity, opened(60)]);
    assert_eq!(elements(&net).len(), 2);
    // What did not get in is not remembered either.
    assert_eq!(gate.live().len(), 2);
}

#[test]
fn an_element_added_with_nft_is_taken_over_by_a_grant() {
    let net = Net::new();
    let mut gate = raised(&net, rules(FirewallPolicy::Drop), ceiling());
    net.nft("add element inet sknock grant4 { 192.0.2.7 . tcp . 22 timeout 5s }");
    let answers = ask_all(&mut gate, &[Request::Open(grant_request(&[ALICE], &[tcp(22)], 600))]);
    assert_eq!(answers, [opened(600)]);
    assert!(elements(&net)[0].remaining.as_secs() > 500);
}

#[test]
fn a_batch_is_granted_after_a_flush() {
    let net = Net::new();
    let mut gate = raised(&net, rules(FirewallPolicy::Drop), ceiling());
    open(&mut gate, grant_request(&[ALICE], &[tcp(1)], 60));
    net.nft("flush ruleset");
    let requests = [tcp(2), tcp(3)].map(|port| Request::Open(grant_request(&[ALICE], &[port], 60)));
    assert_eq!(ask_all(&mut gate, &requests), [60, 60].map(opened));
    assert_eq!(elements(&net).len(), 3);
}

#[test]
fn garbage_in_a_batch_is_refused_as_no_request() {
    let net = Net::new();
    let mut gate = raised(&net, rules(FirewallPolicy::Drop), ceiling());
    let good = Request::Open(grant_request(&[ALICE], &[tcp(1)], 60)).encode().unwrap();
    let records: [&[u8]; 4] = [b"", &good, &[0xff; 300], &good[..255]];
    let answers: Vec<Response> = gate
        .handle_batch(&records, BootInstant::now())
        .iter()
        .map(sknock_gate::Outcome::response)
        .collect();
    let garbage = Response::Refused(sknock_gate::DenyReason::NotARequest);
    assert_eq!(answers, [garbage, opened(60), garbage, garbage]);
}
