//! sknock-ca as a process: killed before any of its steps, with a clock of its own, as another user.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{PASSWORD, openssl, text};

/// A user whom nobody else is, and who has no name.
pub(crate) const OTHER_USER: u32 = 61_234;

/// Nothing here takes longer, unless it waits for ever.
const LIMIT: Duration = Duration::from_secs(30);

/// A folder with an authority in `ca`, which belong to one user, who can run the program.
pub(crate) struct WorkFolder {
    folder: TempDir,
    program: PathBuf,
    owner: u32,
}

/// A run of the program that was not made yet.
pub(crate) struct Run<'a> {
    folder: &'a WorkFolder,
    args: String,
    user: u32,
    environment: Vec<(&'static str, String)>,
}

impl WorkFolder {
    /// An empty one of root's.
    pub(crate) fn empty() -> Self {
        Self::of(0)
    }

    /// An empty one.
    pub(crate) fn of(owner: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut program = PathBuf::from(env!("CARGO_BIN_EXE_sknock-ca"));
        if owner != 0 {
            // Others may not come to where it was built. It is copied by a program of its own, or a
            // process that another test starts at that moment would keep it open for writing.
            let copy = folder.path().join("sknock-ca");
            assert!(Command::new("cp").args([&program, &copy]).status().unwrap().success());
            program = copy;
        }
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        chown(folder.path(), Some(owner), Some(owner)).expect("these tests need root");
        Self { folder, program, owner }
    }

    /// With an authority that has issued `gate` and `alice`.
    pub(crate) fn with_authority() -> Self {
        let folder = Self::empty();
        folder.run("init").done();
        folder.run("server gate").done();
        folder.run("client alice --allow tcp/22").done();
        folder
    }

    /// Another one, with a copy of this one's authority.
    pub(crate) fn copy(&self) -> Self {
        let copy = Self::of(self.owner);
        let copied = Command::new("cp").arg("-a").args([self.dir(), copy.dir()]).status().unwrap();
        assert!(copied.success());
        copy
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.folder.path().join("ca")
    }

    /// A file of the authority.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    /// A file beside the authority.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn run(&self, args: &str) -> Run<'_> {
        let args = format!("--dir ca {args}");
        Run { folder: self, args, user: self.owner, environment: Vec::new() }
    }

    /// What `list` says of all certificates.
    pub(crate) fn list(&self) -> Vec<Value> {
        let told = self.run("--json list").done();
        let told: Value = serde_json::from_str(&told).unwrap();
        told["certificates"].as_array().unwrap().clone()
    }

    pub(crate) fn register(&self) -> Value {
        serde_json::from_slice(&fs::read(self.file("register.json")).unwrap()).unwrap()
    }

    /// The published list as openssl reads it, after its signature was found right.
    pub(crate) fn published(&self) -> String {
        let (list, ca) = (text(&self.file("crl.der")), text(&self.file("ca.pem")));
        let args = ["crl", "-in", &list, "-inform", "DER", "-noout", "-text", "-CAfile", &ca];
        let text = openssl(&args);
        assert!(text.contains("verify OK"), "{text}");
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The number of the published list.
    pub(crate) fn number(&self) -> u64 {
        let text = self.published();
        let number = text.split("X509v3 CRL Number: ").nth(1).unwrap();
        number.split(' ').next().unwrap().parse().unwrap()
    }

    /// The names in the authority's folder.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.dir()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Run<'_> {
    /// By this user.
    pub(crate) fn by(mut self, user: u32) -> Self {
        self.user = user;
        self
    }

    /// While the clock says this number of seconds since 1970.
    pub(crate) fn at(mut self, seconds: u64) -> Self {
        self.environment.push(("CLOCK", seconds.to_string()));
        self
    }

    /// Whether it was killed, before that step.
    pub(crate) fn killed_before(mut self, step: usize) -> bool {
        self.environment.push(("KILL_BEFORE", step.to_string()));
        let output = self.output();
        let killed = output.status.signal() == Some(9);
        assert!(killed || output.status.success(), "{output:?}");
        killed
    }

    /// Whether it succeeds though from that step on the disk is full; if not, what it complains about.
    pub(crate) fn without_room_from(mut self, step: usize) -> Result<(), String> {
        self.environment.push(("FAIL_FROM", step.to_string()));
        let output = self.output();
        let complaint = String::from_utf8(output.stderr).unwrap();
        match output.status.code() {
            Some(0) => Ok(()),
            Some(1) => Err(complaint),
            other => panic!("{other:?}: {complaint}"),
        }
    }

    /// What it says; it must succeed.
    #[track_caller]
    pub(crate) fn done(self) -> String {
        let args = self.args.clone();
        let output = self.output();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{args}: {complaint}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What it complains about; it must fail.
    #[track_caller]
    pub(crate) fn refused(self) -> String {
        let args = self.args.clone();
        let output = self.output();
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{args}: {complaint}");
        complaint
    }

    pub(crate) fn output(self) -> Output {
        self.output_to(Stdio::piped())
    }

    pub(crate) fn output_to(self, stdout: Stdio) -> Output {
        let user = self.user.to_string();
        let mut command = Command::new("setpriv");
        command.args(["--reuid", &user, "--regid", &user, "--clear-groups"]);
        command.arg(&self.folder.program);
        command.args(self.args.split_whitespace()).current_dir(self.folder.folder.path());
        command.env("SKNOCK_PFX_PASSWORD", PASSWORD).stdin(Stdio::null());
        if !self.environment.is_empty() {
            command.env("LD_PRELOAD", steps()).envs(self.environment);
        }
        let mut child = command.stdout(stdout).stderr(Stdio::piped()).spawn().unwrap();
        #[expect(clippy::disallowed_methods, reason = "a test that would wait for ever fails")]
        let begun = Instant::now();
        while child.try_wait().unwrap().is_none() {
            if begun.elapsed() > LIMIT {
                child.kill().unwrap();
                child.wait().unwrap();
                panic!("{} did not end", self.args);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        child.wait_with_output().unwrap()
    }
}

/// The library that kills and keeps the time; compiled once.
fn steps() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join("steps.so");
        let draft = library.with_extension(std::process::id().to_string());
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/steps/steps.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o"]);
        let outcome = compiler.arg(&draft).arg(source).output().expect("cc must be installed");
        let errors = String::from_utf8_lossy(&outcome.stderr);
        assert!(outcome.status.success(), "{errors}");
        fs::rename(&draft, &library).unwrap();
        library
    })
}
