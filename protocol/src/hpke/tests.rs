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
    assert_gives_the_rfc_values(&Exporter::new(&shared, opener.schedule));
}

fn assert_gives_the_rfc_values(exporter: &Exporter) {
    let (key, nonce) = exporter.message_key().unwrap();
    assert_eq!(key.to_vec(), rfc("/key"));
    assert_eq!(nonce.to_vec(), rfc("/base_nonce"));
    assert_eq!(exporter.exporter_secret().unwrap().to_vec(), rfc("/exporter_secret"));
    for number in 0..3 {
        let context = rfc(&format!("/exports/{number}/exporter_context"));
        let value = exporter.export::<32>(&[&context]).unwrap();
        assert_eq!(value.to_vec(), rfc(&format!("/exports/{number}/exported_value")));
    }
}

/// The exporter context is given in parts, and its length counts: L is in the label.
#[test]
fn parts_of_an_exporter_context_are_joined() {
    let context = rfc("/exports/2/exporter_context");
    let exporter = rfc_sealer().exporter;
    let (head, tail) = context.split_at(4);
    let value = exporter.export::<32>(&[head, tail]).unwrap();
    assert_eq!(value.to_vec(), rfc("/exports/2/exported_value"));
    assert_ne!(exporter.export::<16>(&[&context]).unwrap()[..], value[..16]);
}

/// A sender with the RFC's one-time key.
fn rfc_sealer() -> Sealer {
    let one_time = PrivateKey::from_private_key(&ECDH_P256, &rfc("/skEm")).unwrap();
    Sealer::with_key(&one_time, &rfc("/pkRm").try_into().unwrap(), &rfc("/info")).unwrap()
}

#[test]
fn a_sender_gives_the_rfc_values() {
    let sealer = rfc_sealer();
    assert_eq!(sealer.encapsulation().to_vec(), rfc("/enc"));
    let mut message = rfc("/encryptions/0/pt");
    let (tag, exporter) = sealer.seal(&rfc("/encryptions/0/aad"), &mut message).unwrap();
    message.extend(tag);
    assert_eq!(message, rfc("/encryptions/0/ct"));
    assert_gives_the_rfc_values(&exporter);
}

#[test]
fn both_sides_export_the_same_and_no_other_context_does() {
    let key = PrivateKey::generate(&ECDH_P256).unwrap();
    let public = key.compute_public_key().unwrap().as_ref().try_into().unwrap();
    let recipient = opener(key, b"info");
    let knock = || {
        let sender = Sealer::new(&public, b"info").unwrap();
        let enc = *sender.encapsulation();
        let mut sealed = b"message".to_vec();
        let (tag, exporter) = sender.seal(b"", &mut sealed).unwrap();
        sealed.extend(tag);
        let (plain, theirs) = recipient.open(&enc, b"", &mut sealed).unwrap();
        assert_eq!(plain, b"message");
        let value = exporter.export::<16>(&[b"a"]).unwrap();
        assert_eq!(theirs.export::<16>(&[b"a"]).unwrap(), value);
        assert_ne!(theirs.export::<16>(&[b"b"]).unwrap(), value);
        value
    };
    assert_ne!(knock(), knock());
}

#[test]
fn nothing_is_encapsulated_to_what_is_no_point() {
    let mut off: Point = rfc("/pkRm").try_into().unwrap();
    off[64] ^= 1;
    assert!(Sealer::new(&off, b"").is_err());
    assert!(Sealer::new(&[0; 65], b"").is_err());
}

#[test]
fn an_exporter_is_never_printed() {
    assert_eq!(format!("{:?}", rfc_sealer().exporter), "Exporter(..)");
}

#[test]
fn the_rfc_message_opens() {
    let mut sealed = rfc("/encryptions/0/ct");
    let aad = rfc("/encryptions/0/aad");
    let (plain, exporter) = rfc_opener().open(&rfc_enc(), &aad, &mut sealed).unwrap();
    assert_eq!(plain, rfc("/encryptions/0/pt"));
    assert_gives_the_rfc_values(&exporter);
}

#[test]
fn what_rustls_seals_opens_here() {
    let key = PrivateKey::generate(&ECDH_P256).unwrap();
    let public = HpkePublicKey(key.compute_public_key().unwrap().as_ref().to_vec());
    let (enc, mut sealed) =
        DH_KEM_P256_HKDF_SHA256_AES_128.seal(b"info", b"aad", b"message", &public).unwrap();
    let enc = enc.0.try_into().unwrap();
    assert_eq!(opener(key, b"info").open(&enc, b"aad", &mut sealed).unwrap().0, b"message");
}

#[test]
fn what_is_sealed_here_opens_in_rustls() {
    let key = PrivateKey::generate(&ECDH_P256).unwrap();
    let raw: EcPrivateKeyBin<'_> = key.as_be_bytes().unwrap();
    let theirs = HpkePrivateKey::from(raw.as_ref().to_vec());
    let public = key.compute_public_key().unwrap().as_ref().try_into().unwrap();

    let sender = Sealer::new(&public, b"info").unwrap();
    let enc = sender.encapsulation().to_vec();
    let mut sealed = b"message".to_vec();
    let (tag, _) = sender.seal(b"", &mut sealed).unwrap();
    sealed.extend(tag);

    let enc = EncapsulatedSecret(enc);
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
