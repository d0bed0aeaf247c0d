//! HPKE: RFC 9180, base mode, one message and one exported secret for each context,
//! DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-128-GCM.
//!
//! A composition of library primitives only. It exists because rustls has no export (5.3). It also takes the
//! private key as bytes and computes its public key for every message, which costs as much as the decryption
//! itself.

use core::fmt;

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA256, Prk};
use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use crate::crypto::{AeadKey, KEY_LENGTH, Length, NONCE_LENGTH, Point, TAG_LENGTH, UNCOMPRESSED};

/// "KEM", then DHKEM(P-256, HKDF-SHA256) (RFC 9180, 4.1 and 7.1).
const KEM_SUITE: &[u8] = b"KEM\x00\x10";
/// "HPKE", then the same, HKDF-SHA256 and AES-128-GCM (RFC 9180, 5.1, 7.2 and 7.3).
const HPKE_SUITE: &[u8] = b"HPKE\x00\x10\x00\x01\x00\x01";
const VERSION: &[u8] = b"HPKE-v1";
const HASH_LENGTH: usize = 32;

/// `key_schedule_context`: mode 0 (base), hash of no PSK id, hash of `info`.
type ScheduleContext = [u8; 1 + 2 * HASH_LENGTH];

/// Opens messages to one private key under one `info`.
pub(crate) struct Opener {
    key: PrivateKey,
    public: Point,
    /// Depends on `info` alone, so it is computed once.
    schedule: ScheduleContext,
}

impl Opener {
    /// `public` is the point of `key`.
    pub(crate) fn new(key: PrivateKey, public: Point, info: &[u8]) -> Self {
        Self { key, public, schedule: schedule_context(info) }
    }

    /// The server's one static key, also used for v1, which is not HPKE.
    pub(crate) fn key(&self) -> &PrivateKey {
        &self.key
    }

    /// Decrypts `sealed` (ciphertext, tag) in place; returns the plaintext and the rest of the context.
    pub(crate) fn open<'a>(
        &self,
        encapsulation: &Point,
        aad: &[u8],
        sealed: &'a mut [u8],
    ) -> Result<(&'a mut [u8], Exporter), Unspecified> {
        let shared_secret = self.decapsulate(encapsulation)?;
        let exporter = Exporter::new(&shared_secret, self.schedule);
        let (key, nonce) = exporter.message_key()?;
        Ok((AeadKey::new(&key)?.open(nonce, aad, sealed)?, exporter))
    }

    /// RFC 9180, 4.1, `Decap`.
    fn decapsulate(
        &self,
        encapsulation: &Point,
    ) -> Result<Zeroizing<[u8; HASH_LENGTH]>, Unspecified> {
        // The one encoding of RFC 9180, 7.1.1. 65 bytes can also be a hybrid point (06, 07).
        if !encapsulation.starts_with(&[UNCOMPRESSED]) {
            return Err(Unspecified);
        }
        shared_secret(&self.key, encapsulation, &[encapsulation.as_slice(), &self.public])
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opener(..)")
    }
}

/// A context for one message to a public key.
pub(crate) struct Sealer {
    encapsulation: Point,
    exporter: Exporter,
}

impl Sealer {
    /// Encapsulates to `recipient`, a point on the curve, with a new one-time key.
    pub(crate) fn new(recipient: &Point, info: &[u8]) -> Result<Self, Unspecified> {
        Self::with_key(&PrivateKey::generate(&ECDH_P256)?, recipient, info)
    }

    /// RFC 9180, 4.1, `Encap`. `one_time` must not be used twice.
    fn with_key(
        one_time: &PrivateKey,
        recipient: &Point,
        info: &[u8],
    ) -> Result<Self, Unspecified> {
        let public = one_time.compute_public_key()?;
        let encapsulation = public.as_ref().try_into().map_err(|_| Unspecified)?;
        let kem_context: [&[u8]; 2] = [public.as_ref(), recipient];
        let shared_secret = shared_secret(one_time, recipient, &kem_context)?;
        let exporter = Exporter::new(&shared_secret, schedule_context(info));
        Ok(Self { encapsulation, exporter })
    }

    /// The one-time public key.
    pub(crate) fn encapsulation(&self) -> &Point {
        &self.encapsulation
    }

    /// Encrypts the one message in place; returns its tag and the rest of the context.
    pub(crate) fn seal(
        self,
        aad: &[u8],
        message: &mut [u8],
    ) -> Result<([u8; TAG_LENGTH], Exporter), Unspecified> {
        let (key, nonce) = self.exporter.message_key()?;
        Ok((AeadKey::new(&key)?.seal(nonce, aad, message)?, self.exporter))
    }
}

/// What remains of a context when its message is sealed or opened: it exports secrets that only the sender
/// and the recipient have.
pub(crate) struct Exporter {
    /// `secret` of the key schedule. The library overwrites it when it is dropped.
    secret: Prk,
    schedule: ScheduleContext,
}

impl Exporter {
    /// RFC 9180, 5.1, `KeySchedule` without a PSK.
    fn new(shared_secret: &[u8; HASH_LENGTH], schedule: ScheduleContext) -> Self {
        Self { secret: prk(&extract(HPKE_SUITE, shared_secret, b"secret", b"")), schedule }
    }

    /// Key and base nonce, which is the first nonce.
    fn message_key(
        &self,
    ) -> Result<(Zeroizing<[u8; KEY_LENGTH]>, [u8; NONCE_LENGTH]), Unspecified> {
        let key = expand(&self.secret, HPKE_SUITE, b"key", &[&self.schedule])?;
        let nonce = expand(&self.secret, HPKE_SUITE, b"base_nonce", &[&self.schedule])?;
        Ok((key, *nonce))
    }

    /// RFC 9180, 5.3, `Context.Export`: `N` bytes, others for every `exporter_context` (here in parts).
    pub(crate) fn export<const N: usize>(
        &self,
        exporter_context: &[&[u8]],
    ) -> Result<Zeroizing<[u8; N]>, Unspecified> {
        let secret = self.exporter_secret()?;
        let prk = Prk::new_less_safe(HKDF_SHA256, secret.as_ref());
        expand(&prk, HPKE_SUITE, b"sec", exporter_context)
    }

    fn exporter_secret(&self) -> Result<Zeroizing<[u8; HASH_LENGTH]>, Unspecified> {
        expand(&self.secret, HPKE_SUITE, b"exp", &[&self.schedule])
    }
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exporter(..)")
    }
}

/// RFC 9180, 4.1, `DH` and `ExtractAndExpand`.
fn shared_secret(
    ours: &PrivateKey,
    theirs: &Point,
    kem_context: &[&[u8]],
) -> Result<Zeroizing<[u8; HASH_LENGTH]>, Unspecified> {
    agree(ours, UnparsedPublicKey::new(&ECDH_P256, theirs), Unspecified, |dh| {
        let prk = prk(&extract(KEM_SUITE, b"", b"eae_prk", dh));
        expand(&prk, KEM_SUITE, b"shared_secret", kem_context)
    })
}

fn schedule_context(info: &[u8]) -> ScheduleContext {
    let mut context = [0; 1 + 2 * HASH_LENGTH]; // the first byte is the mode: 0, base
    let (psk_id_hash, info_hash) = context[1..].split_at_mut(HASH_LENGTH);
    psk_id_hash.copy_from_slice(extract(HPKE_SUITE, b"", b"psk_id_hash", b"").as_ref());
    info_hash.copy_from_slice(extract(HPKE_SUITE, b"", b"info_hash", info).as_ref());
    context
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
