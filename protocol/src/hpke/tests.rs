//! HPKE against RFC 9180's own vectors, and against rustls in both directions.

use aws_lc_rs::encoding::{AsBigEndian, EcPrivateKeyBin};
use rustls::crypto::aws_lc_rs::hpke::DH_KEM_P256_HKDF_SHA256_AES_128;
use rustls::crypto::hpke::{EncapsulatedSecret, Hpke, HpkePrivateKey, HpkePublicKey};

use super::*;

/// RFC 9180, A.3.1: DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-128-GCM, base mode.
mod rfc9180 {
    pub(super) const INFO: &str = "4f6465206f6e2061204772656369616e2055726e";
    pub(super) const SK_RM: &str =
        "f3ce7fdae57e1a310d87f1ebbde6f328be0a99cdbcadf4d6589cf29de4b8ffd2";
    pub(super) const PK_RM: &str = "04fe8c19ce0905191ebc298a9245792531f26f0cece2460639e8bc39cb7f70\
        6a826a779b4cf969b8a0e539c7f62fb3d30ad6aa8f80e30f1d128aafd68a2ce72ea0";
    pub(super) const ENC: &str = "04a92719c6195d5085104f469a8b9814d5838ff72b60501e2c4466e5e67b32\
        5ac98536d7b61a1af4b78e5b7f951c0900be863c403ce65c9bfcb9382657222d18c4";
    pub(super) const SHARED_SECRET: &str =
        "c0d26aeab536609a572b07695d933b589dcf363ff9d93c93adea537aeabb8cb8";
    pub(super) const KEY: &str = "868c066ef58aae6dc589b6cfdd18f97e";
    pub(super) const BASE_NONCE: &str = "4e0bc5018beba4bf004cca59";
    pub(super) const PLAIN: &str = "4265617574792069732074727574682c20747275746820626561757479";
    pub(super) const AAD: &str = "436f756e742d30";
    pub(super) const SEALED: &str = "5ad590bb8baa577f8619db35a36311226a896e7342a6d836d8b7bcd2f20b\
        6c7f9076ac232e3ab2523f39513434";
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn opener(key: PrivateKey, info: &[u8]) -> Opener {
    let public = key.compute_public_key().unwrap().as_ref().try_into().unwrap();
    Opener::new(key, public, info)
}

fn rfc_opener() -> Opener {
    let key = PrivateKey::from_private_key(&ECDH_P256, &bytes(rfc9180::SK_RM)).unwrap();
    opener(key, &bytes(rfc9180::INFO))
}

fn rfc_enc() -> Encapsulation {
    bytes(rfc9180::ENC).try_into().unwrap()
}

#[test]
fn every_step_gives_the_rfc_values() {
    let opener = rfc_opener();
    assert_eq!(opener.public.to_vec(), bytes(rfc9180::PK_RM));
    let shared = opener.decapsulate(&rfc_enc()).unwrap();
    assert_eq!(shared.to_vec(), bytes(rfc9180::SHARED_SECRET));
    let (key, nonce) = opener.key_schedule(&shared).unwrap();
    assert_eq!(key.to_vec(), bytes(rfc9180::KEY));
    assert_eq!(nonce.to_vec(), bytes(rfc9180::BASE_NONCE));
}

#[test]
fn the_rfc_message_opens() {
    let mut sealed = bytes(rfc9180::SEALED);
    let plain = rfc_opener().open(&rfc_enc(), &bytes(rfc9180::AAD), &mut sealed).unwrap();
    assert_eq!(plain, bytes(rfc9180::PLAIN));
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
    let enc: Encapsulation = ephemeral.compute_public_key().unwrap().as_ref().try_into().unwrap();
    let (key, nonce) = ours.key_schedule(&ours.decapsulate(&enc).unwrap()).unwrap();
    let mut sealed = b"message".to_vec();
    let tag = Key::new(&key).unwrap().seal(nonce, &mut sealed).unwrap();
    sealed.extend(tag);

    let enc = EncapsulatedSecret(enc.to_vec());
    let opened = DH_KEM_P256_HKDF_SHA256_AES_128.open(&enc, b"info", b"", &sealed, &theirs);
    assert_eq!(opened.unwrap(), b"message");
}

#[test]
fn another_info_aad_or_encapsulation_does_not_open() {
    let sealed = bytes(rfc9180::SEALED);
    let aad = bytes(rfc9180::AAD);
    let key = PrivateKey::from_private_key(&ECDH_P256, &bytes(rfc9180::SK_RM)).unwrap();
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
