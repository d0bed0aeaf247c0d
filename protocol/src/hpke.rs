//! The server's half of HPKE: RFC 9180, base mode, one message a context,
//! DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-128-GCM.
//!
//! A composition of library primitives only. It exists because rustls takes the private key as bytes and
//! computes its public key for every message, which costs as much as the decryption itself. The client uses
//! rustls.

use core::fmt;

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA256, Prk};
use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use crate::crypto::{AeadKey, KEY_LENGTH, Length, NONCE_LENGTH, Point, UNCOMPRESSED};

/// "KEM", then DHKEM(P-256, HKDF-SHA256) (RFC 9180, 4.1 and 7.1).
const KEM_SUITE: &[u8] = b"KEM\x00\x10";
/// "HPKE", then the same, HKDF-SHA256 and AES-128-GCM (RFC 9180, 5.1, 7.2 and 7.3).
const HPKE_SUITE: &[u8] = b"HPKE\x00\x10\x00\x01\x00\x01";
const VERSION: &[u8] = b"HPKE-v1";
const HASH_LENGTH: usize = 32;

/// Opens messages to one private key under one `info`.
pub(crate) struct Opener {
    key: PrivateKey,
    public: Point,
    /// `key_schedule_context`: depends on `info` alone, so it is computed once.
    context: [u8; 1 + 2 * HASH_LENGTH],
}

impl Opener {
    /// `public` is the point of `key`.
    pub(crate) fn new(key: PrivateKey, public: Point, info: &[u8]) -> Self {
        let mut context = [0; 1 + 2 * HASH_LENGTH]; // the first byte is the mode: 0, base
        let (psk_id_hash, info_hash) = context[1..].split_at_mut(HASH_LENGTH);
        psk_id_hash.copy_from_slice(extract(HPKE_SUITE, b"", b"psk_id_hash", b"").as_ref());
        info_hash.copy_from_slice(extract(HPKE_SUITE, b"", b"info_hash", info).as_ref());
        Self { key, public, context }
    }

    /// The server's one static key, also used for v1, which is not HPKE.
    pub(crate) fn key(&self) -> &PrivateKey {
        &self.key
    }

    /// Decrypts `sealed` (ciphertext, tag) in place and returns the plaintext.
    pub(crate) fn open<'a>(
        &self,
        encapsulation: &Point,
        aad: &[u8],
        sealed: &'a mut [u8],
    ) -> Result<&'a mut [u8], Unspecified> {
        let shared_secret = self.decapsulate(encapsulation)?;
        let (key, nonce) = self.key_schedule(&shared_secret)?;
        AeadKey::new(&key)?.open(nonce, aad, sealed)
    }

    /// RFC 9180, 4.1, `Decap`.
    fn decapsulate(
        &self,
        encapsulation: &Point,
    ) -> Result<Zeroizing<[u8; HASH_LENGTH]>, Unspecified> {
        if !encapsulation.starts_with(&[UNCOMPRESSED]) {
            return Err(Unspecified);
        }
        let theirs = UnparsedPublicKey::new(&ECDH_P256, encapsulation);
        agree(&self.key, theirs, Unspecified, |dh| {
            let prk = prk(&extract(KEM_SUITE, b"", b"eae_prk", dh));
            let kem_context = [encapsulation.as_slice(), &self.public];
            expand(&prk, KEM_SUITE, b"shared_secret", &kem_context)
        })
    }

    /// RFC 9180, 5.1, `KeySchedule` without a PSK: key and base nonce, which is the first nonce.
    fn key_schedule(
        &self,
        shared_secret: &[u8; HASH_LENGTH],
    ) -> Result<(Zeroizing<[u8; KEY_LENGTH]>, [u8; NONCE_LENGTH]), Unspecified> {
        let secret = prk(&extract(HPKE_SUITE, shared_secret, b"secret", b""));
        let key = expand(&secret, HPKE_SUITE, b"key", &[&self.context])?;
        let nonce = expand(&secret, HPKE_SUITE, b"base_nonce", &[&self.context])?;
        Ok((key, *nonce))
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opener(..)")
    }
}

/// RFC 9180, 4, `LabeledExtract`. HKDF's extract is one HMAC keyed with the salt (RFC 5869, 2.2); the library
/// offers it separately only as HMAC.
fn extract(suite: &[u8], salt: &[u8], label: &[u8], ikm: &[u8]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, salt));
    for part in [VERSION, suite, label, ikm] {
        context.update(part);
    }
    context.sign()
}

fn prk(tag: &hmac::Tag) -> Prk {
    Prk::new_less_safe(HKDF_SHA256, tag.as_ref())
}

/// RFC 9180, 4, `LabeledExpand` to `N` bytes.
fn expand<const N: usize>(
    prk: &Prk,
    suite: &[u8],
    label: &[u8],
    info: &[&[u8]],
) -> Result<Zeroizing<[u8; N]>, Unspecified> {
    let length = u16::try_from(N).map_err(|_| Unspecified)?.to_be_bytes();
    let labeled = [&[&length, VERSION, suite, label], info].concat();
    let mut out = Zeroizing::new([0; N]);
    prk.expand(&labeled, Length(N))?.fill(out.as_mut())?;
    Ok(out)
}

#[cfg(test)]
mod tests;
