//! The identity and the server's certificate, from the named or the default file.

use std::path::{Path, PathBuf};

use sknock::{BundleError, CredentialError, Identity, ServerCertificate, paths};

use crate::arguments::Task;
use crate::failure::Failure;
use crate::{password, permissions};

/// Loads both; asks for the password last, when nothing else is missing.
pub(crate) fn load(task: &Task) -> Result<(Identity, ServerCertificate), Failure> {
    let options = &task.options;
    let identity = identity_file(options.identity.as_ref())?;
    let certificate = server_file(options.server_cert.as_ref(), &task.host)?;
    permissions::note_files(&identity, &certificate);
    let server = sknock::open_server_certificate(certificate)?;
    let password = password::find(options.password_file.as_deref(), &identity)?;
    let identity =
        sknock::open_identity(identity, &password.text).map_err(|error| match error {
            CredentialError::Bundle { path, source: BundleError::WrongPassword } => {
                Failure::Password(format!(
                    "the password from {} does not open {}",
                    password.from,
                    path.display()
                ))
            }
            other => other.into(),
        })?;
    Ok((identity, server))
}

/// The named file, or the default one, which must exist.
fn identity_file(named: Option<&PathBuf>) -> Result<PathBuf, Failure> {
    let (option, variable) = ("identity", "SKNOCK_IDENTITY");
    if let Some(named) = named {
        return named_file(named, option, variable);
    }
    let folder = paths::folder().ok_or(Failure::NoPlace { option, variable })?;
    let path = folder.join("identity.pfx");
    if is_missing(&path) { Err(Failure::NoIdentity(path)) } else { Ok(path) }
}

/// Like `identity_file`, for the server's certificate, which has two default paths.
fn server_file(named: Option<&PathBuf>, host: &str) -> Result<PathBuf, Failure> {
    let (option, variable) = ("server-cert", "SKNOCK_SERVER_CERT");
    if let Some(named) = named {
        return named_file(named, option, variable);
    }
    let folder = paths::folder().ok_or(Failure::NoPlace { option, variable })?;
    let path = paths::server_certificate(&folder, host);
    if !is_missing(&path) {
        return Ok(path);
    }
    let (own, general) = paths::server_certificates(&folder, host);
    Err(Failure::NoServer { own, general })
}

fn named_file(
    path: &Path,
    option: &'static str,
    variable: &'static str,
) -> Result<PathBuf, Failure> {
    let path = path.to_owned();
    if is_missing(&path) { Err(Failure::Missing { path, option, variable }) } else { Ok(path) }
}

/// A file without access (for example in a folder of another user) is not missing: opening it reports the
/// error.
fn is_missing(path: &Path) -> bool {
    matches!(path.try_exists(), Ok(false))
}
