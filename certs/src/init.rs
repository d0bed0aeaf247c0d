//! Making an authority: all of it is there, or the next `init` begins again.

use std::path::Path;

use sknock_protocol::Timestamp;

use crate::authority::Authority;
use crate::ca::{self, Ca};
use crate::crl::{self, Crl};
use crate::folder::{Access, OutputFolder};
use crate::ownership::Guarded;
use crate::register::{self, Register};
use crate::validity::{ValidityPeriod, whole_second};
use crate::{AuthorityError, clock};

/// Is there while an authority is being made. What else is there then was never used.
const MARK: &str = "init.unfinished";

/// The files of an authority that has issued nothing.
pub(crate) const FILES: [&str; 5] =
    [ca::KEY_FILE, ca::CERTIFICATE_FILE, ca::PEM_FILE, crl::FILE, register::FILE];

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
        let list = crl.sign(&register, &ca)?;
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
}
