//! Keys whose values cannot be used: the draft has stand-ins for them, and a finding about a stand-in is not true of
//! the configuration.

use std::collections::BTreeSet;

use super::Finding;
use crate::config::{Problems, Settings};

/// The names of such keys.
#[derive(Debug, Default)]
pub(super) struct UnknownKeys(BTreeSet<&'static str>);

impl UnknownKeys {
    /// Those that a configuration was refused for.
    pub(super) fn of(loaded: &Result<Settings, Problems>) -> Self {
        Self(loaded.as_ref().err().into_iter().flat_map(Problems::unknown_values).collect())
    }

    /// Whether any of `keys` is one.
    pub(super) fn any_of(&self, keys: &[&str]) -> bool {
        keys.iter().any(|key| self.0.contains(key))
    }

    /// Whether the finding is about one of them.
    pub(super) fn explains(&self, finding: &Finding) -> bool {
        self.0.iter().any(|key| is_about(&finding.what, key) || is_about(&finding.remedy, key))
    }
}

/// Whether a text names this key. Those that are words of everyday, such as `user`, stand at its beginning.
fn is_about(text: &str, key: &str) -> bool {
    if key.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return text.strip_prefix(key).is_some_and(|rest| rest.starts_with(':'));
    }
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|word| word == key)
}
