//! CA certificates that are given and not used.

use pki_types::alg_id;
use rcgen::{CustomExtension, KeyUsagePurpose};

use super::super::signature::{self, SIGNATURES};
use super::super::unusable::{self, UnfitAuthority, UnusableCa};
use super::*;
use crate::der as der_of;

fn with(name: &str, above: Option<&Authority>, edit: impl Fn(&mut CertificateParams)) -> Authority {
    let (mut params, key) = (authority_params(name, (2020, 2040)), KeyPair::generate().unwrap());
    edit(&mut params);
    match above {
        None => CertifiedIssuer::self_signed(params, key).unwrap(),
        Some(above) => CertifiedIssuer::signed_by(params, key, above).unwrap(),
    }
}

fn usage(usages: &[KeyUsagePurpose]) -> impl Fn(&mut CertificateParams) {
    move |params| params.key_usages = usages.to_vec()
}

fn critical(oid: &[u64]) -> impl Fn(&mut CertificateParams) {
    move |params| {
        let mut extension = CustomExtension::from_oid_content(oid, vec![5, 0]);
        extension.set_criticality(true);
        params.custom_extensions.push(extension);
    }
}

fn is_believed(trust_store: &TrustStore, by: &Authority) -> bool {
    trust_store.verify_client(&signed(&client_params((2024, 2030)), by), CLIENT, NOW).is_ok()
}

/// RFC 5280, 6.1.4 (n).
#[test]
fn a_ca_without_key_cert_sign_is_on_no_path_to_an_anchor() {
    use KeyUsagePurpose::{CrlSign, DigitalSignature, KeyCertSign};
    let root = root("root");
    for (usages, may) in [
        (&[][..], true),
        (&[KeyCertSign], true),
        (&[CrlSign, KeyCertSign], true),
        (&[CrlSign], false),
        (&[DigitalSignature], false),
    ] {
        let below = with("below", Some(&root), usage(usages));
        let under = intermediate("under", (2020, 2040), &below);
        let other = with("other", None, usage(usages));
        let trust_store = trust_store(&[&root, &below, &under, &other]);
        for by in [&below, &under, &other] {
            assert_eq!(is_believed(&trust_store, by), may, "{usages:?}");
            let certificate = signed(&client_params((2024, 2030)), by);
            let lax = trust_store.verify_client(&certificate, Usage::Any, NOW);
            assert_eq!(lax.is_ok(), may, "{usages:?}, for any usage");
        }
        assert!(is_believed(&trust_store, &root));
    }
}

/// Every critical extension of RFC 5280's arc, and an unregistered one.
#[test]
fn a_critical_extension_not_understood_keeps_out_an_intermediate_and_no_other() {
    let (root, good) = (self::root("root"), self::root("good"));
    let understood = [15, 17, 19, 30, 31, 37];
    let standard = (0..=127).filter(|last| !understood.contains(last));
    let oids: Vec<Vec<u64>> = standard.map(|last| vec![2, 5, 29, last]).collect();
    let oids: Vec<_> = oids.into_iter().chain([vec![1, 2, 3, 4, 5]]).collect();
    let below: Vec<_> = oids.iter().map(|oid| with("below", Some(&root), critical(oid))).collect();
    // Of an anchor, name and key count.
    let anchor = with("anchor", None, critical(&[2, 5, 29, 36]));
    let mut given = vec![&root, &good, &anchor];
    given.extend(&below);
    let trust_store = trust_store(&given);
    for (place, (oid, unfit)) in oids.iter().zip(trust_store.unfit()).enumerate() {
        let dots = oid.iter().map(u64::to_string).collect::<Vec<_>>().join(".");
        let why = UnusableCa::CriticalExtension { oids: vec![dots] };
        assert_eq!(*unfit, UnfitAuthority { number: place + 4, why });
        assert!(!is_believed(&trust_store, &below[place]));
    }
    assert_eq!((trust_store.unfit().len(), trust_store.issuers().len()), (oids.len(), 3));
    assert!([&root, &good, &anchor].iter().all(|by| is_believed(&trust_store, by)));
}

/// RFC 5280, 4.2.1.10: one subtree of each kind. An authority is reported as unused exactly when
/// `rustls-webpki` refuses every client certificate below it, whatever its subjectAltName.
#[test]
fn name_constraints_are_reported_exactly_if_they_refuse_all_clients() {
    let root = self::root("root");
    let kinds: [(u8, &[u8]); 11] = [
        (0xa0, &[6, 1, 1, 0xa0, 2, 5, 0]),
        (0x81, b"mail.example"),
        (0x82, b"host.example"),
        (0xa3, &[0x30, 0]),
        (0xa4, &[0x30, 0]),
        (0xa5, &[0x81, 0]),
        (0x86, b".example"),
        (0x87, &[192, 0, 2, 0, 255, 255, 255, 0]),
        (0x88, &[42]),
        (0x8f, &[]),
        (0x84, &[]),
    ];
    let mut nameless = client_params((2024, 2030));
    nameless.subject_alt_names.clear();
    for (tag, content) in kinds {
        for list in [0xa0, 0xa1] {
            let name = der_of::encode(tag, &[content]);
            let subtree = der_of::encode(SEQUENCE, &[&name]);
            let subtrees = der_of::encode(list, &[&subtree]);
            let value = der_of::encode(SEQUENCE, &[&subtrees]);
            let below = with("below", Some(&root), |params| {
                let mut extension =
                    CustomExtension::from_oid_content(&[2, 5, 29, 30], value.clone());
                extension.set_criticality(true);
                params.custom_extensions.push(extension);
            });
            let whole = trust_store(&[&root, &below]);
            let is_told = !whole.unfit().is_empty();
            // Whatever was named: what comes of it if it is used.
            let mut unasked = trust_store(&[&root]);
            unasked.intermediates.push(der(&below).into());
            let passes =
                |params| unasked.verify_client(&signed(params, &below), CLIENT, NOW).is_ok();
            assert_eq!(is_told, !passes(&nameless), "tag {tag:x} in {list:x}");
            assert!(!is_told || !passes(&client_params((2024, 2030))));
            assert_eq!(is_told, matches!(tag, 0xa4 | 0x8f | 0x84), "tag {tag:x}");
        }
    }
}

#[test]
fn a_certificate_signed_by_an_unusable_ca_is_no_anchor() {
    let list_signer = usage(&[KeyUsagePurpose::CrlSign]);
    let (old, root) = (with("root", None, list_signer), self::root("other"));
    let vouched = named("root", &KeyPair::generate().unwrap(), Some(&old));
    let trust_store = trust_store(&[&old, &vouched, &root]);
    let [vouched_for, other] = trust_store.issuers() else { panic!("two authorities") };
    assert!(!vouched_for.is_anchor() && other.is_anchor());
    assert_eq!(vouched_for.certificates().count(), 0, "nobody who is used has signed it");
    assert!(!is_believed(&trust_store, &vouched));
}

#[test]
fn the_error_without_an_anchor_names_unused_ca_certificates() {
    let root = with("root", None, usage(&[KeyUsagePurpose::CrlSign]));
    let between = intermediate("between", (2020, 2040), &root);
    let error = TrustStore::new(&[der(&between), der(&root)], 2).unwrap_err();
    let unfit = vec![UnfitAuthority { number: 2, why: UnusableCa::MayNotSign }];
    assert_eq!(error, TrustError::NoAnchor { certificates: 2, unfit });
}

/// A `SubjectPublicKeyInfo`.
fn info(kind: &[u8], key: &[u8]) -> Vec<u8> {
    let kind = der_of::encode(SEQUENCE, &[kind]);
    let key = der_of::encode(der_of::BIT_STRING, &[&[0], key]);
    der_of::encode(SEQUENCE, &[&kind, &key])
}

fn rsa(bits: usize, exponent: &[u8]) -> Vec<u8> {
    let mut modulus = vec![0xff; bits.div_ceil(8)];
    modulus[0] >>= (8 - bits % 8) % 8;
    let modulus = der_of::encode(
        der_of::INTEGER,
        &[if bits.is_multiple_of(8) { &[0][..] } else { &[] }, &modulus],
    );
    let exponent = der_of::encode(der_of::INTEGER, &[exponent]);
    der_of::encode(SEQUENCE, &[&modulus, &exponent])
}

/// The verification algorithms define the supported keys.
#[test]
fn a_key_is_supported_if_and_only_if_something_can_be_verified_with_it() {
    let p256 = KeyPair::generate().unwrap().public_key_raw().to_vec();
    let p384 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let p384 = p384.public_key_raw().to_vec();
    let ed25519 = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap().public_key_raw().to_vec();
    let first = |first: u8| [&[first], &p256[1..]].concat();
    let odd = p256[64] & 1;
    let compressed = [&[2 + odd], &p256[1..33]].concat();
    let mut beside = p256.clone();
    beside[64] ^= 1;
    let (of_rsa, of_p256) = (alg_id::RSA_ENCRYPTION.as_ref(), alg_id::ECDSA_P256.as_ref());
    let of_ed25519 = alg_id::ED25519.as_ref();
    let public_key = [6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
    let k1 = [&public_key[..], &[6, 5, 0x2b, 0x81, 4, 0, 10]].concat();
    let brainpool = [&public_key[..], &[6, 9, 0x2b, 0x24, 3, 3, 2, 8, 1, 1, 7]].concat();
    let explicit = [&public_key[..], &[SEQUENCE, 0]].concat();
    let pss = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10];
    let plain = [1, 0, 1];
    for (what, kind, key, expected) in [
        ("P-256", of_p256, p256.clone(), true),
        ("compressed", of_p256, compressed, true),
        ("hybrid", of_p256, first(6 + odd), false),
        ("beside the curve", of_p256, beside, false),
        ("P-384's point", of_p256, p384.clone(), false),
        ("P-384", alg_id::ECDSA_P384.as_ref(), p384, true),
        ("P-521", alg_id::ECDSA_P521.as_ref(), p256.clone(), false),
        ("secp256k1", &k1, p256.clone(), false),
        ("brainpoolP256r1", &brainpool, p256.clone(), false),
        ("explicit parameters", &explicit, p256, false),
        ("Ed25519", of_ed25519, ed25519.clone(), true),
        ("Ed25519, torn", of_ed25519, ed25519[1..].to_vec(), false),
        ("Ed25519 with NULL", &[of_ed25519, &[5, 0]].concat(), ed25519, false),
        ("RSA 2047", of_rsa, rsa(2047, &plain), false),
        ("RSA 2048", of_rsa, rsa(2048, &plain), true),
        ("RSA 8192", of_rsa, rsa(8192, &[3]), true),
        ("RSA 8193", of_rsa, rsa(8193, &plain), false),
        ("RSA, exponent 1", of_rsa, rsa(2048, &[1]), false),
        ("RSA, exponent of 34 bits", of_rsa, rsa(2048, &[2, 0, 0, 0, 1]), false),
        ("RSA without NULL", &of_rsa[..of_rsa.len() - 2], rsa(2048, &plain), false),
        ("RSA-PSS", &pss, rsa(2048, &plain), false),
    ] {
        assert_eq!(unusable::is_supported(&info(kind, &key)), expected, "{what}");
    }
    assert!(!unusable::is_supported(&[5, 0]));
    // Whatever signatures are accepted, there is something that reads the key.
    for algorithm in SIGNATURES {
        let kind = algorithm.public_key_alg_id();
        assert!(kind.as_ref() == of_rsa || signature::of_key(&kind).is_some());
    }
}
