//! The authority: its operations, their order, and the state of the disk at each moment.
//!
//! The register is written first, before any other file. So whatever happens in between, every certificate
//! can be revoked and no CRL number is used twice. If a run is killed after the register is written, the next
//! command writes the other files (`finish`).

use std::path::{Path, PathBuf};

use sknock_protocol::Timestamp;

use crate::ca::{self, Ca};
use crate::clock;
use crate::crl::{self, Crl};
use crate::entry::{Reason, RegisterEntry, RegisteredRevocation};
use crate::error::AuthorityError;
use crate::folder::{Access, Guarded, OutputFolder};
use crate::register::{self, Register};
use crate::validity::{DAY, ValidityPeriod, whole_second};

/// Exists while an authority is being made. Other files beside it were never used.
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

/// The result of a revocation.
#[derive(Clone, Debug)]
pub struct Revoked {
    /// The certificate's entry in the register.
    pub entry: RegisterEntry,
    /// It was already revoked; the earlier date and reason stay.
    pub already: bool,
    /// The CRL that contains it.
    pub crl: Crl,
}

impl Authority {
    /// Makes an authority in `dir`, with an empty CRL, valid for `days`.
    ///
    /// Makes the folder if needed. Without a name, the authority gets a random one. Files of an interrupted
    /// `init` are replaced.
    ///
    /// # Errors
    /// [`AuthorityError::Exists`] if the folder contains any file of an authority; nothing is changed then.
    /// Among others [`AuthorityError::FolderOfOther`], [`AuthorityError::ClockUnset`].
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
        // By itself: the folder is synced before any of the files below can have its name.
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

    /// Opens the authority in `dir`.
    ///
    /// # Errors
    /// [`AuthorityError::NoAuthority`], [`AuthorityError::Unfinished`]; [`AuthorityError::FolderOfOther`],
    /// [`AuthorityError::OpenToOthers`] and the like if other users could have changed it, or if it belongs
    /// to another user.
    pub fn open(dir: &Path) -> Result<Self, AuthorityError> {
        let folder = OutputFolder::existing(dir, ca::KEY_FILE)?;
        if folder.has(MARK) {
            return Err(AuthorityError::Unfinished { path: dir.to_owned() });
        }
        let ca = Ca::load(&folder)?;
        // The file goes to servers. It is not needed here, but other users must not be able to change it.
        folder.read_if_any(ca::PEM_FILE, Guarded::Writing)?;
        Register::load(&folder)?;
        Ok(Self { folder, ca })
    }

    /// The authority's common name.
    pub fn name(&self) -> &str {
        &self.ca.name
    }

    /// The end of its certificate; no other certificate ends later.
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

    /// The path of the published CRL.
    pub fn crl_file(&self) -> PathBuf {
        self.folder.file(crl::FILE)
    }

    /// Revokes the certificate with this serial number, or the valid one of this name, or else the latest,
    /// and publishes a new CRL at once. Repeating it is no error: the CRL is published again.
    ///
    /// The revocation is recorded even if the clock is wrong or the CRL cannot be made.
    ///
    /// # Errors
    /// [`AuthorityError::Unknown`], [`AuthorityError::Ambiguous`] if no single certificate matches;
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
        // Its error is returned only after `record`: neither a wrong clock nor an outdated register prevents
        // a revocation.
        let next = self.is_published(&register).and_then(|_| self.next_list(&last, days, now));
        let dated = next.map(|next| register.advance(next));
        self.record(&register)?;
        dated.map_err(|source| self.not_published(source))?;
        self.complete_list(&mut register, now)?;
        let crl = register.crl;
        Ok(Revoked { entry: register.certificates.swap_remove(place), already, crl })
    }

    /// Publishes a new CRL, valid for `days`. Must be called before the last one expires, even without
    /// revocations.
    ///
    /// # Errors
    /// Among others [`AuthorityError::ClockBehind`] if the last CRL is dated in the future, and
    /// [`AuthorityError::NotPublished`] if the new one is in the register only.
    pub fn crl(&self, days: u32, now: Timestamp) -> Result<Crl, AuthorityError> {
        let now = whole_second(now);
        self.issue_list(now, |last| self.next_list(last, days, now))
    }

    /// Same as [`Authority::crl`] if the last CRL was made while the clock was ahead: the new one is dated
    /// `now`. Servers that have accepted the last CRL refuse this one until their high-water mark is deleted.
    ///
    /// # Errors
    /// Same as [`Authority::crl`], without [`AuthorityError::ClockBehind`].
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

    /// Publishes the CRL. Other work of an interrupted run is completed if possible; if not, the commands
    /// that need it report the error, and this one still reports the new CRL.
    fn complete_list(&self, register: &mut Register, now: Timestamp) -> Result<(), AuthorityError> {
        self.publish(register, now)?;
        let _ = self.finish_files(register);
        Ok(())
    }

    /// Writes the register. If a write may or may not have happened, the operation stops and the error
    /// reports it.
    fn record(&self, register: &Register) -> Result<(), AuthorityError> {
        register.save(&self.folder).map_err(|source| match source {
            AuthorityError::NotSynced { .. } => self.not_published(source),
            other => other,
        })
    }

    /// The latest CRL.
    pub fn latest_crl(&self) -> Result<Crl, AuthorityError> {
        Ok(Register::load(&self.folder)?.crl)
    }

    /// All certificates ever issued, the oldest first. Call [`Authority::settle`] first if the published CRL
    /// must match.
    pub fn list(&self) -> Result<Vec<RegisterEntry>, AuthorityError> {
        Ok(Register::load(&self.folder)?.certificates)
    }
}
