//! Revocation lists. The first byte says whether the rest is a file, what an authority signs, two parts of
//! that: entries and extensions, or two extensions: where a list is from, and where a certificate says that
//! its list is. Parts are parted by a length of two bytes.

#![no_main]

use std::sync::LazyLock;

use aws_lc_rs::signature::Ed25519KeyPair;
use libfuzzer_sys::fuzz_target;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose};
use sknock_fuzz::der::{self, CONTEXT_0, INTEGER, UTC_TIME};
use sknock_fuzz::genuine::{AUTHORITY, pkcs8};
use sknock_protocol::revocation_fuzzing::covers;
use sknock_protocol::{RevocationList, TrustStore};

/// Lists that the reference authority signed.
const GENUINE: [&[u8]; 3] = [
    include_bytes!("../../tests/vectors/v2/pki/ca-empty.crl"),
    include_bytes!("../../tests/vectors/v2/pki/ca-alice.crl"),
    include_bytes!("../../tests/vectors/v2/pki/ca-alice-held.crl"),
];

/// An authority that signs whatever it is given.
struct Signer {
    key: Ed25519KeyPair,
    name: Vec<u8>,
    anchors: TrustStore,
    genuine: Vec<RevocationList>,
}

static SIGNER: LazyLock<Signer> = LazyLock::new(|| {
    let pkcs8 = pkcs8("carol");
    let key = KeyPair::try_from(pkcs8.as_slice()).expect("a key");
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "fuzz");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = params.self_signed(&key).expect("it signs itself").der().to_vec();
    let anchors = TrustStore::new(&[AUTHORITY.to_vec(), certificate], 4).expect("two authorities");
    let genuine = GENUINE.map(|list| RevocationList::verify(list, &anchors).expect("a list"));
    let common_name = der::sequence(&[&der::oid(&[0x55, 4, 3]), &der::element(0x0c, b"fuzz")]);
    Signer {
        key: Ed25519KeyPair::from_pkcs8(&pkcs8).expect("the same key"),
        name: der::sequence(&[&der::element(0x31, &common_name)]),
        anchors,
        genuine: genuine.into(),
    }
});

fuzz_target!(|input: &[u8]| {
    let [kind, rest @ ..] = input else { return };
    match kind % 4 {
        0 => file(rest),
        1 => check(&SIGNER.sign(rest)),
        2 => {
            let Some((entries, extensions)) = parts(rest) else { return };
            check(&SIGNER.sign(&SIGNER.outline(entries, extensions)));
        }
        _ => {
            let Some((list, certificate)) = parts(rest) else { return };
            scope(list, certificate);
        }
    }
});

fn parts(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

/// A certificate is covered by a list for one point only if a name of the list is in it as it stands.
fn scope(list: &[u8], certificate: &[u8]) {
    let Some((complete, covered)) = covers(list, Some(certificate)) else { return };
    assert!(covered || !complete);
    let Some((_, unnamed)) = covers(list, None) else { return };
    if covered && !unnamed {
        let mut names = (4..=list.len()).flat_map(|end| (0..end).map(move |at| &list[at..end]));
        let shared = names.any(|name| {
            name.len() >= 2 && certificate.windows(name.len()).any(|window| window == name)
        });
        assert!(shared, "covered without a common name");
    }
}

/// Nothing is believed in a file but what the authority signed.
fn file(bytes: &[u8]) {
    let parts: Vec<&[u8]> = RevocationList::split(bytes).collect();
    assert_eq!(parts.concat(), bytes, "a part of the file is lost");
    for part in parts {
        if let Ok(list) = RevocationList::verify(part, &SIGNER.anchors) {
            let signed = SIGNER.genuine.iter().any(|genuine| genuine.says_the_same_as(&list));
            assert!(signed, "believed what nobody signed");
        }
    }
}

fn check(bytes: &[u8]) {
    let Ok(list) = RevocationList::verify(bytes, &SIGNER.anchors) else { return };
    let serials: Vec<&[u8]> = list.serials().collect();
    assert_eq!(serials.len(), list.len());
    assert!(serials.iter().all(|serial| list.contains(serial) && serial.len() <= 20));
    let ascending = serials.is_sorted_by_key(|serial| (serial.len(), *serial));
    assert!(ascending, "an unsorted list cannot be searched");
    assert_eq!(list.may_replace(&list), Ok(()));
    assert!(list.says_the_same_as(&list));
}

impl Signer {
    fn sign(&self, signed: &[u8]) -> Vec<u8> {
        let signature = self.key.sign(signed);
        der::sequence(&[signed, &algorithm(), &der::bit_string(signature.as_ref())])
    }

    fn outline(&self, entries: &[u8], extensions: &[u8]) -> Vec<u8> {
        der::sequence(&[
            &der::element(INTEGER, &[1]),
            &algorithm(),
            &self.name,
            &der::element(UTC_TIME, b"250101000000Z"),
            &der::element(UTC_TIME, b"260101000000Z"),
            &if entries.is_empty() { Vec::new() } else { der::sequence(&[entries]) },
            &der::element(CONTEXT_0, &der::sequence(&[extensions])),
        ])
    }
}

/// Ed25519.
fn algorithm() -> Vec<u8> {
    der::sequence(&[&der::oid(&[0x2b, 0x65, 0x70])])
}
