//! What a client signs in this dialect.

use crate::Encapsulation;
use crate::signed::SignedBytes;

const LABEL: &[u8] = b"sknock v2 signature\0";

/// The bytes under a knock's signature. They name the server and the encapsulation, so no server can
/// seal a client's message anew for another one.
pub(crate) fn signed(
    sid: &[u8; 32],
    encapsulation: &Encapsulation,
    unsigned: &[u8],
) -> SignedBytes {
    SignedBytes::new(&[LABEL, sid, encapsulation, unsigned])
}
