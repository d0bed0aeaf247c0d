//! What a server has to bear, for as many rounds as one likes: `make test` takes a few, `make torture`
//! many.

mod captured;
mod flushes;
mod kills;
mod reloads;

use std::sync::atomic::{AtomicBool, Ordering};

pub use captured::requests;
pub use flushes::flushes;
pub use kills::kills;
pub use reloads::reloads;

/// Ends background work of a test when the test ends, also by a panic.
struct Enough<'a>(&'a AtomicBool);

impl Drop for Enough<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
