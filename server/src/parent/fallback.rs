//! What a reload on trial goes back to, kept in a file beside the claim: a server that dies meanwhile
//! and is started again must not take up what nobody has confirmed. It is gone with the next boot.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;

use nix::unistd::geteuid;
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::config::{PasswordSource, Settings};

/// Where the last confirmed settings are while what runs, or would be started, is something else.
#[derive(Debug)]
pub(crate) struct Fallback(PathBuf);

/// What is written down. A password is not.
#[derive(Deserialize, Serialize)]
struct Kept {
    settings: Settings,
    password: Option<PathBuf>,
    inline: bool,
}

/// Settings are a few kilobytes; a thousand port ranges still fit.
const LARGEST: u64 = 1 << 20;

impl Fallback {
    /// In this file.
    pub(crate) fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// Keeps `settings` for whoever starts next.
    pub(crate) fn keep(&self, settings: &Settings) -> io::Result<()> {
        let password = match &settings.keys.password {
            PasswordSource::File(path) => Some(path.clone()),
            _ => None,
        };
        let inline = matches!(settings.keys.password, PasswordSource::Inline(_));
        let kept = Kept { settings: settings.clone(), password, inline };
        let new = self.0.with_extension("new");
        remove(&new)?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(&serde_json::to_vec(&kept)?)?;
        fs::rename(&new, &self.0)
    }

    /// What was kept by a server that has not ended in order. A password that stood in the
    /// configuration itself is the one that stands in `loaded`.
    pub(crate) fn kept(&self, loaded: &Settings) -> Option<Settings> {
        match self.read() {
            Ok(Kept { mut settings, password, inline }) => {
                settings.keys.password = match password {
                    Some(path) => PasswordSource::File(path),
                    None if inline => loaded.keys.password.clone(),
                    None => PasswordSource::None,
                };
                Some(settings)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                let path = self.0.display();
                warn!("{path} cannot be read: {error}; the configuration file counts");
                None
            }
        }
    }

    fn read(&self) -> io::Result<Kept> {
        let file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(&self.0)?;
        // The folder may be a unit's user's, and root chowns and opens what the settings name.
        if file.metadata()?.uid() != geteuid().as_raw() {
            return Err(io::Error::other("it was written by another user"));
        }
        let mut text = Vec::new();
        File::take(file, LARGEST).read_to_end(&mut text)?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// What runs is what is to run.
    pub(crate) fn forget(&self) {
        if let Err(error) = remove(&self.0) {
            let path = self.0.display();
            warn!("{path} cannot be removed: {error}; do it, or the next start goes back to it");
        }
    }
}

fn remove(path: &std::path::Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
