//! Writing PKCS#12 files with a right MAC (RFC 7292): whoever knows the password can do that.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;

use crate::der::{self, CONTEXT_0, INTEGER, NULL, OCTET_STRING};

/// The password of these files, and of those in `tests/vectors/pkcs12`.
pub const PASSWORD: &str = "portknocking";

const SALT: [u8; 8] = *b"sknock!!";
/// 1.2.840.113549.1.7.1
const DATA: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1];
/// 2.16.840.1.101.3.4.2.1
const SHA256_OID: [u8; 9] = [0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];

/// A file whose `AuthenticatedSafe` (DER) is this.
pub fn file(safe: &[u8]) -> Vec<u8> {
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &mac_key()), safe);
    let algorithm = der::sequence(&[&der::oid(&SHA256_OID), &der::element(NULL, &[])]);
    let info = der::sequence(&[&algorithm, &der::element(OCTET_STRING, mac.as_ref())]);
    let mac_data =
        der::sequence(&[&info, &der::element(OCTET_STRING, &SALT), &der::element(INTEGER, &[1])]);
    der::sequence(&[&der::element(INTEGER, &[3]), &content(safe), &mac_data])
}

/// An `AuthenticatedSafe` of one safe that is not encrypted and holds these bags (DER, one behind
/// the other).
pub fn plain_safe(bags: &[u8]) -> Vec<u8> {
    der::sequence(&[&content(&der::element(der::SEQUENCE, bags))])
}

/// `ContentInfo` of kind `data`.
fn content(bytes: &[u8]) -> Vec<u8> {
    let octets = der::element(OCTET_STRING, bytes);
    der::sequence(&[&der::oid(&DATA), &der::element(CONTEXT_0, &octets)])
}

/// RFC 7292, appendix B.2, with SHA-256, one iteration and purpose 3.
fn mac_key() -> Vec<u8> {
    let password: Vec<u8> = PASSWORD.encode_utf16().chain([0]).flat_map(u16::to_be_bytes).collect();
    let filled = |bytes: &[u8]| -> Vec<u8> {
        bytes.iter().copied().cycle().take(bytes.len().next_multiple_of(64)).collect()
    };
    digest(&SHA256, &[vec![3; 64], filled(&SALT), filled(&password)].concat()).as_ref().to_vec()
}
