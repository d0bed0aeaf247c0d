//! The layers of a knock by another hand than the crate's, from the specification: rustls' HPKE on
//! both sides, and HKDF from its definition. With it, tests say what no honest client says.

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{ECDH_P256, PrivateKey};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsBigEndian, EcPrivateKeyBin};
use aws_lc_rs::hmac;
use rcgen::{KeyPair, PublicKeyData, SigningKey};
use rustls::crypto::aws_lc_rs::hpke::DH_KEM_P256_HKDF_SHA256_AES_128;
use rustls::crypto::hpke::{EncapsulatedSecret, Hpke, HpkePrivateKey, HpkePublicKey, HpkeSealer};

use sknock_protocol::Timestamp;

use crate::house::{NOW, Pair};

pub(crate) fn sid(server: &Pair) -> Vec<u8> {
    digest(&SHA256, &server.key.subject_public_key_info()).as_ref().to_vec()
}

fn hpke_info(server: &Pair) -> Vec<u8> {
    [b"sknock v2 knock", sid(server).as_slice()].concat()
}

fn hmac(key: &[u8], data: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data).as_ref().to_vec()
}

/// HKDF-SHA256 of `sid` to up to 32 bytes with an empty salt, from RFC 5869.
fn derived(server: &Pair, info: &str) -> Vec<u8> {
    hmac(&hmac(&[0; 32], &sid(server)), format!("{info}\x01").as_bytes())
}

fn veil(server: &Pair) -> LessSafeKey {
    let key = &derived(server, "sknock v2 veil")[..16];
    LessSafeKey::new(UnboundKey::new(&AES_128_GCM, key).unwrap())
}

/// The tag with this index for a knock with this timestamp.
pub(crate) fn tag(server: &Pair, stamp: Timestamp, index: u16) -> [u8; 4] {
    let epoch = stamp.as_millis() / 64_000;
    let data = [&epoch.to_be_bytes()[..], &index.to_be_bytes()].concat();
    hmac(&derived(server, "sknock v2 tag"), &data)[..4].try_into().unwrap()
}

/// `nonce || AES-GCM(frame)`.
pub(crate) fn cover(server: &Pair, frame: &[u8]) -> Vec<u8> {
    cover_with(server, tag(server, NOW, 4095), frame)
}

/// The same with another tag.
pub(crate) fn cover_with(server: &Pair, tag: [u8; 4], frame: &[u8]) -> Vec<u8> {
    let mut nonce = [3; 12];
    nonce[..4].copy_from_slice(&tag);
    let mut covered = frame.to_vec();
    let key = veil(server);
    let nonce_value = Nonce::assume_unique_for_key(nonce);
    key.seal_in_place_append_tag(nonce_value, Aad::empty(), &mut covered).unwrap();
    [&nonce, covered.as_slice()].concat()
}

/// The frame of a datagram: enc and HPKE ciphertext.
pub(crate) fn uncover(server: &Pair, datagram: &[u8]) -> Vec<u8> {
    let nonce = Nonce::try_assume_unique_for_key(&datagram[..12]).unwrap();
    let mut covered = datagram[12..].to_vec();
    veil(server).open_in_place(nonce, Aad::empty(), &mut covered).unwrap().to_vec()
}

/// The message in a datagram, as its server reads it.
pub(crate) fn open(server: &Pair, datagram: &[u8]) -> Vec<u8> {
    let key = PrivateKey::from_private_key_der(&ECDH_P256, &server.key.serialize_der()).unwrap();
    let key: EcPrivateKeyBin<'_> = key.as_be_bytes().unwrap();
    let key = HpkePrivateKey::from(key.as_ref().to_vec());
    let frame = uncover(server, datagram);
    let enc = EncapsulatedSecret(frame[..65].to_vec());
    DH_KEM_P256_HKDF_SHA256_AES_128.open(&enc, &hpke_info(server), b"", &frame[65..], &key).unwrap()
}

/// An encapsulation to a server, in which one message can be sent.
pub(crate) struct Envelope<'a> {
    server: &'a Pair,
    enc: Vec<u8>,
    sealer: Box<dyn HpkeSealer>,
}

impl<'a> Envelope<'a> {
    pub(crate) fn new(server: &'a Pair) -> Self {
        let public = HpkePublicKey(server.key.public_key_raw().to_vec());
        let suite = DH_KEM_P256_HKDF_SHA256_AES_128;
        let (enc, sealer) = suite.setup_sealer(&hpke_info(server), &public).unwrap();
        Self { server, enc: enc.0, sealer }
    }

    /// The bytes that a client signs.
    pub(crate) fn signed(&self, unsigned: &[u8]) -> Vec<u8> {
        [b"sknock v2 signature\0", sid(self.server).as_slice(), &self.enc, unsigned].concat()
    }

    /// `unsigned`, rightly signed with `key`.
    pub(crate) fn message(&self, unsigned: &[u8], key: &KeyPair) -> Vec<u8> {
        with_signature(unsigned, &key.sign(&self.signed(unsigned)).unwrap())
    }

    pub(crate) fn close(mut self, message: &[u8]) -> Vec<u8> {
        let sealed = self.sealer.seal(b"", message).unwrap();
        cover(self.server, &[self.enc, sealed].concat())
    }
}

/// The whole message.
pub(crate) fn with_signature(unsigned: &[u8], signature: &[u8]) -> Vec<u8> {
    let length = u8::try_from(signature.len()).unwrap();
    let mut message = [unsigned, &[length], signature].concat();
    assert!(message.len() <= 1091);
    message.resize(1091, 0);
    message
}

/// A message up to its signature: SSH, stamped now, with these addresses and this certificate.
pub(crate) fn unsigned(addresses: &[u8], certificate: &[u8]) -> Vec<u8> {
    let mut out = vec![2, 0];
    out.extend(NOW.as_millis().to_be_bytes());
    out.extend([0, 0]);
    out.extend(addresses);
    out.extend([1, 6, 0, 22, 0, 22]);
    out.extend(u16::try_from(certificate.len()).unwrap().to_be_bytes());
    out.extend(certificate);
    out
}

/// One address: the packet's source.
pub(crate) const FROM_SOURCE: [u8; 2] = [1, 0];
