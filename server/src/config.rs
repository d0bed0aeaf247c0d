//! `config.ini`: from text and environment to [`Settings`], or every [`Problem`] at once.
//!
//! ```text
//! lines -> layers (default < file < environment) -> build -> Settings
//!              \__________ keys: one table of all keys _________/
//! ```
//!
//! Only [`Settings::load`] reads a file, and only this one: the keys, passwords and lists that the
//! configuration names are opened by whoever needs them. A file of the original sKnock loads
//! unchanged. Values are taken as they stand; where the original wanted `%%`, this is two signs.

mod build;
pub mod finding;
mod ini;
mod intake;
pub mod keys;
mod load;
mod nearest;
mod no_keys;
mod password;
mod problem;
mod protocols;
mod reader;
pub mod schema;
mod services;
mod settings;

use std::ffi::OsStr;
use std::path::Path;

pub use password::{CREDENTIAL, Password, PasswordSource};
pub use problem::{Note, Problem, Problems};
pub use schema::{ConfigKey, ValueKind};
pub use settings::{
    AcceptedProtocol, FirewallPolicy, FirewallSettings, GrantSettings, Intake, KeySettings,
    KnockSettings, LogFormat, OnExit, OnRevoke, ProcessSettings, RevocationSettings, Settings,
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
    settings.notes.extend(no_keys::notes(&variables, fetches));
    (settings, reader.problems)
}
