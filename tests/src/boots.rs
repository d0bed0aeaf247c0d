//! Simulates another boot of the machine for a daemon.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::{Daemon, Mounts};

/// Where a server's claim lies, and what goes with it.
const CLAIMS: &str = "/run/sknock";

/// Gives `daemon`, before its start, a folder for its lock that outlives a boot, as in a container whose
/// `/run` is on a disk.
pub fn on_a_disk(daemon: &mut Daemon<'_>) -> TempDir {
    let folder = tempfile::tempdir_in(crate::binaries::folder()).expect("cargo writes there, too");
    fs::create_dir_all(CLAIMS).expect("we are root");
    let mounts = Mounts::new();
    mounts.replace(Path::new(CLAIMS), folder.path());
    daemon.mount(mounts);
    folder
}

/// Simulates a boot with another boot id; the folder is lost, or it was on a disk.
pub fn boot_again(daemon: &Daemon<'_>, in_memory: bool) {
    let another = daemon.file("boot_id");
    fs::write(&another, "11111111-2222-3333-4444-555555555555\n").expect("our folder");
    daemon.mounts().replace(Path::new("/proc/sys/kernel/random/boot_id"), &another);
    if in_memory {
        daemon.mounts().disk(Path::new(CLAIMS), 1 << 20);
    }
}
