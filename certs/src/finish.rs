//! Writes the files that the register requires and that are missing, because a run was killed or a disk was
//! full. Every command begins or ends with it.

use sknock_protocol::Timestamp;

use crate::authority::{Authority, FILES};
use crate::clock;
use crate::crl::{self, Crl, Published};
use crate::entry::RegisterEntry;
use crate::error::AuthorityError;
use crate::folder::{Access, Guarded};
use crate::name::CertificateName;
use crate::register::Register;
use crate::validity::whole_second;

impl Authority {
    /// Completes the work of interrupted runs, and checks the clock. All methods that write do so themselves.
    ///
    /// # Errors
    /// [`AuthorityError::NotPublished`] if a revocation is missing in the published CRL;
    /// [`AuthorityError::NotDelivered`] if a certificate is in the register without its files;
    /// [`AuthorityError::OldRegister`]; those of a wrong clock.
    pub fn settle(&self, now: Timestamp) -> Result<(), AuthorityError> {
        let now = whole_second(now);
        let _lock = self.folder.lock()?;
        let mut register = Register::load(&self.folder)?;
        clock::check(&self.ca, &register.crl, now)?;
        self.finish(&mut register, now)
    }

    /// Makes the published CRL and the holders' files match the register. The caller holds the lock.
    pub(crate) fn finish(
        &self,
        register: &mut Register,
        now: Timestamp,
    ) -> Result<(), AuthorityError> {
        let published = self.publish(register, now);
        let files = self.finish_files(register);
        published.and(files)
    }

    /// Makes the holders' files match the register, and removes other temporary files.
    pub(crate) fn finish_files(&self, register: &mut Register) -> Result<(), AuthorityError> {
        self.deliver(register)?;
        let is_holders = |name: &str| {
            let stem = name.strip_suffix(".pfx").or_else(|| name.strip_suffix(".cer"));
            stem.is_some_and(|stem| stem.parse::<CertificateName>().is_ok())
        };
        self.folder.discard_left(|name| FILES.contains(&name) || is_holders(name))
    }

    /// Makes the published CRL match the register.
    pub(crate) fn publish(
        &self,
        register: &mut Register,
        now: Timestamp,
    ) -> Result<(), AuthorityError> {
        let mut publish = || {
            let mut is_there = self.is_published(register)?;
            if register.has_unlisted() {
                let next = self.next_list(&register.crl, register.crl.days, now)?;
                register.advance(next);
                // Before the CRL: its number is then used, also if this run is killed.
                register.save(&self.folder)?;
                is_there = false;
            }
            if !is_there {
                let list = register.crl.sign(register.listed(), &self.ca)?;
                let file = self.folder.prepare(crl::FILE, &list, Access::Public)?;
                self.folder.publish([file])?;
            }
            Ok(())
        };
        publish().map_err(|source| self.not_published(source))
    }

    /// Whether the published CRL is the latest one in the register.
    ///
    /// # Errors
    /// [`AuthorityError::OldRegister`] if it is a later one: the register was restored from a backup, and
    /// would use its numbers twice.
    pub(crate) fn is_published(&self, register: &Register) -> Result<bool, AuthorityError> {
        let Some(file) = self.folder.read_if_any(crl::FILE, Guarded::Writing)? else {
            return Ok(false);
        };
        let wanted = register.crl.sign(register.listed(), &self.ca)?;
        let known = register.crl.number;
        match Published::compare(&file, &wanted, known, &self.ca) {
            Published::Same => Ok(true),
            Published::Behind => Ok(false),
            Published::Ahead(published) => {
                Err(AuthorityError::OldRegister { path: self.crl_file(), published, known })
            }
        }
    }

    /// The CRL after `last`, made now: never dated before it, because no server would accept it.
    pub(crate) fn next_list(
        &self,
        last: &Crl,
        days: u32,
        now: Timestamp,
    ) -> Result<Crl, AuthorityError> {
        clock::check(&self.ca, last, now)?;
        self.must_not_have_ended(now)?;
        last.next(days, last.this_update.max(now))
    }

    pub(crate) fn must_not_have_ended(&self, now: Timestamp) -> Result<(), AuthorityError> {
        let at = self.ca.not_after;
        if at < now { Err(AuthorityError::AuthorityExpired { at, now }) } else { Ok(()) }
    }

    pub(crate) fn not_published(&self, source: AuthorityError) -> AuthorityError {
        AuthorityError::NotPublished { path: self.crl_file(), source: Box::new(source) }
    }

    /// Renames the files of a certificate to their final names.
    pub(crate) fn put_in_place(&self, entry: &RegisterEntry) -> Result<(), AuthorityError> {
        let files = entry.files();
        self.folder.publish_left(files.iter().map(String::as_str))
    }

    /// Renames the files of the latest certificate to their final names. The register records the pending
    /// certificate until that is done, so a pair of files is never of two certificates.
    pub(crate) fn deliver(&self, register: &mut Register) -> Result<(), AuthorityError> {
        let Some(serial) = register.undelivered else { return Ok(()) };
        let mut deliver = || {
            let mut entries = register.certificates.iter();
            if let Some(entry) = entries.find(|entry| entry.serial == serial) {
                self.put_in_place(entry)?;
            }
            register.undelivered = None;
            register.save(&self.folder)
        };
        deliver()
            .map_err(|source| AuthorityError::NotDelivered { serial, source: Box::new(source) })
    }
}
