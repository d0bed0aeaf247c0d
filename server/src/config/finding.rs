//! One thing that an administrator should know about the settings or the host, with its remedy: `sknockd check`
//! reports all, the log of a start some.

use std::fmt;

use serde::Serialize;

/// Something in a usable configuration that its administrator should know.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Note {
    /// As in [`Problem::place`](super::Problem::place).
    pub place: String,
    /// What was noticed.
    pub what: String,
    /// What to do about it, where anything can be done.
    pub remedy: String,
    /// Whether it weakens security or may lock out the administrator.
    pub warning: bool,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}. {}", self.place, self.what, self.remedy)
    }
}

/// How bad it is. The worst comes first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The server would not start, or would refuse every knock.
    Error,
    /// It would work, but less safely than it should or not for long.
    Warning,
    /// Worth knowing.
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

/// One thing that was found.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What it is, beginning with the key or the place.
    pub what: String,
    /// What to do about it.
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
