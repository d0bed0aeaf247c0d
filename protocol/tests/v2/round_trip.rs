//! What a client says is what the server believes.

use core::num::NonZeroU16;
use std::collections::BTreeSet;

use rcgen::SigningKey;
use sknock_protocol::v2::{ClaimedAddress, DATAGRAM_LENGTH, KnockRequest, seal};
use sknock_protocol::{
    Answer, Identity, IdentityError, KnockId, PrivateKey, ServerCertificate,
    ServerCertificateError, ServerKey, ServerKeyError, Timestamp,
};

use crate::house::{Authority, House, KINDS, NOW, SOURCE, wish};
use crate::wire::{self, Envelope, FROM_SOURCE};

#[test]
fn every_kind_of_key_knocks() {
    let house = House::new();
    for kind in KINDS {
        let client = house.authority.client(kind);
        let sealed = seal(&client.identity(), &house.server.as_server(), &wish()).unwrap();
        let knock = house.judge(&sealed.datagram).unwrap();
        assert_eq!(knock.id(), sealed.id);
        assert_eq!(knock.services(), wish().services);
        assert_eq!(knock.subject().name, "laptop");
        assert_eq!(knock.subject().allowed, wish().services);
        assert_eq!(knock.source(), SOURCE.parse().unwrap());
        assert_eq!(knock.encapsulation()[..], wire::uncover(&house.server, &sealed.datagram)[..65]);
    }
}

#[test]
fn every_field_of_a_request_arrives() {
    let house = House::new();
    let wish = KnockRequest {
        stamp: Timestamp::from_millis(NOW.as_millis() + 1234),
        lifetime: NonZeroU16::new(3600),
        single_use: true,
        answer: true,
        address: ClaimedAddress::Ip("192.0.2.7".parse().unwrap()),
        second: Some("2001:db8::7".parse().unwrap()),
        services: ["tcp/23", "tcp/22", "tcp/22"].map(|text| text.parse().unwrap()).to_vec(),
    };
    let sealed = seal(&house.client.identity(), &house.server.as_server(), &wish).unwrap();
    let knock = house.judge(&sealed.datagram).unwrap();
    assert_eq!(knock.stamp(), wish.stamp);
    assert_eq!(knock.lifetime(), Some(3600));
    assert!(knock.single_use());
    assert!(knock.claim().signed());
    assert_eq!(knock.claim().first(), "192.0.2.7".parse::<core::net::IpAddr>().unwrap());
    assert_eq!(knock.claim().second(), wish.second);
    let services: Vec<String> = knock.services().iter().map(ToString::to_string).collect();
    assert_eq!(services, ["tcp/22", "tcp/23"]); // apart: each is used up singly
}

#[test]
fn overlapping_services_arrive_joined() {
    let house = House::new();
    let services =
        ["udp/5-9", "udp/7-12", "tcp/1", "tcp/2"].map(|text| text.parse().unwrap()).to_vec();
    let wish = KnockRequest { services, ..wish() };
    let sealed = seal(&house.client.identity(), &house.server.as_server(), &wish).unwrap();
    let knock = house.judge(&sealed.datagram).unwrap();
    let services: Vec<String> = knock.services().iter().map(ToString::to_string).collect();
    assert_eq!(services, ["tcp/1-2", "udp/5-12"]);
}

#[test]
fn the_answer_reaches_its_client_only() {
    let house = House::new();
    let (identity, server) = (house.client.identity(), house.server.as_server());
    let asking = KnockRequest { answer: true, ..wish() };
    let sealed = seal(&identity, &server, &asking).unwrap();
    let other = seal(&identity, &server, &asking).unwrap();

    let observed = SOURCE.parse().unwrap();
    let answer = Answer { clipped: false, seconds: 15, server_time: NOW, observed };
    let knock = house.judge(&sealed.datagram).unwrap();
    let bytes = knock.answer_key().unwrap().seal(&answer).unwrap();
    assert_eq!(sealed.answer_key.open(&bytes), Some(answer));
    assert_eq!(other.answer_key.open(&bytes), None);

    let silent = seal(&identity, &server, &wish()).unwrap();
    assert!(house.judge(&silent.datagram).unwrap().answer_key().is_none());
}

#[test]
fn a_retry_is_another_knock() {
    let house = House::new();
    let (identity, server) = (house.client.identity(), house.server.as_server());
    let one = seal(&identity, &server, &wish()).unwrap();
    let other = seal(&identity, &server, &wish()).unwrap();
    assert_ne!(one.id, other.id);
    let (one, other) = (one.datagram, other.datagram);
    assert_ne!(
        house.judge(&one).unwrap().encapsulation(),
        house.judge(&other).unwrap().encapsulation()
    );
}

/// A listener sees neither who knocks nor what for, and no two knocks have anything in common.
#[test]
fn nothing_of_a_knock_is_seen_on_the_way() {
    let house = House::new();
    let (identity, server) = (house.client.identity(), house.server.as_server());
    let made = || seal(&identity, &server, &wish()).unwrap().datagram;
    let knocks: Vec<_> = (0..64).map(|_| made()).collect();
    let parts = |bytes: &[u8]| -> BTreeSet<[u8; 8]> {
        bytes.windows(8).filter_map(|part| part.try_into().ok()).collect()
    };
    let known = [identity.certificate(), house.server.certificate.as_slice(), &[0; 8]];
    let mut seen: BTreeSet<[u8; 8]> = known.into_iter().flat_map(parts).collect();
    for knock in &knocks {
        assert_eq!(knock.len(), DATAGRAM_LENGTH);
        let own = parts(knock);
        assert!(own.is_disjoint(&seen), "eight bytes that were seen before");
        seen.extend(own);
    }
    // No bit of any place is always, or mostly, the same: with random ones, ten of 64 come once in 10^9.
    for place in 0..DATAGRAM_LENGTH * 8 {
        let set = knocks.iter().filter(|knock| knock[place / 8] >> (place % 8) & 1 == 1).count();
        assert!((8..=56).contains(&set), "bit {place} is set in {set} of 64");
    }
}

/// The id comes from what was signed, so that the two signatures that every ECDSA signature can be
/// turned into are one knock.
#[test]
fn a_high_s_signature_is_accepted_and_changes_nothing() {
    let house = House::new();
    let envelope = Envelope::new(&house.server);
    let unsigned = wire::unsigned(&FROM_SOURCE, &house.client.certificate);
    let signed = envelope.signed(&unsigned);
    let signature = house.client.key.sign(&signed).unwrap();
    let turned = with_other_s(&signature);
    assert_ne!(signature, turned);
    let id = KnockId(
        aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &signed).as_ref().try_into().unwrap(),
    );

    let datagram = envelope.close(&wire::with_signature(&unsigned, &turned));
    assert_eq!(house.judge(&datagram).unwrap().id(), id);
    // and as it was: one of the two has a high s
    let envelope = Envelope::new(&house.server);
    let datagram = envelope.message(&unsigned, &house.client.key);
    assert!(house.judge(&envelope.close(&datagram)).is_ok());
}

#[test]
fn an_identity_is_a_pair_of_a_fit_key() {
    let house = House::new();
    let other = house.authority.client(KINDS[0]);
    let certificate = &house.client.certificate;
    assert_eq!(Identity::new(&other.private(), certificate).unwrap_err(), IdentityError::NotAPair);
    let junk = PrivateKey::from_pkcs8(vec![0x30, 0].into());
    assert_eq!(Identity::new(&junk, certificate).unwrap_err(), IdentityError::UnfitKey);
    let longer = [certificate.as_slice(), &[0]].concat();
    let error = Identity::new(&house.client.private(), &longer).unwrap_err();
    assert_eq!(error, IdentityError::NotACertificate);
}

#[test]
fn a_server_has_a_pair_on_p256() {
    let house = House::new();
    let authority = Authority::new("Another CA");
    for kind in &KINDS[1..] {
        let pair = authority.client(kind);
        let error = ServerCertificate::from_der(&pair.certificate).unwrap_err();
        assert_eq!(error, ServerCertificateError::NotP256);
        let error = ServerKey::new(&pair.private(), &pair.certificate).unwrap_err();
        assert_eq!(error, ServerKeyError::Certificate(ServerCertificateError::NotP256));
    }
    let error = ServerKey::new(&house.client.private(), &house.server.certificate).unwrap_err();
    assert_eq!(error, ServerKeyError::NotAPair);
    let error = ServerCertificate::from_der(b"no certificate").unwrap_err();
    assert_eq!(error, ServerCertificateError::NotACertificate);
    let of_authority = ServerCertificate::from_der(authority.certificate()).unwrap_err();
    assert_eq!(of_authority, ServerCertificateError::Authority);
    assert_eq!(house.server.as_server().sid()[..], wire::sid(&house.server));
    assert_eq!(house.server.server_key().sid()[..], wire::sid(&house.server));
}

#[test]
fn no_key_is_ever_printed() {
    let house = House::new();
    assert_eq!(format!("{:?}", house.client.identity()), "Identity(..)");
    assert_eq!(format!("{:?}", house.server.server_key()), "ServerKey(..)");
    assert_eq!(format!("{:?}", house.server.as_server()), "ServerCertificate(..)");
}

/// The same signature with n - s for s.
fn with_other_s(signature: &[u8]) -> Vec<u8> {
    const N: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
        0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let r = &signature[2..4 + usize::from(signature[3])];
    let s = &signature[r.len() + 4..];
    let mut padded = vec![0; 33_usize.saturating_sub(s.len())];
    padded.extend(s);
    let s: [u8; 32] = padded[padded.len() - 32..].try_into().unwrap();
    let mut difference = [0; 32];
    let mut borrow = 0;
    for at in (0..32).rev() {
        let digit = 256 + i32::from(N[at]) - i32::from(s[at]) - borrow;
        difference[at] = u8::try_from(digit % 256).unwrap();
        borrow = i32::from(digit < 256);
    }
    let first = difference.iter().position(|byte| *byte != 0).unwrap();
    let sign = if difference[first] >= 0x80 { &[0][..] } else { &[] };
    let number = [sign, &difference[first..]].concat();
    let body = [r, &[2, u8::try_from(number.len()).unwrap()], &number].concat();
    [&[0x30, u8::try_from(body.len()).unwrap()], body.as_slice()].concat()
}
