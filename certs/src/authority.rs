//! The authority: what it does, in which order, and what is on the disk at each moment.
//!
//! Nothing leaves the authority that its register does not know: the register is written first, so
//! that whatever happens in between, every certificate can be revoked and no list number comes twice.
//! What the register says, and a killed run has not done, the next command does (`finish`).

use std::path::{Path, PathBuf};

use sknock_protocol::Timestamp;

use crate::ca::{self, Ca};
use crate::clock;
use crate::crl::{self, Crl};
use crate::entry::{Reason, RegisterEntry, RegisteredRevocation};
use crate::error::AuthorityError;
use crate::folder::{Access, OutputFolder};
use crate::ownership::Guarded;
use crate::register::{self, Register};
use crate::validity::{DAY, ValidityPeriod, whole_second};

/// Is there while an authority is being made. What else is there then was never used.
const MARK: &str = "init.unfinished";

/// The files of an authority that has issued nothing.
pub(crate) const FILES: [&str; 5] =
    [ca::KEY_FILE, ca::CERTIFICATE_FILE, ca::PEM_FILE, crl::FILE, register::FILE];

/// A certificate authority in a folder.
///
/// Holds no lock and no copy of the register between calls, so any number of them, in any number of
/// processes, may work on one folder.
pub struct Authority {
    pub(crate) folder: OutputFolder,
    pub(crate) ca: Ca,
}

/// A certificate that is revoked now.
#[derive(Clone, Debug)]
pub struct Revoked {
    /// What the register says of it.
    pub entry: RegisterEntry,
    /// It had been revoked before; the earlier date and reason stay.
    pub already: bool,
    /// The list that says so.
    pub crl: Crl,
}

impl Authority {
    /// Makes an authority in `dir`, with an empty revocation list, valid for `days`.
    ///
    /// The folder is made if need be. Without a name, the authority gets one that no other has. What
    /// an interrupted `init` has left is replaced.
    ///
    /// # Errors
    /// [`AuthorityError::Exists`] if any file of an authority lies there; nothing is changed then. Among others
    /// [`AuthorityError::FolderOfOther`], [`AuthorityError::ClockUnset`].
    pub fn init(
        dir: &Path,
        name: Option<&str>,
        days: u32,
        now: Timestamp,
    ) -> Result<Self, AuthorityError> {
        let now = whole_second(now);
        clock::possible(now)?;
        let (ca, pem) = Ca::generate(name, ValidityPeriod::of(days, now)?)?;
        let folder = OutputFolder::create(dir)?;
        let _lock = folder.lock()?;
        if folder.has(MARK) {
            for file in FILES {
                folder.remove(file)?;
            }
        } else if let Some(file) = FILES.into_iter().find(|file| folder.has(file)) {
            return Err(AuthorityError::Exists { path: folder.file(file) });
        }
        let crl = Crl::first(now)?;
        let register = Register::new(crl);
        let list = crl.sign(register.listed(), &ca)?;
        folder.publish([folder.prepare(MARK, b"", Access::Secret)?])?;
        folder.publish([
            folder.prepare(ca::KEY_FILE, ca.key.pem().as_bytes(), Access::Secret)?,
            register.prepare(&folder)?,
            folder.prepare(ca::CERTIFICATE_FILE, &ca.certificate, Access::Public)?,
            folder.prepare(ca::PEM_FILE, pem.as_bytes(), Access::Public)?,
            folder.prepare(crl::FILE, &list, Access::Public)?,
        ])?;
        folder.remove(MARK)?;
        Ok(Self { folder, ca })
    }

    /// The authority that lives in `dir`.
    ///
    /// # Errors
    /// [`AuthorityError::NoAuthority`], [`AuthorityError::Unfinished`]; [`AuthorityError::FolderOfOther`], [`AuthorityError::OpenToOthers`]
    /// and the like if others could have changed it, or we would change what is theirs.
    pub fn open(dir: &Path) -> Result<Self, AuthorityError> {
        let folder = OutputFolder::existing(dir, ca::KEY_FILE)?;
        if folder.has(MARK) {
            return Err(AuthorityError::Unfinished { path: dir.to_owned() });
        }
        let ca = Ca::load(&folder)?;
        // Servers are given it. It is not needed here, but nobody else may have changed it.
        folder.read_if_any(ca::PEM_FILE, Guarded::Writing)?;
        Register::load(&folder)?;
        Ok(Self { folder, ca })
    }

    /// The authority's common name.
    pub fn name(&self) -> &str {
        &self.ca.name
    }

    /// The end of its certificate, which no other outlives.
    pub fn not_after(&self) -> Timestamp {
        self.ca.not_after
    }

    /// Whole days of 24 hours until then.
    pub fn days_left(&self, now: Timestamp) -> u32 {
        let seconds = self.ca.not_after.as_secs().saturating_sub(now.as_secs());
        u32::try_from(seconds / DAY).unwrap_or(u32::MAX)
    }

    /// Its certificate in DER.
    pub fn certificate(&self) -> &[u8] {
        &self.ca.certificate
    }

    /// Where the revocation list is published.
    pub fn crl_file(&self) -> PathBuf {
        self.folder.file(crl::FILE)
    }

    /// Revokes the certificate with this serial number, or the valid one of this name, or else the latest,
    /// and publishes a new list at once. Once more is no error: it publishes the list again.
    ///
    /// It is recorded whatever the clock says and whatever else is wrong with the list.
    ///
    /// # Errors
    /// [`AuthorityError::Unknown`], [`AuthorityError::Ambiguous`] if there is no one such certificate;
    /// [`AuthorityError::NotPublished`] if it is revoked in the register only.
    pub fn revoke(
        &self,
        which: &str,
        reason: Reason,
        now: Timestamp,
    ) -> Result<Revoked, AuthorityError> {
        let now = whole_second(now);
        let _lock = self.folder.lock()?;
        let mut register = Register::load(&self.folder)?;
        let place = register.find(which, now)?;
        let already = register.certificates[place].revoked.is_some();
        let at = clock::recordable(now);
        register.certificates[place].revoked.get_or_insert(RegisteredRevocation {
            at,
            reason,
            list: None,
        });
        let (last, days) = (register.crl, register.crl.days);
        let next = self.is_published(&register).and_then(|_| self.next_list(&last, days, now));
        let dated = next.map(|next| register.advance(next));
        self.record(&register)?;
        dated.map_err(|source| self.not_published(source))?;
        self.complete_list(&mut register, now)?;
        let crl = register.crl;
        Ok(Revoked { entry: register.certificates.swap_remove(place), already, crl })
    }

    /// Publishes a new revocation list, valid for `days`. Needed before the last one ends, revoked
    /// certificates or not.
    ///
    /// # Errors
    /// Among others [`AuthorityError::ClockBehind`] if the last list is from the future, and
    /// [`AuthorityError::NotPublished`] if it is made in the register only.
    pub fn crl(&self, days: u32, now: Timestamp) -> Result<Crl, AuthorityError> {
        let now = whole_second(now);
        self.issue_list(now, |last| self.next_list(last, days, now))
    }

    /// As [`Authority::crl`] where the last list was made while the clock was ahead: the new one is dated
    /// `now`. Servers that have taken that last list do not take this one until they forget it.
    ///
    /// # Errors
    /// As [`Authority::crl`], without [`AuthorityError::ClockBehind`].
    pub fn crl_after_clock_was_ahead(
        &self,
        days: u32,
        now: Timestamp,
    ) -> Result<Crl, AuthorityError> {
        let now = whole_second(now);
        self.issue_list(now, |last| {
            clock::since(&self.ca, now)?;
            self.must_not_have_ended(now)?;
            last.next(days, now)
        })
    }

    fn issue_list(
        &self,
        now: Timestamp,
        next: impl FnOnce(&Crl) -> Result<Crl, AuthorityError>,
    ) -> Result<Crl, AuthorityError> {
        let _lock = self.folder.lock()?;
        let mut register = Register::load(&self.folder)?;
        let next = next(&register.crl)?;
        self.is_published(&register).map_err(|source| self.not_published(source))?;
        register.advance(next);
        self.record(&register)?;
        self.complete_list(&mut register, now)?;
        Ok(register.crl)
    }

    /// Publishes the list. What else an interrupted run has left is finished if possible; if not, the
    /// commands say so that need it, and nobody thinks that there is no new list.
    fn complete_list(&self, register: &mut Register, now: Timestamp) -> Result<(), AuthorityError> {
        self.publish(register, now)?;
        let _ = self.finish_files(register);
        Ok(())
    }

    /// Writes the register. If that is in doubt, it is not gone on, but the error says what may be.
    fn record(&self, register: &Register) -> Result<(), AuthorityError> {
        register.save(&self.folder).map_err(|source| match source {
            AuthorityError::NotSynced { .. } => self.not_published(source),
            other => other,
        })
    }

    /// The latest revocation list.
    pub fn latest_crl(&self) -> Result<Crl, AuthorityError> {
        Ok(Register::load(&self.folder)?.crl)
    }

    /// All certificates that were ever issued, the oldest first. [`Authority::settle`] first, for the
    /// published list to say the same.
    pub fn list(&self) -> Result<Vec<RegisterEntry>, AuthorityError> {
        Ok(Register::load(&self.folder)?.certificates)
    }
}
