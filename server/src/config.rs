//! `config.ini`: from text and environment to [`Settings`], or every [`Problem`] at once.
//!
//! ```text
//! lines -> layers (default < file < environment) -> build -> Settings
//!              \__________ keys: one table of all keys _________/
//! ```
//!
//! Only [`Settings::load`] reads a file, and only this one: the keys, passwords and lists that the
//! configuration names are opened by the processes that need them. A file of the original sKnock loads
//! unchanged. Values are taken as they stand; where the original wanted `%%`, this is two signs.

mod build;
pub mod finding;
mod ini;
mod intake;
pub mod keys;
mod load;
mod problem;
mod reader;
pub mod schema;
mod settings;

use std::ffi::OsStr;
use std::path::Path;

pub use self::settings::{CREDENTIAL, Password, PasswordSource};
pub use finding::Note;
pub use problem::{Problem, Problems};
pub use schema::{ConfigKey, ValueKind};
pub use settings::{AcceptedProtocol, FirewallPolicy, Intake, OnExit, OnRevoke};
pub use settings::{
    FirewallSettings, GrantSettings, KeySettings, KnockSettings, ProcessSettings,
    RevocationSettings, Settings,
};

/// Understands the text of a configuration file named `file` under these environment variables.
///
/// Touches no file: relative paths are put under the folder of `file`, which should be absolute.
/// Never panics, whatever the text.
///
/// # Errors
///
/// Everything that is wrong, each with its line and a remedy.
pub fn parse<'a>(
    text: &str,
    file: &Path,
    environment: impl IntoIterator<Item = (&'a OsStr, &'a OsStr)>,
) -> Result<Settings, Problems> {
    let (draft, problems) = draft(text, file, environment);
    Problems::or_settings(problems, draft)
}

/// Settings that count only if no problem comes with them.
fn draft<'a>(
    text: &str,
    file: &Path,
    environment: impl IntoIterator<Item = (&'a OsStr, &'a OsStr)>,
) -> (Settings, Vec<Problem>) {
    let mut problems = Vec::new();
    let entries = ini::read(text, &file.display().to_string(), &mut problems);
    let variables = environment
        .into_iter()
        .filter_map(|(name, value)| name.to_str().map(|name| (name, value.to_str())));
    let variables: Vec<_> = variables.collect();
    let overrides = ini::read_environment(variables.iter().copied(), &mut problems);
    let mut reader = reader::SettingsReader::new(entries, overrides, file, problems);
    let mut settings = build::settings(&mut reader);
    settings.notes = reader.notes;
    let fetches = !settings.revocation.urls.is_empty();
    settings.notes.extend(self::notes(&variables, fetches));
    (settings, reader.problems)
}

/// Those of `sknock`, and of the log. A user who sets one of [`RESEMBLING`] for a server means a key.
const OTHERS: [&str; 7] =
    ["KNOCK_PORT", "PROTOCOL", "IDENTITY", "SERVER_CERT", "PASSWORD_FILE", "PFX_PASSWORD", "LOG"];

/// Of [`OTHERS`], those that resemble keys of the same meaning.
const RESEMBLING: [&str; 2] = ["KNOCK_PORT", "PROTOCOL"];

/// What names a proxy, in lower case.
const PROXIES: [&str; 3] = ["http_proxy", "https_proxy", "all_proxy"];

/// What to know about these variables; `fetches` if lists are fetched.
pub(super) fn notes(variables: &[(&str, Option<&str>)], fetches: bool) -> Vec<Note> {
    let set = variables.iter().filter(|(_, value)| value.is_none_or(|value| !value.is_empty()));
    let names = set.map(|(name, _)| *name);
    names.filter_map(|name| resembling(name).or_else(|| proxy(name).filter(|_| fetches))).collect()
}

fn resembling(name: &str) -> Option<Note> {
    let upper = name.to_ascii_uppercase();
    let rest = upper.strip_prefix("SKNOCK_")?;
    if name.starts_with("SKNOCK_") && ConfigKey::find(rest).is_some() {
        return None;
    }
    let key = ConfigKey::nearest(rest)
        .filter(|_| !OTHERS.contains(&rest) || RESEMBLING.contains(&rest))?;
    let meant = format!("SKNOCK_{}", key.name.to_ascii_uppercase());
    if RESEMBLING.contains(&rest) {
        let remedy = format!("For the server set {meant}, or {} in the configuration", key.name);
        return Some(note(name, "is for the client", &remedy));
    }
    Some(note(name, "is not a key", &format!("Did you mean {meant}?")))
}

fn proxy(name: &str) -> Option<Note> {
    let remedy = "Make crlUrl reachable without a proxy, or use a mirror";
    let is_proxy = PROXIES.contains(&name.to_ascii_lowercase().as_str());
    is_proxy.then(|| note(name, "sknockd does not use proxies to fetch from crlUrl", remedy))
}

fn note(name: &str, what: &str, remedy: &str) -> Note {
    let place = format!("environment variable {name}");
    Note { place, what: what.into(), remedy: remedy.into(), warning: false }
}
