//! What was issued is what a server wants: a client knocks with it, and after revoking no longer.

use std::fs;
use std::time::Duration;

use sknock_certs::{Issued, Reason};
use sknock_protocol::v2::{self, ClaimedAddress, KnockRequest};
use sknock_protocol::{
    Bundle, Datagram, Identity, KnockRules, Refusal, Revocation, RevocationList, RevocationLists,
    ServerCertificate, ServerKey, Timestamp, TrustStore, VerifiedKnock, Verifier,
};

use crate::support::{House, NOW, PASSWORD, days, later, services};

fn open(issued: &Issued) -> Bundle {
    Bundle::open(&fs::read(&issued.pfx).unwrap(), PASSWORD).unwrap()
}

fn verifier(server: &Bundle) -> Verifier {
    let anchors = TrustStore::new(server.authorities(), 16).unwrap();
    let rules = KnockRules {
        window: Duration::from_secs(7),
        unsigned_address: true,
        second_address: false,
    };
    Verifier::new(ServerKey::from_bundle(server).unwrap(), anchors, rules)
}

/// The list that lies in the folder, verified.
fn published(house: &House, verifier: &Verifier) -> RevocationList {
    RevocationList::verify(&fs::read(house.file("crl.der")).unwrap(), verifier.trust_store())
        .unwrap()
}

/// Knocks with a client's file at a server that has this list.
fn knock(
    client: &Issued,
    server: &Issued,
    verifier: &Verifier,
    list: RevocationList,
    now: Timestamp,
) -> Result<VerifiedKnock, Refusal> {
    let identity = Identity::from_bundle(&open(client)).unwrap();
    let certificate = fs::read(server.certificate.as_ref().unwrap()).unwrap();
    let wish = KnockRequest {
        stamp: now,
        lifetime: None,
        single_use: false,
        answer: false,
        address: ClaimedAddress::Source,
        second: None,
        services: Vec::new(),
    };
    let sealed =
        v2::seal(&identity, &ServerCertificate::from_der(&certificate).unwrap(), &wish).unwrap();
    let datagram = Datagram::new("192.0.2.1:1024".parse().unwrap(), &sealed.datagram);
    let lists = RevocationLists::new(Duration::ZERO).with(list);
    verifier.verify(verifier.unveil(datagram, now)?, &Revocation::Lists(lists), now)
}

#[test]
fn a_client_is_accepted_until_it_is_revoked() {
    let house = House::new();
    let (gate, alice) = (house.server("gate"), house.client("alice", "tcp/22 udp/60000-60010"));
    let verifier = verifier(&open(&gate));
    let before = published(&house, &verifier);
    let believed = knock(&alice, &gate, &verifier, published(&house, &verifier), later(1)).unwrap();
    assert_eq!(believed.subject().name, "alice");
    assert_eq!(believed.subject().allowed, services("tcp/22 udp/60000-60010"));
    assert_eq!(believed.subject().certificate.serial, alice.entry.serial.as_bytes());

    house.authority.revoke("alice", Reason::Unspecified, later(2)).unwrap();
    let after = published(&house, &verifier);
    after.may_replace(&before).unwrap();
    after.has_begun(later(2)).unwrap();
    assert_eq!((after.number(), after.len()), (Some(&[2][..]), 1));
    let refused = knock(&alice, &gate, &verifier, after, later(3));
    assert_eq!(refused.err(), Some(Refusal::Revoked));
}

#[test]
fn clocks_may_differ_a_little_and_certificates_end() {
    let house = House::new();
    let gate = house.server("gate");
    let client = |name, lifetime| {
        house.authority.client(name, &services("tcp/22"), lifetime, PASSWORD, NOW).unwrap()
    };
    let (short, long) = (client("short", 1), client("long", 29));
    let verifier = verifier(&open(&gate));
    let knock = |client, now| knock(client, &gate, &verifier, published(&house, &verifier), now);
    assert!(knock(&long, NOW.before(Duration::from_secs(300))).is_ok());
    assert!(knock(&long, NOW.before(Duration::from_secs(301))).is_err());
    assert!(knock(&short, later(days(1))).is_ok());
    assert!(knock(&short, later(days(1) + 1)).is_err());
    assert!(knock(&long, later(days(2))).is_ok());
}
