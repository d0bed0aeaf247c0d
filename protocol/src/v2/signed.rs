//! What a client signs, and the name that follows from it.

use zeroize::Zeroizing;

use crate::sha256::sha256;
use crate::{Encapsulation, KnockId};

const LABEL: &[u8] = b"sknock v2 signature\0";

/// The bytes under a knock's signature. They name the server and the encapsulation, so no server can
/// seal a client's message anew for another one. They hold the knock's secret.
pub(crate) struct Signed(Zeroizing<Vec<u8>>);

impl Signed {
    pub(crate) fn new(sid: &[u8; 32], encapsulation: &Encapsulation, unsigned: &[u8]) -> Self {
        Self(Zeroizing::new([LABEL, sid, encapsulation, unsigned].concat()))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn id(&self) -> KnockId {
        KnockId(sha256(&self.0))
    }
}
