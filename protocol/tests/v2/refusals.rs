//! Each reason that this crate refuses for, from the first check to the last.

use core::time::Duration;

use rcgen::{
    CustomExtension, ExtendedKeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, SigningKey,
    date_time_ymd,
};
use sknock_protocol::v2::{KnockRequest, seal, seal_low};
use sknock_protocol::{
    Datagram, KnockRules, Refusal, Revocation, RevocationList, RevocationLists, VerifiedKnock,
    Verifier,
};

use crate::house::{Authority, House, NOW, Pair, RULES, SOURCE, client_params, wish};
use crate::wire::{self, Envelope, FROM_SOURCE};

fn refused(result: Result<VerifiedKnock, Refusal>) -> Refusal {
    result.unwrap_err()
}

#[test]
fn an_unauthenticated_sender_lacks_the_tag_and_the_veil() {
    let house = House::new();
    assert_eq!(refused(house.judge(&[0; 1200])), Refusal::NotTagged);
    let mut tagged = [0; 1200];
    tagged[..4].copy_from_slice(&wire::tag(&house.server, NOW, 0));
    assert_eq!(refused(house.judge(&tagged)), Refusal::NotVeiled);
    assert_eq!(refused(house.judge(&[0; 1199])), Refusal::WrongLength);
    assert_eq!(refused(house.judge(&[])), Refusal::WrongLength);
}

#[test]
fn a_knock_for_another_server_is_refused() {
    let (house, other) = (House::new(), House::new());
    let sealed = seal(&house.client.identity(), &other.server.as_server(), &wish()).unwrap();
    assert_eq!(refused(house.judge(&sealed.datagram)), Refusal::NotTagged);
    // somebody who knows both servers puts our veil over it
    let frame = wire::uncover(&other.server, &sealed.datagram);
    assert_eq!(
        refused(house.judge(&wire::cover(&house.server, &frame))),
        Refusal::NotForThisServer
    );
}

/// A server that received a knock cannot use it at another server of the same authority.
#[test]
fn a_message_sealed_again_for_another_server_is_refused() {
    let house = House::new();
    let first = house.authority.server();
    let sealed = seal(&house.client.identity(), &first.as_server(), &wish()).unwrap();
    let message = wire::open(&first, &sealed.datagram);
    let relayed = Envelope::new(&house.server).close(&message);
    assert_eq!(refused(house.judge(&relayed)), Refusal::BadSignature);
}

/// Nor can the right server make a second knock of a first.
#[test]
fn a_message_sealed_again_for_the_same_server_is_refused() {
    let house = House::new();
    let sealed = seal(&house.client.identity(), &house.server.as_server(), &wish()).unwrap();
    let message = wire::open(&house.server, &sealed.datagram);
    let again = Envelope::new(&house.server).close(&message);
    assert_eq!(refused(house.judge(&again)), Refusal::BadSignature);
}

#[test]
fn another_version_is_malformed() {
    let house = House::new();
    let envelope = Envelope::new(&house.server);
    let mut unsigned = wire::unsigned(&FROM_SOURCE, &house.client.certificate);
    unsigned[0] = 3;
    let message = envelope.message(&unsigned, &house.client.key);
    assert_eq!(refused(house.judge(&envelope.close(&message))), Refusal::Malformed);
}

#[test]
fn the_window_is_inclusive_to_the_millisecond() {
    let house = House::new();
    let sealed = seal(&house.client.identity(), &house.server.as_server(), &wish()).unwrap();
    let edge = RULES.window;
    let beyond = edge + Duration::from_millis(1);
    for now in [NOW.after(edge), NOW.before(edge)] {
        assert!(house.judge_at(&sealed.datagram, now).is_ok(), "{now}");
    }
    let (identity, server) = (house.client.identity(), house.server.as_server());
    let sealed = seal_low(&identity, &server, &wish()).unwrap();
    let late = house.judge_at(&sealed.datagram, NOW.after(beyond));
    assert_eq!(refused(late), Refusal::StampTooOld);
    let early = house.judge_at(&sealed.datagram, NOW.before(beyond));
    assert_eq!(refused(early), Refusal::StampInFuture);
}

#[test]
fn a_client_certificate_must_be_from_a_trusted_ca() {
    let house = House::new();
    let other = Authority::new("Other CA").client(&PKCS_ECDSA_P256_SHA256);
    assert_eq!(refused(house.judge_client(&other)), Refusal::UnknownAuthority);
    let same_name = Authority::new("Test CA").client(&PKCS_ECDSA_P256_SHA256);
    assert_eq!(refused(house.judge_client(&same_name)), Refusal::UnknownAuthority);

    let envelope = Envelope::new(&house.server);
    let unsigned = wire::unsigned(&FROM_SOURCE, &[0x30, 3, 2, 1, 1]);
    let message = envelope.message(&unsigned, &house.client.key);
    assert_eq!(refused(house.judge(&envelope.close(&message))), Refusal::BadCertificate);
}

#[test]
fn a_certificate_must_be_valid_now_and_for_clients() {
    let house = House::new();
    let judged = |params| {
        refused(house.judge_client(&house.authority.issue(&PKCS_ECDSA_P256_SHA256, &params)))
    };
    let mut expired = client_params();
    expired.not_after = date_time_ymd(2025, 6, 15);
    assert_eq!(judged(expired), Refusal::CertificateExpired);
    let mut unborn = client_params();
    unborn.not_before = date_time_ymd(2025, 6, 16);
    assert_eq!(judged(unborn), Refusal::CertificateNotYetValid);
    let mut server = client_params();
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    assert_eq!(judged(server), Refusal::NotAClientCertificate);
    let mut silent = client_params();
    silent.extended_key_usages.clear();
    assert_eq!(judged(silent), Refusal::NotAClientCertificate);
    let mut critical = client_params();
    let mut unknown = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0]);
    unknown.set_criticality(true);
    critical.custom_extensions = vec![unknown];
    assert_eq!(judged(critical), Refusal::BadCertificate);
}

#[test]
fn revocation_is_checked_for_every_knock() {
    let house = House::new();
    let anchors = house.authority.anchors();
    let none = RevocationLists::new(Duration::from_secs(3600));
    let listing = |serials: &[u8]| {
        let list = RevocationList::verify(&house.authority.crl(serials), &anchors).unwrap();
        Revocation::Lists(none.with(list))
    };
    let judge = |revocation: &Revocation| {
        let sealed = seal(&house.client.identity(), &house.server.as_server(), &wish()).unwrap();
        let datagram = Datagram::new(SOURCE.parse().unwrap(), &sealed.datagram);
        house.verifier.verify(house.verifier.unveil(datagram, NOW).unwrap(), revocation, NOW)
    };
    assert!(judge(&Revocation::NotConfigured).is_ok());
    assert!(judge(&listing(&[6, 8])).is_ok());
    assert_eq!(refused(judge(&listing(&[6, 7, 8]))), Refusal::Revoked);
    assert_eq!(refused(judge(&Revocation::Lists(none.clone()))), Refusal::RevocationUnknown);
}

/// What `key` signs for a message that carries the client's certificate.
fn judged_signature(
    house: &House,
    client: &Pair,
    sign: impl Fn(&[u8]) -> Vec<u8>,
) -> Result<VerifiedKnock, Refusal> {
    let envelope = Envelope::new(&house.server);
    let unsigned = wire::unsigned(&FROM_SOURCE, &client.certificate);
    let signature = sign(&envelope.signed(&unsigned));
    house.judge(&envelope.close(&wire::with_signature(&unsigned, &signature)))
}

#[test]
fn a_signature_is_the_certificates_own() {
    let house = House::new();
    let client = &house.client;
    let own = |signed: &[u8]| client.key.sign(signed).unwrap();
    assert!(judged_signature(&house, client, own).is_ok());
    let thief = house.authority.client(&PKCS_ECDSA_P256_SHA256);
    let stolen = judged_signature(&house, client, |signed| thief.key.sign(signed).unwrap());
    assert_eq!(refused(stolen), Refusal::BadSignature);
    let none = judged_signature(&house, client, |_| Vec::new());
    assert_eq!(refused(none), Refusal::Malformed);
    let other_label = judged_signature(&house, client, |signed| own(&signed[1..]));
    assert_eq!(refused(other_label), Refusal::BadSignature);
}

#[test]
fn an_ecdsa_signature_has_one_encoding() {
    let house = House::new();
    let own = |signed: &[u8]| house.client.key.sign(signed).unwrap();
    // SEQUENCE length, INTEGER r with a superfluous zero in front
    let wide_r = |signed: &[u8]| {
        let der = own(signed);
        [&[0x30, der[1] + 1, 2, der[3] + 1, 0], &der[4..]].concat()
    };
    let long_length = |signed: &[u8]| {
        let der = own(signed);
        [&[0x30, 0x81], &der[1..]].concat()
    };
    let trailing = |signed: &[u8]| [own(signed), vec![0]].concat();
    let cut = |signed: &[u8]| {
        let der = own(signed);
        der[..der.len() - 1].to_vec()
    };
    assert_eq!(refused(judged_signature(&house, &house.client, wide_r)), Refusal::BadSignature);
    assert_eq!(
        refused(judged_signature(&house, &house.client, long_length)),
        Refusal::BadSignature
    );
    assert_eq!(refused(judged_signature(&house, &house.client, trailing)), Refusal::BadSignature);
    // the missing last byte was not zero, or it is part of the padding: malformed or bad
    assert_eq!(refused(judged_signature(&house, &house.client, cut)), Refusal::BadSignature);
}

#[test]
fn an_ed25519_signature_has_64_bytes() {
    let house = House::new();
    let client = house.authority.client(&PKCS_ED25519);
    let own = |signed: &[u8]| client.key.sign(signed).unwrap();
    assert!(judged_signature(&house, &client, own).is_ok());
    let longer = judged_signature(&house, &client, |signed| [own(signed), vec![0]].concat());
    assert_eq!(refused(longer), Refusal::BadSignature);
    let shorter = judged_signature(&house, &client, |signed| own(signed)[..63].to_vec());
    assert_eq!(refused(shorter), Refusal::BadSignature);
}

/// What comes of these addresses in a rightly signed message.
fn judged_addresses(house: &House, addresses: &[u8]) -> Result<VerifiedKnock, Refusal> {
    let envelope = Envelope::new(&house.server);
    let unsigned = wire::unsigned(addresses, &house.client.certificate);
    let message = envelope.message(&unsigned, &house.client.key);
    house.judge(&envelope.close(&message))
}

#[test]
fn a_signed_address_must_be_the_source() {
    let house = House::new();
    assert!(judged_addresses(&house, &[1, 4, 192, 0, 2, 7]).unwrap().claim().signed());
    let elsewhere = judged_addresses(&house, &[1, 4, 192, 0, 2, 8]);
    assert_eq!(refused(elsewhere), Refusal::AddressMismatch);
    let mapped = [&[1, 6], &[0; 10][..], &[0xff, 0xff, 192, 0, 2, 7]].concat();
    assert_eq!(refused(judged_addresses(&house, &mapped)), Refusal::AddressMismatch);
    let second_v4 = judged_addresses(&house, &[2, 0, 4, 192, 0, 2, 9]);
    assert_eq!(refused(second_v4), Refusal::AddressMismatch);
    let multicast = [&[2, 0, 6, 0xff, 2], &[0; 13][..], &[1]].concat();
    assert_eq!(refused(judged_addresses(&house, &multicast)), Refusal::AddressUnusable);
}

#[test]
fn the_administrator_decides_about_unsigned_and_second_addresses() {
    let house = House::new();
    let judge = |wish: &KnockRequest, rules: KnockRules| {
        let verifier = Verifier::new(house.server.server_key(), house.authority.anchors(), rules);
        let sealed = seal(&house.client.identity(), &house.server.as_server(), wish).unwrap();
        let datagram = Datagram::new(SOURCE.parse().unwrap(), &sealed.datagram);
        verifier.verify(verifier.unveil(datagram, NOW)?, &Revocation::NotConfigured, NOW)
    };
    let signed_only = KnockRules { unsigned_address: false, ..RULES };
    assert_eq!(refused(judge(&wish(), signed_only)), Refusal::AddressUnsigned);
    let second = KnockRequest { second: Some("2001:db8::7".parse().unwrap()), ..wish() };
    let one_address = KnockRules { second_address: false, ..RULES };
    assert!(judge(&second, RULES).is_ok());
    assert_eq!(refused(judge(&second, one_address)), Refusal::SecondAddress);
}
