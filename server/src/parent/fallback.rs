//! Settings kept in files beside the claim, for whoever starts next: what a trial goes back to, as a server
//! that dies meanwhile and is started again must not take up what nobody has confirmed; and what is in
//! force. They count in this boot and this network namespace only.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;
use serde::{Deserialize, Serialize};
use sknock_gate::{Claim, Origin};
use tracing::warn;

use crate::config::{PasswordSource, Settings};

/// Both of them.
#[derive(Debug)]
pub(crate) struct Fallbacks {
    /// The last confirmed settings, while what runs, or would be started, is something else.
    pub(crate) before: Fallback,
    /// What the table is for that is in force and not on trial.
    pub(crate) confirmed: Fallback,
}

impl Fallbacks {
    /// Opens them beside `claim`.
    pub(crate) fn open(claim: &Claim, origin: Origin) -> io::Result<Self> {
        let open = |name| Fallback::open(&claim.beside(name), origin);
        Ok(Self { before: open("before")?, confirmed: open("confirmed")? })
    }

    /// There is nothing to go back to.
    pub(crate) fn forget(&self) {
        self.before.forget();
        self.confirmed.forget();
    }

    /// These settings are in force from here on, and nobody has to confirm them.
    pub(crate) fn settle(&self, settings: &Settings) {
        if let Err(error) = self.confirmed.keep(settings) {
            warn!(
                "what is in force cannot be written down: {error}; a later `run --confirm` has nothing \
                 to go back to"
            );
            self.confirmed.forget();
        }
    }
}

/// Settings, or nothing. Open from the start on: later we have no privilege to open it.
#[derive(Debug)]
pub(crate) struct Fallback {
    file: File,
    origin: Origin,
}

/// What is written down. A password is not.
#[derive(Deserialize, Serialize)]
struct Kept {
    /// The numbers of network namespaces are used again, and a folder may outlive a boot.
    origin: String,
    settings: Settings,
    password: Option<PathBuf>,
    inline: bool,
}

/// Settings are a few kilobytes; a thousand port ranges still fit.
const LARGEST: u64 = 1 << 20;

impl Fallback {
    /// In the file `path`. One of another user is replaced: the folder may be a unit's user's, and root
    /// opens and gives away what settings name.
    pub(crate) fn open(path: &Path, origin: Origin) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
        let ours = |file: &File| {
            let found = file.metadata();
            found.is_ok_and(|found| found.uid() == geteuid().as_raw() && found.is_file())
        };
        match options.open(path) {
            Ok(file) if ours(&file) => return Ok(Self { file, origin }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Ok(_) | Err(_) => fs::remove_file(path)?,
        }
        options.create_new(true).open(path).map(|file| Self { file, origin })
    }

    /// Keeps `settings` for whoever starts next.
    pub(crate) fn keep(&self, settings: &Settings) -> io::Result<()> {
        let password = match &settings.keys.password {
            PasswordSource::File(path) => Some(path.clone()),
            _ => None,
        };
        let inline = matches!(settings.keys.password, PasswordSource::Inline(_));
        let origin = self.origin.to_string();
        let kept = Kept { origin, settings: settings.clone(), password, inline };
        let text = serde_json::to_vec(&kept)?;
        self.file.set_len(0)?;
        self.file.write_all_at(&text, 0)
    }

    /// What was kept, in this boot and network namespace, by a server that has not ended in order. A password that stood in the
    /// configuration itself is the one that stands in `loaded`.
    pub(crate) fn kept(&self, loaded: &Settings) -> Option<Settings> {
        match self.read() {
            Ok(Some(Kept { origin, .. })) if origin != self.origin.to_string() => None,
            Ok(Some(Kept { mut settings, password, inline, .. })) => {
                settings.keys.password = match password {
                    Some(path) => PasswordSource::File(path),
                    None if inline => loaded.keys.password.clone(),
                    None => PasswordSource::None,
                };
                Some(settings)
            }
            Ok(None) => None,
            Err(error) => {
                warn!("what to go back to cannot be read: {error}; the configuration file counts");
                None
            }
        }
    }

    fn read(&self) -> io::Result<Option<Kept>> {
        let mut text = Vec::new();
        // Read once, at the start, so from the beginning.
        (&self.file).take(LARGEST).read_to_end(&mut text)?;
        if text.is_empty() { Ok(None) } else { Ok(Some(serde_json::from_slice(&text)?)) }
    }

    /// What runs is what is to run.
    pub(crate) fn forget(&self) {
        if let Err(error) = self.file.set_len(0) {
            warn!(
                "what to go back to cannot be forgotten: {error}; the next start goes back to it"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{chown, symlink};

    use nix::sched::{CloneFlags, unshare};

    use super::*;
    use crate::config::parse;

    fn settings(more: &str) -> Settings {
        let text = format!("[DEFAULT]\nserverPFXFile = /gate.pfx\n{more}");
        parse(&text, Path::new("/config.ini"), []).unwrap()
    }

    #[test]
    fn the_next_start_finds_the_settings_and_where_the_password_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("net-1.before");
        let open = || Fallback::open(&path, Origin::here(Path::new("/")).unwrap()).unwrap();
        let kept = || open().kept(&settings("PFXPasswd = new\n"));
        assert_eq!(kept(), None);
        let fallback = open();
        for (set, expected) in [
            ("PFXPasswdFile = /password\n", "PFXPasswdFile = /password\n"),
            ("PFXPasswd = old\n", "PFXPasswd = new\n"),
            ("", ""),
        ] {
            fallback.keep(&settings(set)).unwrap();
            assert!(!fs::read_to_string(&path).unwrap().contains("old"));
            assert_eq!(kept().unwrap().keys, settings(expected).keys, "{set}");
        }
        fallback.forget();
        assert_eq!(kept(), None);
        fs::write(&path, "{").unwrap();
        assert_eq!(kept(), None);
    }

    #[test]
    fn a_file_of_another_network_namespace_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("net-1.before");
        let elsewhere = std::thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).expect("these tests run as root");
            Origin::here(Path::new("/")).unwrap()
        });
        let elsewhere = elsewhere.join().unwrap();
        Fallback::open(&path, elsewhere).unwrap().keep(&settings("")).unwrap();
        let here = Fallback::open(&path, Origin::here(Path::new("/")).unwrap()).unwrap();
        assert_eq!(here.kept(&settings("")), None);
        assert!(Fallback::open(&path, elsewhere).unwrap().kept(&settings("")).is_some());
    }

    #[test]
    fn a_file_of_somebody_else_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("net-1.before");
        let open = || Fallback::open(&path, Origin::here(Path::new("/")).unwrap());
        open().unwrap().keep(&settings("")).unwrap();
        assert!(open().unwrap().kept(&settings("")).is_some());
        chown(&path, Some(65534), None).expect("these tests run as root");
        assert_eq!(open().unwrap().kept(&settings("")), None);
        assert_eq!(fs::metadata(&path).unwrap().uid(), geteuid().as_raw());
        let other = folder.path().join("other");
        fs::rename(&path, &other).unwrap();
        symlink(&other, &path).unwrap();
        assert!(open().is_ok() && fs::symlink_metadata(&path).unwrap().is_file());
    }
}
