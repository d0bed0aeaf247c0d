//! The newest revocation list that was ever in force, for each issuer: kept here, where the network process
//! can raise a mark and never lower or drop one, and on disk for the next start.
//!
//! What a captured network process can do is bounded: a mark is never later than now, so that the CA's
//! next list ends what it has done; the date decides, so that no number keeps lists out; and marks are never
//! dropped for others, so that very many only keep those of new issuers from being kept.

mod store;

use std::path::{Path, PathBuf};
use std::time::Duration;

use sknock_gate::BootInstant;
use sknock_protocol::{FUTURE_SLACK, Timestamp};
use tracing::{info, warn};

use self::store::MarkStore;
use crate::audit::hex;
use crate::crl_marks::{self, CrlMarks, MarkRecord};
use crate::log::RateLimit;

/// The most issuers that are remembered.
const MOST: usize = 256;

/// Between two writings: whoever reports without end must not have us write without end.
const PAUSE: Duration = Duration::from_millis(500);

/// The marks, and where they are kept.
#[derive(Debug, Default)]
pub(crate) struct Keeper {
    marks: CrlMarks,
    /// Of lists of a configuration on trial. Kept from its confirmation on: unconfirmed, what was before
    /// must be able to come back, with its lists.
    on_trial: CrlMarks,
    store: Option<MarkStore>,
    /// Since when something is not on the disk.
    unsaved: bool,
    saved: Option<BootInstant>,
    suppressed: RateLimit,
    failing: bool,
}

impl Keeper {
    /// Keeps them beside `state`, or in `instead` if that cannot be; what either has counts.
    pub(crate) fn settle(&mut self, state: &Path, instead: &Path) {
        let place = beside(state);
        if self.store.as_ref().is_some_and(|store| store.path() == place) {
            return;
        }
        let opened = MarkStore::open(&place).or_else(|error| {
            warn!(
                "{}: cannot be used: {error}. The CRL high-water marks are lost with the next \
                 boot",
                place.display()
            );
            MarkStore::open(instead)
        });
        // What had to go elsewhere before counts, too.
        let mut kept = store::read(instead).unwrap_or_default();
        if let Ok((store, found)) = opened {
            kept.extend(found);
            self.store = Some(store);
        } else {
            warn!("the CRL high-water marks are lost when sknockd exits");
        }
        for (issuer, mark) in kept {
            self.highest(issuer, mark);
        }
        self.unsaved = !self.marks.is_empty();
    }

    /// All of them, for a network process.
    pub(crate) fn entries(&self) -> Vec<Vec<u8>> {
        let mut all = self.marks.clone();
        self.on_trial.iter().for_each(|(issuer, mark)| raise(&mut all, *issuer, *mark));
        all.iter().map(|(issuer, mark)| crl_marks::entry(issuer, mark).to_vec()).collect()
    }

    /// Takes a report, of a process with a configuration on trial or in force; whether it has raised a
    /// mark, or why it counts for nothing.
    pub(crate) fn take(
        &mut self,
        record: &[u8],
        on_trial: bool,
        now: Timestamp,
    ) -> Result<bool, MarkRefusal> {
        let (issuer, mark) = crl_marks::reported(record).ok_or(MarkRefusal::NoReport)?;
        if mark.made() > now.after(FUTURE_SLACK) {
            return Err(MarkRefusal::FromTheFuture);
        }
        let highest = self.marks.get(&issuer).max(self.on_trial.get(&issuer));
        match highest {
            Some(highest) if *highest >= mark => return Ok(false),
            None if self.marks.len() + self.on_trial.len() >= MOST => {
                return Err(MarkRefusal::TooMany);
            }
            _ => {}
        }
        if on_trial {
            self.on_trial.insert(issuer, mark);
        } else {
            self.marks.insert(issuer, mark);
            self.unsaved = true;
        }
        info!(issuer = hex(&issuer[..12]), "new CRL high-water mark: {mark}");
        Ok(true)
    }

    /// What was on trial is in force: its marks count from now on.
    pub(crate) fn confirm(&mut self) {
        for (issuer, mark) in std::mem::take(&mut self.on_trial) {
            self.unsaved = true;
            self.highest(issuer, mark);
        }
    }

    /// What was on trial, or was to be, is not.
    pub(crate) fn roll_back(&mut self) {
        self.on_trial.clear();
    }

    /// Says why a report counts for nothing; not as often as somebody may like.
    pub(crate) fn tell(&mut self, why: MarkRefusal, now: BootInstant) {
        if let Some(suppressed) =
            self.suppressed.permit(now.since(BootInstant::default()).as_secs())
        {
            warn!(suppressed, "invalid CRL report from the network process: {why}");
        }
    }

    /// Writes down what is not yet, unless that was done just now.
    pub(crate) fn save(&mut self, now: BootInstant) {
        let early = self.saved.is_some_and(|saved| now.since(saved) < PAUSE);
        let Some(store) = self.store.as_mut().filter(|_| self.unsaved && !early) else { return };
        let entries: Vec<MarkRecord> =
            self.marks.iter().map(|(issuer, mark)| crl_marks::entry(issuer, mark)).collect();
        self.saved = Some(now);
        match store.write(&entries) {
            Ok(()) => (self.unsaved, self.failing) = (false, false),
            Err(error) if !self.failing => {
                self.failing = true;
                warn!(
                    "{}: cannot write: {error}. Until this succeeds, a restart would accept an \
                     older CRL",
                    store.path().display()
                );
            }
            Err(_) => {}
        }
    }

    fn highest(&mut self, issuer: crl_marks::IssuerDigest, mark: sknock_protocol::CrlMark) {
        raise(&mut self.marks, issuer, mark);
    }
}

fn raise(marks: &mut CrlMarks, issuer: crl_marks::IssuerDigest, mark: sknock_protocol::CrlMark) {
    let highest = marks.entry(issuer).or_insert(mark);
    *highest = mark.max(*highest);
}

/// Why a report counts for nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum MarkRefusal {
    /// Not as long, or not as a report is.
    #[error("it is not a CRL report")]
    NoReport,
    /// No list of the future is ever in force by a report.
    #[error("its date is in the future")]
    FromTheFuture,
    /// None is dropped for it.
    #[error("the marks of {MOST} CAs are full, so an older CRL of this CA could be accepted")]
    TooMany,
}

/// What is kept beside `state`, for whoever only wants to know; nothing if it may not be read.
pub(crate) fn kept(state: &Path) -> CrlMarks {
    let mut keeper = Keeper::default();
    let kept = store::read(&beside(state)).unwrap_or_default();
    for (issuer, mark) in kept {
        keeper.highest(issuer, mark);
    }
    keeper.marks
}

/// A folder of its own, as the network process owns `state` itself.
fn beside(state: &Path) -> PathBuf {
    let mut name = state.file_name().unwrap_or_default().to_owned();
    name.push("-marks");
    state.with_file_name(name).join("marks")
}

#[cfg(test)]
mod tests {
    use sknock_protocol::CrlMark;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_782_864_000);

    fn report(issuer: u16, made: u64, number: u8) -> [u8; 256] {
        let mut digest = [0; 32];
        digest[..2].copy_from_slice(&issuer.to_be_bytes());
        crl_marks::report(
            &digest,
            &CrlMark::new(Timestamp::from_secs(made), [number; CrlMark::NUMBER]),
        )
    }

    #[test]
    fn a_mark_is_raised_and_never_lowered() {
        let mut keeper = Keeper::default();
        assert_eq!(keeper.take(&report(1, 100, 5), false, NOW), Ok(true));
        let before = keeper.entries();
        for lower in [report(1, 100, 5), report(1, 100, 4), report(1, 99, 9), report(1, 0, 255)] {
            assert_eq!(keeper.take(&lower, false, NOW), Ok(false));
            assert_eq!(keeper.entries(), before);
        }
        assert_eq!(keeper.take(&report(1, 101, 0), false, NOW), Ok(true));
        assert_ne!(keeper.entries(), before);
    }

    #[test]
    fn who_reports_anything_raises_no_mark_beyond_now_and_drops_none() {
        let mut keeper = Keeper::default();
        keeper.take(&report(0, 100, 5), false, NOW).unwrap();
        let slack = NOW.as_secs() + FUTURE_SLACK.as_secs();
        assert_eq!(
            keeper.take(&report(0, slack + 1, 1), false, NOW),
            Err(MarkRefusal::FromTheFuture)
        );
        assert_eq!(
            keeper.take(&report(0, u64::MAX, 1), false, NOW),
            Err(MarkRefusal::FromTheFuture)
        );
        assert_eq!(keeper.take(&[128; 256], false, NOW), Err(MarkRefusal::NoReport));
        for issuer in 1..256 {
            assert_eq!(keeper.take(&report(issuer, 1, 1), false, NOW), Ok(true));
        }
        let before = keeper.entries();
        assert_eq!(keeper.take(&report(256, 1, 1), false, NOW), Err(MarkRefusal::TooMany));
        assert_eq!(keeper.entries(), before);
        assert_eq!(
            keeper.take(&report(0, 101, 5), false, NOW),
            Ok(true),
            "a known one is still raised"
        );
    }

    #[test]
    fn what_a_trial_raises_counts_for_good_only_if_it_is_confirmed() {
        let folder = tempfile::tempdir().unwrap();
        let (state, instead) = (folder.path().join("state"), folder.path().join("net.marks"));
        let on_disk = || kept(&state);
        let mut keeper = Keeper::default();
        keeper.settle(&state, &instead);
        keeper.take(&report(1, 100, 5), false, NOW).unwrap();
        keeper.save(BootInstant::from_millis(0));
        let (before, saved) = (keeper.entries(), on_disk());
        assert_eq!(saved.len(), 1);
        for (seconds, confirmed) in [(1, false), (2, true)] {
            assert_eq!(keeper.take(&report(1, 200, 5), true, NOW), Ok(true));
            assert_eq!(keeper.take(&report(1, 200, 5), true, NOW), Ok(false));
            assert_eq!(keeper.take(&report(1, 150, 5), false, NOW), Ok(false), "older than those");
            assert_ne!(keeper.entries(), before, "it counts in the trial");
            keeper.save(BootInstant::from_millis(seconds * 1000));
            assert_eq!(on_disk(), saved);
            if confirmed {
                keeper.confirm();
            } else {
                keeper.roll_back();
            }
            keeper.save(BootInstant::from_millis(seconds * 1000 + 500));
            assert_eq!(keeper.entries() != before, confirmed);
            assert_eq!(on_disk() != saved, confirmed);
        }
    }

    #[test]
    fn the_next_start_finds_them_and_one_that_has_to_go_elsewhere_too() {
        let folder = tempfile::tempdir().unwrap();
        let (state, instead) = (folder.path().join("state"), folder.path().join("net.marks"));
        let mut first = Keeper::default();
        first.settle(&state, &instead);
        first.take(&report(1, 100, 5), false, NOW).unwrap();
        first.save(BootInstant::default());
        let mut next = Keeper::default();
        next.settle(&state, &instead);
        assert_eq!(next.entries(), first.entries());
        // Where the folder cannot be had, the other place has to do.
        let blocked = folder.path().join("blocked");
        std::fs::write(folder.path().join("blocked-marks"), "").unwrap();
        let mut other = Keeper::default();
        other.settle(&blocked, &instead);
        other.take(&report(2, 100, 5), false, NOW).unwrap();
        other.save(BootInstant::default());
        next.settle(&blocked, &instead);
        assert_eq!(next.entries().len(), 2, "both count");
    }
}
