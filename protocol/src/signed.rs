//! What a client signs, in whichever dialect, and the name that follows from it.

use zeroize::Zeroizing;

use crate::KnockId;
use crate::sha256::sha256;

/// The bytes under a knock's signature. Overwritten when dropped: in v2 they hold its secret.
pub(crate) struct SignedBytes(Zeroizing<Vec<u8>>);

impl SignedBytes {
    /// All `parts`, one behind the other.
    pub(crate) fn new(parts: &[&[u8]]) -> Self {
        Self(Zeroizing::new(parts.concat()))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn id(&self) -> KnockId {
        KnockId(sha256(&self.0))
    }
}
