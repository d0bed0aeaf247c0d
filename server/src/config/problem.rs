//! What is wrong with a configuration. Never quotes a password.

use std::fmt;

use serde::{Serialize, Serializer};

use super::settings::Settings;

/// One reason why a configuration cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Problem {
    /// `FILE:LINE`, `FILE`, or `environment variable NAME`.
    pub place: String,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
    /// The key whose value is not known because of it.
    #[serde(skip)]
    key: Option<&'static str>,
}

impl Problem {
    pub(super) fn new(
        place: impl Into<String>,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { place: place.into(), what: what.into(), remedy: remedy.into(), key: None }
    }

    /// The same, about the value of `key`.
    pub(super) fn about(self, key: &'static str) -> Self {
        Self { key: Some(key), ..self }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}. {}", self.place, self.what, self.remedy)
    }
}

/// Every reason why a configuration cannot be used; at least one. Lines that make no sense come
/// first, then values that cannot be.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub struct Problems {
    all: Vec<Problem>,
    draft: Option<Box<Settings>>,
}

impl Problems {
    /// The settings, if there is no problem with them.
    pub(super) fn or_settings(all: Vec<Problem>, settings: Settings) -> Result<Settings, Self> {
        if all.is_empty() {
            return Ok(settings);
        }
        Err(Self { all, draft: Some(Box::new(settings)) })
    }

    /// One after the other.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.all.iter()
    }

    /// Keys whose values cannot be used: the draft has stand-ins for them.
    pub(crate) fn unknown_values(&self) -> impl Iterator<Item = &'static str> {
        self.all.iter().filter_map(|problem| problem.key)
    }

    /// What could be understood, so that `check` can find what else is wrong. Not to be run: bad
    /// values are empty in it. `None` if there was nothing to read.
    pub(crate) fn draft(&self) -> Option<&Settings> {
        self.draft.as_deref()
    }

    /// The same, to be completed.
    pub(crate) fn draft_mut(&mut self) -> Option<&mut Settings> {
        self.draft.as_deref_mut()
    }
}

impl Serialize for Problems {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.all.serialize(serializer)
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self { all: vec![problem], draft: None }
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Problems {
    /// One line each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.all.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}
