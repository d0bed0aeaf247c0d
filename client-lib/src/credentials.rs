//! Identities and server certificates from files.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use pki_types::CertificateDer;
use pki_types::pem::PemObject;
use sknock_protocol::{Bundle, Identity, ServerCertificate, ServerCertificateError};
use zeroize::Zeroizing;

use crate::error::CredentialError;

/// Maximum size of a PKCS#12 file or certificate: 1 MiB, as in `sknock_protocol::Bundle`.
const MAX_SIZE: u64 = 1024 * 1024;

/// Reads an identity from a PKCS#12 file: one key (P-256, P-384 or Ed25519) and its certificate.
///
/// # Errors
/// With the file and a remedy: unreadable, wrong password, no MAC, a key of the wrong kind, ...
pub fn open_identity(pfx: impl AsRef<Path>, password: &str) -> Result<Identity, CredentialError> {
    let path = pfx.as_ref();
    let bundle = Bundle::open(&read(path)?, password)
        .map_err(|source| CredentialError::Bundle { path: path.into(), source })?;
    Identity::from_bundle(&bundle)
        .map_err(|source| CredentialError::Identity { path: path.into(), source })
}

/// Reads a server's certificate, DER or PEM; its key must be on P-256.
///
/// # Errors
/// With the file and a remedy.
pub fn open_server_certificate(
    certificate: impl AsRef<Path>,
) -> Result<ServerCertificate, CredentialError> {
    let path = certificate.as_ref();
    read_server_certificate(&read(path)?)
        .map_err(|source| CredentialError::ServerCertificate { path: path.into(), source })
}

/// Reads a server's certificate from a file's bytes: DER, or PEM, of which the first certificate is used.
///
/// # Errors
/// With the defect and a remedy.
pub fn read_server_certificate(bytes: &[u8]) -> Result<ServerCertificate, ServerCertificateError> {
    // A DER certificate begins with the tag of a SEQUENCE (0x30), which no PEM file does.
    let mut pem = CertificateDer::pem_slice_iter(bytes).map_while(Result::ok);
    let Some(first) = pem.next() else { return ServerCertificate::from_der(bytes) };
    ServerCertificate::from_der(&first).map_err(|error| match error {
        ServerCertificateError::Authority if pem.next().is_some() => {
            ServerCertificateError::AuthorityFirst
        }
        error => error,
    })
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, CredentialError> {
    let failed = |source| CredentialError::Read { path: path.into(), source };
    let mut bytes = Zeroizing::new(Vec::new());
    let file = File::open(path).map_err(failed)?;
    if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Err(CredentialError::Folder { path: path.into() });
    }
    file.take(MAX_SIZE + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_SIZE {
        return Err(CredentialError::TooLarge { path: path.into() });
    }
    Ok(bytes)
}
