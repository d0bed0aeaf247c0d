//! A wall clock that a test steps under a running server, while its other clocks stay true.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::Daemon;
use crate::authority::traversable_folder;

/// The wall clock of those that it is given to: right, until it is stepped.
#[derive(Debug)]
pub struct WallClock {
    folder: TempDir,
    offset: File,
}

/// In its folder.
const LIBRARY: &str = "step.so";
const OFFSET: &str = "offset";

impl WallClock {
    /// Compiles the library that intercepts a program's clock calls.
    pub fn new() -> Self {
        let folder = traversable_folder();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("clock/step.c");
        let compiled = Command::new("cc")
            .args(["-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o"])
            .arg(folder.path().join(LIBRARY))
            .arg(source)
            .output()
            .expect("`cc` is missing: apt-get install gcc (make setup-test)");
        let errors = String::from_utf8_lossy(&compiled.stderr);
        assert!(compiled.status.success(), "{errors}");
        let path = folder.path().join(OFFSET);
        let offset = File::create(&path).expect("our folder");
        // The network process is another user.
        for file in [path, folder.path().join(LIBRARY)] {
            fs::set_permissions(file, Permissions::from_mode(0o755)).expect("our file");
        }
        let clock = Self { folder, offset };
        clock.step_to(0);
        clock
    }

    /// Has both processes live by this clock from the next start on.
    pub fn give_to(&self, daemon: &mut Daemon<'_>) {
        for (name, file) in [("LD_PRELOAD", LIBRARY), ("CLOCK_OFFSET_FILE", OFFSET)] {
            let path = self.folder.path().join(file);
            daemon.export(name, path.to_str().expect("temporary files have plain names"));
        }
    }

    /// Sets the clock ahead of the true time by this number of seconds, or behind if negative.
    pub fn step_to(&self, seconds: i64) {
        // Eight aligned bytes of one page: readers never see a partial write.
        self.offset.write_all_at(&seconds.to_ne_bytes(), 0).expect("our file");
    }
}

impl Default for WallClock {
    fn default() -> Self {
        Self::new()
    }
}
