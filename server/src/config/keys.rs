//! Builds a verifier from the administrator's key files. The callers open them: the network process gets open
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

/// Maximum size of a key, a password or a file of certificates in bytes: they take kilobytes.
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

/// Reasons why the key files cannot be used. Each names the setting.
#[derive(Debug, thiserror::Error)]
pub enum KeyProblem {
    /// The PKCS#12 file cannot be decrypted.
    #[error("serverPFXFile: {0}")]
    Bundle(#[from] BundleError),
    /// The key in it cannot be a server's.
    #[error("serverPFXFile: {0}")]
    Key(#[from] ServerKeyError),
    /// `caFile` contains a damaged certificate.
    #[error("caFile: line {line}: not a PEM certificate ({why}). Replace or remove it")]
    Damaged {
        /// Its first line, counted from 1.
        line: usize,
        /// The defect.
        why: String,
    },
    /// `caFile` is in UTF-16.
    #[error("caFile: the encoding is UTF-16. Save the file as UTF-8 or ASCII")]
    Wide,
    /// `caFile` contains nothing.
    #[error(
        "caFile: no certificate found. Use a PEM file with BEGIN CERTIFICATE (convert DER with \
         `openssl x509 -inform DER`)"
    )]
    EmptyPem,
    /// `caFile` contains no certificate, but something else.
    #[error("caFile: no certificate found: line {line}: {why}")]
    NoCertificate {
        /// Its first line, counted from 1.
        line: usize,
        /// The observation and a remedy.
        why: String,
    },
    /// No authority can be used.
    #[error("CA certificates (from serverPFXFile and caFile): {error}")]
    Trust {
        /// The reason.
        #[source]
        error: TrustError,
        /// As [`Authorities::unused`].
        unused: Vec<String>,
    },
}

/// Builds the verifier for `settings`. Logs the unused CA certificates.
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

/// The password in the content of its file, which is UTF-8, without a trailing line end.
pub(crate) fn password_in(content: &[u8]) -> Result<&str, Utf8Error> {
    let text = str::from_utf8(content)?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    Ok(text.strip_suffix('\r').unwrap_or(text))
}

/// Reads a whole file of at most `limit` bytes, from its beginning: an earlier reader of the same descriptor
/// may have moved its offset.
pub(crate) fn read_whole(mut file: File, limit: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    let length = file.metadata()?.len().min(limit);
    file.seek(SeekFrom::Start(0))?;
    // The full capacity at once: a vector that grows leaves copies of the secret in memory.
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

/// Maximum number of cached paths, with about 2 kB each.
const REMEMBERED_PATHS: usize = 10_000;
