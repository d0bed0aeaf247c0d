//! What systemd's unit says of who runs sknockd, and of what it sees there.
//!
//! The password of `serverPFXFile` that systemd would hand over: from where the unit says, so that it is known
//! outside of the unit, too.

use std::ffi::CString;
use std::fs;
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, User, getgrouplist};

use crate::config::{CREDENTIAL, PasswordSource, Problems, Settings};

/// Where units are, the first that is there counts.
const UNITS: [&str; 3] = [
    "/etc/systemd/system/sknockd.service",
    "/usr/lib/systemd/system/sknockd.service",
    "/lib/systemd/system/sknockd.service",
];

/// What `systemctl edit` writes.
const CHANGES: &str = "/etc/systemd/system/sknockd.service.d";

/// What sknockd reads if it is not told.
const DEFAULT: &str = "/etc/sknock/config.ini";

/// Folders that the unit sees empty, by the key that says so.
const HIDDEN: [(&str, &[&str]); 2] =
    [("ProtectHome", &["/home", "/root", "/run/user"]), ("PrivateTmp", &["/tmp", "/var/tmp"])];

/// The unit that is installed here.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Unit(String);

/// A user that files may be closed to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct FileReader {
    /// What the unit calls it.
    pub(super) name: String,
    /// Its number.
    pub(super) uid: u32,
    /// Its own group first, then those that it was put into.
    pub(super) groups: Vec<Gid>,
}

impl Unit {
    /// With local changes behind it.
    fn installed() -> Option<Self> {
        let mut text = UNITS.iter().find_map(|path| fs::read_to_string(path).ok())?;
        let changes = fs::read_dir(CHANGES).into_iter().flatten().flatten();
        let mut changes: Vec<PathBuf> = changes.map(|entry| entry.path()).collect();
        changes.retain(|path| path.extension().is_some_and(|extension| extension == "conf"));
        // systemd merges drop-in files in the order of their names (systemd.unit(5)).
        changes.sort();
        for path in changes {
            text.push('\n');
            text.push_str(&fs::read_to_string(path).unwrap_or_default());
        }
        Some(Self(text))
    }

    /// The one that runs sknockd with this configuration.
    pub(super) fn installed_for(config: &Path) -> Option<Self> {
        Self::installed().filter(|unit| unit.is_for(config))
    }

    /// What a key is set to last.
    fn value<'a>(&'a self, key: &'a str) -> Option<&'a str> {
        self.values(key).last()
    }

    /// All that a key is set to, in this order.
    pub(super) fn values<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        let value = move |line: &'a str| line.trim().strip_prefix(key)?.strip_prefix('=');
        self.0.lines().filter_map(value).map(str::trim)
    }

    /// Whether it runs sknockd with this configuration: of another one it says nothing.
    fn is_for(&self, config: &Path) -> bool {
        let words: Vec<&str> =
            self.value("ExecStart").into_iter().flat_map(str::split_whitespace).collect();
        let named = words.iter().find_map(|word| word.strip_prefix("--config="));
        let behind =
            words.iter().position(|word| *word == "--config").and_then(|at| words.get(at + 1));
        let own = Path::new(named.or(behind.copied()).unwrap_or(DEFAULT));
        let real = |path: &Path| fs::canonicalize(path).or_else(|_| std::path::absolute(path)).ok();
        real(own) == real(config)
    }

    /// Its user, unless that is root.
    pub(super) fn reader(&self) -> Option<FileReader> {
        let name = self.value("User")?;
        let user = User::from_name(name).ok()??;
        let groups = getgrouplist(&CString::new(name).ok()?, user.gid).ok()?;
        let reader = FileReader { name: name.to_owned(), uid: user.uid.as_raw(), groups };
        Some(reader).filter(|reader| reader.uid != 0)
    }

    /// By which key the unit does not see this file.
    pub(super) fn hides(&self, path: &Path) -> Option<&'static str> {
        let hides = |(key, folders): &(&'static str, &[&str])| {
            // Boolean words of systemd.syntax(7). `read-only`, of ProtectHome, hides nothing.
            let shown = ["no", "n", "false", "f", "off", "0", "", "read-only"];
            let is_set =
                self.value(key).is_some_and(|value| !shown.contains(&&*value.to_ascii_lowercase()));
            (is_set && folders.iter().any(|folder| path.starts_with(folder))).then_some(*key)
        };
        HIDDEN.iter().find_map(hides)
    }

    /// Whether systemd makes this folder, or one above it, and gives it to the unit's user.
    pub(super) fn makes(&self, folder: &Path) -> bool {
        self.state_directories().any(|root| folder.starts_with(root))
    }

    fn state_directories(&self) -> impl Iterator<Item = PathBuf> {
        let names = self.values("StateDirectory").flat_map(str::split_whitespace);
        names.map(|name| Path::new("/var/lib").join(name))
    }

    /// Whether the unit cannot write to this folder, regardless of its owner.
    pub(super) fn write_protects(&self, folder: &Path) -> bool {
        let others = self.values("ReadWritePaths").flat_map(str::split_whitespace);
        // `-`: it may be missing; `+`: it is relative to RootDirectory= (systemd.exec(5)).
        let others = others.map(|path| PathBuf::from(path.trim_start_matches(['-', '+'])));
        let mut writable = self.state_directories().chain(others);
        self.value("ProtectSystem") == Some("strict")
            && !writable.any(|root| folder.starts_with(root))
    }
}

/// Where systemd looks for a credential that is named without a path, in this order.
const STORES: [&str; 5] = [
    "/run/credentials/@system",
    "/etc/credstore",
    "/run/credstore",
    "/usr/local/lib/credstore",
    "/usr/lib/credstore",
];

/// Keys of a unit whose credentials only systemd can open, or that stand in the unit itself.
const UNREADABLE: [&str; 4] =
    ["LoadCredentialEncrypted", "SetCredentialEncrypted", "SetCredential", "ImportCredential"];

/// Has settings that name no password take it from the systemd credential of the unit that is installed here,
/// if the unit is for this configuration and has one that can be read.
pub fn with_unit_credential(
    loaded: Result<Settings, Problems>,
    config: &Path,
) -> Result<Settings, Problems> {
    let Some(credential) = Unit::installed_for(config).and_then(|unit| find(&unit)) else {
        return loaded;
    };
    let take = |settings: &mut Settings| {
        if settings.keys.password == PasswordSource::None {
            settings.keys.password = PasswordSource::Credential(credential);
        }
    };
    match loaded {
        Ok(mut settings) => {
            take(&mut settings);
            Ok(settings)
        }
        Err(mut problems) => {
            if let Some(settings) = problems.draft_mut() {
                take(settings);
            }
            Err(problems)
        }
    }
}

/// The key of the unit that gives it a password which cannot be read from here.
pub(super) fn unreadable(unit: &Unit) -> Option<&'static str> {
    let is_ours = |value: &str| {
        let name = value.split(':').next().unwrap_or_default();
        // ImportCredential= takes patterns, such as `sknock-*` (systemd.exec(5)).
        name == CREDENTIAL || name.strip_suffix('*').is_some_and(|own| CREDENTIAL.starts_with(own))
    };
    UNREADABLE.into_iter().find(|key| unit.values(key).any(is_ours))
}

/// The file that `LoadCredential=` means. One that is named by its path is given even if it is not there: the
/// unit does not start without it.
fn find(unit: &Unit) -> Option<PathBuf> {
    let value = |value| match str::split_once(value, ':') {
        Some((CREDENTIAL, from)) => Some(from),
        None if value == CREDENTIAL => Some(CREDENTIAL),
        _ => None,
    };
    let from = unit.values("LoadCredential").filter_map(value).last()?;
    if from.starts_with('/') {
        return Some(from.into());
    }
    let in_stores = STORES.iter().map(|store| Path::new(store).join(from));
    // What cannot be looked at is reported where it is opened.
    in_stores.into_iter().find(|path| !matches!(path.try_exists(), Ok(false)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As it is shipped.
    fn shipped() -> Unit {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/systemd/sknockd.service");
        Unit(fs::read_to_string(file).unwrap())
    }

    #[test]
    fn the_shipped_unit_sees_no_homes_and_writes_to_its_state_only() {
        let (unit, hides) = (shipped(), |path: &str| shipped().hides(Path::new(path)));
        assert_eq!(unit.value("User"), Some("sknock"));
        assert_eq!(hides("/root/authority/gate.pfx"), Some("ProtectHome"));
        assert_eq!(hides("/home/alice/crl.der"), Some("ProtectHome"));
        assert_eq!(hides("/tmp/crl.der"), Some("PrivateTmp"));
        assert_eq!(hides("/etc/sknock/gate.pfx"), None);
        for shown in ["read-only", "off", "n", "F"] {
            let unit = Unit(format!("{}\n[Service]\nProtectHome={shown}\n", shipped().0));
            assert_eq!(unit.hides(Path::new("/root/gate.pfx")), None, "{shown}");
        }
        let protects = |path: &str| unit.write_protects(Path::new(path));
        assert!(!protects("/var/lib/sknock") && !protects("/var/lib/sknock/a"));
        assert!(protects("/var/lib/other") && protects("/etc/sknock/state"));
    }

    #[test]
    fn it_is_for_one_configuration() {
        for line in ["sknockd run --config /a/b.ini", "sknockd run --config=/a/b.ini --confirm 9"] {
            let unit = Unit(format!("[Service]\nExecStart={line}\n"));
            assert!(
                unit.is_for(Path::new("/a/b.ini")) && !unit.is_for(Path::new(DEFAULT)),
                "{line}"
            );
        }
        assert!(shipped().is_for(Path::new(DEFAULT)) && !shipped().is_for(Path::new("/a/b.ini")));
        assert!(Unit("ExecStart=sknockd run".to_owned()).is_for(Path::new(DEFAULT)));
    }

    #[test]
    fn local_changes_count() {
        let changed =
            Unit(shipped().0 + "\n[Service]\nProtectHome=no\nReadWritePaths=/srv/knock\n");
        assert_eq!(changed.hides(Path::new("/root/gate.pfx")), None);
        assert!(!changed.write_protects(Path::new("/srv/knock/state")));
    }
}
