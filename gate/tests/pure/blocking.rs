//! Who was cut off, and who was let in once.

use sknock_gate::{
    BlockedFlows, CertId, ExpiredGrants, FlowKey, GrantLabel, OwnerName, Serial, Transport,
};

fn flow(port: u16) -> FlowKey {
    FlowKey { address: "192.0.2.7".parse().unwrap(), transport: Transport::Tcp, port }
}

fn cert(serial: u8) -> CertId {
    CertId { issuer: *b"CA01CA01CA01", serial: Serial::new(&[serial]).unwrap() }
}

fn label(serial: u8) -> GrantLabel {
    GrantLabel { knock: [serial; 8], cert: cert(serial), name: OwnerName::truncated("alice") }
}

#[test]
fn the_oldest_of_too_many_blocked_flows_are_removed_and_returned() {
    let mut blocked = BlockedFlows::default();
    assert_eq!(blocked.add(&[flow(1), flow(2), flow(3)], 3), []);
    // Cut again is not cut anew.
    assert_eq!(blocked.add(&[flow(1)], 3), []);
    assert_eq!(blocked.add(&[flow(4)], 3), [flow(1)]);
    blocked.remove(&[flow(2), flow(9)]);
    assert_eq!(blocked.all().collect::<Vec<_>>(), [flow(3), flow(4)]);
    let many: Vec<FlowKey> = (10..20).map(flow).collect();
    assert_eq!(blocked.add(&many, 3).len(), 9);
    assert_eq!(blocked.all().collect::<Vec<_>>(), many[7..]);
    blocked.retain(|flow| flow.port == 18);
    assert_eq!(blocked.all().collect::<Vec<_>>(), [flow(18)]);
}

#[test]
fn the_oldest_of_too_many_expired_grants_are_forgotten() {
    let mut expired = ExpiredGrants::default();
    for port in [1, 2, 1, 3] {
        expired.insert(label(1), flow(port), 3, 3);
    }
    expired.insert(label(2), flow(1), 3, 3);
    assert_eq!(expired.flows_of(&cert(1)).into_iter().collect::<Vec<_>>(), [flow(1), flow(3)]);
    assert_eq!(expired.flows_of(&cert(2)).len(), 1);
    expired.remove(&cert(1));
    assert_eq!(
        (expired.len(), expired.flows_of(&cert(1)).len(), expired.flows_of(&cert(2)).len()),
        (1, 0, 1)
    );
}

#[test]
fn a_certificate_with_many_expired_grants_evicts_only_its_own() {
    let mut expired = ExpiredGrants::default();
    expired.insert(label(2), flow(1), 10, 4);
    for port in 1..=100 {
        expired.insert(label(1), flow(port), 10, 4);
    }
    assert_eq!((expired.len(), expired.flows_of(&cert(2)).len()), (10, 1));
    // Who has less than a share needs no leave of the others: the oldest go, whose they are.
    for port in 1..=4 {
        expired.insert(label(3), flow(port), 10, 4);
    }
    assert_eq!(expired.flows_of(&cert(3)).len(), 4);
    assert_eq!(expired.len(), 10);
}
