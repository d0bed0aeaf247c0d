//! The password of `serverPFXFile` that systemd would hand over: from where the unit says, so that it is known
//! outside of the unit, too.

use std::path::{Path, PathBuf};

use super::unit::Unit;
use crate::config::{CREDENTIAL, PasswordSource, Problems, Settings};

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
