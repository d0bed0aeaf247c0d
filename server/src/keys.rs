//! From the administrator's files to a verifier. Bytes in, values out; who reads the files is
//! somebody else's business.

use pki_types::CertificateDer;
use pki_types::pem::PemObject;
use sknock_protocol::{
    Anchors, Bundle, BundleError, Rules, ServerKey, ServerKeyError, TrustError, Verifier,
};

use crate::config::Settings;

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
    /// `caFile` is no PEM file of certificates.
    #[error(
        "caFile: not a PEM file of certificates ({0}); convert DER with `openssl x509 -inform DER`"
    )]
    Pem(pki_types::pem::Error),
    /// `caFile` has nothing in it.
    #[error("caFile: there is no certificate in it; a PEM file with BEGIN CERTIFICATE is expected")]
    EmptyPem,
    /// There is no authority to believe.
    #[error("authorities (from serverPFXFile and caFile): {0}")]
    Trust(#[from] TrustError),
}

/// Makes the verifier that `settings` ask for.
pub fn verifier(files: KeyFiles<'_>, settings: &Settings) -> Result<Verifier, KeyProblem> {
    let bundle = Bundle::open(files.bundle, files.password)?;
    let key = ServerKey::from_bundle(&bundle)?;
    let mut authorities = bundle.authorities().to_vec();
    if let Some(pem) = files.authorities {
        authorities.extend(certificates(pem)?);
    }
    let anchors = Anchors::new(&authorities, REMEMBERED_PATHS)?;
    let verifier = Verifier::new(key, anchors, rules(settings));
    Ok(match settings.knocks.v1() {
        Some(rules) => verifier.with_v1(rules),
        None => verifier,
    })
}

/// All certificates in a PEM file, at least one.
pub fn certificates(pem: &[u8]) -> Result<Vec<Vec<u8>>, KeyProblem> {
    let found: Vec<Vec<u8>> = CertificateDer::pem_slice_iter(pem)
        .map(|one| one.map(|der| der.to_vec()).map_err(KeyProblem::Pem))
        .collect::<Result<_, _>>()?;
    if found.is_empty() { Err(KeyProblem::EmptyPem) } else { Ok(found) }
}

/// The last line end of a password file does not belong to the password.
pub fn without_line_end(password: &str) -> &str {
    let password = password.strip_suffix('\n').unwrap_or(password);
    password.strip_suffix('\r').unwrap_or(password)
}

fn rules(settings: &Settings) -> Rules {
    let knocks = &settings.knocks;
    Rules {
        window: knocks.window,
        unsigned_address: knocks.source_address,
        second_address: knocks.second_address,
    }
}

/// Certificates whose path is remembered: about 2 kB each.
const REMEMBERED_PATHS: usize = 10_000;
