//! HPKE against RFC 9180's own vectors, and against rustls in both directions.

use aws_lc_rs::encoding::{AsBigEndian, EcPrivateKeyBin};
use rustls::crypto::aws_lc_rs::hpke::DH_KEM_P256_HKDF_SHA256_AES_128;
use rustls::crypto::hpke::{EncapsulatedSecret, Hpke, HpkePrivateKey, HpkePublicKey};

use super::*;

/// RFC 9180, A.3.1: DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-128-GCM, base mode. The same file
/// checks the Python implementation that makes the vectors of v2.
const RFC9180: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/rfc9180/a3-base.json"));

/// A value of the RFC's vector, by its JSON pointer.
fn rfc(pointer: &str) -> Vec<u8> {
    let vector: serde_json::Value = serde_json::from_str(RFC9180).unwrap();
    bytes(vector.pointer(pointer).unwrap().as_str().unwrap())
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn opener(key: PrivateKey, info: &[u8]) -> Opener {
    let public = key.compute_public_key().unwrap().as_ref().try_into().unwrap();
    Opener::new(key, public, info)
}

fn rfc_opener() -> Opener {
    let key = PrivateKey::from_private_key(&ECDH_P256, &rfc("/skRm")).unwrap();
    opener(key, &rfc("/info"))
}

fn rfc_enc() -> Point {
    rfc("/enc").try_into().unwrap()
}

#[test]
fn every_step_gives_the_rfc_values() {
    let opener = rfc_opener();
    assert_eq!(opener.public.to_vec(), rfc("/pkRm"));
    let shared = opener.decapsulate(&rfc_enc()).unwrap();
    assert_eq!(shared.to_vec(), rfc("/shared_secret"));
    let (key, nonce) = opener.key_schedule(&shared).unwrap();
    assert_eq!(key.to_vec(), rfc("/key"));
    assert_eq!(nonce.to_vec(), rfc("/base_nonce"));
}

#[test]
fn the_rfc_message_opens() {
    let mut sealed = rfc("/encryptions/0/ct");
    let plain = rfc_opener().open(&rfc_enc(), &rfc("/encryptions/0/aad"), &mut sealed).unwrap();
    assert_eq!(plain, rfc("/encryptions/0/pt"));
}

#[test]
fn what_rustls_seals_opens_here() {
    let key = PrivateKey::generate(&ECDH_P256).unwrap();
    let public = HpkePublicKey(key.compute_public_key().unwrap().as_ref().to_vec());
    let (enc, mut sealed) =
        DH_KEM_P256_HKDF_SHA256_AES_128.seal(b"info", b"aad", b"message", &public).unwrap();
    let enc = enc.0.try_into().unwrap();
    assert_eq!(opener(key, b"info").open(&enc, b"aad", &mut sealed).unwrap(), b"message");
}

#[test]
fn what_opens_here_opens_in_rustls() {
    let key = PrivateKey::generate(&ECDH_P256).unwrap();
    let raw: EcPrivateKeyBin<'_> = key.as_be_bytes().unwrap();
    let theirs = HpkePrivateKey::from(raw.as_ref().to_vec());
    let ours = opener(key, b"info");

    // seal with the key and nonce of our own key schedule, as a sender would
    let ephemeral = PrivateKey::generate(&ECDH_P256).unwrap();
    let enc: Point = ephemeral.compute_public_key().unwrap().as_ref().try_into().unwrap();
    let (key, nonce) = ours.key_schedule(&ours.decapsulate(&enc).unwrap()).unwrap();
    let mut sealed = b"message".to_vec();
    let tag = AeadKey::new(&key).unwrap().seal(nonce, &mut sealed).unwrap();
    sealed.extend(tag);

    let enc = EncapsulatedSecret(enc.to_vec());
    let opened = DH_KEM_P256_HKDF_SHA256_AES_128.open(&enc, b"info", b"", &sealed, &theirs);
    assert_eq!(opened.unwrap(), b"message");
}

#[test]
fn another_info_aad_or_encapsulation_does_not_open() {
    let sealed = rfc("/encryptions/0/ct");
    let aad = rfc("/encryptions/0/aad");
    let key = PrivateKey::from_private_key(&ECDH_P256, &rfc("/skRm")).unwrap();
    assert!(opener(key, b"other").open(&rfc_enc(), &aad, &mut sealed.clone()).is_err());
    assert!(rfc_opener().open(&rfc_enc(), b"", &mut sealed.clone()).is_err());
    let other = PrivateKey::generate(&ECDH_P256).unwrap().compute_public_key().unwrap();
    let other = other.as_ref().try_into().unwrap();
    assert!(rfc_opener().open(&other, &aad, &mut sealed.clone()).is_err());
}

#[test]
fn an_encapsulation_off_the_curve_or_of_another_form_is_refused() {
    let mut off = rfc_enc();
    off[64] ^= 1;
    assert!(rfc_opener().decapsulate(&off).is_err());
    for form in [0, 2, 3, 5, 6, 7] {
        let mut altered = rfc_enc();
        altered[0] = form;
        assert!(rfc_opener().decapsulate(&altered).is_err(), "form {form}");
    }
    assert!(rfc_opener().decapsulate(&[0; 65]).is_err());
}
