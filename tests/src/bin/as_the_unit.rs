//! Becomes a program as systemd would start it: `as_the_unit UNIT UID PROGRAM ARGUMENTS...`. Takes from
//! the unit what the kernel is to be asked for a single process: user, capabilities, system calls. What
//! systemd does with mounts and folders is left to the test.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::{env, io};

use caps::{CapSet, Capability, CapsHashSet};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::prctl;
use nix::unistd::{Gid, Group, Uid, setgroups, setresgid, setresuid};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = env::args().skip(1).collect();
    let [unit, uid, program, arguments @ ..] = words.as_slice() else {
        return Err("usage: as_the_unit UNIT UID PROGRAM ARGUMENTS...".into());
    };
    let unit = Unit(fs::read_to_string(unit)?);
    // By descriptor: the way to it may be closed to that user.
    let program = File::open(program)?;
    fcntl(&program, FcntlArg::F_SETFD(FdFlag::empty()))?;
    let filter = filter(&unit)?;
    give_up(&unit, uid.parse()?)?;
    // This sets no_new_privs, too.
    seccompiler::apply_filter(&filter)?;
    let path = format!("/proc/self/fd/{}", program.as_raw_fd());
    Err(Command::new(path).arg0("sknockd").args(arguments).exec().into())
}

/// The text of a unit.
struct Unit(String);

impl Unit {
    /// All words that a key is given, over all its lines.
    fn words<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        let values =
            self.0.lines().filter_map(move |line| line.strip_prefix(key)?.strip_prefix('='));
        values.flat_map(str::split_whitespace)
    }

    fn groups(&self) -> nix::Result<Vec<Gid>> {
        let named = |name: &str| Ok(Group::from_name(name)?.ok_or(Errno::ENOENT)?.gid);
        self.words("SupplementaryGroups").map(named).collect()
    }

    fn capabilities(&self, key: &str) -> Result<CapsHashSet, caps::errors::CapsError> {
        self.words(key).map(str::parse::<Capability>).collect()
    }
}

/// Its user and its capabilities from here on, and none that could be had back.
fn give_up(unit: &Unit, uid: u32) -> Result<(), Box<dyn std::error::Error>> {
    let bounding = unit.capabilities("CapabilityBoundingSet")?;
    let ambient = unit.capabilities("AmbientCapabilities")?;
    for excess in caps::all().difference(&bounding) {
        // The kernel may be older than some.
        if caps::has_cap(None, CapSet::Bounding, *excess)? {
            caps::drop(None, CapSet::Bounding, *excess)?;
        }
    }
    prctl::set_keepcaps(true)?;
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(uid));
    setgroups(&unit.groups()?)?;
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)?;
    for set in [CapSet::Permitted, CapSet::Effective, CapSet::Inheritable, CapSet::Ambient] {
        caps::set(None, set, &ambient)?;
    }
    Ok(())
}

/// What `SystemCallFilter=` allows; for all else the unit's error.
fn filter(unit: &Unit) -> Result<BpfProgram, Box<dyn std::error::Error>> {
    let error = unit.words("SystemCallErrorNumber").next();
    assert_eq!(error, Some("EPERM"), "a unit without it kills: not known here");
    let mut allowed = BTreeSet::new();
    for line in unit.0.lines().filter_map(|line| line.strip_prefix("SystemCallFilter=")) {
        let (remove, words) = line.strip_prefix('~').map_or((false, line), |words| (true, words));
        let mut named = BTreeSet::new();
        words.split_whitespace().try_for_each(|word| expand(word, &mut named))?;
        if remove {
            allowed.retain(|call| !named.contains(call));
        } else {
            allowed.append(&mut named);
        }
    }
    let numbers = numbers()?;
    // Those that this architecture does not have are left out.
    let calls = allowed.iter().filter_map(|name| numbers.get(name));
    let rules = calls.map(|number| (*number, Vec::new())).collect();
    let refuse = SeccompAction::Errno(nix::libc::EPERM.cast_unsigned());
    let architecture = env::consts::ARCH.try_into()?;
    Ok(SeccompFilter::new(rules, refuse, SeccompAction::Allow, architecture)?.try_into()?)
}

/// A system call, or all in a group, as systemd has it.
fn expand(word: &str, into: &mut BTreeSet<String>) -> io::Result<()> {
    if !word.starts_with('@') {
        into.insert(word.to_owned());
        return Ok(());
    }
    let printed = Command::new("systemd-analyze").args(["syscall-filter", word]).output()?;
    assert!(printed.status.success(), "systemd-analyze knows no {word}");
    let text = String::from_utf8_lossy(&printed.stdout).into_owned();
    let words = text.lines().skip(1).map(str::trim).filter(|line| !line.starts_with('#'));
    words.filter(|word| !word.is_empty()).try_for_each(|word| expand(word, into))
}

/// The numbers of all system calls, as the C compiler has them.
fn numbers() -> io::Result<BTreeMap<String, i64>> {
    let mut command = Command::new("cc");
    command.args(["-E", "-dM", "-include", "sys/syscall.h", "-x", "c", "/dev/null"]);
    let printed = command.stdin(Stdio::null()).output()?;
    assert!(printed.status.success(), "cc: {}", String::from_utf8_lossy(&printed.stderr));
    let text = String::from_utf8_lossy(&printed.stdout).into_owned();
    let lines = text.lines().filter_map(|line| line.strip_prefix("#define __NR_"));
    let pairs = lines.filter_map(|line| line.split_once(' '));
    Ok(pairs.filter_map(|(name, number)| Some((name.to_owned(), number.parse().ok()?))).collect())
}
