//! The edge: reads what the configuration names, and asks the system about users and folders.

use std::fmt;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::unistd::{Uid, User};
use sknock_storage::{Follow, open_regular};
use zeroize::Zeroizing;

use super::state_folder::StateFolder;
use crate::config::keys::{MAX_KEY_FILE, read_whole};
use crate::config::{PasswordSource, Settings};
use crate::crl::{MAX_LIST, MAX_SAVED};
use crate::supervisor::Account;

/// A file's bytes, and who may read it.
#[derive(Clone, Eq, PartialEq)]
pub struct FileContent {
    /// All of it.
    pub bytes: Zeroizing<Vec<u8>>,
    /// Its permission bits.
    pub mode: u32,
}

impl fmt::Debug for FileContent {
    /// It may be a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content").field("mode", &self.mode).finish_non_exhaustive()
    }
}

/// What is where the settings point to. `None`: they point nowhere.
#[derive(Debug)]
pub struct ConfiguredFiles {
    /// `serverPFXFile`
    pub pfx: Option<io::Result<FileContent>>,
    /// The password's file, or systemd credential.
    pub password: Option<io::Result<FileContent>>,
    /// `caFile`
    pub authorities: Option<io::Result<FileContent>>,
    /// `crlFile`
    pub list: Option<io::Result<FileContent>>,
    /// What was fetched and saved in `stateDir`.
    pub saved: Option<io::Result<FileContent>>,
    /// `crlTlsCaFile`
    pub tls_authorities: Option<io::Result<FileContent>>,
    /// The uid of `user`; `Ok(None)` if there is none of that name.
    pub user: io::Result<Option<u32>>,
    /// `stateDir`
    pub state: StateFolder,
}

impl ConfiguredFiles {
    /// Reads and asks.
    pub fn look(settings: &Settings) -> Self {
        let key_file = |path: &Path| read(path, MAX_KEY_FILE);
        let pfx = Some(settings.keys.pfx.as_path()).filter(|path| !path.as_os_str().is_empty());
        let password = match &settings.keys.password {
            PasswordSource::File(path) | PasswordSource::Credential(path) => Some(key_file(path)),
            PasswordSource::Inline(_) | PasswordSource::None => None,
        };
        let list = settings.revocation.file.as_deref();
        let list_file = |path: &Path| read(path, MAX_LIST);
        Self {
            pfx: pfx.map(key_file),
            password,
            authorities: settings.keys.authorities.as_deref().map(key_file),
            list: list.map(list_file),
            saved: settings.revocation.saved.as_deref().map(|path| read(path, MAX_SAVED)),
            tls_authorities: settings.revocation.tls_authorities.as_deref().map(key_file),
            user: uid(&settings.process.user),
            state: StateFolder::look(
                &settings.process.state,
                Account::find(&settings.process.user).ok(),
            ),
        }
    }
}

fn read(path: &Path, most: u64) -> io::Result<FileContent> {
    let file = open_regular(path, Follow::Links)?;
    let mode = file.metadata()?.mode();
    Ok(FileContent { bytes: read_whole(file, most)?, mode })
}

/// As for `run`, a number is a uid.
fn uid(user: &str) -> io::Result<Option<u32>> {
    let found = match user.parse() {
        Ok(number) => User::from_uid(Uid::from_raw(number)),
        Err(_) => User::from_name(user),
    };
    Ok(found?.map(|user| user.uid.as_raw()))
}
