//! Looking certificates up, in lists made by `rcgen`. What lists are accepted is tested from
//! outside, in `tests/revocation.rs`.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    IsCa, KeyIdMethod, KeyPair, RevocationReason, RevokedCertParams, SerialNumber, date_time_ymd,
};

use super::{Revocation, RevocationList, RevocationLists};
use crate::trust::PathCertificate;
use crate::{CertificateId, Issuer, Refusal, Timestamp, TrustStore};

/// 2026-07-01 and 2027-01-01: when the lists below are made, and when the next are due.
const MADE: Timestamp = Timestamp::from_secs(1_782_864_000);
const DUE: Timestamp = Timestamp::from_secs(1_798_761_600);
const GRACE: Duration = Duration::from_secs(168 * 3600);

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn list(authority: &Authority, trust_store: &TrustStore, revoked: &[&[u8]]) -> RevocationList {
    let revoked = revoked.iter().map(|serial| RevokedCertParams {
        serial_number: SerialNumber::from_slice(serial),
        revocation_time: date_time_ymd(2026, 6, 1),
        reason_code: Some(RevocationReason::CertificateHold),
        invalidity_date: None,
    });
    let params = CertificateRevocationListParams {
        this_update: date_time_ymd(2026, 7, 1),
        next_update: date_time_ymd(2027, 1, 1),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: revoked.collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    RevocationList::verify(params.signed_by(authority).unwrap().der(), trust_store).unwrap()
}

struct World {
    root: Authority,
    between: Authority,
    trust_store: TrustStore,
}

fn spawner() -> World {
    let (root, between) = (authority("root"), authority("between"));
    let authorities = [root.as_ref().der().to_vec(), between.as_ref().der().to_vec()];
    World { trust_store: TrustStore::new(&authorities, 2).unwrap(), root, between }
}

/// A certificate that names no distribution point.
fn plain(issuer: &Issuer, serial: &[u8]) -> PathCertificate {
    let id = CertificateId { issuer: *issuer.id(), serial: serial.to_vec() };
    PathCertificate { id, is_authority: false, points: Vec::new() }
}

impl World {
    /// A client's certificate issued by `between`, and that of `between`, issued by `root`.
    fn path(&self) -> [PathCertificate; 2] {
        let [root, between] = self.trust_store.issuers() else { panic!("two authorities") };
        [(between, &[0xf1, 2][..]), (root, &[5])].map(|(issuer, serial)| plain(issuer, serial))
    }

    fn revocation(&self, by_root: &[&[u8]], by_between: &[&[u8]]) -> Revocation {
        let lists = RevocationLists::new(GRACE);
        let lists = lists.with(list(&self.root, &self.trust_store, by_root));
        Revocation::Lists(lists.with(list(&self.between, &self.trust_store, by_between)))
    }
}

#[test]
fn without_a_configured_crl_no_certificate_is_refused() {
    let path = spawner().path();
    assert_eq!(Revocation::NotConfigured.check_path(&path, MADE), Ok(()));
    assert!(!Revocation::NotConfigured.is_revoked(&path[0].id));
}

#[test]
fn every_issuer_of_the_path_needs_a_crl() {
    let spawner = spawner();
    let none = RevocationLists::new(GRACE);
    let one = none.with(list(&spawner.between, &spawner.trust_store, &[]));
    let other = none.with(list(&spawner.root, &spawner.trust_store, &[]));
    let both = other.with(list(&spawner.between, &spawner.trust_store, &[]));
    let check = |lists| Revocation::Lists(lists).check_path(&spawner.path(), MADE);
    for lacking in [none, one, other] {
        assert_eq!(check(lacking), Err(Refusal::RevocationUnknown));
    }
    assert_eq!(check(both), Ok(()));
}

#[test]
fn a_path_with_any_revoked_certificate_is_refused() {
    let spawner = spawner();
    let path = spawner.path();
    let revoked =
        |by_root, by_between| spawner.revocation(by_root, by_between).check_path(&path, MADE);
    assert_eq!(revoked(&[], &[&[0xf1, 2]]), Err(Refusal::Revoked));
    assert_eq!(revoked(&[&[5]], &[]), Err(Refusal::Revoked));
    // the same serial numbers, but by the other issuer
    assert_eq!(revoked(&[&[0xf1, 2]], &[&[5]]), Ok(()));

    let revocation = spawner.revocation(&[], &[&[0xf1, 2]]);
    assert!(revocation.is_revoked(&path[0].id));
    assert!(!revocation.is_revoked(&path[1].id));
}

fn below(above: &Authority, name: &str, serial: u8) -> Authority {
    with_key(KeyPair::generate().unwrap(), above, name, serial)
}

fn with_key(key: KeyPair, above: &Authority, name: &str, serial: u8) -> Authority {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.serial_number = Some(SerialNumber::from_slice(&[serial]));
    CertifiedIssuer::signed_by(params, key, above).unwrap()
}

#[test]
fn issuers_below_a_revoked_intermediate_are_lost_without_another_path() {
    let (root, other) = (authority("root"), authority("other"));
    let upper = below(&root, "upper", 1);
    let lower = below(&upper, "lower", 2);
    let key = KeyPair::from_pem(&lower.key().serialize_pem()).unwrap();
    let crossed = with_key(key, &other, "lower", 3);
    let namesake = below(&other, "lower", 4);
    let der = |some: &[&Authority]| {
        some.iter().map(|one| one.as_ref().der().to_vec()).collect::<Vec<_>>()
    };
    let lost = |authorities: &[&Authority], by_root: &[&[u8]], by_upper: &[&[u8]]| {
        let trust_store = TrustStore::new(&der(authorities), 2).unwrap();
        let lists = RevocationLists::new(GRACE);
        let lists = lists.with(list(&root, &trust_store, by_root));
        let lists = lists.with(list(&upper, &trust_store, by_upper));
        let lost = lists.issuers_without_path(&trust_store, MADE);
        let issuers = trust_store.issuers().iter().filter(|issuer| lost.contains(issuer.id()));
        // The first word: the rest distinguishes issuers of one name.
        issuers.map(|issuer| issuer.name()[..8].to_owned()).collect::<Vec<_>>()
    };
    // The order in which they are configured does not matter.
    let line = [&lower, &upper, &root];
    assert_eq!(lost(&line, &[], &[]), [""; 0]);
    assert_eq!(lost(&line, &[&[2]], &[&[1]]), [""; 0], "another issuer's numbers");
    assert_eq!(lost(&line, &[], &[&[2]]), ["CN=lower"]);
    assert_eq!(lost(&line, &[&[1]], &[]), ["CN=lower", "CN=upper"]);
    let cross = [&lower, &upper, &root, &crossed, &other];
    assert_eq!(lost(&cross, &[&[1]], &[]), ["CN=upper"]);
    // Another authority of the same name is no other path.
    let namesakes = [&lower, &upper, &root, &namesake, &other];
    assert_eq!(lost(&namesakes, &[&[1]], &[]), ["CN=lower", "CN=upper"]);
}

#[test]
fn a_ca_certificate_that_is_not_valid_now_is_no_remaining_path() {
    let (root, other) = (authority("root"), authority("other"));
    let key = KeyPair::generate().unwrap().serialize_pem();
    let by = |above: &Authority, serial: u8, years: (i32, i32)| {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "between");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.serial_number = Some(SerialNumber::from_slice(&[serial]));
        params.not_before = date_time_ymd(years.0, 1, 1);
        params.not_after = date_time_ymd(years.1, 1, 1);
        CertifiedIssuer::signed_by(params, KeyPair::from_pem(&key).unwrap(), above).unwrap()
    };
    let lost = |first, second, revoked: &[&[u8]]| {
        let (first, second) = (by(&root, 1, first), by(&other, 2, second));
        let der = [&root, &other, &first, &second].map(|one| one.as_ref().der().to_vec());
        let trust_store = TrustStore::new(&der, 2).unwrap();
        let lists = RevocationLists::new(GRACE).with(list(&root, &trust_store, revoked));
        lists.issuers_without_path(&trust_store, MADE).len()
    };
    let (ended, good, begins) = ((2020, 2026), (2020, 2040), (2027, 2040));
    assert_eq!(lost(good, good, &[&[1]]), 0);
    assert_eq!(lost(good, ended, &[&[1]]), 1);
    assert_eq!(lost(good, begins, &[&[1]]), 1);
    // A date alone closes nothing; a revocation does, whatever the date.
    assert_eq!(lost(ended, ended, &[]), 0);
    assert_eq!(lost(ended, good, &[&[1]]), 0);
    assert_eq!(lost(good, ended, &[&[2]]), 0, "another issuer's number");
}

#[test]
fn a_crl_is_valid_until_its_grace_period_is_over() {
    let spawner = spawner();
    let revocation = spawner.revocation(&[&[77]], &[]);
    let at = |now| revocation.check_path(&spawner.path(), now);
    assert_eq!(at(MADE), Ok(()));
    assert_eq!(at(DUE.after(GRACE)), Ok(()));
    let late = DUE.after(GRACE).after(Duration::from_millis(1));
    assert_eq!(at(late), Err(Refusal::RevocationUnknown));
    // a revocation stays valid, however old the CRL
    let revoked = plain(&spawner.trust_store.issuers()[0], &[77]);
    assert_eq!(revocation.check_path(&[revoked], late), Err(Refusal::Revoked));
}

#[test]
fn a_new_crl_replaces_only_the_former_crl_of_its_issuer() {
    let spawner = spawner();
    let Revocation::Lists(lists) = spawner.revocation(&[&[5]], &[&[0xf1, 2]]) else { panic!() };
    let lists = lists.with(list(&spawner.root, &spawner.trust_store, &[]));
    let revocation = Revocation::Lists(lists);
    assert!(!revocation.is_revoked(&spawner.path()[1].id));
    assert!(revocation.is_revoked(&spawner.path()[0].id));
}

#[test]
fn two_cas_of_one_name_each_need_a_crl_of_their_own() {
    let (old, new) = (authority("root"), authority("root"));
    let der = [&old, &new].map(|one| one.as_ref().der().to_vec());
    let trust_store = TrustStore::new(&der, 2).unwrap();
    let [first, second] = trust_store.issuers() else { panic!("two authorities") };
    let of = |issuer, serial| plain(issuer, &[serial]);
    let by_old = list(&old, &trust_store, &[&[5]]);
    let by_new = list(&new, &trust_store, &[&[6]]);
    assert_eq!((by_old.issuer(), by_new.issuer()), (first.id(), second.id()));
    assert!(by_old.may_replace(&by_new).is_err(), "it is of another issuer");
    let one = RevocationLists::new(GRACE).with(by_new);
    let check =
        |lists: &RevocationLists, id| Revocation::Lists(lists.clone()).check_path(&[id], MADE);
    assert_eq!(check(&one, of(first, 7)), Err(Refusal::RevocationUnknown));
    let both = one.with(by_old);
    let verdicts = [(first, 5), (first, 6), (second, 5), (second, 6)]
        .map(|(issuer, serial)| check(&both, of(issuer, serial)).is_ok());
    assert_eq!(verdicts, [false, true, true, false]);
}

#[test]
fn of_two_roots_of_one_name_only_the_signer_can_revoke_an_intermediate() {
    let (old, new) = (authority("root"), authority("root"));
    let lower = below(&new, "lower", 3);
    let der = [&old, &new, &lower].map(|one| one.as_ref().der().to_vec());
    let trust_store = TrustStore::new(&der, 2).unwrap();
    let lost = |by| {
        let lists = RevocationLists::new(GRACE).with(list(by, &trust_store, &[&[3]]));
        lists.issuers_without_path(&trust_store, MADE).len()
    };
    assert_eq!((lost(&old), lost(&new)), (0, 1));
}
