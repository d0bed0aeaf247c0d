//! Errors in a configuration. Never contain a password.

use std::fmt;

use serde::{Serialize, Serializer};

use super::settings::Settings;

/// One reason why a configuration cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Problem {
    /// `FILE:LINE`, `FILE`, or `environment variable NAME`.
    pub place: String,
    /// The defect.
    pub what: String,
    /// The remedy.
    pub remedy: String,
    /// The key whose value is therefore unknown.
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

    /// Marks the value of `key` as unknown.
    pub(super) fn about(self, key: &'static str) -> Self {
        Self { key: Some(key), ..self }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}. {}", self.place, self.what, self.remedy)
    }
}

/// Every reason why a configuration cannot be used; at least one. Syntax errors first, then invalid values.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub struct Problems {
    all: Vec<Problem>,
    draft: Option<Box<Settings>>,
}

impl Problems {
    /// The settings, if there are no problems.
    pub(super) fn or_settings(all: Vec<Problem>, settings: Settings) -> Result<Settings, Self> {
        if all.is_empty() {
            return Ok(settings);
        }
        Err(Self { all, draft: Some(Box::new(settings)) })
    }

    /// All problems, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.all.iter()
    }

    /// Keys with invalid values: the draft contains placeholders for them.
    pub(crate) fn unknown_values(&self) -> impl Iterator<Item = &'static str> {
        self.all.iter().filter_map(|problem| problem.key)
    }

    /// The valid settings, so that `check` can find further problems. Must not be used for running: invalid
    /// values are empty. `None` if the file could not be read.
    pub(crate) fn draft(&self) -> Option<&Settings> {
        self.draft.as_deref()
    }

    /// The same, mutable.
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
