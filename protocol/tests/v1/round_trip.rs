//! What a client seals, a server of the same authority believes.

use core::net::SocketAddr;

use sknock_protocol::{Timestamp, v1, v2};

use crate::house::{House, NOW, RULES, SOURCE, SOURCE6, client_params, judge, wish, wish6};

#[test]
fn a_v1_knock_contains_what_its_client_requested() {
    let house = House::new();
    for (wish, source, service) in
        [(wish(), SOURCE, "tcp/22"), (wish6(), SOURCE6, "tcp/22"), (wish(), SOURCE, "udp/65535")]
    {
        let wish = v1::V1KnockRequest { service: service.parse().unwrap(), ..wish };
        let knock = house.judge_from(source, &house.seal(&wish), NOW).unwrap();
        assert_eq!(knock.services(), [wish.service]);
        assert_eq!(knock.stamp(), NOW);
        assert_eq!(knock.source(), source.parse::<SocketAddr>().unwrap());
        let claim = knock.claim();
        assert_eq!((claim.first(), claim.signed(), claim.second()), (wish.address, true, None));
        assert_eq!((knock.lifetime(), knock.single_use()), (None, false));
        assert!(knock.answer_key().is_none());
        assert_eq!(knock.subject().name, "laptop");
    }
}

#[test]
fn fractions_of_a_second_are_not_sent() {
    let house = House::new();
    let stamp = Timestamp::from_millis(NOW.as_millis() + 999);
    let datagram = house.seal(&v1::V1KnockRequest { stamp, ..wish() });
    assert_eq!(house.judge(&datagram).unwrap().stamp(), NOW);
}

#[test]
fn a_retry_is_new_on_the_wire_and_the_same_knock_within_its_second() {
    let house = House::new();
    let (one, other) = (house.seal(&wish()), house.seal(&wish()));
    let later = house
        .seal(&v1::V1KnockRequest { stamp: Timestamp::from_secs(NOW.as_secs() + 1), ..wish() });
    assert_ne!(one, other);
    let [one, other, later] = [one, other, later].map(|datagram| house.judge(&datagram).unwrap());
    assert_ne!(one.encapsulation(), other.encapsulation());
    assert_eq!(one.id(), other.id());
    assert_ne!(one.id(), later.id());
}

#[test]
fn both_families_are_as_long_as_an_original_server_demands() {
    let house = House::new();
    assert!(house.client.certificate.len() < 559, "small enough to need padding");
    assert_eq!(house.seal(&wish()).len(), 773); // 815 bytes on Ethernet
    assert_eq!(house.seal(&wish6()).len(), 741); // 803 bytes on Ethernet
}

#[test]
fn every_length_of_certificate_is_taken() {
    let house = House::new();
    for extra in 1..=64 {
        let mut params = client_params();
        params.distinguished_name.push(rcgen::DnType::OrganizationName, "x".repeat(300 + extra));
        let client = house.issue(&rcgen::PKCS_ECDSA_P256_SHA256, &params);
        let datagram = v1::seal(&client.identity(), &house.certificate(), &wish()).unwrap();
        assert!(house.judge(&datagram).is_ok(), "{extra}");
    }
}

#[test]
fn a_server_with_both_protocols_distinguishes_them_by_length() {
    let house = House::new();
    let wish2 = v2::KnockRequest {
        stamp: NOW,
        lifetime: None,
        single_use: false,
        answer: true,
        address: v2::ClaimedAddress::Ip(wish().address),
        second: None,
        services: vec!["tcp/22".parse().unwrap()],
    };
    let native = v2::seal(&house.client.identity(), &house.certificate(), &wish2).unwrap();
    assert_eq!(house.judge(&native.datagram).unwrap().id(), native.id);
    assert!(house.judge(&house.seal(&wish())).is_ok());
}

/// What this dialect cannot prevent, shown so that nobody thinks it does.
#[test]
fn a_knock_names_no_server() {
    let house = House::new();
    let other = house.issue(&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::CertificateParams::default());
    let there = sknock_protocol::ServerCertificate::from_der(&other.certificate).unwrap();
    let datagram = v1::seal(&house.client.identity(), &there, &wish()).unwrap();
    assert!(house.judge(&datagram).is_err(), "encrypted to another key");
    let here = judge(&house.verifier, SOURCE, &house.seal(&wish()), NOW).unwrap();
    let there = judge(&house.verifier_of(&other), SOURCE, &datagram, NOW).unwrap();
    assert_eq!(here.id(), there.id(), "what is signed is the same for both servers");
}

/// Nor this: the packet's family decides how the address is read, and the signature does not say.
#[test]
fn a_knock_names_no_family() {
    let house = House::with(Some(v1::V1Rules { shortest_frame: 0, ..RULES }));
    let six = house.seal(&wish6());
    let four = house.judge_from("32.1.13.184:4000", &six, NOW).unwrap(); // 2001:db8::/32
    assert_eq!(four.id(), house.judge_from(SOURCE6, &six, NOW).unwrap().id(), "but once only");
}
