//! The register: every certificate that was ever issued, and what became of it. Reads and writes
//! `register.json`, decides what a name or number means, and issues nothing itself.

use serde::{Deserialize, Serialize};
use sknock_protocol::Timestamp;

use crate::crl::Crl;
use crate::entry::{CertificateKind, RegisterEntry, RegisteredRevocation};
use crate::error::AuthorityError;
use crate::folder::{Access, OutputFolder, PreparedFile};
use crate::name::CertificateName;
use crate::ownership::Guarded;
use crate::serial::RandomSerial;

/// The register's file.
pub(crate) const FILE: &str = "register.json";

/// The only form of the file there is.
const VERSION: u8 = 1;

/// Everything that was issued.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Register {
    version: u8,
    /// The latest revocation list, published or about to be.
    pub(crate) crl: Crl,
    /// The certificate whose files lie under passing names, until they have their own.
    pub(crate) undelivered: Option<RandomSerial>,
    /// In the order of their making.
    pub(crate) certificates: Vec<RegisterEntry>,
}

impl Register {
    /// Of an authority that has issued nothing but its first revocation list.
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
        Ok(register)
    }

    /// The file, still to be published.
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
    /// [`AuthorityError::NotSynced`] if it is written, but nobody knows whether for good; after any other error it is
    /// as it was.
    pub(crate) fn save(&self, folder: &OutputFolder) -> Result<(), AuthorityError> {
        folder.publish([self.prepare(folder)?])
    }

    /// What the latest list says: all certificates that were revoked when it was made, also those that
    /// have ended, for a list that forgets them early gains nothing.
    pub(crate) fn listed(&self) -> impl Iterator<Item = (&RegisterEntry, &RegisteredRevocation)> {
        let revoked =
            self.certificates.iter().filter_map(|entry| Some((entry, entry.revoked.as_ref()?)));
        revoked.filter(|(_, revocation)| revocation.list.is_some())
    }

    /// Whether something is revoked that no list says.
    pub(crate) fn has_unlisted(&self) -> bool {
        let mut revoked = self.certificates.iter().filter_map(|entry| entry.revoked.as_ref());
        revoked.any(|revocation| revocation.list.is_none())
    }

    /// Makes `next` the latest list, which says all that is revoked.
    pub(crate) fn advance(&mut self, next: Crl) {
        self.crl = next;
        for revocation in self.certificates.iter_mut().filter_map(|entry| entry.revoked.as_mut()) {
            revocation.list.get_or_insert(next.number);
        }
    }

    /// Whether a certificate for `name` may be issued, and if so, whether one was before.
    ///
    /// A name is free again when all its certificates are revoked or expired, but it never changes
    /// from server to client or back: files of both would lie side by side.
    pub(crate) fn claim(
        &self,
        name: &CertificateName,
        kind: CertificateKind,
        now: Timestamp,
    ) -> Result<bool, AuthorityError> {
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

    /// Where the certificate is that `which` means: the one with that serial number, else the valid
    /// one of that name, else the latest of that name. That one may only seem to have ended, if the clock is
    /// ahead.
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
