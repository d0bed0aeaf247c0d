//! Default paths: `$XDG_CONFIG_HOME/sknock`, else `~/.config/sknock`.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use crate::host::unbracketed;

/// The folder of our files; `None` without a home.
pub fn folder() -> Option<PathBuf> {
    folder_of(std::env::var_os("XDG_CONFIG_HOME"), std::env::var_os("HOME"))
}

/// By the XDG rules a relative or empty path is ignored.
fn folder_of(config: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    let absolute = |path: OsString| Some(PathBuf::from(path)).filter(|path| path.is_absolute());
    let config = config.and_then(absolute);
    let base = config.or_else(|| home.and_then(absolute).map(|home| home.join(".config")))?;
    Some(base.join("sknock"))
}

/// The paths of a certificate for `host` in `folder`: its own, if `host` can be a file name, and the common
/// one.
pub fn server_certificates(folder: &Path, host: &str) -> (Option<PathBuf>, PathBuf) {
    let own = file_name(host).map(|name| folder.join("servers").join(name));
    (own, folder.join("server.cer"))
}

/// The path of the certificate for `host` in `folder`: its own, if it exists, else the common one.
pub fn server_certificate(folder: &Path, host: &str) -> PathBuf {
    let (own, general) = server_certificates(folder, host);
    // A file without access may exist: using the other certificate instead would only fail later.
    let denied = |error: io::Error| error.kind() == io::ErrorKind::PermissionDenied;
    let there = |path: &PathBuf| path.try_exists().unwrap_or_else(denied);
    own.filter(there).unwrap_or(general)
}

/// `HOST.cer`, in lower case and without brackets or a final dot. `None` if the path could leave the folder.
fn file_name(host: &str) -> Option<String> {
    let bare = unbracketed(host);
    let bare = bare.strip_suffix('.').unwrap_or(bare);
    let harmless = !bare.is_empty() && !bare.starts_with('.') && !bare.contains(['/', '\\']);
    // Host names do not depend on case (RFC 4343).
    harmless.then(|| format!("{}.cer", bare.to_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_follows_xdg() {
        let folder = |config: Option<&str>, home: Option<&str>| {
            folder_of(config.map(Into::into), home.map(Into::into))
        };
        assert_eq!(folder(Some("/c"), Some("/h")), Some("/c/sknock".into()));
        assert_eq!(folder(None, Some("/h")), Some("/h/.config/sknock".into()));
        assert_eq!(folder(Some(""), Some("/h")), Some("/h/.config/sknock".into()));
        assert_eq!(folder(Some("here"), Some("/h")), Some("/h/.config/sknock".into()));
        assert_eq!(folder(None, None), None);
    }

    #[test]
    fn a_hosts_own_certificate_comes_first() {
        let folder = tempfile::tempdir().unwrap();
        let general = folder.path().join("server.cer");
        assert_eq!(server_certificate(folder.path(), "gw.example"), general);
        let own = folder.path().join("servers/gw.example.cer");
        std::fs::create_dir(folder.path().join("servers")).unwrap();
        std::fs::write(&own, "").unwrap();
        assert_eq!(server_certificate(folder.path(), "GW.example."), own);
        assert_eq!(server_certificate(folder.path(), "other.example"), general);
    }

    #[test]
    fn no_host_leads_out_of_the_folder() {
        for host in ["../server", "a/../../b", ".", "..", "", "a\\b"] {
            assert_eq!(file_name(host), None, "{host:?}");
        }
        assert_eq!(file_name("[2001:DB8::1]").as_deref(), Some("2001:db8::1.cer"));
    }
}
