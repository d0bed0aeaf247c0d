//! The revocation list as openssl reads it, and what revoking does to it.

use sknock_certs::{Authority, CertificateState, Reason};

use crate::support::{House, NOW, PASSWORD, days, later, openssl, services, try_openssl};

/// The published list as text, after its signature was found right.
fn published(house: &House) -> String {
    let (list, ca) = (house.file("crl.der"), house.file("ca.pem"));
    let text = openssl(&["crl", "-in", &list, "-inform", "DER", "-noout", "-text", "-CAfile", &ca]);
    assert!(text.contains("verify OK"), "{text}");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_first_list_is_empty_version_2_numbered_and_names_its_signer() {
    let house = House::new();
    let ca =
        openssl(&["x509", "-in", &house.file("ca.pem"), "-noout", "-ext", "subjectKeyIdentifier"]);
    let key_id = ca.split_whitespace().last().unwrap();
    let text = published(&house);
    for part in [
        "Version 2 (0x1)",
        "Last Update: Jan 15 08:00:00 2027 GMT",
        "Next Update: Feb 14 08:00:00 2027 GMT",
        "X509v3 CRL Number: 1 ",
        "No Revoked Certificates",
        &format!("X509v3 Authority Key Identifier: {key_id}"),
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

#[test]
fn revoking_publishes_at_once_and_openssl_then_refuses_the_certificate() {
    let house = House::new();
    let issued = house.client("alice", "tcp/22");
    house.client("bob", "tcp/22");
    let (alice, bob) = (house.extract("alice"), house.extract("bob"));
    let (now, ca) = (later(60).as_secs().to_string(), house.file("ca.pem"));
    let verify = |file: &str| {
        let list = house.beside("crl.pem");
        openssl(&["crl", "-in", &house.file("crl.der"), "-inform", "DER", "-out", &list]);
        let args =
            ["verify", "-crl_check", "-CAfile", &ca, "-CRLfile", &list, "-attime", &now, file];
        try_openssl(&args)
    };
    assert!(verify(&alice).0 && verify(&bob).0);

    let revoked = house.authority.revoke("alice", Reason::KeyCompromise, later(30)).unwrap();
    assert_eq!((revoked.already, revoked.crl.number), (false, 2));
    assert_eq!(revoked.entry.state(later(30)), CertificateState::Revoked);
    let text = published(&house);
    let serial = issued.entry.serial.to_string().to_uppercase();
    for part in [
        format!("Serial Number: {serial} Revocation Date: Jan 15 08:00:30 2027 GMT"),
        "X509v3 CRL Reason Code: Key Compromise".to_owned(),
        "X509v3 CRL Number: 2 ".to_owned(),
    ] {
        assert!(text.contains(&part), "{part} is not in {text}");
    }
    let (accepted, why) = verify(&alice);
    assert!(!accepted && why.contains("certificate revoked"), "{why}");
    assert!(verify(&bob).0);
}

#[test]
fn revoking_again_keeps_the_first_date_and_publishes_a_new_crl() {
    let house = House::new();
    let serial = house.client("alice", "tcp/22").entry.serial.to_string();
    house.authority.revoke("alice", Reason::Superseded, NOW).unwrap();
    for which in ["alice", &serial, &serial.to_uppercase()] {
        let again = house.authority.revoke(which, Reason::KeyCompromise, later(60)).unwrap();
        assert!(again.already);
        let revocation = again.entry.revoked.unwrap();
        assert_eq!((revocation.at, revocation.reason), (NOW, Reason::Superseded));
    }
    assert!(published(&house).contains("X509v3 CRL Number: 5 "));
}

#[test]
fn every_reason_is_written_as_rfc_5280_names_it() {
    let house = House::new();
    for (reason, text) in [
        (Reason::KeyCompromise, "Key Compromise"),
        (Reason::AffiliationChanged, "Affiliation Changed"),
        (Reason::Superseded, "Superseded"),
        (Reason::CessationOfOperation, "Cessation Of Operation"),
        (Reason::PrivilegeWithdrawn, "Privilege Withdrawn"),
    ] {
        house.client("alice", "tcp/22");
        house.authority.revoke("alice", reason, NOW).unwrap();
        assert!(published(&house).contains(&format!("CRL Reason Code: {text}")), "{text}");
    }
    let before = published(&house).matches("CRL Reason Code").count();
    house.client("alice", "tcp/22");
    house.authority.revoke("alice", Reason::Unspecified, NOW).unwrap();
    assert_eq!(published(&house).matches("CRL Reason Code").count(), before);
}

#[test]
fn a_name_is_free_again_once_revoked_and_both_certificates_stay_known() {
    let house = House::new();
    let first = house.client("alice", "tcp/22").entry.serial;
    house.authority.revoke("alice", Reason::Superseded, NOW).unwrap();
    let second = house.client("alice", "tcp/80").entry.serial;
    let states: Vec<_> =
        house.authority.list().unwrap().iter().map(|e| (e.serial, e.state(NOW))).collect();
    assert_eq!(states, [(first, CertificateState::Revoked), (second, CertificateState::Valid)]);
    let revoked = house.authority.revoke("alice", Reason::Unspecified, NOW).unwrap();
    assert_eq!((revoked.entry.serial, revoked.already), (second, false));
}

#[test]
fn an_expired_certificate_can_be_revoked_by_its_serial_and_stays_listed() {
    let house = House::new();
    let issued = house.client("alice", "tcp/22");
    let after = later(days(366));
    assert_eq!(issued.entry.state(after), CertificateState::Expired);
    house.authority.client("alice", &services("tcp/22"), 365, PASSWORD, after).unwrap();
    let serial = issued.entry.serial.to_string();
    assert_eq!(
        house.authority.revoke(&serial, Reason::Unspecified, after).unwrap().entry.serial,
        issued.entry.serial
    );
    assert!(published(&house).contains(&serial.to_uppercase()));
}

#[test]
fn a_crl_keeps_its_validity_period_and_its_date_never_goes_back() {
    let house = House::new();
    house.client("alice", "tcp/22");
    let crl = house.authority.crl(7, later(100)).unwrap();
    assert_eq!(crl.next_update, later(100 + days(7)));
    let clock_set_back = house.authority.revoke("alice", Reason::Unspecified, NOW).unwrap().crl;
    assert_eq!((clock_set_back.number, clock_set_back.days), (3, 7));
    assert_eq!(clock_set_back.this_update, later(100));
    assert_eq!(Authority::open(&house.dir).unwrap().latest_crl().unwrap(), clock_set_back);
}
