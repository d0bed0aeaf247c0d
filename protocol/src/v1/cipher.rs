//! ECDH, HKDF and AES-128-CBC as the original combines them: one key and one IV for each one-time key. There
//! is no MAC, so the plaintext is not authenticated.

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::cipher::{
    AES_128, DecryptingKey, DecryptionContext, EncryptionContext, PaddedBlockEncryptingKey,
    UnboundCipherKey,
};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA256, Prk, Salt};
use zeroize::Zeroizing;

use super::BLOCK;
use crate::crypto::{Length, Point, UNCOMPRESSED};

/// The original uses the hexadecimal digits themselves as the salt, not the decoded bytes.
const SALT: &[u8; 206] = b"54686579206c6976696e2720697420757020617420746865204\
    86f74656c2043616c69666f726e69610a576861742061206e69636520737572707269736520287768617420612\
    06e696365207375727072697365290a4272696e6720796f757220616c69626973";
const KEY_INFO: &[u8] = b"knock";
const IV_INFO: &[u8] = b"iv0AES128CBC";

/// Key and IV of one message.
struct Once {
    key: Zeroizing<[u8; BLOCK]>,
    iv: Zeroizing<[u8; BLOCK]>,
}

impl Once {
    /// From our key and the other side's point.
    fn agree(ours: &PrivateKey, theirs: &Point) -> Result<Self, Unspecified> {
        if !theirs.starts_with(&[UNCOMPRESSED]) {
            return Err(Unspecified);
        }
        let theirs = UnparsedPublicKey::new(&ECDH_P256, theirs);
        agree(ours, theirs, Unspecified, |secret| {
            let prk = Salt::new(HKDF_SHA256, SALT).extract(secret);
            Ok(Self { key: expand(&prk, KEY_INFO)?, iv: expand(&prk, IV_INFO)? })
        })
    }

    fn key(&self) -> Result<UnboundCipherKey, Unspecified> {
        UnboundCipherKey::new(&AES_128, &*self.key)
    }
}

fn expand(prk: &Prk, info: &[u8]) -> Result<Zeroizing<[u8; BLOCK]>, Unspecified> {
    let mut out = Zeroizing::new([0; BLOCK]);
    prk.expand(&[info], Length(BLOCK))?.fill(out.as_mut())?;
    Ok(out)
}

/// Decrypts whole blocks in place and keeps the padding: a check by the library would reveal early whether it
/// is right.
pub(super) fn decrypt(
    ours: &PrivateKey,
    theirs: &Point,
    blocks: &mut [u8],
) -> Result<(), Unspecified> {
    let once = Once::agree(ours, theirs)?;
    let context = DecryptionContext::Iv128((&*once.iv).into());
    DecryptingKey::cbc(once.key()?)?.decrypt(blocks, context).map(drop)
}

/// Pads and encrypts `message` in place.
pub(super) fn encrypt(
    ours: &PrivateKey,
    theirs: &Point,
    message: &mut Vec<u8>,
) -> Result<(), Unspecified> {
    let once = Once::agree(ours, theirs)?;
    let context = EncryptionContext::Iv128((&*once.iv).into());
    let key = PaddedBlockEncryptingKey::cbc_pkcs7(once.key()?)?;
    key.less_safe_encrypt(message, context).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_salt_is_a_song_in_hexadecimal_digits() {
        let song = "They livin' it up at the Hotel California\n\
                    What a nice surprise (what a nice surprise)\n\
                    Bring your alibis";
        let digit = |value: u8| char::from_digit(value.into(), 16).unwrap();
        let digits: String =
            song.bytes().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect();
        assert_eq!(SALT.as_slice(), digits.as_bytes());
    }

    #[test]
    fn both_sides_agree() {
        let ours = PrivateKey::generate(&ECDH_P256).unwrap();
        let theirs = PrivateKey::generate(&ECDH_P256).unwrap();
        let point = |key: &PrivateKey| -> Point {
            key.compute_public_key().unwrap().as_ref().try_into().unwrap()
        };
        let mut message = b"knock".to_vec();
        encrypt(&ours, &point(&theirs), &mut message).unwrap();
        decrypt(&theirs, &point(&ours), &mut message).unwrap();
        assert_eq!(message, b"knock\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b");
    }

    #[test]
    fn only_an_uncompressed_point_on_the_curve_is_agreed_with() {
        let ours = PrivateKey::generate(&ECDH_P256).unwrap();
        let public = ours.compute_public_key().unwrap();
        for (at, byte) in [(0, 2), (0, 6), (64, public.as_ref()[64] ^ 1)] {
            let mut point: Point = public.as_ref().try_into().unwrap();
            point[at] = byte;
            assert!(decrypt(&ours, &point, &mut [0; 16]).is_err(), "byte {at}");
        }
    }
}
