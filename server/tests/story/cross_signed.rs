//! A grant that waits for its door, by the best of two paths, while a list comes into force that refuses that one.

use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    IsCa, KeyIdMethod, KeyPair, RevokedCertParams, SerialNumber, date_time_ymd,
};
use sknock_protocol::{
    KnockRules, Refusal, Revocation, RevocationList, RevocationLists, ServerKey, TrustStore,
    Verifier,
};

use crate::{Authority, NOW, WINDOW, authority, certified, wish, world};

/// Serial numbers of the certificates by the first and by the second root.
const FIRST: u8 = 1;
const SECOND: u8 = 2;
/// How long the first lasts.
const LEFT: Duration = Duration::from_secs(10);

fn between(above: &Authority, key: &str, serial: u8) -> Authority {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "between");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.serial_number = Some(SerialNumber::from_slice(&[serial]));
    if serial == FIRST {
        params.not_after = date_time_ymd(2026, 7, 1) + LEFT;
    }
    CertifiedIssuer::signed_by(params, KeyPair::from_pem(key).unwrap(), above).unwrap()
}

fn list(by: &Authority, revoked: &[u8], trust_store: &TrustStore) -> RevocationList {
    let entry = |serial: &u8| RevokedCertParams {
        serial_number: SerialNumber::from_slice(&[*serial]),
        revocation_time: date_time_ymd(2026, 6, 1),
        reason_code: None,
        invalidity_date: None,
    };
    let params = CertificateRevocationListParams {
        this_update: date_time_ymd(2026, 6, 30),
        next_update: date_time_ymd(2027, 1, 1),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: revoked.iter().map(entry).collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    RevocationList::verify(params.signed_by(by).unwrap().der(), trust_store).unwrap()
}

#[test]
fn a_pending_grant_uses_the_remaining_certificate_path() {
    let mut world = world();
    let roots = [("first", authority()), ("second", authority())].map(|(name, root)| {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::from_pem(&root.key().serialize_pem()).unwrap();
        CertifiedIssuer::self_signed(params, key).unwrap()
    });
    let key = KeyPair::generate().unwrap().serialize_pem();
    let [first, second] =
        [(0, FIRST), (1, SECOND)].map(|(place, serial)| between(&roots[place], &key, serial));
    let (server, certificate) = certified(&world.authority, "server", &[]);
    let all = [&roots[0], &roots[1], &first, &second].map(|one| one.as_ref().der().to_vec());
    let trust_store = TrustStore::new(&all, 16).unwrap();
    let lists = |by_first: &[u8], by_second: &[u8]| {
        let none = RevocationLists::new(WINDOW).with(list(&first, &[], &trust_store));
        let none = none.with(list(&roots[0], by_first, &trust_store));
        Revocation::Lists(none.with(list(&roots[1], by_second, &trust_store)))
    };
    let [nobody, by_second, by_both] =
        [lists(&[], &[]), lists(&[], &[SECOND]), lists(&[FIRST], &[SECOND])];
    let rules = KnockRules { window: WINDOW, unsigned_address: false, second_address: false };
    let key = ServerKey::new(&server, &certificate).unwrap();
    world.pipeline.verifier = Arc::new(Verifier::new(key, trust_store, rules));
    world.server = sknock_protocol::ServerCertificate::from_der(&certificate).unwrap();
    world.authority = first;

    let opened = |lists: &Revocation| {
        world.pipeline.revocation.replace(nobody.clone());
        let grant = world.handle(&world.seal(&wish()).datagram).unwrap();
        assert_eq!((grant.lifetime().as_secs(), grant.clipped()), (15, false), "by the second");
        world.pipeline.revocation.replace(lists.clone());
        let (good, late) = world.pipeline.open(vec![(grant, NOW)], |good| good);
        let good: Vec<_> = good.iter().map(|one| (one.lifetime(), one.clipped())).collect();
        (good, late.into_iter().map(|(_, refused)| refused.reason).collect::<Vec<Refusal>>())
    };
    assert_eq!(opened(&nobody), (vec![(Duration::from_secs(15), false)], vec![]));
    assert_eq!(opened(&by_second), (vec![(LEFT, true)], vec![]));
    assert_eq!(opened(&by_both), (vec![], vec![Refusal::Revoked]));
}
