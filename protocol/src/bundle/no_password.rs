//! PKCS#12 files without any password, as `GnuTLS` makes them with `--null-password`. That is another than an
//! empty one (RFC 7292, B.1): the MAC's key is derived from no bytes at all, not from the two that end a text.
//! The library only knows texts.

use aws_lc_rs::hmac;
use pkcs12::kdf::{Pkcs12KeyType, derive_key};
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};

use super::ciphers;
use super::frame::{MacData, MacFrame};
use crate::der::NotDer;

/// As many as the library allows.
const MOST_ITERATIONS: i32 = 1_000_000;

/// Whether the file's MAC is right for no password.
pub(super) fn fits(frame: &MacFrame) -> bool {
    has_right_mac(frame).unwrap_or(false)
}

fn has_right_mac(frame: &MacFrame) -> Result<bool, NotDer> {
    let mac = frame.mac_data()?;
    let rounds = mac.iterations()?;
    if !(1..=MOST_ITERATIONS).contains(&rounds) {
        return Ok(false);
    }
    let MacData { salt, digest, .. } = mac;
    let purpose = Pkcs12KeyType::Mac;
    let (algorithm, key) = match ciphers::name(mac.algorithm).as_str() {
        "SHA1" => {
            let key = derive_key::<Sha1>(&[], salt, purpose, rounds, 20);
            (hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key)
        }
        "SHA256" => (hmac::HMAC_SHA256, derive_key::<Sha256>(&[], salt, purpose, rounds, 32)),
        "SHA384" => (hmac::HMAC_SHA384, derive_key::<Sha384>(&[], salt, purpose, rounds, 48)),
        "SHA512" => (hmac::HMAC_SHA512, derive_key::<Sha512>(&[], salt, purpose, rounds, 64)),
        _ => return Ok(false),
    };
    Ok(hmac::verify(&hmac::Key::new(algorithm, &key), frame.content()?, digest).is_ok())
}
