//! An intermediate that several have signed: one name and one key, and a certificate by each. The best path
//! decides, in whichever order the certificates are given.

use core::time::Duration;

use rcgen::{CertificateParams, PKCS_ECDSA_P256_SHA256, date_time_ymd};
use sknock_protocol::v2::seal;
use sknock_protocol::{
    Datagram, Refusal, Revocation, RevocationList, RevocationLists, Timestamp, TrustStore,
    VerifiedKnock, Verifier,
};

use crate::house::{Authority, House, NOW, Pair, RULES, SOURCE, wish};

/// Of the certificates of `between`.
const BY_FIRST: u8 = 40;
const BY_SECOND: u8 = 41;

/// Two roots, and what both have signed.
struct Crossed {
    house: House,
    roots: [Authority; 2],
    between: Authority,
    /// One certificate of `between` by each root.
    certificates: [Vec<u8>; 2],
    client: Pair,
}

fn ends(year: i32) -> impl Fn(&mut CertificateParams) {
    move |params| params.not_after = date_time_ymd(year, 1, 1)
}

impl Crossed {
    fn new() -> Self {
        Self::edited([&ends(2030), &ends(2030)])
    }

    fn edited(edits: [&dyn Fn(&mut CertificateParams); 2]) -> Self {
        let house = House::new();
        let roots = [Authority::new("first"), Authority::new("second")];
        let between = Authority::below("between", &roots[0]);
        let numbers = [BY_FIRST, BY_SECOND];
        let certificates = core::array::from_fn(|place| {
            between.certified_by(&roots[place], numbers[place], edits[place])
        });
        let client = between.client(&PKCS_ECDSA_P256_SHA256);
        Self { house, roots, between, certificates, client }
    }

    /// Both orders of the two certificates.
    fn verifiers(&self) -> [Verifier; 2] {
        let [first, second] = &self.certificates;
        [[first, second], [second, first]].map(|between| {
            let roots = self.roots.iter().map(|root| root.certificate().to_vec());
            let all: Vec<_> = roots.chain(between.into_iter().cloned()).collect();
            let trust_store = TrustStore::new(&all, 16).unwrap();
            Verifier::new(self.house.server.server_key(), trust_store, RULES)
        })
    }

    fn list_of_between(&self) -> Vec<u8> {
        self.between.crl(&[])
    }

    fn judge(&self, verifier: &Verifier, lists: &Revocation) -> Result<VerifiedKnock, Refusal> {
        self.judge_at(verifier, lists, NOW)
    }

    fn judge_at(
        &self,
        verifier: &Verifier,
        lists: &Revocation,
        now: Timestamp,
    ) -> Result<VerifiedKnock, Refusal> {
        let mut wish = wish();
        wish.stamp = now;
        let sealed = seal(&self.client.identity(), &self.house.server.as_server(), &wish).unwrap();
        let datagram = Datagram::new(SOURCE.parse().unwrap(), &sealed.datagram);
        verifier.verify(verifier.unveil(datagram, now).unwrap(), lists, now)
    }
}

fn lists(verifier: &Verifier, lists: &[Vec<u8>]) -> Revocation {
    let verify = |list: &Vec<u8>| RevocationList::verify(list, verifier.trust_store()).unwrap();
    let none = RevocationLists::new(Duration::ZERO);
    Revocation::Lists(lists.iter().map(verify).fold(none, |lists, list| lists.with(list)))
}

#[test]
fn one_path_that_no_crl_refuses_is_enough_in_any_order() {
    let crossed = Crossed::new();
    let [first, second] = &crossed.roots;
    let of_between = crossed.list_of_between();
    let judge = |verifier, of: &[Vec<u8>]| {
        let all = [of, core::slice::from_ref(&of_between)].concat();
        crossed.judge(verifier, &lists(verifier, &all)).map(drop)
    };
    for verifier in &crossed.verifiers() {
        assert_eq!(judge(verifier, &[first.crl(&[]), second.crl(&[])]), Ok(()));
        // Named by one, or without a list of one: the other remains.
        assert_eq!(judge(verifier, &[first.crl(&[BY_FIRST]), second.crl(&[])]), Ok(()));
        assert_eq!(judge(verifier, &[first.crl(&[]), second.crl(&[BY_SECOND])]), Ok(()));
        assert_eq!(judge(verifier, &[first.crl(&[])]), Ok(()));
        assert_eq!(judge(verifier, &[second.crl(&[])]), Ok(()));
        // The other's serial number is nobody's.
        assert_eq!(judge(verifier, &[first.crl(&[BY_SECOND]), second.crl(&[])]), Ok(()));
        // None remains: the reason is that of the path which lacks least.
        let both = [first.crl(&[BY_FIRST]), second.crl(&[BY_SECOND])];
        assert_eq!(judge(verifier, &both), Err(Refusal::Revoked));
        assert_eq!(judge(verifier, &[first.crl(&[BY_FIRST])]), Err(Refusal::RevocationUnknown));
        assert_eq!(judge(verifier, &[second.crl(&[BY_SECOND])]), Err(Refusal::RevocationUnknown));
        assert_eq!(judge(verifier, &[]), Err(Refusal::RevocationUnknown));
        // Who is on a list by their own number is refused on every path.
        let all = [first.crl(&[]), second.crl(&[]), crossed.between.crl(&[7])];
        let verdict = crossed.judge(verifier, &lists(verifier, &all)).map(drop);
        assert_eq!(verdict, Err(Refusal::Revoked));
    }
}

#[test]
fn the_path_that_expires_last_determines_the_expiry() {
    let crossed = Crossed::edited([&ends(2026), &ends(2030)]);
    let (soon, late) = (1_767_225_600, 1_893_456_000);
    let [first, second] = &crossed.roots;
    for verifier in &crossed.verifiers() {
        let until =
            |lists: &Revocation| crossed.judge(verifier, lists).unwrap().not_after().as_secs();
        assert_eq!(until(&Revocation::NotConfigured), late);
        let all = |by_second| {
            let of = [first.crl(&[]), second.crl(by_second), crossed.list_of_between()];
            lists(verifier, &of)
        };
        assert_eq!(until(&all(&[])), late);
        assert_eq!(until(&all(&[BY_SECOND])), soon, "by the path that remains");
        assert_eq!(until(&all(&[])), late, "and back, from the cache");
        // What waits for its door is asked by the lists that are in force then.
        let knock = crossed.judge(verifier, &all(&[])).unwrap();
        let left = knock.check_revocation(&all(&[BY_SECOND]), NOW).unwrap();
        assert_eq!((knock.not_after().as_secs(), left.as_secs()), (late, soon));
    }
}

/// A path that was not there when the certificate was first seen.
#[test]
fn a_remembered_certificate_has_the_paths_of_the_moment() {
    let begins = |params: &mut CertificateParams| {
        params.not_before = date_time_ymd(2025, 7, 1);
        params.not_after = date_time_ymd(2030, 1, 1);
    };
    let crossed = Crossed::edited([&ends(2027), &begins]);
    let [first, second] = &crossed.roots;
    let later = Timestamp::from_secs(1_751_328_000); // 2025-07-01
    for verifier in &crossed.verifiers() {
        let all = |by_first| {
            let of = [first.crl(by_first), second.crl(&[]), crossed.list_of_between()];
            lists(verifier, &of)
        };
        let judge = |by_first, now| {
            let judged = crossed.judge_at(verifier, &all(by_first), now);
            judged.map(|knock| knock.not_after().as_secs())
        };
        let before = later.before(Duration::from_millis(1));
        for _ in 0..2 {
            assert_eq!(judge(&[], NOW), Ok(1_798_761_600)); // 2027
            assert_eq!(judge(&[BY_FIRST], before), Err(Refusal::Revoked));
            assert_eq!(judge(&[], later), Ok(1_893_456_000)); // 2030
            assert_eq!(judge(&[BY_FIRST], later), Ok(1_893_456_000));
        }
    }
}

/// However many certificates an intermediate has: what is looked at has a bound, and is the same each time.
#[test]
fn as_many_paths_as_are_promised_are_looked_at() {
    const PROMISED: u8 = 16;
    let house = House::new();
    let root = Authority::new("root");
    let between = Authority::below("between", &root);
    let client = between.client(&PKCS_ECDSA_P256_SHA256);
    let numbers: Vec<u8> = (1..=PROMISED).collect();
    let made = numbers.iter().map(|number| between.certified_by(&root, *number, &|_| ()));
    let mut all: Vec<_> = made.collect();
    all.push(root.certificate().to_vec());
    for turn in 0..all.len() {
        all.rotate_left(1);
        let trust_store = TrustStore::new(&all, 16).unwrap();
        let verifier = Verifier::new(house.server.server_key(), trust_store, RULES);
        let judge = |revoked: &[u8]| {
            let lists = lists(&verifier, &[root.crl(revoked), between.crl(&[])]);
            let server = house.server.as_server();
            let sealed = seal(&client.identity(), &server, &wish()).unwrap();
            let datagram = Datagram::new(SOURCE.parse().unwrap(), &sealed.datagram);
            verifier.verify(verifier.unveil(datagram, NOW).unwrap(), &lists, NOW).map(drop)
        };
        assert_eq!(judge(&numbers), Err(Refusal::Revoked));
        let all_but_one: Vec<u8> = numbers.iter().copied().filter(|one| *one != 5).collect();
        assert_eq!(judge(&all_but_one), Ok(()), "turn {turn}");
    }
}
