//! Datagrams that are refused, each at the last check that its kind can reach.

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{ECDH_P256, PrivateKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::rand;
use sknock_protocol::ServerCertificate;
use sknock_protocol::v2::DATAGRAM_LENGTH;
use sknock_protocol::v2::tag::{self, TagKey};
use sknock_tests::wait::now;

const NONCE: usize = 12;
const TAG: usize = 16;

/// Random bytes.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    rand::fill(&mut bytes).expect("there is randomness");
    bytes
}

/// Under the right veil, which any holder of the server's certificate can compute, a valid point and noise:
/// the server must do the ECDH to refuse it.
pub(crate) fn veiled_noise(server: &ServerCertificate) -> Vec<u8> {
    let mut frame = noise(DATAGRAM_LENGTH - NONCE - TAG);
    let one_time = PrivateKey::generate(&ECDH_P256).expect("there is randomness");
    let point = one_time.compute_public_key().expect("a fresh key has one");
    frame[..point.as_ref().len()].copy_from_slice(point.as_ref());

    let mut datagram = tagged(server, noise(NONCE));
    let nonce = Nonce::try_assume_unique_for_key(&datagram).expect("12 bytes");
    veil(server).seal_in_place_append_tag(nonce, Aad::empty(), &mut frame).expect("it is short");
    datagram.append(&mut frame);
    datagram
}

/// Replaces the beginning by a tag that the server accepts for an hour, as somebody could who captured one.
pub(crate) fn tagged(server: &ServerCertificate, mut bytes: Vec<u8>) -> Vec<u8> {
    let tag = TagKey::new(server.sid()).expect("memory").tag(tag::epoch(now()), 0);
    bytes[..tag.len()].copy_from_slice(&tag);
    bytes
}

fn veil(server: &ServerCertificate) -> LessSafeKey {
    let mut bytes = [0; 16];
    let secret = Salt::new(HKDF_SHA256, &[]).extract(server.sid());
    let okm = secret.expand(&[b"sknock v2 veil"], Length).expect("a short key");
    okm.fill(&mut bytes).expect("the same length");
    LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &bytes).expect("16 bytes"))
}

struct Length;

impl KeyType for Length {
    fn len(&self) -> usize {
        16
    }
}
