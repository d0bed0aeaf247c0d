//! Settings in files beside the instance lock, for the next start: those to which a trial rolls back, because
//! a server that ends in a trial and is restarted must not use an unconfirmed configuration; and those in
//! force. They are valid in this boot and this network namespace only.

use std::cell::RefCell;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;
use serde::{Deserialize, Serialize};
use sknock_gate::{NamespaceLock, Origin};
use sknock_storage::{SlotContent, Slots, Stored, remove};
use tracing::warn;

use crate::config::{PasswordSource, Settings};

/// Both files.
#[derive(Debug)]
pub(crate) struct SavedConfigs {
    /// The last confirmed settings, while others run or would be started.
    pub(crate) rollback: SavedConfig,
    /// The settings of the table that is in force and not on trial.
    pub(crate) confirmed: SavedConfig,
}

impl SavedConfigs {
    /// Opens them beside the lock `claim`.
    pub(crate) fn open(claim: &NamespaceLock, origin: Origin) -> io::Result<Self> {
        let open = |name| SavedConfig::open(&claim.sibling(name), origin);
        Ok(Self { rollback: open("before")?, confirmed: open("confirmed")? })
    }

    /// No rollback is possible any more.
    pub(crate) fn forget(&self) {
        self.rollback.forget();
        self.confirmed.forget();
    }

    /// Saves settings that are in force without a confirmation.
    pub(crate) fn save_confirmed(&self, settings: &Settings) {
        if let Err(error) = self.confirmed.save(settings) {
            warn!(
                "cannot save the configuration in force: {error}. A later `run --confirm` has no \
                 configuration to roll back to"
            );
            self.confirmed.forget();
        }
    }
}

/// Opens or makes a file beside the lock. A file of another user is replaced: the folder may belong to a
/// unit's user, and root opens and changes the owner of files that settings name.
fn open_own(path: &Path) -> io::Result<Stored> {
    let ours =
        |file: &Stored| file.file().metadata().is_ok_and(|found| found.uid() == geteuid().as_raw());
    match Stored::open(path) {
        Ok(file) if ours(&file) => Ok(file),
        _ => {
            remove(path)?;
            Stored::create(path, 0o600)
        }
    }
}

/// Settings, or none. Open from the start on: later there is no privilege to open it. A process that is
/// killed during a write leaves the previous content.
#[derive(Debug)]
pub(crate) struct SavedConfig {
    slots: RefCell<Slots>,
    /// The content.
    content: RefCell<SlotContent>,
    origin: Origin,
}

/// The stored form. Without the password.
#[derive(Deserialize, Serialize)]
struct Saved {
    /// Boot and namespace: numbers of network namespaces are reused, and a folder may outlive a boot.
    origin: String,
    settings: Settings,
    password: Option<PathBuf>,
    inline: bool,
}

/// Settings take a few kilobytes, even with a thousand port ranges.
const MAX_SIZE: u64 = 1 << 20;

impl SavedConfig {
    /// Opens the file `path`.
    pub(crate) fn open(path: &Path, origin: Origin) -> io::Result<Self> {
        let (slots, content) = Slots::read(open_own(path)?, MAX_SIZE)?;
        Ok(Self { slots: RefCell::new(slots), content: RefCell::new(content), origin })
    }

    /// Saves `settings` for the next start.
    pub(crate) fn save(&self, settings: &Settings) -> io::Result<()> {
        let password = match &settings.keys.password {
            PasswordSource::File(path) | PasswordSource::Credential(path) => Some(path.clone()),
            PasswordSource::Inline(_) | PasswordSource::None => None,
        };
        let inline = matches!(settings.keys.password, PasswordSource::Inline(_));
        let origin = self.origin.to_string();
        let kept = Saved { origin, settings: settings.clone(), password, inline };
        let text = serde_json::to_vec(&kept)?;
        self.put(text)
    }

    /// The stored settings, if they are from this boot and network namespace and were not discarded by a
    /// proper end. An inline password is taken from `loaded`.
    pub(crate) fn load(&self, loaded: &Settings) -> Option<Settings> {
        match self.read() {
            Ok(Some(Saved { origin, .. })) if origin != self.origin.to_string() => None,
            Ok(Some(Saved { mut settings, password, inline, .. })) => {
                settings.keys.password = match password {
                    Some(path) => PasswordSource::File(path),
                    None if inline => loaded.keys.password.clone(),
                    None => PasswordSource::None,
                };
                Some(settings)
            }
            Ok(None) => None,
            Err(error) => {
                warn!(
                    "cannot read the saved configuration for a rollback: {error}. Using the \
                       configuration file"
                );
                None
            }
        }
    }

    fn put(&self, value: Vec<u8>) -> io::Result<()> {
        // Without a sync: it is valid in this boot only, in which the page cache outlives the process.
        self.slots.borrow_mut().put(&value)?;
        self.content.replace(SlotContent { latest: Some(value), doubtful: false });
        Ok(())
    }

    fn read(&self) -> io::Result<Option<Saved>> {
        let content = self.content.borrow();
        match content.latest.as_deref() {
            None if content.doubtful => Err(io::Error::other("its content was changed")),
            // `forget` writes an empty value.
            None | Some([]) => Ok(None),
            Some(text) => Ok(Some(serde_json::from_slice(text)?)),
        }
    }

    /// The running settings are those to run.
    pub(crate) fn forget(&self) {
        if let Err(error) = self.put(Vec::new()) {
            warn!(
                "cannot delete the saved configuration for a rollback: {error}. The next start \
                 will roll back to it"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{chown, symlink};

    use nix::sched::{CloneFlags, unshare};
    use sknock_storage::outage::{Recorder, restore};

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
        let open = || SavedConfig::open(&path, Origin::here(Path::new("/")).unwrap()).unwrap();
        let kept = || open().load(&settings("PFXPasswd = new\n"));
        assert_eq!(kept(), None);
        let saved_config = open();
        for (set, expected) in [
            ("PFXPasswdFile = /password\n", "PFXPasswdFile = /password\n"),
            ("PFXPasswd = old\n", "PFXPasswd = new\n"),
            ("", ""),
        ] {
            saved_config.save(&settings(set)).unwrap();
            assert!(!String::from_utf8_lossy(&fs::read(&path).unwrap()).contains("old"));
            assert_eq!(kept().unwrap().keys, settings(expected).keys, "{set}");
        }
        // Like a start that finds the files of a former network namespace.
        saved_config.save(&settings("")).unwrap();
        let saved_config = SavedConfig::open(&path, Origin::here(Path::new("/")).unwrap()).unwrap();
        assert!(saved_config.load(&settings("")).is_some());
        saved_config.forget();
        assert_eq!((saved_config.load(&settings("")), kept()), (None, None));
        fs::write(&path, "{").unwrap();
        assert_eq!(kept(), None);
    }

    /// Killed after any of its changes: the stored value is the one before or after.
    #[test]
    fn a_kill_during_a_save_leaves_the_former_or_the_new_settings() {
        let (folder, again) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (path, recorder) = (folder.path().join("before"), Recorder::default());
        let here = Origin::here(Path::new("/")).unwrap();
        let settings_for = |number: usize| settings(&format!("knockPort = {number}\n"));
        let mut expected = vec![None];
        let mut counts = vec![0];
        recorder.during(|| {
            for number in 1..5 {
                // The server is restarted each time.
                let saved_config = SavedConfig::open(&path, here).unwrap();
                saved_config.save(&settings_for(number)).unwrap();
                expected.push(Some(settings_for(number).knocks.ports));
                counts.push(recorder.count());
                saved_config.forget();
                expected.push(None);
                counts.push(recorder.count());
            }
        });
        for count in 0..=recorder.count() {
            restore(&recorder.kill(count), again.path()).unwrap();
            let before = again.path().join("before");
            let kept = SavedConfig::open(&before, here).unwrap().load(&settings(""));
            let kept = kept.map(|settings| settings.knocks.ports);
            let done = counts.iter().filter(|done| **done <= count).count() - 1;
            let may_be = [Some(&expected[done]), expected.get(done + 1)];
            assert!(may_be.contains(&Some(&kept)), "after {count}: {kept:?}");
        }
    }

    #[test]
    fn a_file_of_another_network_namespace_is_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("net-1.before");
        let elsewhere = std::thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).expect("these tests run as root");
            Origin::here(Path::new("/")).unwrap()
        });
        let elsewhere = elsewhere.join().unwrap();
        SavedConfig::open(&path, elsewhere).unwrap().save(&settings("")).unwrap();
        let here = SavedConfig::open(&path, Origin::here(Path::new("/")).unwrap()).unwrap();
        assert_eq!(here.load(&settings("")), None);
        assert!(SavedConfig::open(&path, elsewhere).unwrap().load(&settings("")).is_some());
    }

    #[test]
    fn a_file_of_another_user_is_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("net-1.before");
        let open = || SavedConfig::open(&path, Origin::here(Path::new("/")).unwrap());
        open().unwrap().save(&settings("")).unwrap();
        assert!(open().unwrap().load(&settings("")).is_some());
        chown(&path, Some(65534), None).expect("these tests run as root");
        assert_eq!(open().unwrap().load(&settings("")), None);
        assert_eq!(fs::metadata(&path).unwrap().uid(), geteuid().as_raw());
        let other = folder.path().join("other");
        fs::rename(&path, &other).unwrap();
        symlink(&other, &path).unwrap();
        assert!(open().is_ok() && fs::symlink_metadata(&path).unwrap().is_file());
    }
}
