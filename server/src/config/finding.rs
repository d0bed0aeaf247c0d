//! A finding about the settings or the host, with its remedy: `sknockd check` reports all, a start logs some.

use std::fmt;

use serde::Serialize;

/// A remark about a usable configuration.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Note {
    /// As in [`Problem::place`](super::Problem::place).
    pub place: String,
    /// The observation.
    pub what: String,
    /// The remedy, if there is one.
    pub remedy: String,
    /// Whether it weakens security or may lock out the administrator.
    pub warning: bool,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}. {}", self.place, self.what, self.remedy)
    }
}

/// The severity; the worst comes first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The server would not start, or would refuse all knocks.
    Error,
    /// The server would work, but less safely than it should or only for a limited time.
    Warning,
    /// For information.
    Note,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        })
    }
}

/// One finding.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Finding {
    /// The severity.
    pub severity: Severity,
    /// The observation, beginning with the key or the place.
    pub what: String,
    /// The remedy.
    pub remedy: String,
}

impl Finding {
    pub(crate) fn error(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { severity: Severity::Error, what: what.into(), remedy: remedy.into() }
    }

    pub(crate) fn warning(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, what: what.into(), remedy: remedy.into() }
    }

    pub(crate) fn note(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { severity: Severity::Note, what: what.into(), remedy: remedy.into() }
    }
}

impl From<&Note> for Finding {
    fn from(note: &Note) -> Self {
        let what = format!("{}: {}", note.place, note.what);
        if note.warning {
            Self::warning(what, &note.remedy)
        } else {
            Self::note(what, &note.remedy)
        }
    }
}
