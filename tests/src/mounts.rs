//! A mount namespace: full disks, disks that disappear, and files with other content.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::panic;
use std::path::Path;
use std::process::Command;
use std::thread;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};

/// Mounts that only processes inside see. Removed when dropped and no process is inside.
#[derive(Debug)]
pub struct Mounts(File);

const NOTHING: Option<&str> = None;

impl Mounts {
    /// The machine's mounts, to be changed.
    pub fn new() -> Self {
        let made = thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNS).expect("mounting takes root");
            let flags = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
            mount(NOTHING, "/", NOTHING, flags, NOTHING).expect("mounting takes root");
            File::open("/proc/thread-self/ns/mnt").expect("Linux has it")
        });
        Self(made.join().expect("the thread says why"))
    }

    /// Does `work` in a thread that sees these mounts: so do the programs that it starts.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let entered = || {
            unshare(CloneFlags::CLONE_FS).expect("a thread may have a folder of its own");
            setns(&self.0, CloneFlags::CLONE_NEWNS).expect("entering takes root");
            work()
        };
        let result = thread::scope(|scope| scope.spawn(entered).join());
        result.unwrap_or_else(|panicked| panic::resume_unwind(panicked))
    }

    /// Mounts an empty disk of this size at the folder, which is made if missing.
    pub fn disk(&self, at: &Path, bytes: u64) {
        fs::create_dir_all(at).expect("our folder");
        let options = format!("mode=700,size={bytes}");
        let options = Some(options.as_str());
        self.change(|| mount(Some("tmpfs"), at, Some("tmpfs"), MsFlags::empty(), options));
    }

    /// Mounts an empty folder that all users may list.
    pub fn empty(&self, at: &Path) {
        self.change(|| mount(Some("tmpfs"), at, Some("tmpfs"), MsFlags::empty(), Some("mode=755")));
    }

    /// Puts a copy of this folder here, to be changed. Not twice: it is made at `/mnt`.
    pub fn copy(&self, at: &Path) {
        let place = Path::new(Self::PLACE);
        self.empty(place);
        let copied =
            self.inside(|| Command::new("cp").arg("-a").arg(at.join(".")).arg(place).status());
        assert!(copied.is_ok_and(|status| status.success()), "{} has not enough room", Self::PLACE);
        self.change(|| mount(Some(place), at, NOTHING, MsFlags::MS_MOVE, NOTHING));
    }

    /// A folder that every machine has and no program needs.
    const PLACE: &str = "/mnt";

    /// Mounts an empty ext4 of this size at the folder, made in the file `image`. Without reserved blocks for
    /// root.
    pub fn ext4(&self, at: &Path, image: &Path, bytes: u64) {
        fs::create_dir_all(at).expect("our folder");
        File::create_new(image).and_then(|file| file.set_len(bytes)).expect("our folder");
        let run = |words: &str| {
            let mut command = Command::new("sh");
            command.args(["-ec", words, "sh"]).arg(image).arg(at);
            let output = self.inside(|| command.output()).expect("there is a shell");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        };
        run(
            "mkfs.ext4 -q -m 0 \"$1\"; mount -t ext4 -o loop \"$1\" \"$2\"; rmdir \"$2/lost+found\"",
        );
    }

    /// Mounts an overlay of this machine's disk at the folder `root`, without further mounts. Changes are
    /// kept in the folder `changes`, up to this number of bytes.
    pub fn whole_disk(&self, root: &Path, changes: &Path, bytes: u64) {
        fs::create_dir_all(root).expect("our folder");
        self.disk(changes, bytes);
        self.change(|| overlay(changes, root));
    }

    /// Gives this file the content of another one.
    pub fn replace(&self, at: &Path, by: &Path) {
        self.change(|| mount(Some(by), at, NOTHING, MsFlags::MS_BIND, NOTHING));
    }

    /// Makes a disk read-only. Not while a file on it is open for writing.
    pub fn write_protect(&self, at: &Path) {
        let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
        self.change(|| mount(NOTHING, at, NOTHING, flags, NOTHING));
    }

    /// Unmounts a disk, even if it is in use.
    pub fn pull(&self, at: &Path) {
        self.change(|| umount2(at, MntFlags::MNT_DETACH));
    }

    fn change(&self, work: impl FnOnce() -> nix::Result<()> + Send) {
        self.inside(work).expect("a mount that fits");
    }
}

fn overlay(changes: &Path, root: &Path) -> nix::Result<()> {
    let [upper, work] = ["upper", "work"].map(|name| changes.join(name));
    for folder in [&upper, &work] {
        fs::create_dir(folder).expect("our disk");
        fs::set_permissions(folder, Permissions::from_mode(0o755)).expect("our disk");
    }
    let options = format!("lowerdir=/,upperdir={},workdir={}", upper.display(), work.display());
    let (kind, none) = (Some("overlay"), MsFlags::empty());
    mount(kind, root, kind, none, Some(options.as_str()))
}

impl Default for Mounts {
    fn default() -> Self {
        Self::new()
    }
}
