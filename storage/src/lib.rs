//! Files whose content must survive a crash or a power loss. All changes of such files go through this crate,
//! so that a test can record them and replay what a file system may keep of them.
//!
//! ```text
//! stored   an open file: write, allocate, sync; and names: rename, remove, sync of a folder
//! pending  a whole file that replaces another atomically
//! slots    a value that is overwritten in place, in two slots that are written in turn
//! aside    renames an object that occupies a file's path
//! witness  reports every change to a test                   feature `witness`
//! outage   the possible states after a power loss           feature `witness`
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
