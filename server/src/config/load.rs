//! Reads the configuration file.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{self, Path, PathBuf};

use sknock_storage::{Follow, open_regular};
use zeroize::Zeroizing;

use super::finding::Note;
use super::{CREDENTIAL, ConfigKey, PasswordSource, Problem, Problems, Settings, ValueKind, draft};

/// Far beyond any real configuration; a larger file is another file.
const MAX_CONFIG_FILE: u64 = 1 << 20;

impl Settings {
    /// Reads the configuration file, overridden by `environment` (such as [`std::env::vars_os`]).
    ///
    /// A variable `SKNOCK_<KEY>` overrides its key; other variables are ignored, except
    /// `CREDENTIALS_DIRECTORY`: a file [`CREDENTIAL`] there is the password's source if the configuration
    /// names none.
    ///
    /// # Errors
    ///
    /// All problems, each with its place and a remedy.
    pub fn load<N: Into<OsString>, V: Into<OsString>>(
        file: &Path,
        environment: impl Iterator<Item = (N, V)>,
    ) -> Result<Self, Problems> {
        let environment: Vec<(OsString, OsString)> =
            environment.map(|(name, value)| (name.into(), value.into())).collect();
        let variables =
            environment.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str()));
        let (text, mode) = read(file)?;
        let (mut settings, problems) = draft(&text, &absolute(file)?, variables.clone());
        settings.notes.extend(permissions(
            file,
            mode,
            holds_password(&settings, variables.clone()),
        ));
        if settings.keys.password == PasswordSource::None {
            let folder = variables.clone().find(|(name, _)| *name == "CREDENTIALS_DIRECTORY");
            let credential = folder.map(|(_, folder)| Path::new(folder).join(CREDENTIAL));
            // Inaccessible files are reported when they are opened.
            let there = |file: &PathBuf| !matches!(file.try_exists(), Ok(false));
            if let Some(credential) = credential.filter(there) {
                settings.keys.password = PasswordSource::Credential(credential);
            }
        }
        Problems::or_settings(problems, settings)
    }
}

/// The path remains valid when the server changes its working directory.
fn absolute(file: &Path) -> Result<PathBuf, Problem> {
    let place = file.display().to_string();
    let remedy = "Write an absolute path in UTF-8";
    let absolute = path::absolute(file)
        .map_err(|error| Problem::new(&place, format!("cannot be found: {error}"), remedy))?;
    match absolute.to_str() {
        Some(_) => Ok(absolute),
        None => Err(Problem::new(place, "the path is not UTF-8", remedy)),
    }
}

/// The text and the permission bits.
fn read(file: &Path) -> Result<(Zeroizing<String>, u32), Problem> {
    let place = file.display().to_string();
    let (bytes, mode) = read_bytes(file).map_err(|error| {
        let remedy = match error.kind() {
            io::ErrorKind::NotFound => {
                "Copy config.ini.example to this path, or use --config \
                                        with another file"
            }
            io::ErrorKind::PermissionDenied => "Run as root, or make it readable",
            _ => "Use --config with a readable file",
        };
        Problem::new(&place, format!("cannot be read: {error}"), remedy)
    })?;
    if bytes.len() as u64 > MAX_CONFIG_FILE {
        let what = format!("longer than {MAX_CONFIG_FILE} bytes");
        return Err(Problem::new(place, what, "Use --config with a configuration file"));
    }
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok((Zeroizing::new(text.to_owned()), mode)),
        Err(error) => {
            let before = bytes.iter().take(error.valid_up_to());
            let line = 1 + before.filter(|byte| **byte == b'\n').count();
            Err(Problem::new(format!("{place}:{line}"), "not UTF-8", "Save the file as UTF-8"))
        }
    }
}

fn read_bytes(file: &Path) -> io::Result<(Zeroizing<Vec<u8>>, u32)> {
    let file = open_regular(file, Follow::Links)?;
    let metadata = file.metadata()?;
    // full capacity at once: a growing vector would leave copies in memory
    let room = metadata.len().min(MAX_CONFIG_FILE) + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(room).unwrap_or(0)));
    file.take(MAX_CONFIG_FILE + 1).read_to_end(&mut bytes)?;
    Ok((bytes, metadata.permissions().mode()))
}

/// Whether the file contains the password, instead of a variable.
fn holds_password<'a>(
    settings: &Settings,
    mut variables: impl Iterator<Item = (&'a OsStr, &'a OsStr)>,
) -> bool {
    let key = |name: &'a OsStr| name.to_str()?.strip_prefix("SKNOCK_").and_then(ConfigKey::find);
    let by_variable =
        variables.any(|(name, _)| key(name).is_some_and(|key| key.kind == ValueKind::Secret));
    matches!(settings.keys.password, PasswordSource::Inline(_)) && !by_variable
}

fn permissions(file: &Path, mode: u32, holds_password: bool) -> Vec<Note> {
    let note = |what: &str, remedy: &str| Note {
        place: file.display().to_string(),
        what: what.into(),
        remedy: format!("{remedy} {}", file.display()),
        warning: true,
    };
    let mut notes = Vec::new();
    // The file's group may be that of the unit's user, who must read it.
    if holds_password && mode & 0o004 != 0 {
        let chgrp = format!("Run: chgrp sknock {} && chmod 640", file.display());
        notes.push(note("contains a password, and all users can read it", &chgrp));
    }
    if mode & 0o022 != 0 {
        notes
            .push(note("other users can write it, and so control the firewall", "Run: chmod go-w"));
    }
    notes
}
