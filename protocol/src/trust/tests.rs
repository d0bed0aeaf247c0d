//! Certificates of every kind, made by `rcgen`.

mod serials;
mod signatures;
mod unfit;

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, SanType, SerialNumber, SignatureAlgorithm, SigningKey, date_time_ymd,
};

use super::Usage::{self, ClientAuthentication as CLIENT};
use super::{TrustError, TrustStore, VerifiedCertificate};
use crate::der::SEQUENCE;
use crate::{Refusal, Timestamp};

type Authority = CertifiedIssuer<'static, KeyPair>;

/// 2026-07-01; all validities below are whole years.
const NOW: Timestamp = Timestamp::from_secs(1_782_864_000);

fn authority_params(name: &str, years: (i32, i32)) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.not_before = date_time_ymd(years.0, 1, 1);
    params.not_after = date_time_ymd(years.1, 1, 1);
    params
}

fn root(name: &str) -> Authority {
    let key = KeyPair::generate().unwrap();
    CertifiedIssuer::self_signed(authority_params(name, (2020, 2040)), key).unwrap()
}

fn intermediate(name: &str, years: (i32, i32), above: &Authority) -> Authority {
    let key = KeyPair::generate().unwrap();
    CertifiedIssuer::signed_by(authority_params(name, years), key, above).unwrap()
}

fn client_params(years: (i32, i32)) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "alice");
    params.serial_number = Some(SerialNumber::from(vec![0x80, 7]));
    params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
    params.subject_alt_names.push(SanType::URI("sknock:tcp/22".try_into().unwrap()));
    params.not_before = date_time_ymd(years.0, 1, 1);
    params.not_after = date_time_ymd(years.1, 1, 1);
    params
}

fn signed(params: &CertificateParams, authority: &Authority) -> Vec<u8> {
    params.signed_by(&KeyPair::generate().unwrap(), authority).unwrap().der().to_vec()
}

fn der(authority: &Authority) -> Vec<u8> {
    authority.as_ref().der().to_vec()
}

fn trust_store(authorities: &[&Authority]) -> TrustStore {
    let authorities: Vec<_> = authorities.iter().map(|authority| der(authority)).collect();
    TrustStore::new(&authorities, 16).unwrap()
}

fn refusal(trust_store: &TrustStore, certificate: &[u8]) -> Refusal {
    trust_store.verify_client(certificate, CLIENT, NOW).unwrap_err()
}

fn year(year: u64) -> Timestamp {
    Timestamp::from_secs(1_577_836_800).after(Duration::from_secs((year - 2020) * 31_557_600))
}

#[test]
fn a_client_below_an_intermediate_is_accepted() {
    let root = root("root");
    let between = intermediate("between", (2022, 2028), &root);
    let trust_store = trust_store(&[&root, &between]);
    let certificate = signed(&client_params((2024, 2030)), &between);

    let verified = trust_store.verify_client(&certificate, CLIENT, NOW).unwrap();
    assert_eq!(verified.subject.name, "alice");
    assert_eq!(verified.subject.certificate.serial, [0x80, 7]);
    assert_eq!(verified.subject.allowed, ["tcp/22".parse().unwrap()]);
    let [path] = verified.paths.as_slice() else { panic!("one path") };
    assert_eq!(path.not_after, Timestamp::from_secs(1_830_297_600)); // 2028-01-01

    let issuers: Vec<_> = path.certificates.iter().map(|one| one.id.issuer).collect();
    assert_eq!(issuers, [*trust_store.issuers()[1].id(), *trust_store.issuers()[0].id()]);
    assert_eq!(path.certificates[0].id, verified.subject.certificate);
}

#[test]
fn each_refusal_has_its_reason() {
    let root = root("root");
    let trust_store = trust_store(&[&root]);
    let years = (2024, 2030);

    let stranger = self::root("root"); // the same name, another key
    assert_eq!(
        refusal(&trust_store, &signed(&client_params(years), &stranger)),
        Refusal::UnknownAuthority
    );
    let other = self::root("other");
    assert_eq!(
        refusal(&trust_store, &signed(&client_params(years), &other)),
        Refusal::UnknownAuthority
    );
    for (years, expected) in [
        ((2020, 2026), Refusal::CertificateExpired),
        ((2027, 2030), Refusal::CertificateNotYetValid),
        ((2030, 2024), Refusal::BadCertificate),
    ] {
        assert_eq!(
            refusal(&trust_store, &signed(&client_params(years), &root)),
            expected,
            "{years:?}"
        );
    }
    let mut server = client_params(years);
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let mut any = client_params(years);
    any.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any];
    let mut none = client_params(years);
    none.extended_key_usages.clear();
    let mut authority = client_params(years);
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    for params in [server, any, none, authority] {
        assert_eq!(refusal(&trust_store, &signed(&params, &root)), Refusal::NotAClientCertificate);
    }
}

/// RFC 5280, 4.2.1.3: a knock is signed.
#[test]
fn a_client_certificate_whose_key_usage_forbids_signing_is_refused() {
    use KeyUsagePurpose::{ContentCommitment, DigitalSignature, KeyAgreement, KeyEncipherment};
    let root = root("root");
    let trust_store = trust_store(&[&root]);
    for (usages, may) in [
        (&[][..], true),
        (&[DigitalSignature], true),
        (&[DigitalSignature, KeyAgreement], true),
        (&[KeyAgreement], false),
        (&[ContentCommitment, KeyEncipherment], false),
    ] {
        let mut params = client_params((2024, 2030));
        params.key_usages = usages.to_vec();
        let certificate = signed(&params, &root);
        let verified = trust_store.verify_client(&certificate, CLIENT, NOW).map(drop);
        let expected = if may { Ok(()) } else { Err(Refusal::NotAClientCertificate) };
        assert_eq!(verified, expected, "{usages:?}");
        let lax = trust_store.verify_client(&certificate, Usage::Any, NOW);
        assert!(lax.is_ok(), "{usages:?}, for any usage");
    }
}

#[test]
fn a_cached_any_usage_verdict_is_not_used_for_client_authentication() {
    let root = root("root");
    let trust_store = trust_store(&[&root]);
    let mut server = client_params((2024, 2030));
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let mut none = client_params((2024, 2030));
    none.extended_key_usages.clear();
    for params in [server, none] {
        let certificate = signed(&params, &root);
        let any = || trust_store.verify_client(&certificate, Usage::Any, NOW).unwrap();
        assert!(std::sync::Arc::ptr_eq(&any(), &any()), "not from the cache");
        let refusal = refusal(&trust_store, &certificate);
        assert_eq!(refusal, Refusal::NotAClientCertificate, "from the cache");
    }
    let client = signed(&client_params((2024, 2030)), &root);
    trust_store.verify_client(&client, Usage::Any, NOW).unwrap();
    let strict = trust_store.verify_client(&client, CLIENT, NOW).unwrap();
    let lax = trust_store.verify_client(&client, Usage::Any, NOW).unwrap();
    assert!(std::sync::Arc::ptr_eq(&strict, &lax), "the stricter verdict holds for both");
}

#[test]
fn usage_is_all_that_any_usage_does_not_look_at() {
    let root = root("root");
    let trust_store = trust_store(&[&root]);
    let other = signed(&client_params((2024, 2030)), &self::root("root"));
    let expired = signed(&client_params((2020, 2026)), &root);
    let refusal =
        |certificate: &[u8]| trust_store.verify_client(certificate, Usage::Any, NOW).unwrap_err();
    assert_eq!(refusal(&other), Refusal::UnknownAuthority);
    assert_eq!(refusal(&expired), Refusal::CertificateExpired);
}

#[test]
fn a_client_certificate_is_not_used_as_a_ca() {
    let root = root("root");
    let mut params = client_params((2024, 2030));
    params.is_ca = IsCa::ExplicitNoCa;
    let alice = CertifiedIssuer::signed_by(params, KeyPair::generate().unwrap(), &root).unwrap();
    let forged = signed(&client_params((2024, 2030)), &alice);
    let with_alice = TrustStore::new(&[der(&root), der(&alice)], 16).unwrap();
    assert_eq!(with_alice.issuers().len(), 1);
    assert_eq!(refusal(&with_alice, &forged), Refusal::UnknownAuthority);
}

#[test]
fn intermediates_must_be_valid_and_known() {
    let root = root("root");
    let certificate = |between: &Authority| signed(&client_params((2024, 2030)), between);

    let ended = intermediate("ended", (2020, 2026), &root);
    assert_eq!(
        refusal(&trust_store(&[&root, &ended]), &certificate(&ended)),
        Refusal::CertificateExpired
    );
    let begins = intermediate("begins", (2027, 2030), &root);
    assert_eq!(
        refusal(&trust_store(&[&root, &begins]), &certificate(&begins)),
        Refusal::CertificateNotYetValid
    );
    assert_eq!(refusal(&trust_store(&[&root]), &certificate(&ended)), Refusal::UnknownAuthority);
}

#[test]
fn a_cached_path_is_not_accepted_outside_its_validity() {
    let root = root("root");
    let between = intermediate("between", (2022, 2028), &root);
    let trust_store = trust_store(&[&root, &between]);
    let certificate = signed(&client_params((2024, 2030)), &between);
    let first = trust_store.verify_client(&certificate, CLIENT, NOW).unwrap();
    let again = trust_store.verify_client(&certificate, CLIENT, NOW).unwrap();
    assert!(std::sync::Arc::ptr_eq(&first, &again), "not from the cache");

    let (begin, end) = (Timestamp::from_secs(1_704_067_200), Timestamp::from_secs(1_830_297_600));
    let at = |now| trust_store.verify_client(&certificate, CLIENT, now).map(|_| ());
    assert_eq!(at(begin), Ok(()));
    assert_eq!(at(begin.before(Duration::from_millis(1))), Err(Refusal::CertificateNotYetValid));
    assert_eq!(at(end.after(Duration::from_millis(999))), Ok(()));
    assert_eq!(at(end.after(Duration::from_secs(1))), Err(Refusal::CertificateExpired));
}

#[test]
fn another_path_may_remain_when_one_has_ended() {
    let root = root("root");
    let key = KeyPair::generate().unwrap().serialize_pem();
    let between = |years| {
        let key = KeyPair::from_pem(&key).unwrap();
        CertifiedIssuer::signed_by(authority_params("between", years), key, &root).unwrap()
    };
    let (old, renewed) = (between((2022, 2027)), between((2025, 2032)));
    let trust_store = trust_store(&[&root, &old, &renewed]);
    let certificate = signed(&client_params((2024, 2030)), &old);
    for timestamp in [year(2024).after(Duration::from_secs(86_400)), year(2026), year(2029)] {
        assert!(trust_store.verify_client(&certificate, CLIENT, timestamp).is_ok(), "{timestamp}");
    }
    assert_eq!(
        trust_store.verify_client(&certificate, CLIENT, year(2031)).unwrap_err(),
        Refusal::CertificateExpired
    );
}

#[test]
fn an_anchor_is_a_self_issued_ca() {
    let root = root("root");
    let between = intermediate("between", (2022, 2028), &root);
    let leaf = signed(&client_params((2024, 2030)), &root);
    for authorities in [vec![], vec![der(&between)], vec![leaf, der(&between)]] {
        let certificates = authorities.len();
        let error = TrustStore::new(&authorities, 16).unwrap_err();
        assert_eq!(error, TrustError::NoAnchor { certificates, unfit: Vec::new() });
    }
    let mut torn = der(&root);
    torn.pop();
    assert!(matches!(
        TrustStore::new(&[der(&root), torn], 16),
        Err(TrustError::Unreadable { number: 2, .. })
    ));
    assert_eq!(TrustStore::new(&[der(&root), der(&root)], 16).unwrap().issuers().len(), 1);
}

#[test]
fn an_altered_or_truncated_certificate_is_refused() {
    let root = root("root");
    let trust_store = trust_store(&[&root]);
    let certificate = signed(&client_params((2024, 2030)), &root);
    for length in 0..certificate.len() {
        assert_eq!(
            refusal(&trust_store, &certificate[..length]),
            Refusal::BadCertificate,
            "{length}"
        );
    }
    for place in 0..certificate.len() {
        let mut altered = certificate.clone();
        altered[place] ^= 1;
        assert!(trust_store.verify_client(&altered, CLIENT, NOW).is_err(), "byte {place}");
    }
    let mut longer = certificate;
    longer.push(0);
    assert_eq!(refusal(&trust_store, &longer), Refusal::BadCertificate);
}

fn named(name: &str, key: &KeyPair, above: Option<&Authority>) -> Authority {
    let key = KeyPair::from_pem(&key.serialize_pem()).unwrap();
    let params = authority_params(name, (2020, 2040));
    match above {
        None => CertifiedIssuer::self_signed(params, key).unwrap(),
        Some(above) => CertifiedIssuer::signed_by(params, key, above).unwrap(),
    }
}

/// The issuers on the path of a certificate by `authority`.
fn issuers(trust_store: &TrustStore, authority: &Authority) -> Vec<crate::IssuerId> {
    let certificate = signed(&client_params((2024, 2030)), authority);
    let verified = trust_store.verify_client(&certificate, CLIENT, NOW).unwrap();
    verified.paths[0].certificates.iter().map(|one| one.id.issuer).collect()
}

#[test]
fn of_two_cas_of_one_name_the_one_whose_key_signed_is_the_issuer() {
    let (old, new) = (root("root"), root("root"));
    for order in [[&old, &new], [&new, &old]] {
        let trust_store = trust_store(&order);
        let [first, second] = trust_store.issuers() else { panic!("two authorities") };
        assert_eq!(first.id().name, second.id().name);
        assert_ne!(first.id(), second.id());
        assert_ne!(first.name(), second.name(), "people must tell them apart");
        assert_eq!(issuers(&trust_store, order[0]), [*first.id()]);
        assert_eq!(issuers(&trust_store, order[1]), [*second.id()]);
    }
}

#[test]
fn a_ca_renewed_with_its_key_is_one_issuer() {
    let key = KeyPair::generate().unwrap();
    let (old, new) = (named("root", &key, None), named("root", &key, None));
    let trust_store = trust_store(&[&old, &new]);
    let [first, second] = trust_store.issuers() else { panic!("two authorities") };
    assert_eq!((first.id(), first.name()), (second.id(), "CN=root"));
    assert!(first.is_anchor() && second.is_anchor());
}

#[test]
fn an_intermediate_signed_by_several_is_one_and_is_revoked_by_each() {
    let (root, other, key) = (root("root"), root("other"), KeyPair::generate().unwrap());
    let by_root = named("between", &key, Some(&root));
    let by_other = named("between", &key, Some(&other));
    let trust_store = trust_store(&[&root, &other, &by_root, &by_other]);
    let [root, other, first, second] = trust_store.issuers() else { panic!("four") };
    assert_eq!(first.id(), second.id());
    let by = |issuer: &super::Issuer| issuer.certificates().map(|id| id.issuer).collect::<Vec<_>>();
    assert_eq!((by(first), by(second)), (vec![*root.id()], vec![*other.id()]));
    assert_eq!((by(root), by(other)), (vec![], vec![]));
}

#[test]
fn the_issuer_of_an_intermediate_is_found_by_signature_not_by_name() {
    let (old, new) = (root("root"), root("root"));
    let between = intermediate("between", (2020, 2040), &new);
    let trust_store = trust_store(&[&old, &new, &between]);
    let [_, new, between] = trust_store.issuers() else { panic!("three authorities") };
    let above: Vec<_> = between.certificates().map(|id| id.issuer).collect();
    assert_eq!(above, [*new.id()]);
    let stranger = intermediate("between", (2020, 2040), &root("root"));
    let trust_store = self::trust_store(&[&old, &stranger]);
    assert_eq!(trust_store.issuers()[1].certificates().count(), 0, "nobody here has signed it");
}

#[test]
fn a_new_ca_key_signed_by_the_old_one_is_no_anchor_by_its_name() {
    let (old_key, new_key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let old = named("root", &old_key, None);
    let vouched = named("root", &new_key, Some(&old));
    let with_old = trust_store(&[&old, &vouched]);
    let is_anchor = |trust_store: &TrustStore| {
        trust_store.issuers().iter().map(super::Issuer::is_anchor).collect::<Vec<_>>()
    };
    assert_eq!(is_anchor(&with_old), [true, false]);
    let [first, second] = with_old.issuers() else { panic!("two authorities") };
    assert_eq!(issuers(&with_old, &vouched), [*second.id(), *first.id()]);
    // With the new one's own root, too, there is a path that does not need the old one.
    let new = named("root", &new_key, None);
    assert_eq!(is_anchor(&trust_store(&[&old, &vouched, &new])), [true, false, true]);
    // Without the old one, the administrator trusts it by itself.
    assert_eq!(is_anchor(&trust_store(&[&vouched])), [true]);
}
