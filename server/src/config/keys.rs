//! From the administrator's key files to a verifier. Opening them is the callers' business: the network process gets open
//! descriptors, `check` and `explain` open paths.

mod authorities;
pub mod pem;

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::str::Utf8Error;

use sknock_protocol::{
    Bundle, BundleError, KnockRules, ServerKey, ServerKeyError, TrustError, Verifier,
};
use tracing::warn;
use zeroize::Zeroizing;

pub use self::authorities::{Authorities, authorities};
use crate::config::Settings;

/// As large as a key, a password, or a file of certificates may be, in bytes: they take kilobytes.
pub const MAX_KEY_FILE: u64 = 1 << 20;

/// The contents of the key files.
#[derive(Clone, Copy)]
pub struct KeyFiles<'a> {
    /// `serverPFXFile`
    pub bundle: &'a [u8],
    /// Its password.
    pub password: &'a str,
    /// `caFile`, if there is one.
    pub authorities: Option<&'a [u8]>,
}

impl std::fmt::Debug for KeyFiles<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyFiles").finish_non_exhaustive()
    }
}

/// Why the key files do not make a server. Each says which setting to look at.
#[derive(Debug, thiserror::Error)]
pub enum KeyProblem {
    /// The PKCS#12 file does not open.
    #[error("serverPFXFile: {0}")]
    Bundle(#[from] BundleError),
    /// The key in it is no server's.
    #[error("serverPFXFile: {0}")]
    Key(#[from] ServerKeyError),
    /// `caFile` has a certificate that cannot be read.
    #[error("caFile: line {line}: not a PEM certificate ({why}). Replace or remove it")]
    Damaged {
        /// Where it begins, counted from 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// `caFile` is in UTF-16.
    #[error("caFile: the encoding is UTF-16. Save the file as UTF-8 or ASCII")]
    Wide,
    /// `caFile` has nothing in it.
    #[error(
        "caFile: no certificate found. Use a PEM file with BEGIN CERTIFICATE (convert DER with \
         `openssl x509 -inform DER`)"
    )]
    EmptyPem,
    /// `caFile` has only something else in it.
    #[error("caFile: no certificate found: line {line}: {why}")]
    NoCertificate {
        /// Where the first of it begins, counted from 1.
        line: usize,
        /// What it is, and what to do.
        why: String,
    },
    /// There is no authority to believe.
    #[error("CA certificates (from serverPFXFile and caFile): {error}")]
    Trust {
        /// Why not.
        #[source]
        error: TrustError,
        /// As [`Authorities::unused`].
        unused: Vec<String>,
    },
}

/// Makes the verifier that `settings` ask for. The log names certificates of authorities that are not used.
pub fn verifier(files: KeyFiles<'_>, settings: &Settings) -> Result<Verifier, KeyProblem> {
    let bundle = Bundle::open(files.bundle, files.password)?;
    let key = ServerKey::from_bundle(&bundle)?;
    let authorities = authorities(&bundle, files.authorities);
    if let Ok(Authorities { unused, .. }) | Err(KeyProblem::Trust { unused, .. }) = &authorities {
        for why in unused {
            warn!("{why}");
        }
    }
    let verifier = Verifier::new(key, authorities?.trust_store, rules(settings));
    Ok(match settings.knocks.v1() {
        Some(rules) => verifier.with_v1(rules),
        None => verifier,
    })
}

/// All certificates in a PEM file, at least one.
pub fn certificates(pem: &[u8]) -> Result<Vec<Vec<u8>>, KeyProblem> {
    Ok(pem::read(pem)?.certificates.into_iter().map(|one| one.der).collect())
}

/// The password in the content of its file, which is UTF-8. A line end at its end does not belong to it.
pub(crate) fn password_in(content: &[u8]) -> Result<&str, Utf8Error> {
    let text = str::from_utf8(content)?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    Ok(text.strip_suffix('\r').unwrap_or(text))
}

/// Reads a whole file of at most `limit` bytes, from its beginning, also if an earlier reader of the same descriptor has
/// read part of it.
pub(crate) fn read_whole(mut file: File, limit: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    let length = file.metadata()?.len().min(limit);
    file.seek(SeekFrom::Start(0))?;
    // Room for all at once: a vector that grows leaves copies of the secret behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(length + 1).unwrap_or(0)));
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        let text = format!("larger than the limit of {limit} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    Ok(bytes)
}

fn rules(settings: &Settings) -> KnockRules {
    let knocks = &settings.knocks;
    KnockRules {
        window: knocks.window,
        unsigned_address: knocks.source_address,
        second_address: knocks.second_address,
    }
}

/// Certificates whose path is remembered: about 2 kB each.
const REMEMBERED_PATHS: usize = 10_000;
