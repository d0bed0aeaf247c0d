//! The power fails at any moment while the authority works. What must hold: the register knows every
//! certificate that was issued and every number that a list had; a list is whole and no newer than the
//! register; and what cannot be right is an error, and not an authority that has forgotten.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::Path;

use sknock_certs::{Authority, RandomSerial, Reason};
use sknock_storage::outage::{DiskState, Ignored, Recorder, restore};

use x509_parser::prelude::{CertificateRevocationList, FromDer};

use crate::support::{NOW, PASSWORD, services};

/// What was reported, from that count of changes on.
enum Told {
    Made,
    Issued(RandomSerial),
    List(u64),
}

struct Course {
    recorder: Recorder,
    told: Vec<(usize, Told)>,
    /// Every list that was ever published, and its number.
    lists: BTreeSet<(Vec<u8>, u64)>,
}

impl Course {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("ca");
        let recorder = Recorder::default();
        let mut course =
            Self { recorder: recorder.clone(), told: Vec::new(), lists: BTreeSet::new() };
        let authority = recorder.during(|| Authority::init(&dir, None, 3650, NOW).unwrap());
        course.tell(&dir, Told::Made);
        course.tell(&dir, Told::List(1));
        for name in ["alice", "bob"] {
            let issue = || authority.client(name, &services("tcp/22"), 1, PASSWORD, NOW).unwrap();
            let issued = recorder.during(issue);
            course.tell(&dir, Told::Issued(issued.entry.serial));
            let revoke = || authority.revoke(name, Reason::Unspecified, NOW).unwrap();
            let number = recorder.during(revoke).crl.number;
            course.tell(&dir, Told::List(number));
        }
        let number = recorder.during(|| authority.crl(30, NOW).unwrap()).number;
        course.tell(&dir, Told::List(number));
        course
    }

    fn tell(&mut self, dir: &Path, told: Told) {
        if let Told::List(number) = told {
            self.lists.insert((std::fs::read(dir.join("crl.der")).unwrap(), number));
        }
        self.told.push((self.recorder.count(), told));
    }

    /// What is wrong with what is left, if anything is.
    fn judge(&self, state: &DiskState, count: usize, dir: &Path) -> Option<&'static str> {
        restore(state, dir).unwrap();
        let told = || self.told.iter().filter(|(known, _)| *known <= count).map(|(_, told)| told);
        let Ok(authority) = Authority::open(dir) else {
            if told().next().is_some() {
                return Some("there is no authority any more");
            }
            let again = Authority::init(dir, None, 1, NOW);
            return again.err().map(|_| "an interrupted init keeps the next from working");
        };
        let (entries, latest) = (authority.list().unwrap(), authority.latest_crl().unwrap().number);
        for told in told() {
            match told {
                Told::Issued(serial) if entries.iter().all(|entry| entry.serial != *serial) => {
                    return Some("a serial number is forgotten");
                }
                Told::List(number) if latest < *number => return Some("a number would come again"),
                _ => {}
            }
        }
        if let Some(what) = unfinished(&authority, dir) {
            return Some(what);
        }
        let was_published = told().any(|told| matches!(told, Told::List(_)));
        let Some(published) = state.get(OsStr::new("crl.der")) else {
            return was_published.then_some("the published list is gone");
        };
        match self.lists.iter().find(|(list, _)| list == published) {
            None => Some("the published list is not whole"),
            Some((_, number)) if *number > latest => Some("a published number would come again"),
            Some(_) => None,
        }
    }

    fn violations(&self, ignored: Ignored) -> BTreeSet<&'static str> {
        // In memory where there is such a file system: thousands of states are written.
        let memory = Path::new("/dev/shm");
        let folder =
            if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let folder = folder.unwrap();
        let states =
            |count| self.recorder.outages(count, ignored).into_iter().map(move |s| (count, s));
        let all = (0..=self.recorder.count()).flat_map(states);
        all.filter_map(|(count, state)| self.judge(&state, count, folder.path())).collect()
    }
}

/// What the next command does not put right, if anything.
fn unfinished(authority: &Authority, dir: &Path) -> Option<&'static str> {
    if authority.settle(NOW).is_err() {
        return Some("the next command fails");
    }
    let entries = authority.list().unwrap();
    let list = std::fs::read(dir.join("crl.der")).unwrap();
    let (_, list) = CertificateRevocationList::from_der(&list).unwrap();
    let is_listed = |serial: RandomSerial| {
        list.iter_revoked_certificates().any(|listed| listed.raw_serial() == serial.as_bytes())
    };
    if entries.iter().any(|entry| entry.revoked.is_some() != is_listed(entry.serial)) {
        return Some("the list does not say what the register says");
    }
    let has_file = |name: &str| dir.join(format!("{name}.pfx")).exists();
    if entries.iter().any(|entry| !has_file(entry.name.as_str())) {
        return Some("a certificate has no file");
    }
    None
}

#[test]
fn no_power_loss_makes_the_ca_forget_a_certificate_or_reuse_a_number() {
    let course = Course::new();
    assert_eq!(course.violations(Ignored::Nothing), BTreeSet::new());
}

/// The test above would notice if files or names were not synced.
#[test]
fn without_syncs_a_power_loss_would_make_the_ca_forget() {
    let course = Course::new();
    assert!(course.violations(Ignored::Files).contains("there is no authority any more"));
    let forgotten = ["a serial number is forgotten", "a number would come again"];
    let found = course.violations(Ignored::Folders);
    assert!(forgotten.iter().all(|what| found.contains(what)), "{found:?}");
}
