//! The CRL high-water mark of each issuer: kept in the privileged process, where the network process can
//! raise a mark and never lower or drop one, and on disk for the next start.
//!
//! The damage of a compromised network process is limited: a mark is never later than now, so the CA's next
//! CRL passes it; the date is compared first, so a high number blocks nothing; and marks are never dropped
//! for others, so a flood of marks only keeps those of new issuers from being stored.

mod store;

use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::Uid;
use sknock_gate::BootInstant;
use sknock_protocol::{FUTURE_SLACK, Timestamp};
use sknock_types::hex;
use tracing::{info, warn};

use self::store::MarkStore;
use crate::crl::mark_record::{self, CrlMarks, MarkRecord};
use crate::sys::log::RateLimit;

/// Maximum number of issuers.
// 256 records of 60 bytes, with the 16 bytes around them, fit into a slot of the file (16 KiB, `store.rs`).
const MOST: usize = 256;

/// A compromised network process must not cause endless writes by endless reports: after a burst, one write
/// in this interval.
const PAUSE: Duration = Duration::from_millis(500);

/// Burst of writes. A report is answered after its mark is on disk, so it exceeds the number of CRLs that may
/// arrive within a second.
const BURST: u32 = 32;

/// The marks and their file.
#[derive(Debug, Default)]
pub(crate) struct Keeper {
    marks: CrlMarks,
    /// Marks of CRLs that only the configuration on trial has. Stored from its confirmation on: after a
    /// rollback, the previous configuration must accept its older CRLs.
    on_trial: CrlMarks,
    store: Option<MarkStore>,
    /// Since when marks are not on the disk.
    unsaved: bool,
    pace: WritePace,
    suppressed: RateLimit,
    failing: bool,
}

impl Keeper {
    /// Stores them beside `state`, or in `instead` if that fails; the marks of both are used. `user` is that of
    /// the network process.
    pub(crate) fn settle(&mut self, state: &Path, instead: &Path, user: Option<Uid>) {
        let place = beside(state);
        if self.store.as_ref().is_some_and(|store| store.path() == place) {
            return;
        }
        let opened = MarkStore::open(&place, user).or_else(|error| {
            warn!(
                "{}: cannot be used: {error}. The CRL high-water marks are lost with the next \
                 boot",
                place.display()
            );
            MarkStore::open(instead, user)
        });
        // Marks that were stored in the other place are used, too.
        let mut kept = store::read(instead, user).unwrap_or_default();
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

    /// Adds known marks.
    pub(crate) fn learn(&mut self, marks: CrlMarks) {
        self.unsaved |= !marks.is_empty();
        for (issuer, mark) in marks {
            self.highest(issuer, mark);
        }
    }

    /// All marks, for a network process.
    pub(crate) fn entries(&self) -> Vec<Vec<u8>> {
        let mut all = self.marks.clone();
        self.on_trial.iter().for_each(|(issuer, mark)| raise(&mut all, *issuer, *mark));
        all.iter().map(|(issuer, mark)| mark_record::entry(issuer, mark).to_vec()).collect()
    }

    /// Takes a report; returns whether it raised a mark, or why it is rejected.
    pub(crate) fn take(
        &mut self,
        record: &[u8],
        lasts: MarkLifetime,
        now: Timestamp,
    ) -> Result<bool, MarkRefusal> {
        let (issuer, mark) = mark_record::reported(record).ok_or(MarkRefusal::NoReport)?;
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
        match lasts {
            MarkLifetime::ForGood => {
                self.marks.insert(issuer, mark);
                self.unsaved = true;
            }
            MarkLifetime::Trial => drop(self.on_trial.insert(issuer, mark)),
            MarkLifetime::Process => return Ok(false),
        }
        // As many bytes as the gate knows, `sknockd grants` shows and `--issuer` takes.
        info!(issuer = hex(&issuer[..12]), "new CRL high-water mark: {mark}");
        Ok(true)
    }

    /// No network process was started: no folder is left of that, unless it has marks.
    pub(crate) fn undo(&mut self) {
        if self.marks.is_empty()
            && let Some(store) = self.store.take()
        {
            store.remove_new();
        }
    }

    /// What was on trial is in force: its marks count from now on.
    pub(crate) fn confirm(&mut self) {
        for (issuer, mark) in std::mem::take(&mut self.on_trial) {
            self.unsaved = true;
            self.highest(issuer, mark);
        }
    }

    /// The configuration on trial was rolled back.
    pub(crate) fn roll_back(&mut self) {
        self.on_trial.clear();
    }

    /// Logs why a report is rejected, rate-limited.
    pub(crate) fn log_rejected(&mut self, why: MarkRefusal, now: BootInstant) {
        if let Some(suppressed) =
            self.suppressed.permit(now.since(BootInstant::default()).as_secs())
        {
            warn!(suppressed, "invalid CRL report from the network process: {why}");
        }
    }

    /// Writes unsaved marks, within the pace.
    pub(crate) fn save(&mut self, now: BootInstant) {
        if !self.unsaved || self.store.is_none() || !self.pace.permit(now) {
            return;
        }
        let Some(store) = self.store.as_mut() else { return };
        let entries: Vec<MarkRecord> =
            self.marks.iter().map(|(issuer, mark)| mark_record::entry(issuer, mark)).collect();
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

    /// Limited to the capacity of the file.
    fn highest(&mut self, issuer: mark_record::IssuerDigest, mark: sknock_protocol::CrlMark) {
        if self.marks.len() >= MOST && !self.marks.contains_key(&issuer) {
            return;
        }
        raise(&mut self.marks, issuer, mark);
    }
}

/// The remaining writes of a burst.
#[derive(Debug, Default)]
struct WritePace {
    /// Writes that are not earned back yet.
    spent: u32,
    since: BootInstant,
}

impl WritePace {
    fn permit(&mut self, now: BootInstant) -> bool {
        let earned = now.since(self.since).as_millis() / PAUSE.as_millis();
        if earned > 0 {
            self.spent = self.spent.saturating_sub(u32::try_from(earned).unwrap_or(u32::MAX));
            self.since = now;
        }
        let permitted = self.spent < BURST;
        self.spent += u32::from(permitted);
        permitted
    }
}

fn raise(marks: &mut CrlMarks, issuer: mark_record::IssuerDigest, mark: sknock_protocol::CrlMark) {
    let highest = marks.entry(issuer).or_insert(mark);
    *highest = mark.max(*highest);
}

/// How long a mark is valid.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum MarkLifetime {
    /// Permanently.
    ForGood,
    /// In this trial, and permanently from its confirmation on: the previous configuration does not have
    /// these CRLs.
    Trial,
    /// While the reporting process lives: a trial has ended, and the process still runs.
    Process,
}

/// Reasons why a report is rejected.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum MarkRefusal {
    /// A record of wrong length or form.
    #[error("it is not a CRL report")]
    NoReport,
    /// Its date is in the future.
    #[error("its date is in the future")]
    FromTheFuture,
    /// The table is full, and no mark is dropped.
    #[error("the marks of {MOST} CAs are full, so an older CRL of this CA could be accepted")]
    TooMany,
}

/// The marks stored beside `state`, read only; empty if they cannot be read or are another user's.
pub(crate) fn kept(state: &Path, user: Option<Uid>) -> CrlMarks {
    let mut keeper = Keeper::default();
    let kept = store::read(&beside(state), user).unwrap_or_default();
    for (issuer, mark) in kept {
        keeper.highest(issuer, mark);
    }
    keeper.marks
}

/// A separate folder, because the network process owns `state` itself.
fn beside(state: &Path) -> PathBuf {
    let mut name = state.file_name().unwrap_or_default().to_owned();
    name.push("-marks");
    state.with_file_name(name).join("marks")
}

#[cfg(test)]
mod tests;
