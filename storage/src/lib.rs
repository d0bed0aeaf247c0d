//! Files whose content must survive a crash or a power loss. Everything that such files are changed by
//! goes through here, so that a test can record it and replay what a file system may leave of it.
//!
//! ```text
//! stored   an open file: write, allocate, sync; and names: rename, remove, sync of a folder
//! draft    a whole file in the place of another
//! slots    a value that is overwritten in place, in two slots that are written in turn
//! aside    what is in the way of a file is renamed
//! witness  every change, told to a test                     feature `witness`
//! outage   what may be left of them after a power loss      feature `witness`
//! ```

mod aside;
#[cfg(feature = "witness")]
pub mod outage;
mod pending_file;
mod slots;
mod stored;
#[cfg(feature = "witness")]
pub mod witness;

pub use aside::{MovedAside, set_aside};
pub use pending_file::{PASSING, PendingFile, Prepared, publish_left};
pub use slots::{SlotContent, Slots};
pub use stored::{Follow, Stored, open_regular, remove, rename, sync_folder};
