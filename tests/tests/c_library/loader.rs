//! Which library the loader gives to a program that was linked with the original's, on machines where
//! `ldconfig` has run and no variable says where to look.

use std::path::{Path, PathBuf};
use std::process::Command;

use sknock_tests::{Mounts, World, binaries};
use tempfile::TempDir;

use crate::installed::{self, compile, finished};
use crate::original::{GATEWAY, returning};
use crate::run::{Ran, Scene, plain};

/// What may be written to a machine's disk.
const ROOM: u64 = 256 << 20;

/// Where the default PREFIX puts libraries, and where distributions do.
const OURS: &str = "usr/local/lib";
const DEBIANS: &str = "usr/lib";

/// A disk like this machine's, on which neither library is installed.
struct Disk {
    mounts: Mounts,
    folder: TempDir,
}

impl Disk {
    fn new() -> Self {
        let disk = Self { mounts: Mounts::new(), folder: tempfile::tempdir().unwrap() };
        disk.mounts.whole_disk(&disk.root(), &disk.folder.path().join("changes"), ROOM);
        disk.run("rm -f /usr/local/lib/libknock.* /usr/local/lib/libsknock.* /usr/lib/libknock.*; ldconfig");
        disk
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// A program that is run on it.
    fn command(&self, program: &Path) -> Command {
        let mut command = plain("chroot".as_ref());
        command.arg(self.root()).arg(program).env_remove("LD_LIBRARY_PATH");
        command
    }

    fn run(&self, script: &str) -> String {
        let mut command = self.command("sh".as_ref());
        command.args(["-ec", script]);
        self.mounts.inside(|| finished(&mut command))
    }

    /// As `make install` does with the default PREFIX.
    fn install(&self) {
        let (from, to) = (installed::file("lib"), self.root().join(OURS));
        let mut copy = Command::new("cp");
        copy.args(["-a", "-T"]).arg(from).arg(to);
        self.mounts.inside(|| finished(&mut copy));
        self.run("ldconfig");
    }

    /// The original's library as its own `make install` leaves it, in this folder. It opens nothing:
    /// each of its functions fails.
    fn install_the_original(&self, folder: &str) {
        let library = self.root().join(folder).join("libknock.so.0.0.0");
        self.mounts.inside(|| {
            compile("tests/c/stub.c", &library, "-shared -fPIC -Wl,-soname,libknock.so.0");
        });
        self.run("ldconfig");
    }

    /// A program that was linked on a machine where only the original was.
    fn app(&self) -> PathBuf {
        let [stub, program] = ["libknock.so", "app"].map(|name| self.folder.path().join(name));
        compile("tests/c/stub.c", &stub, "-shared -fPIC -Wl,-soname,libknock.so.0");
        let include = installed::file("include");
        let flags = format!("-I{} -L{} -lknock", include.display(), self.folder.path().display());
        compile("tests/c/original.c", &program, &flags);
        let there = self.root().join("app");
        self.mounts.inside(|| binaries::copy(&program, &there));
        "/app".into()
    }

    fn knock(&self, scene: &Scene<'_>) -> Ran {
        let mut app = self.command(&self.app());
        app.args(["10", "3", "1"]).arg(scene.server()).arg(scene.identity());
        app.args([GATEWAY, "22", "tcp"]);
        self.mounts.inside(|| scene.run(&mut app))
    }

    /// What `ldconfig` has written down of the original's name.
    fn known(&self) -> String {
        self.run("ldconfig -p | grep libknock || true")
    }
}

/// What a program sees that got the original.
fn the_originals() -> Ran {
    Ran::printing("init -1\nnew NULL\n")
}

#[test]
fn a_program_that_was_linked_with_the_original_gets_ours_by_ldconfig_alone() {
    let world = World::new();
    let (scene, disk) = (Scene::new(&world), Disk::new());
    disk.install();
    assert!(disk.known().contains("libknock.so.0 "), "ldconfig does not know it: {}", disk.known());
    assert_eq!(disk.knock(&scene), returning(1));
}

#[test]
fn ours_goes_before_the_originals_file_in_whatever_order_they_were_installed() {
    let world = World::new();
    let scene = Scene::new(&world);
    for folder in [OURS, DEBIANS] {
        let disk = Disk::new();
        disk.install_the_original(folder);
        assert_eq!(disk.knock(&scene), the_originals(), "{folder}: there is nothing to replace");
        disk.install();
        assert_eq!(disk.knock(&scene), returning(1), "{folder}: {}", disk.known());
        // As with any package that is installed later.
        disk.run("ldconfig");
        assert_eq!(disk.knock(&scene), returning(1), "{folder}: {}", disk.known());

        let disk = Disk::new();
        disk.install();
        disk.install_the_original(folder);
        assert_eq!(disk.knock(&scene), returning(1), "{folder}: {}", disk.known());
        // Without ours, ldconfig gives the name back.
        disk.run("rm /usr/local/lib/libknock.so.0.1.0 /usr/local/lib/libsknock.so.0; ldconfig");
        assert_eq!(disk.knock(&scene), the_originals(), "{folder}: {}", disk.known());
    }
}
