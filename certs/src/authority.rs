//! The authority: what it does, in which order, and what is on the disk at each moment.
//!
//! Nothing leaves the authority that its register does not know: the register is written first, so
//! that whatever happens in between, every certificate can be revoked and no list number comes twice.

use std::path::{Path, PathBuf};

use sknock_protocol::{Moment, Service};

use crate::ca::{self, Ca};
use crate::crl::{self, Crl, Reason};
use crate::folder::{Access, Folder};
use crate::key::Key;
use crate::register::{self, Entry, Kind, Register, Revocation};
use crate::validity::{Validity, whole_second};
use crate::{Error, Name, Serial, leaf, pfx};

/// A certificate authority in a folder.
///
/// Holds no lock and no copy of the register between calls, so any number of them, in any number of
/// processes, may work on one folder.
pub struct Authority {
    folder: Folder,
    ca: Ca,
}

/// A certificate that was just issued.
#[derive(Clone, Debug)]
pub struct Issued {
    /// What the register says of it.
    pub entry: Entry,
    /// It ends with the authority's certificate, earlier than asked for.
    pub clipped: bool,
    /// The file with key, certificate and the authority's certificate. Only its owner may read it.
    pub pfx: PathBuf,
    /// The certificate alone in DER, of a server only: its clients need it.
    pub certificate: Option<PathBuf>,
}

/// A certificate that is revoked now.
#[derive(Clone, Debug)]
pub struct Revoked {
    /// What the register says of it.
    pub entry: Entry,
    /// It had been revoked before; the earlier date and reason stay.
    pub already: bool,
    /// The list that says so.
    pub crl: Crl,
}

impl Authority {
    /// Makes an authority in `dir`, with an empty revocation list, valid for `days`.
    ///
    /// The folder is made if need be. Without a name, the authority gets one that no other has.
    ///
    /// # Errors
    /// [`Error::Exists`] if any file of an authority lies there; nothing is changed then.
    pub fn init(dir: &Path, name: Option<&str>, days: u32, now: Moment) -> Result<Self, Error> {
        let now = whole_second(now);
        let (ca, pem) = Ca::generate(name, Validity::of(days, now)?)?;
        let folder = Folder::create(dir)?;
        let _lock = folder.lock()?;
        let files = [ca::KEY_FILE, ca::CERTIFICATE_FILE, ca::PEM_FILE, crl::FILE, register::FILE];
        if let Some(file) = files.into_iter().find(|file| folder.has(file)) {
            return Err(Error::Exists { path: folder.file(file) });
        }
        let crl = Crl::first(now)?;
        let register = Register::new(crl);
        let list = crl.sign(&register, &ca)?;
        folder.publish([
            folder.prepare(ca::KEY_FILE, ca.key.pem().as_bytes(), Access::Private)?,
            register.prepare(&folder)?,
            folder.prepare(ca::CERTIFICATE_FILE, &ca.certificate, Access::Public)?,
            folder.prepare(ca::PEM_FILE, pem.as_bytes(), Access::Public)?,
            folder.prepare(crl::FILE, &list, Access::Public)?,
        ])?;
        Ok(Self { folder, ca })
    }

    /// The authority that lives in `dir`.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let folder = Folder::at(dir);
        let ca = Ca::load(&folder)?;
        Register::load(&folder)?;
        Ok(Self { folder, ca })
    }

    /// The authority's common name.
    pub fn name(&self) -> &str {
        &self.ca.name
    }

    /// The end of its certificate, which no other outlives.
    pub fn not_after(&self) -> Moment {
        self.ca.not_after
    }

    /// Its certificate in DER.
    pub fn certificate(&self) -> &[u8] {
        &self.ca.certificate
    }

    /// Where the revocation list is published.
    pub fn crl_file(&self) -> PathBuf {
        self.folder.file(crl::FILE)
    }

    /// Issues a server's key and certificate: `NAME.pfx` and `NAME.cer`.
    ///
    /// # Errors
    /// Among others [`Error::NameTaken`] while a certificate of that name is valid.
    pub fn server(
        &self,
        name: &str,
        days: u32,
        password: &str,
        now: Moment,
    ) -> Result<Issued, Error> {
        self.issue(name, Kind::Server, &[], days, password, whole_second(now))
    }

    /// Issues a client's key and certificate, which allows it to open `services`: `NAME.pfx`.
    ///
    /// # Errors
    /// Among others [`Error::TooLarge`] if the certificate would not fit into a knock, and
    /// [`Error::NameTaken`] while a certificate of that name is valid.
    pub fn client(
        &self,
        name: &str,
        services: &[Service],
        days: u32,
        password: &str,
        now: Moment,
    ) -> Result<Issued, Error> {
        let mut distinct = services.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        if distinct.is_empty() {
            return Err(Error::NoServices);
        }
        self.issue(name, Kind::Client, &distinct, days, password, whole_second(now))
    }

    /// Revokes the certificate with this serial number, or the valid one of this name, and publishes
    /// a new list at once. Once more is no error: it publishes the list anew.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Ambiguous`], [`Error::Expired`] if there is no one such
    /// certificate; [`Error::NotPublished`] if it is revoked in the register only.
    pub fn revoke(&self, which: &str, reason: Reason, now: Moment) -> Result<Revoked, Error> {
        let now = whole_second(now);
        let _lock = self.folder.lock()?;
        let mut register = Register::load(&self.folder)?;
        let place = register.find(which, now)?;
        let already = register.certificates[place].revoked.is_some();
        register.certificates[place].revoked.get_or_insert(Revocation { at: now, reason });
        let days = register.crl.days;
        let crl = self.publish(&mut register, days, now)?;
        Ok(Revoked { entry: register.certificates.swap_remove(place), already, crl })
    }

    /// Publishes a new revocation list, valid for `days`. Needed before the last one ends, revoked
    /// certificates or not.
    pub fn crl(&self, days: u32, now: Moment) -> Result<Crl, Error> {
        let _lock = self.folder.lock()?;
        self.publish(&mut Register::load(&self.folder)?, days, whole_second(now))
    }

    /// The latest revocation list.
    pub fn latest_crl(&self) -> Result<Crl, Error> {
        Ok(Register::load(&self.folder)?.crl)
    }

    /// All certificates that were ever issued, the oldest first.
    pub fn list(&self) -> Result<Vec<Entry>, Error> {
        Ok(Register::load(&self.folder)?.certificates)
    }

    fn issue(
        &self,
        name: &str,
        kind: Kind,
        services: &[Service],
        days: u32,
        password: &str,
        now: Moment,
    ) -> Result<Issued, Error> {
        let name: Name = name.parse()?;
        let validity = Validity::within(self.ca.not_after, days, now)?;
        let _lock = self.folder.lock()?;
        let mut register = Register::load(&self.folder)?;
        let known = register.claim(&name, kind, now)?;
        let (pfx_file, cer_file) = (name.file("pfx"), name.file("cer"));
        if !known
            && let Some(stray) =
                [&pfx_file, &cer_file].into_iter().find(|file| self.folder.has(file))
        {
            return Err(Error::StrayFile { path: self.folder.file(stray) });
        }
        let Validity { not_before, not_after, clipped } = validity;
        let (serial, services) = (Serial::random()?, services.to_vec());
        let entry = Entry { serial, name, kind, services, not_before, not_after, revoked: None };

        let key = Key::generate()?;
        let certificate = leaf::certify(&entry, &key, &self.ca)?;
        let pfx = pfx::seal(&entry, &key, &certificate, &self.ca.certificate, password)?;
        let mut files = vec![self.folder.prepare(&pfx_file, &pfx, Access::Private)?];
        if kind == Kind::Server {
            files.push(self.folder.prepare(&cer_file, &certificate, Access::Public)?);
        }
        register.certificates.push(entry.clone());
        register.save(&self.folder)?;
        self.folder
            .publish(files)
            .map_err(|source| Error::NotDelivered { serial, source: Box::new(source) })?;
        let certificate = (kind == Kind::Server).then(|| self.folder.file(&cer_file));
        Ok(Issued { entry, clipped, pfx: self.folder.file(&pfx_file), certificate })
    }

    /// Writes the register with the next list's number, then the list.
    fn publish(&self, register: &mut Register, days: u32, now: Moment) -> Result<Crl, Error> {
        let crl = register.crl.next(days, now)?;
        let list = crl.sign(register, &self.ca)?;
        register.crl = crl;
        register.save(&self.folder)?;
        self.folder
            .prepare(crl::FILE, &list, Access::Public)
            .and_then(|file| self.folder.publish([file]))
            .map_err(|source| Error::NotPublished {
                path: self.crl_file(),
                source: Box::new(source),
            })?;
        Ok(crl)
    }
}
