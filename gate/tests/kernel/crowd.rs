//! Many records at once do what they do one by one.

use sknock_gate::{Answer, Gate, Policy, Request, Rules, Transport, Uptime, Wish};

use crate::netns::Net;
use crate::setup::{ceiling, elements, held_by, holder, open, raised, range, rules, tcp, wish};

const ALICE: &str = "192.0.2.7";
const BOB: &str = "192.0.2.8";

fn ask_all(gate: &mut Gate, requests: &[Request]) -> Vec<Answer> {
    let records: Vec<_> = requests.iter().map(|request| request.encode().unwrap()).collect();
    let records: Vec<&[u8]> = records.iter().map(|record| &record[..]).collect();
    let happened = gate.handle_all(&records, Uptime::now());
    happened.iter().map(sknock_gate::Happened::answer).collect()
}

fn opened(seconds: u32) -> Answer {
    Answer::Opened { seconds, clipped: false }
}

fn for_bob(services: &[sknock_gate::PortRange], seconds: u32) -> Wish {
    held_by(2, wish(&[BOB], services, seconds))
}

#[test]
fn all_are_let_in_and_each_gets_its_own_answer_in_order() {
    let net = Net::new();
    let mut gate = raised(&net, rules(Policy::Drop), ceiling());
    let requests: Vec<Request> =
        (1..=50).map(|port| Request::Open(wish(&[ALICE], &[tcp(port)], u32::from(port)))).collect();
    let answers = ask_all(&mut gate, &requests);
    assert_eq!(answers, (1..=50).map(opened).collect::<Vec<_>>());
    assert_eq!(elements(&net).len(), 50);
}

#[test]
fn the_same_door_twice_is_open_as_long_as_the_longer() {
    let net = Net::new();
    let mut gate = raised(&net, rules(Policy::Drop), ceiling());
    let wishes = [60, 600, 30].map(|seconds| Request::Open(wish(&[ALICE], &[tcp(22)], seconds)));
    assert_eq!(ask_all(&mut gate, &wishes), [60, 600, 30].map(opened));
    let left = elements(&net)[0].remaining.as_secs();
    assert!((598..=600).contains(&left), "{left}");
}

#[test]
fn a_revocation_among_wishes_takes_its_place_in_the_order() {
    let net = Net::new();
    let mut gate = raised(&net, rules(Policy::Drop), ceiling());
    let before = Request::Open(for_bob(&[tcp(1)], 60));
    let after = Request::Open(for_bob(&[tcp(2)], 60));
    let answers = ask_all(&mut gate, &[before, Request::close(holder(2)), after]);
    assert_eq!(answers, [opened(60), Answer::Closed { count: 1 }, opened(60)]);
    assert_eq!(elements(&net).iter().map(|one| one.door.port).collect::<Vec<_>>(), [2]);
}

#[test]
fn one_that_does_not_fit_costs_the_others_nothing() {
    let net = Net::new();
    let small = Rules { capacity: 4, ..rules(Policy::Drop) };
    let mut gate = raised(&net, small, ceiling());
    let wide = Request::Open(wish(&[ALICE], &[range(Transport::Tcp, 11, 14)], 60));
    let narrow = |port| Request::Open(for_bob(&[tcp(port)], 60));
    let answers = ask_all(&mut gate, &[narrow(1), wide, narrow(2)]);
    assert_eq!(answers, [opened(60), Answer::NoCapacity, opened(60)]);
    assert_eq!(elements(&net).len(), 2);
    // What did not get in is not remembered either.
    assert_eq!(gate.live().len(), 2);
}

#[test]
fn a_door_opened_by_hand_is_taken_over() {
    let net = Net::new();
    let mut gate = raised(&net, rules(Policy::Drop), ceiling());
    net.nft("add element inet sknock grant4 { 192.0.2.7 . tcp . 22 timeout 5s }");
    let answers = ask_all(&mut gate, &[Request::Open(wish(&[ALICE], &[tcp(22)], 600))]);
    assert_eq!(answers, [opened(600)]);
    assert!(elements(&net)[0].remaining.as_secs() > 500);
}

#[test]
fn after_a_flush_the_crowd_gets_in_all_the_same() {
    let net = Net::new();
    let mut gate = raised(&net, rules(Policy::Drop), ceiling());
    open(&mut gate, wish(&[ALICE], &[tcp(1)], 60));
    net.nft("flush ruleset");
    let requests = [tcp(2), tcp(3)].map(|port| Request::Open(wish(&[ALICE], &[port], 60)));
    assert_eq!(ask_all(&mut gate, &requests), [60, 60].map(opened));
    assert_eq!(elements(&net).len(), 3);
}

#[test]
fn garbage_in_a_crowd_is_answered_as_such() {
    let net = Net::new();
    let mut gate = raised(&net, rules(Policy::Drop), ceiling());
    let good = Request::Open(wish(&[ALICE], &[tcp(1)], 60)).encode().unwrap();
    let records: [&[u8]; 4] = [b"", &good, &[0xff; 300], &good[..255]];
    let answers: Vec<Answer> = gate
        .handle_all(&records, Uptime::now())
        .iter()
        .map(sknock_gate::Happened::answer)
        .collect();
    let garbage = Answer::Refused(sknock_gate::Excess::NotARequest);
    assert_eq!(answers, [garbage, opened(60), garbage, garbage]);
}
