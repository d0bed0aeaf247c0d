//! The state directory that was last in force, and how far ahead the timestamps are that others may have
//! admitted: the privileged process keeps this and passes it to the network process.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A folder's identity, independent of its path. It includes the time of creation, if the file system reports
/// it: inode numbers are reused.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct FolderId {
    device: u64,
    inode: u64,
    /// Since 1970.
    made: Option<Duration>,
}

impl From<&Metadata> for FolderId {
    fn from(found: &Metadata) -> Self {
        let made = found.created().ok().and_then(|made| made.duration_since(UNIX_EPOCH).ok());
        Self { device: found.dev(), inode: found.ino(), made }
    }
}

/// The state before a network process locks its state directory.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct LastInForce {
    /// In this boot and network namespace; `None` if unknown.
    pub folder: Option<FolderId>,
    /// Timestamps that any state directory has admitted are at most this far ahead of now.
    pub ahead: Duration,
}

impl LastInForce {
    /// Whether another folder than this was last in force, so that knocks were admitted which are not in this
    /// one's journal.
    pub fn is_another(&self, folder: FolderId) -> bool {
        self.folder.is_some_and(|last| last != folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_the_same_by_any_name_and_another_one_by_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let id = |name: &str| FolderId::from(&std::fs::metadata(folder.path().join(name)).unwrap());
        for name in ["a", "b"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let [first, second] = [id("a"), id("b")];
        assert_ne!(first, second);
        std::fs::rename(folder.path().join("a"), folder.path().join("c")).unwrap();
        std::fs::rename(folder.path().join("b"), folder.path().join("a")).unwrap();
        std::fs::write(folder.path().join("c/file"), "").unwrap();
        assert_eq!([id("c"), id("a")], [first, second]);
        let last = |folder| LastInForce { folder, ahead: Duration::ZERO };
        assert!(last(Some(first)).is_another(second) && !last(Some(first)).is_another(first));
        assert!(!last(None).is_another(first), "nobody knows of another one");
    }
}
