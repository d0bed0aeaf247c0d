//! Serial numbers that no revocation list can name.

use super::*;

/// No list could name it: RFC 5280 (4.1.2.2) allows 20 bytes.
#[test]
fn a_serial_number_of_more_than_20_bytes_is_refused_on_the_whole_path() {
    let root = root("root");
    let client = |length: usize, by: &Authority| {
        let mut params = client_params((2024, 2030));
        params.serial_number = Some(SerialNumber::from(vec![0x11; length]));
        signed(&params, by)
    };
    let trust_store = self::trust_store(&[&root]);
    assert!(trust_store.verify_client(&client(20, &root), CLIENT, NOW).is_ok());
    assert_eq!(refusal(&trust_store, &client(21, &root)), Refusal::BadCertificate);

    for (length, verified) in [(20, true), (21, false)] {
        let mut params = authority_params("below", (2020, 2040));
        params.serial_number = Some(SerialNumber::from(vec![0x11; length]));
        let below =
            CertifiedIssuer::signed_by(params, KeyPair::generate().unwrap(), &root).unwrap();
        let trust_store = self::trust_store(&[&root, &below]);
        let verdict = trust_store.verify_client(&client(20, &below), CLIENT, NOW);
        assert_eq!(verdict.is_ok(), verified, "{length}");
    }
}
