//! Starts this program again, as another user and with selected descriptors: as the network process, or for
//! `sknockd check` as a process that fetches CRLs, whose result is read here.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};

use super::files::{Files, Unusable};
use super::privilege::Account;
use crate::config::Settings;
use crate::crl::mark_record::CrlMarks;
use crate::crl::{Attempt, mark_record};
use crate::knock::replay::state_dir::LastInForce;
use crate::network::handover::{Handover, number};
use crate::network::sandbox;
use crate::sys::log;
use crate::sys::read_within::read_within;

/// A result has a few hundred bytes for each URL.
const MAX_LENGTH: u64 = 1 << 20;

/// A fetch takes 130 s at most, and all are made at once; the rest is for signatures of long lists.
const LIMIT: Duration = Duration::from_secs(300);

/// What a start would find at each `crlUrl`, fetched as the user of the network process. Takes as long as the slowest web
/// server may, 300 s at most. The error says why nothing was fetched.
pub(crate) fn fetch(settings: &Settings, marks: &CrlMarks) -> Result<Vec<Attempt>, String> {
    let account = Account::find(&settings.process.user).map_err(|error| error.to_string())?;
    let unusable = |all: Vec<Unusable>| {
        all.first().map_or_else(|| "a file is missing".to_owned(), ToString::to_string)
    };
    let files = Files::open(settings, Some(account)).map_err(unusable)?;
    let answer = ask(settings, marks, (&files, account)).map_err(|error| error.to_string())?;
    match serde_json::from_slice(&answer) {
        Ok(attempts) => attempts,
        Err(_) => Err("the fetching process exited without an answer".to_owned()),
    }
}

fn ask(
    settings: &Settings,
    marks: &CrlMarks,
    (files, account): (&Files, Account),
) -> io::Result<Vec<u8>> {
    let (reader, answer) = io::pipe()?;
    let handover = Handover {
        settings: settings.clone(),
        parent: std::process::id().cast_signed(),
        boot: String::new(),
        last_state: LastInForce::default(),
        marks: marks
            .iter()
            .map(|(issuer, mark)| mark_record::entry(issuer, mark).to_vec())
            .collect(),
        descriptors: files.descriptors(number(&answer), Vec::new(), Vec::new()),
    };
    let packed = handover.pack()?;
    let passed: Vec<BorrowedFd<'_>> =
        [answer.as_fd(), packed.as_fd()].into_iter().chain(files.all()).collect();
    let mut child = passing_on(&passed, || itself("fetch", &packed, account).spawn())?;
    // Our copy of the writing end: while it is open, the reader never sees the end of the pipe.
    drop(answer);
    let read = read_within(reader, MAX_LENGTH, LIMIT);
    if read.is_err() {
        child.kill()?;
    }
    child.wait()?;
    read
}

/// This program with this argument and handover, under `account`.
pub(super) fn itself(word: &str, packed: &OwnedFd, account: Account) -> Command {
    // The program that runs now, also after an upgrade has replaced its file: the new one may expect another
    // handover.
    let mut command = Command::new("/proc/self/exe");
    command.arg0("sknockd").arg(word).arg(packed.as_raw_fd().to_string());
    command.env_clear().envs(std::env::vars_os().filter(|(name, _)| passes(name)));
    if nix::unistd::geteuid().is_root() {
        // `uid` also drops root's supplementary groups (`do_exec` in std).
        command.uid(account.uid.as_raw()).gid(account.gid.as_raw());
    }
    command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// Makes `descriptors` inheritable while `start` runs.
///
/// No other thread can start a program in between.
pub(super) fn passing_on<T>(
    descriptors: &[BorrowedFd<'_>],
    start: impl FnOnce() -> io::Result<T>,
) -> io::Result<T> {
    let set = |flags: FdFlag| {
        descriptors.iter().try_for_each(|one| fcntl(one, FcntlArg::F_SETFD(flags)).map(drop))
    };
    set(FdFlag::empty())?;
    let result = start();
    set(FdFlag::FD_CLOEXEC)?;
    result
}

/// Environment variables that the network process gets: for the log and for root certificates. Not proxies: a
/// proxy would resolve the names of web servers, which this process must do to check redirects.
fn passes(name: &OsStr) -> bool {
    sandbox::concerns(name) || [log::VARIABLE, "RUST_BACKTRACE"].iter().any(|known| name == *known)
}
