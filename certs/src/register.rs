//! The register: every issued certificate and its state. Reads and writes `register.json`, and resolves names
//! and serial numbers; issues nothing itself.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use sknock_protocol::Timestamp;

use crate::crl::Crl;
use crate::entry::{CertificateKind, RegisterEntry, RegisteredRevocation};
use crate::error::AuthorityError;
use crate::folder::{Access, Guarded, OutputFolder, PreparedFile};
use crate::name::CertificateName;
use crate::serial::RandomSerial;

/// The register's file.
pub(crate) const FILE: &str = "register.json";

/// The only version of the file format.
const VERSION: u8 = 1;

/// All issued certificates.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Register {
    version: u8,
    /// The latest CRL, published or about to be.
    pub(crate) crl: Crl,
    /// The certificate whose files still have temporary names.
    pub(crate) undelivered: Option<RandomSerial>,
    /// In the order of issue.
    pub(crate) certificates: Vec<RegisterEntry>,
}

impl Register {
    /// The register of an authority with only its first CRL.
    pub(crate) fn new(crl: Crl) -> Self {
        Self { version: VERSION, crl, undelivered: None, certificates: Vec::new() }
    }

    pub(crate) fn load(folder: &OutputFolder) -> Result<Self, AuthorityError> {
        let damaged = |what| AuthorityError::Damaged { path: folder.file(FILE), what };
        let register: Self = serde_json::from_slice(&folder.read(FILE, Guarded::Writing)?)
            .map_err(|error| damaged(format!("no register ({error})")))?;
        if register.version != VERSION {
            return Err(damaged(format!(
                "a register of version {}, which is unknown here",
                register.version
            )));
        }
        match register.repeated_serial() {
            // `revoke` could mean either.
            Some(serial) => {
                Err(damaged(format!("a register that has the serial number {serial} twice")))
            }
            None => Ok(register),
        }
    }

    fn repeated_serial(&self) -> Option<RandomSerial> {
        let mut seen = HashSet::new();
        let mut serials = self.certificates.iter().map(|entry| entry.serial);
        serials.find(|serial| !seen.insert(*serial))
    }

    /// The file, not published yet.
    pub(crate) fn prepare(&self, folder: &OutputFolder) -> Result<PreparedFile, AuthorityError> {
        let mut json = serde_json::to_vec_pretty(self).map_err(|error| {
            AuthorityError::Encoding { what: "register", why: error.to_string() }
        })?;
        json.push(b'\n');
        folder.prepare(FILE, &json, Access::Private)
    }

    /// Writes the file.
    ///
    /// # Errors
    /// [`AuthorityError::NotSynced`] if it is written, but may not survive a power loss; after any other
    /// error it is unchanged.
    pub(crate) fn save(&self, folder: &OutputFolder) -> Result<(), AuthorityError> {
        folder.publish([self.prepare(folder)?])
    }

    /// The entries of the latest CRL: all certificates that were revoked when it was made, also expired ones,
    /// because dropping these early gains nothing.
    pub(crate) fn listed(&self) -> impl Iterator<Item = (&RegisterEntry, &RegisteredRevocation)> {
        let revoked =
            self.certificates.iter().filter_map(|entry| Some((entry, entry.revoked.as_ref()?)));
        revoked.filter(|(_, revocation)| revocation.list.is_some())
    }

    /// Whether a revocation is in no CRL yet.
    pub(crate) fn has_unlisted(&self) -> bool {
        let mut revoked = self.certificates.iter().filter_map(|entry| entry.revoked.as_ref());
        revoked.any(|revocation| revocation.list.is_none())
    }

    /// Makes `next` the latest CRL, with all revocations.
    pub(crate) fn advance(&mut self, next: Crl) {
        self.crl = next;
        for revocation in self.certificates.iter_mut().filter_map(|entry| entry.revoked.as_mut()) {
            revocation.list.get_or_insert(next.number);
        }
    }

    /// Whether a certificate for `name` may be issued; if so, whether the name was used before.
    ///
    /// A name is free again when all its certificates are revoked or expired, but it never changes between
    /// server and client: the files of both would coexist.
    pub(crate) fn claim(
        &self,
        name: &CertificateName,
        kind: CertificateKind,
        now: Timestamp,
    ) -> Result<bool, AuthorityError> {
        // Before any serial number is known: `revoke` takes both, and a serial number first.
        if name.as_str().parse::<RandomSerial>().is_ok() {
            return Err(AuthorityError::NameLikeSerial { name: name.to_string() });
        }
        let mut before = self.certificates.iter().filter(|entry| entry.name == *name).peekable();
        let known = before.peek().is_some();
        for entry in before {
            if entry.kind != kind {
                return Err(AuthorityError::NameOfOtherKind {
                    name: name.to_string(),
                    kind: entry.kind,
                });
            }
            if entry.is_live(now) {
                let (serial, until) = (entry.serial, entry.not_after);
                return Err(AuthorityError::NameTaken { name: name.to_string(), serial, until });
            }
        }
        Ok(known)
    }

    /// The index of the certificate named by `which`: its serial number, else the valid certificate of that
    /// name, else the latest of that name. The latest may only appear expired, if the clock is ahead.
    pub(crate) fn find(&self, which: &str, now: Timestamp) -> Result<usize, AuthorityError> {
        let all = || self.certificates.iter().enumerate();
        if let Ok(serial) = which.parse()
            && let Some((place, _)) = all().find(|(_, entry)| entry.serial == serial)
        {
            return Ok(place);
        }
        let named = || all().filter(|(_, entry)| entry.name.as_str() == which);
        let valid: Vec<_> = named().filter(|(_, entry)| entry.is_live(now)).collect();
        let which = which.escape_debug().to_string();
        match valid[..] {
            [(place, _)] => Ok(place),
            [] => match named().next_back() {
                None => Err(AuthorityError::Unknown { which }),
                Some((place, _)) => Ok(place),
            },
            _ => Err(AuthorityError::Ambiguous {
                which,
                serials: valid.iter().map(|(_, entry)| entry.serial).collect(),
            }),
        }
    }
}
