//! The one shape of public key that a server may have: P-256, named curve, uncompressed point.

use aws_lc_rs::agreement::{ECDH_P256, ParsedPublicKey, UnparsedPublicKey};

use crate::Encapsulation;

/// A point on P-256, uncompressed: 04, X, Y.
pub(crate) type Point = Encapsulation;

/// What precedes the point in a `SubjectPublicKeyInfo` (RFC 5480): id-ecPublicKey, prime256v1, and
/// a bit string of 66 bytes without unused bits.
const PREFIX: &[u8; 26] = b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\
    \x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";

/// The first byte of an uncompressed point (SEC 1, 2.3.3).
pub(crate) const UNCOMPRESSED: u8 = 4;

/// The point in a `SubjectPublicKeyInfo` (DER), or nothing if it is not of the one shape or its
/// point is not on the curve.
pub(crate) fn point(spki: &[u8]) -> Option<Point> {
    let point: Point = spki.strip_prefix(PREFIX)?.try_into().ok()?;
    is_on_curve(&point).then_some(point)
}

fn is_on_curve(point: &Point) -> bool {
    point.starts_with(&[UNCOMPRESSED])
        && ParsedPublicKey::try_from(UnparsedPublicKey::new(&ECDH_P256, point)).is_ok()
}

#[cfg(test)]
mod tests {
    use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PublicKeyData};

    use super::*;

    #[test]
    fn only_an_uncompressed_point_on_the_curve_passes() {
        let spki =
            KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap().subject_public_key_info();
        assert_eq!(point(&spki).unwrap()[..], spki[26..]);

        for at in [0, 1, 10, 25, 26, 90] {
            let mut altered = spki.clone();
            altered[at] ^= 2;
            assert_eq!(point(&altered), None, "byte {at}");
        }
        assert_eq!(point(&spki[..90]), None);
        assert_eq!(point(&[&spki[..], &[0]].concat()), None);
    }

    #[test]
    fn another_curve_does_not_pass() {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
        assert_eq!(point(&key.subject_public_key_info()), None);
    }
}
