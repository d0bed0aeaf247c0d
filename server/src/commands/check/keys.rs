//! Who we are and whom we trust: does the file open, is the key a server's, who are the authorities,
//! and until when.

use std::io;
use std::path::Display;
use std::time::Duration;

use sknock_protocol::{Bundle, BundleError, ServerKey, Timestamp, TrustStore};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::{ConfiguredFiles, FileContent, Finding, Host};
use crate::config::keys::{Authorities, KeyProblem, authorities, password_in, pem};
use crate::config::{CREDENTIAL, PasswordSource, Settings};

/// Certificates that end within this time are mentioned.
const EXPIRY_NOTICE: Duration = Duration::from_secs(14 * 24 * 3600);

/// Who we are and whom we trust, as far as it can be told.
pub(super) struct LoadedKeys {
    /// Whom to trust.
    pub(super) trust_store: TrustStore,
    /// Our own, if it can be a server's.
    pub(super) own: Option<ServerKey>,
}

/// Adds what is wrong with the keys. Gives them, if that can be told.
pub(super) fn examine(
    settings: &Settings,
    (found, host): (&ConfiguredFiles, &Host),
    now: Timestamp,
    findings: &mut Vec<Finding>,
) -> Option<LoadedKeys> {
    let bundle = bundle(settings, (found, host), findings);
    let added = content("caFile", found.authorities.as_ref(), findings);
    let Some(bundle) = bundle else {
        // All that can be told of one without the other.
        if let Some(added) = added {
            pem("caFile", added, findings);
        }
        return None;
    };
    let own = ServerKey::from_bundle(&bundle);
    findings.extend(own.as_ref().err().map(|error| told("serverPFXFile", &error.to_string())));
    findings.extend(validity("the server certificate", bundle.certificate(), now));
    if added.is_none() && found.authorities.is_some() {
        return None;
    }
    match authorities(&bundle, added.map(|added| added.bytes.as_slice())) {
        Ok(Authorities { trust_store, certificates, unused }) => {
            for authority in &certificates {
                findings.extend(validity("CA certificate", authority, now));
            }
            findings.extend(unused.iter().map(|why| unfit(why)));
            Some(LoadedKeys { trust_store, own: own.ok() })
        }
        Err(error) => {
            if let KeyProblem::Trust { unused, .. } = &error {
                findings.extend(unused.iter().map(|why| unfit(why)));
            }
            findings.push(named(&error.to_string()));
            None
        }
    }
}

/// A certificate of `caFile`, or a part of it, that has no effect.
fn unfit(why: &str) -> Finding {
    let (what, remedy) = why.split_once(". ").unwrap_or((why, "Remove it"));
    Finding::warning(what, remedy)
}

/// An error that begins with its key, and says what to do in its second sentence.
fn named(error: &str) -> Finding {
    let (what, remedy) = error.split_once(". ").unwrap_or((error, "Replace the file"));
    Finding::error(what, remedy)
}

fn bundle(
    settings: &Settings,
    (found, host): (&ConfiguredFiles, &Host),
    findings: &mut Vec<Finding>,
) -> Option<Bundle> {
    let pfx = content("serverPFXFile", found.pfx.as_ref(), findings);
    if pfx.is_some_and(|pfx| pfx.mode & 0o007 != 0) {
        let what = "serverPFXFile: all users can read or write it";
        findings.push(Finding::warning(what, for_the_unit_too(&settings.keys.pfx.display())));
    }
    let password = password(settings, found, findings);
    // Without its password it can still be told whether it is such a file at all.
    match Bundle::open(&pfx?.bytes, password.unwrap_or_default()) {
        Ok(bundle) => Some(bundle),
        Err(BundleError::WrongPassword) => {
            let source = &settings.keys.password;
            findings.extend(password.map(|_| match (source, host.sealed_password) {
                (PasswordSource::None, Some(key)) => sealed(key),
                _ => wrong_password(source),
            }));
            None
        }
        Err(error) => {
            findings.push(told("serverPFXFile", &error.to_string()));
            None
        }
    }
}

fn password<'a>(
    settings: &'a Settings,
    found: &'a ConfiguredFiles,
    findings: &mut Vec<Finding>,
) -> Option<&'a str> {
    let (key, path) = match &settings.keys.password {
        PasswordSource::Inline(password) => return Some(password.as_str()),
        PasswordSource::None => return Some(""),
        PasswordSource::File(path) => ("PFXPasswdFile".to_owned(), path.display()),
        PasswordSource::Credential(path) => {
            (format!("systemd credential {}", path.display()), path.display())
        }
    };
    let content = content(&key, found.password.as_ref(), findings)?;
    let systemd_opens_it = matches!(settings.keys.password, PasswordSource::Credential(_));
    if systemd_opens_it && content.mode & 0o077 != 0 {
        let what = format!("{key}: other users can read or write it");
        findings.push(Finding::warning(what, format!("Run: chmod 600 {path}")));
    } else if content.mode & 0o037 != 0 {
        let what = "PFXPasswdFile: its permissions are too wide: only its owner and group may read it, \
             and only its owner may write to it";
        findings.push(Finding::warning(what, for_the_unit_too(&path)));
    }
    let text = password_in(&content.bytes).ok();
    if text.is_none() {
        let remedy = "Save the password as UTF-8 text, and nothing else";
        findings.push(Finding::error(format!("{key}: {path} is not UTF-8"), remedy));
    }
    text
}

/// What closes a file to others and leaves it to the unit, whose user is in this group.
fn for_the_unit_too(path: &Display<'_>) -> String {
    format!("Run: chgrp sknock {path} && chmod 640 {path}")
}

fn wrong_password(source: &PasswordSource) -> Finding {
    let remedy = match source {
        PasswordSource::Inline(_) => {
            "Correct PFXPasswd. Its value is used literally, including quotes, backslashes and %%"
                .to_owned()
        }
        PasswordSource::File(_) => {
            "Correct PFXPasswdFile. Its content is used literally, without one line end at its end"
                .to_owned()
        }
        PasswordSource::Credential(path) => format!(
            "Correct the systemd credential {}. Its content is used literally, without one line end at \
             its end",
            path.display()
        ),
        PasswordSource::None => format!(
            "No password is configured. Set PFXPasswdFile or PFXPasswd, or, for the unit, write the password \
             to /etc/credstore/{CREDENTIAL}"
        ),
    };
    Finding::error("serverPFXFile: the password does not open it", remedy)
}

/// Only systemd knows the password.
fn sealed(key: &str) -> Finding {
    Finding::warning(
        format!(
            "not tested: serverPFXFile: the unit takes its password from a systemd credential ({key}=), \
             which check cannot read"
        ),
        "To test it: run check once with the password in PFXPasswdFile",
    )
}

/// The content of a file that should be readable, if it is configured.
pub(super) fn content<'a>(
    key: &str,
    file: Option<&'a io::Result<FileContent>>,
    findings: &mut Vec<Finding>,
) -> Option<&'a FileContent> {
    match file? {
        Ok(content) => Some(content),
        Err(error) => {
            let remedy = match error.kind() {
                io::ErrorKind::NotFound => "Put the file there, or correct the path",
                io::ErrorKind::PermissionDenied => {
                    "Run check as root, or give sknockd read \
                                                    access"
                }
                _ => "Correct the path",
            };
            let what = format!("{key}: cannot read the file: {error}");
            findings.push(Finding::error(what, format!("{remedy} in {key}")));
            None
        }
    }
}

/// Adds what is wrong with a PEM file of certificates, and what of it is not used.
pub(super) fn pem(key: &str, content: &FileContent, findings: &mut Vec<Finding>) {
    match pem::read(&content.bytes) {
        Ok(contained) => findings.extend(
            contained
                .others
                .iter()
                .map(|other| unfit(&format!("{key}: line {}: {}", other.line, other.why))),
        ),
        Err(error) => {
            let text = error.to_string();
            findings.push(told(key, text.strip_prefix("caFile: ").unwrap_or(&text)));
        }
    }
}

/// An error that says what happened and, in a second sentence, what to do.
pub(super) fn told(key: &str, error: &str) -> Finding {
    let (what, remedy) = error.split_once(". ").unwrap_or((error, "Replace the file"));
    Finding::error(format!("{key}: {what}"), remedy)
}

/// The server's own end does not keep clients out, and an anchor's is not looked at: both are
/// warnings. That of an intermediate keeps out all below it, and says so in time.
fn validity(whose: &str, der: &[u8], now: Timestamp) -> Option<Finding> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let name = certificate.subject();
    let validity = certificate.validity();
    let timestamp = |time: i64| Timestamp::from_secs(u64::try_from(time).unwrap_or(0));
    let (begin, end) = (validity.not_before, validity.not_after);
    let (what, date, remedy) = if now < timestamp(begin.timestamp()) {
        ("is valid only from", begin, "Check the clock of this host")
    } else if timestamp(end.timestamp()) < now {
        ("expired on", end, "Renew it")
    } else if timestamp(end.timestamp()) < now.after(EXPIRY_NOTICE) {
        ("expires on", end, "Renew it")
    } else {
        return None;
    };
    Some(Finding::warning(format!("{whose} ({name}) {what} {date}"), remedy))
}
