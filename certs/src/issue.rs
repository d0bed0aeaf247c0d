//! Issues certificates: the register is written before the files are readable.

use std::path::PathBuf;

use sknock_protocol::{Service, Timestamp};

use crate::authority::Authority;
use crate::entry::{CertificateKind, RegisterEntry};
use crate::error::AuthorityError;
use crate::folder::Access;
use crate::key::P256KeyPair;
use crate::name::CertificateName;
use crate::register::Register;
use crate::serial::RandomSerial;
use crate::validity::{ValidityPeriod, whole_second};
use crate::{clock, key, leaf};

/// A newly issued certificate.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The certificate's entry in the register.
    pub entry: RegisterEntry,
    /// It ends with the authority's certificate, earlier than requested.
    pub clipped: bool,
    /// The file with key, certificate and the authority's certificate. Only its owner may read it.
    pub pfx: PathBuf,
    /// The certificate alone in DER, of a server only: its clients need it.
    pub certificate: Option<PathBuf>,
}

impl Authority {
    /// Issues a server's key and certificate: `NAME.pfx` and `NAME.cer`.
    ///
    /// # Errors
    /// Among others [`AuthorityError::NameTaken`] while a certificate of that name is valid.
    pub fn server(
        &self,
        name: &str,
        days: u32,
        password: &str,
        now: Timestamp,
    ) -> Result<Issued, AuthorityError> {
        self.issue(name, CertificateKind::Server, &[], days, password, whole_second(now))
    }

    /// Issues a client's key and certificate, which allows `services`: `NAME.pfx`.
    ///
    /// # Errors
    /// Among others [`AuthorityError::TooLarge`] if the certificate would not fit into a knock, and
    /// [`AuthorityError::NameTaken`] while a certificate of that name is valid.
    pub fn client(
        &self,
        name: &str,
        services: &[Service],
        days: u32,
        password: &str,
        now: Timestamp,
    ) -> Result<Issued, AuthorityError> {
        let mut distinct = services.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        if distinct.is_empty() {
            return Err(AuthorityError::NoServices);
        }
        self.issue(name, CertificateKind::Client, &distinct, days, password, whole_second(now))
    }

    fn issue(
        &self,
        name: &str,
        kind: CertificateKind,
        services: &[Service],
        days: u32,
        password: &str,
        now: Timestamp,
    ) -> Result<Issued, AuthorityError> {
        let name: CertificateName = name.parse()?;
        let _lock = self.folder.lock()?;
        let mut register = Register::load(&self.folder)?;
        clock::check(&self.ca, &register.crl, now)?;
        self.finish(&mut register, now)?;
        let validity = ValidityPeriod::within(self.ca.not_after, days, now)?;
        let known = register.claim(&name, kind, now)?;
        if !known
            && let Some(stray) =
                [name.file("pfx"), name.file("cer")].into_iter().find(|file| self.folder.has(file))
        {
            return Err(AuthorityError::StrayFile { path: self.folder.file(&stray) });
        }
        let ValidityPeriod { not_before, not_after, clipped } = validity;
        let (serial, services) = (RandomSerial::random()?, services.to_vec());
        let entry =
            RegisterEntry { serial, name, kind, services, not_before, not_after, revoked: None };
        self.make(&mut register, &entry, password)?;

        let mut files = entry.files().into_iter().map(|file| self.folder.file(&file));
        let pfx = files.next().unwrap_or_default();
        Ok(Issued { clipped, pfx, certificate: files.next(), entry })
    }

    /// Issues the certificate of `entry`. The files are written under temporary names, then the register,
    /// then the files are renamed: if the run is killed in between, [`Authority::deliver`] completes it.
    fn make(
        &self,
        register: &mut Register,
        entry: &RegisterEntry,
        password: &str,
    ) -> Result<(), AuthorityError> {
        let key = P256KeyPair::generate()?;
        let certificate = leaf::certify(entry, &key, &self.ca)?;
        let pfx = key::seal(entry, &key, &certificate, &self.ca.certificate, password)?;
        let contents = [(&pfx, Access::Secret), (&certificate, Access::Public)];
        let prepared = entry
            .files()
            .iter()
            .zip(contents)
            .map(|(file, (content, access))| self.folder.prepare(file, content, access))
            .collect::<Result<Vec<_>, _>>()?;
        // Before the register names the certificate: `deliver` needs the temporary names after a power loss.
        self.folder.sync()?;
        register.certificates.push(entry.clone());
        register.undelivered = Some(entry.serial);
        let saved = register.save(&self.folder);
        // After `NotSynced` the register has the certificate: its files have to stay. After other errors it
        // has not.
        if !matches!(saved, Ok(()) | Err(AuthorityError::NotSynced { .. })) {
            return saved;
        }
        for file in prepared {
            file.leave();
        }
        let serial = entry.serial;
        saved
            .and_then(|()| self.put_in_place(entry))
            .map_err(|source| AuthorityError::NotDelivered { serial, source: Box::new(source) })?;
        // On failure, the next command completes it; nothing else depends on it.
        let _ = self.deliver(register);
        Ok(())
    }
}
