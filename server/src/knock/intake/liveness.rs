//! Whether a worker still turns. Nothing else is known of it, and nothing is decided by it.

use std::sync::atomic::{AtomicBool, Ordering};

/// A mark that a worker leaves in every turn, and that whoever wants to know takes away first.
#[derive(Debug, Default)]
pub struct Liveness(AtomicBool);

impl Liveness {
    /// Another turn has begun.
    pub(crate) fn beat(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Only turns from here on count.
    pub(crate) fn forget(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// Whether a turn has begun since it was forgotten.
    pub(crate) fn has_beaten(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
