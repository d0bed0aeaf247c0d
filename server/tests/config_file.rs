//! The configuration as a file: where it lies, who may read it, and what stands beside it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sknock_server::config::{PasswordSource, Problems, Settings};

fn written(text: &[u8], mode: u32) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.ini");
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    (folder, file)
}

fn load(file: &Path) -> Result<Settings, Problems> {
    Settings::load(file, std::iter::empty::<(String, String)>())
}

#[test]
fn relative_paths_begin_at_the_files_folder() {
    let (folder, file) = written(b"PFXPasswdFile = pw\nstateDir = /s\ncaFile = ../ca.pem", 0o600);
    let settings = load(&file).unwrap();
    assert_eq!(settings.keys.password, PasswordSource::File(folder.path().join("pw")));
    assert_eq!(settings.keys.authorities, Some(folder.path().join("../ca.pem")));
    assert_eq!(settings.process.state, Path::new("/s"));
}

#[test]
fn a_password_that_others_can_read_is_noted() {
    let (_folder, file) = written(b"PFXPasswd = a", 0o644);
    let remedy = load(&file).unwrap().notes[0].remedy.clone();
    assert!(
        remedy.starts_with("Run: chgrp sknock ") && remedy.contains(" && chmod 640 "),
        "{remedy}"
    );
    let variable = [("SKNOCK_PFXPASSWD", "b")];
    assert!(Settings::load(&file, variable.into_iter()).unwrap().notes.is_empty());
    // By its group the unit's user reads it.
    for mode in [0o640, 0o600] {
        let (_folder, file) = written(b"PFXPasswd = a", mode);
        assert!(load(&file).unwrap().notes.is_empty());
    }
    let (_folder, file) = written(b"", 0o666);
    assert!(load(&file).unwrap().notes[0].remedy.starts_with("Run: chmod go-w"));
}

#[test]
fn a_systemd_credential_is_the_last_resort() {
    let (folder, file) = written(b"", 0o600);
    let with = || {
        let variable = [("CREDENTIALS_DIRECTORY", folder.path())];
        Settings::load(&file, variable.into_iter()).unwrap().keys.password
    };
    assert_eq!(with(), PasswordSource::None);
    let credential = folder.path().join("sknock-pfx-password");
    fs::write(&credential, "x").unwrap();
    assert_eq!(with(), PasswordSource::Credential(credential));
    fs::write(&file, "PFXPasswd = a").unwrap();
    assert!(matches!(with(), PasswordSource::Inline(_)));
}

#[test]
fn an_unreadable_file_is_one_clear_problem() {
    let folder = tempfile::tempdir().unwrap();
    let missing = load(&folder.path().join("none.ini")).unwrap_err().to_string();
    assert!(missing.contains("cannot be read") && missing.contains("config.ini.example"));
    assert!(load(folder.path()).unwrap_err().to_string().contains("cannot be read"));
    let (_folder, latin) = written(b"[DEFAULT]\n# gr\xfc\xdfe\n", 0o600);
    assert!(load(&latin).unwrap_err().to_string().contains("config.ini:2: not UTF-8"));
    let (_folder, huge) = written(&vec![b'\n'; (1 << 20) + 1], 0o600);
    assert!(load(&huge).unwrap_err().to_string().contains("longer than"));
}
