//! Whom a refusal names: only who has proven both the certificate and its key.

use core::time::Duration;

use rcgen::{CertificateParams, PKCS_ECDSA_P256_SHA256, SigningKey, date_time_ymd};
use sknock_protocol::{
    Datagram, Refusal, RefusedDatagram, Revocation, RevocationList, RevocationLists, Second,
};

use crate::house::{Authority, House, NOW, Pair, SOURCE, client_params};
use crate::wire::{self, Envelope, FROM_SOURCE};

/// The refusal of a knock with the certificate of `client` that `key` has signed.
fn refusal(house: &House, client: &Pair, key: &Pair, revocation: &Revocation) -> RefusedDatagram {
    let envelope = Envelope::new(&house.server);
    let unsigned = wire::unsigned(&FROM_SOURCE, &client.certificate);
    let signature = key.key.sign(&envelope.signed(&unsigned)).unwrap();
    let datagram = envelope.close(&wire::with_signature(&unsigned, &signature));
    let unveiled = house.verifier.unveil(Datagram::new(SOURCE.parse().unwrap(), &datagram), NOW);
    house.verifier.examine(unveiled.unwrap(), revocation, Second::new(NOW, 0), NOW).unwrap_err()
}

fn named(refused: &RefusedDatagram) -> Option<&str> {
    refused.sender.as_ref().map(|sender| sender.subject.name.as_str())
}

fn dated(edit: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut params = client_params();
    edit(&mut params);
    params
}

#[test]
fn a_refusal_names_a_sender_only_if_it_has_the_certificates_key() {
    let house = House::new();
    let none = RevocationLists::new(Duration::from_secs(3600));
    let list = RevocationList::verify(&house.authority.crl(&[7]), &house.authority.anchors());
    let lists = Revocation::Lists(none.clone().with(list.unwrap()));
    let issue = |params: &_| house.authority.issue(&PKCS_ECDSA_P256_SHA256, params);
    let expired = issue(&dated(|params| params.not_after = date_time_ymd(2025, 6, 15)));
    let early = issue(&dated(|params| params.not_before = date_time_ymd(2025, 6, 16)));
    let thief = house.authority.client(&PKCS_ECDSA_P256_SHA256);
    let any = &Revocation::NotConfigured;
    for (client, revocation, reason) in [
        (&house.client, &lists, Refusal::Revoked),
        (&house.client, &Revocation::Lists(none), Refusal::RevocationUnknown),
        (&expired, any, Refusal::CertificateExpired),
        (&early, any, Refusal::CertificateNotYetValid),
    ] {
        let own = refusal(&house, client, client, revocation);
        assert_eq!((own.reason, named(&own)), (reason, Some("laptop")));
        let sender = own.sender.unwrap();
        assert_eq!(sender.subject.certificate.serial, [7]);
        assert_eq!(sender.services, ["tcp/22".parse().unwrap()]);
        let stolen = refusal(&house, client, &thief, revocation);
        assert_eq!((stolen.reason, named(&stolen)), (reason, None), "a signature by another key");
    }
}

#[test]
fn an_expired_certificate_of_another_ca_proves_no_identity() {
    let house = House::new();
    for name in ["Other CA", "Test CA"] {
        let other = Authority::new(name);
        let ended = dated(|params| params.not_after = date_time_ymd(2025, 6, 15));
        let mallory = other.issue(&PKCS_ECDSA_P256_SHA256, &ended);
        let refused = refusal(&house, &mallory, &mallory, &Revocation::NotConfigured);
        assert_eq!(named(&refused), None, "{:?}", refused.reason);
    }
}
