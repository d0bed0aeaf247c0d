//! Each refusal with its reason.

use rcgen::{
    ExtendedKeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519,
};
use sknock_protocol::v1::{self, V1KnockRequest, V1SealError};
use sknock_protocol::{Refusal, Timestamp, VerifiedKnock};

use crate::house::{House, NOW, RULES, SOURCE, SOURCE6, client_params, wish, wish6};

fn refused(verdict: Result<VerifiedKnock, Refusal>) -> Refusal {
    verdict.unwrap_err()
}

#[test]
fn a_server_without_v1_refuses_v1_knocks_by_their_length() {
    let silent = House::with(None);
    assert_eq!(refused(silent.judge(&silent.seal(&wish()))), Refusal::WrongLength);
}

#[test]
fn a_v1_knock_is_valid_within_the_window_in_both_directions() {
    let house = House::new();
    let datagram = house.seal(&wish());
    let at = |millis: i64| {
        let now = Timestamp::from_millis(NOW.as_millis().checked_add_signed(millis).unwrap());
        house.judge_from(SOURCE, &datagram, now).map(drop)
    };
    for inside in [-7000, -1, 0, 6999, 7000] {
        assert_eq!(at(inside), Ok(()), "{inside}");
    }
    assert_eq!(at(7001), Err(Refusal::StampTooOld));
    assert_eq!(at(-7001), Err(Refusal::StampInFuture));
}

#[test]
fn a_v1_knock_must_come_from_its_signed_address() {
    let house = House::new();
    let four = house.seal(&wish());
    assert_eq!(refused(house.judge_from("192.0.2.8:1", &four, NOW)), Refusal::AddressMismatch);
    assert_eq!(refused(house.judge_from(SOURCE6, &four, NOW)), Refusal::AddressMismatch);
    assert!(house.judge_from("[::ffff:192.0.2.7]:1", &four, NOW).is_ok());
    let six = house.seal(&wish6());
    assert_eq!(refused(house.judge_from("[2001:db8::8]:1", &six, NOW)), Refusal::AddressMismatch);
    for nobodys in ["127.0.0.1", "169.254.1.1", "0.0.0.0", "224.0.0.1"] {
        let address = nobodys.parse().unwrap();
        let datagram = house.seal(&V1KnockRequest { address, ..wish() });
        let refusal = refused(house.judge_from(&format!("{nobodys}:1"), &datagram, NOW));
        assert_eq!(refusal, Refusal::AddressUnusable, "{nobodys}");
    }
}

#[test]
fn a_short_knock_is_one_by_the_whole_frame() {
    // 773 bytes over IPv4: 815 on Ethernet
    for (least, verdict) in [(815, Ok(())), (816, Err(Refusal::WrongLength))] {
        let house = House::with(Some(v1::V1Rules { shortest_frame: least, ..RULES }));
        assert_eq!(house.judge(&house.seal(&wish())).map(drop), verdict);
    }
}

#[test]
fn certificates_are_for_clients_unless_the_administrator_says_otherwise() {
    for (any_usage, verdict) in [(false, Err(Refusal::NotAClientCertificate)), (true, Ok(()))] {
        let house = House::with(Some(v1::V1Rules { any_usage, ..RULES }));
        for usages in [vec![], vec![ExtendedKeyUsagePurpose::ServerAuth]] {
            let mut params = client_params();
            params.extended_key_usages = usages;
            let client = house.issue(&PKCS_ECDSA_P256_SHA256, &params);
            let datagram = v1::seal(&client.identity(), &house.certificate(), &wish()).unwrap();
            assert_eq!(house.judge(&datagram).map(drop), verdict);
        }
    }
}

#[test]
fn a_v1_client_of_another_ca_is_refused() {
    let (house, other) = (House::new(), House::new());
    let datagram = v1::seal(&other.client.identity(), &house.certificate(), &wish()).unwrap();
    assert_eq!(refused(house.judge(&datagram)), Refusal::UnknownAuthority);
    assert_eq!(refused(house.judge(&other.seal(&wish()))), Refusal::NotForThisServer);
}

#[test]
fn only_keys_on_p256_can_knock() {
    let house = House::new();
    for kind in [&PKCS_ECDSA_P384_SHA384, &PKCS_ED25519] {
        let client = house.issue(kind, &client_params());
        let sealed = v1::seal(&client.identity(), &house.certificate(), &wish());
        assert_eq!(sealed, Err(V1SealError::NotP256));
    }
}
