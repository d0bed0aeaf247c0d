//! Findings, and how people and programs read them.

use std::fmt::{self, Write};

use serde::Serialize;

use crate::config::finding::{Finding, Severity};
use crate::sys::exit;
use crate::sys::plain_text::{escaped, is_hidden};

/// What is so, and all findings, the worst first.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct CheckReport {
    facts: Vec<String>,
    findings: Vec<Finding>,
}

impl CheckReport {
    /// Puts the worst first and keeps the order otherwise.
    pub(super) fn new(facts: Vec<String>, mut findings: Vec<Finding>) -> Self {
        findings.sort_by_key(|finding| finding.severity);
        Self { facts, findings }
    }

    /// What is so, for the administrator to compare with what was meant.
    pub fn facts(&self) -> &[String] {
        &self.facts
    }

    /// What was found.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// 0, or 78 (`EX_CONFIG`) if there is any error.
    pub fn exit_code(&self) -> u8 {
        if self.count(Severity::Error) > 0 { exit::CONFIGURATION } else { 0 }
    }

    /// For programs: `{"facts":[""],"findings":[{"severity","what","remedy"}]}`, on one line.
    ///
    /// # Errors
    ///
    /// None that could happen: there are only strings in it.
    pub fn json(&self) -> serde_json::Result<String> {
        let json = serde_json::to_string(self)?;
        Ok(String::from_utf8_lossy(&escaped(json.as_bytes(), true)).into_owned())
    }

    fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }
}

impl fmt::Display for CheckReport {
    /// For people: the facts, two lines for each finding, and a summary.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.facts.iter().try_for_each(|fact| writeln!(f, "{}", Clean(fact)))?;
        for Finding { severity, what, remedy } in &self.findings {
            writeln!(f, "{severity}: {}", Clean(what))?;
            writeln!(f, "    {}", Clean(remedy))?;
        }
        let (errors, warnings) = (self.count(Severity::Error), self.count(Severity::Warning));
        match (errors, warnings) {
            (0, 0) => write!(f, "ready"),
            (0, _) => write!(f, "ready, with {warnings} warning(s)"),
            _ => write!(f, "not ready: {errors} error(s), {warnings} warning(s)"),
        }
    }
}

/// Text from files and certificates, without what would move a terminal's cursor.
struct Clean<'a>(&'a str);

impl fmt::Display for Clean<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| {
            if is_hidden(c) { write!(f, "{}", c.escape_default()) } else { f.write_char(c) }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{CheckReport, Finding};

    #[test]
    fn names_in_findings_move_no_cursor_and_turn_no_text_around() {
        let name = "CA \u{1b}[31m\u{85}\u{202e}";
        let report = CheckReport::new(Vec::new(), vec![Finding::warning(name, "none")]);
        let (people, programs) = (report.to_string(), report.json().unwrap());
        for text in [&people, &programs] {
            assert!(!text.contains(['\u{1b}', '\u{85}', '\u{202e}']), "{text:?}");
        }
        let read: serde_json::Value = serde_json::from_str(&programs).unwrap();
        assert_eq!(read["findings"][0]["what"], name);
    }
}
