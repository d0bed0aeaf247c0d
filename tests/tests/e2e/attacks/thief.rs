//! Somebody knocks with a certificate that is not theirs, signed by a key of their own. Clients of ours
//! cannot: so the layers of a knock once more, from PROTOCOL and by rustls' HPKE.

use std::fs;

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use rcgen::{KeyPair, SigningKey};
use rustls::crypto::aws_lc_rs::hpke::DH_KEM_P256_HKDF_SHA256_AES_128;
use rustls::crypto::hpke::{Hpke, HpkePublicKey};
use sknock_protocol::v2::DATAGRAM_LENGTH;
use sknock_tests::Authority;
use sknock_tests::wait::now;

/// A knock with the certificate of `alice`; all of it is right but the signature.
pub(crate) fn knock(authority: &Authority) -> [u8; DATAGRAM_LENGTH] {
    let sid = *authority.server_certificate("gate").sid();
    let server = HpkePublicKey(point(&fs::read(authority.file("gate.cer")).unwrap()));
    let info = [b"sknock v2 knock", sid.as_slice()].concat();
    let suite = DH_KEM_P256_HKDF_SHA256_AES_128;
    let (enc, mut sealer) = suite.setup_sealer(&info, &server).unwrap();

    let unsigned = unsigned(authority.identity("alice").certificate());
    let signed = [b"sknock v2 signature\0", sid.as_slice(), &enc.0, &unsigned].concat();
    let signature = KeyPair::generate().unwrap().sign(&signed).unwrap();
    let mut message = [unsigned, vec![u8::try_from(signature.len()).unwrap()], signature].concat();
    message.resize(1091, 0);
    veil(&sid, [enc.0, sealer.seal(b"", &message).unwrap()].concat())
}

/// Version 2, no flags, stamped now, the packet's source, tcp/22.
fn unsigned(certificate: &[u8]) -> Vec<u8> {
    let length = u16::try_from(certificate.len()).unwrap().to_be_bytes();
    let stamp = now().as_millis().to_be_bytes();
    let wish = [&[0, 0][..], &[1, 0], &[1, 6, 0, 22, 0, 22]].concat();
    [&[2, 0][..], &stamp, &wish, &length, certificate].concat()
}

fn veil(sid: &[u8], mut frame: Vec<u8>) -> [u8; DATAGRAM_LENGTH] {
    let hmac = |key: &[u8], data: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data);
    let secret = hmac(&[0; 32], sid);
    let key = hmac(secret.as_ref(), b"sknock v2 veil\x01");
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key.as_ref()[..16]).unwrap());
    let mut nonce = [7; 12];
    let epoch = (now().as_millis() / 64_000).to_be_bytes();
    let tag_key = hmac(secret.as_ref(), b"sknock v2 tag\x01");
    nonce[..4]
        .copy_from_slice(&hmac(tag_key.as_ref(), &[&epoch[..], &[0, 9]].concat()).as_ref()[..4]);
    let unique = Nonce::assume_unique_for_key(nonce);
    key.seal_in_place_append_tag(unique, Aad::empty(), &mut frame).unwrap();
    [nonce.to_vec(), frame].concat().try_into().expect("1200 bytes")
}

/// The public key in a certificate on P-256: a bit string of an uncompressed point.
fn point(certificate: &[u8]) -> Vec<u8> {
    let begin = [3, 66, 0, 4];
    let place = certificate.windows(4).position(|four| four == begin).expect("a key on P-256");
    certificate[place + 3..place + 68].to_vec()
}
