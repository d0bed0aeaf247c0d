//! Where programs are started: a network namespace and mounts of their own, a folder with an authority and a
//! configuration, a shell that redirects.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use sknock_tests::{Authority, Config, World, binaries};

use crate::Place;

/// A file that is not there and cannot be.
const NONE: &str = "/dev/null/none";

/// A program, what it is told, and how it ends where nothing is in its way.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) program: &'static str,
    pub(crate) words: Vec<OsString>,
    pub(crate) plain: i32,
    /// Its output is all that it is for.
    pub(crate) is_to_be_read: bool,
}

impl Case {
    fn new(program: &'static str, plain: i32, is_to_be_read: bool, words: &str) -> Self {
        let words = words.split_whitespace().map(OsString::from).collect();
        Self { program, words, plain, is_to_be_read }
    }

    /// OPERATIONS has the same table.
    pub(crate) fn documented(&self) -> &'static [i32] {
        match self.program {
            "sknockd" => &[0, 1, 2, 69, 75, 78],
            "sknock" => &[0, 1, 2, 3],
            _ => &[0, 1, 2],
        }
    }

    /// For people.
    pub(crate) fn name(&self) -> String {
        let words: Vec<_> = self.words.iter().map(|word| word.to_string_lossy()).collect();
        format!("{} {:.200}", self.program, words.join(" "))
    }
}

/// How it has ended.
#[derive(Debug)]
#[expect(dead_code, reason = "told when a test fails")]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) said: String,
}

/// They wait for most of their time.
const AT_A_TIME: usize = 6;

/// All of it.
pub(crate) struct Bench {
    world: World,
    authority: Authority,
    folder: tempfile::TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let (world, authority) = (World::new(), Authority::new());
        let folder = tempfile::tempdir().expect("a place for temporary files");
        let config = Config::new(&authority);
        fs::write(folder.path().join("config.ini"), config.text()).expect("our folder");
        fs::write(folder.path().join("datagram"), [7; 1200]).expect("our folder");
        Self { world, authority, folder }
    }

    /// Each sub command, where it works and where it does not.
    pub(crate) fn cases(&self) -> Vec<Case> {
        [self.of_sknockd(), self.of_sknock(), self.of_sknock_ca()].concat()
    }

    fn of_sknockd(&self) -> Vec<Case> {
        let [config, datagram] = ["config.ini", "datagram"]
            .map(|name| self.folder.path().join(name).display().to_string());
        let from = ["--from", "192.0.2.7"];
        let explain = |config: &str, file: &str| {
            [&["explain", "--config", config], &from[..], &[file]].concat().join(" ")
        };
        [
            (2, false, String::new()),
            (2, false, "nonsense".to_owned()),
            (78, false, format!("run --config {NONE}")),
            (0, true, format!("check --config {config}")),
            (78, true, format!("check --config {NONE}")),
            (0, true, format!("check --json --config {config}")),
            (0, true, explain(&config, &datagram)),
            (1, true, explain(&config, NONE)),
            (78, false, explain(NONE, &datagram)),
            (0, true, "grants".to_owned()),
            (0, true, "grants --json".to_owned()),
            (1, false, "close --all".to_owned()),
            (0, false, "open".to_owned()),
            (69, false, "confirm".to_owned()),
            (69, false, "reload".to_owned()),
            (1, false, "network 77".to_owned()),
            (1, false, "fetch 77".to_owned()),
        ]
        .map(|(plain, is_to_be_read, words)| Case::new("sknockd", plain, is_to_be_read, &words))
        .into()
    }

    fn of_sknock(&self) -> Vec<Case> {
        let file = |name: &str| self.authority.file(name).display().to_string();
        let (alice, gate) = (file("alice.pfx"), file("gate.cer"));
        let password = self.authority.password_file().display().to_string();
        let with = format!(
            "--timeout 1 --identity {alice} --password-file {password} --server-cert {gate}"
        );
        [
            (2, String::new()),
            (2, "knock".to_owned()),
            (3, format!("knock --identity {NONE} 192.0.2.1 tcp/22")),
            (1, format!("knock {with} 192.0.2.1 tcp/22")),
            (1, format!("connect {with} 192.0.2.1 22")),
        ]
        .map(|(plain, words)| Case::new("sknock", plain, false, &words))
        .into()
    }

    fn of_sknock_ca(&self) -> Vec<Case> {
        let ca = self.authority.file("").display().to_string();
        [
            (2, false, String::new()),
            (2, false, "list".to_owned()),
            (0, true, format!("--dir {ca} list")),
            (1, true, format!("--dir {NONE} list")),
            (0, false, format!("--dir {ca} crl")),
            (1, false, format!("--dir {ca} init")),
            (1, false, format!("--dir {ca} revoke nobody")),
            (1, false, format!("--dir {ca} --password-file {NONE} client bob --allow tcp/1")),
        ]
        .map(|(plain, is_to_be_read, words)| Case::new("sknock-ca", plain, is_to_be_read, &words))
        .into()
    }

    /// Starts it in the gateway, with mounts of its own, and waits for its end.
    pub(crate) fn run(&self, case: &Case, at: &Place) -> Ended {
        let Place { before, redirected, .. } = at;
        let script = format!("exec_by=; {before} exec $exec_by \"$@\" {redirected}");
        let mut shell = Command::new("timeout");
        shell.args(["20", "unshare", "--mount", "bash", "-c", &script, "bash"]);
        shell.arg(binaries::path(case.program)).args(&case.words);
        shell.current_dir(self.folder.path()).stdin(Stdio::null());
        for name in std::env::vars_os().map(|(name, _)| name) {
            if is_ours(&name) {
                shell.env_remove(name);
            }
        }
        let output = self.world.gateway.inside(|| shell.output()).expect("timeout is a program");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_ne!(output.status.code(), Some(124), "{} does not end: {said}", case.name());
        Ended { code: output.status.code(), signal: output.status.signal(), said }
    }
}

fn is_ours(name: &OsStr) -> bool {
    name.to_string_lossy().starts_with("SKNOCK_")
}

/// Does `work` with all cases, some at a time.
pub(crate) fn each(cases: &[Case], work: impl Fn(&Case) + Sync) {
    assert!(cases.len() >= AT_A_TIME, "there is something to do");
    std::thread::scope(|scope| {
        for some in cases.chunks(cases.len().div_ceil(AT_A_TIME)) {
            let work = &work;
            scope.spawn(move || some.iter().for_each(work));
        }
    });
}
