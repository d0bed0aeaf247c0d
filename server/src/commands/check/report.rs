//! Findings, and how people and programs read them.
//!
//! What could not be tested: it is not known whether that is as it should be.
//!
//! What is so because of several keys or of defaults, in words, whether or not anything is wrong.

use std::collections::BTreeSet;
use std::fmt::{self, Write};

use serde::Serialize;
use sknock_gate::SourceLimit;

use super::Host;
use crate::config::finding::{Finding, Severity};
use crate::config::{Intake, Problems, Settings};
use crate::supervisor::table::meter;
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

/// Adds a finding for each thing that could not be tested.
pub(super) fn untested(host: &Host, findings: &mut Vec<Finding>) {
    findings.extend(host.unlooked.iter().map(|what| {
        Finding::note(format!("not tested: {what}"), "Run check as root, with nft installed")
    }));
    findings.extend(host.unfinished.iter().map(|what| {
        Finding::warning(
            format!("not known: {what}. nft did not finish listing within 10 s"),
            "Run check again when the ruleset changes less often. nft repeats a listing if \
             the ruleset changes during it",
        )
    }));
}

/// How knocks come in, and how many of one source: nothing, where the values of `unknown` keys decide it.
pub(super) fn facts(settings: &Settings, unknown: &UnknownKeys) -> Vec<String> {
    let knocks = &settings.knocks;
    if unknown.any_of(&["knockPort", "intake", "nflogGroup", "knocksPerSource"]) {
        return Vec::new();
    }
    let ports: Vec<String> = knocks.ports.iter().map(ToString::to_string).collect();
    let way = match knocks.intake {
        Intake::Nflog => format!(
            "the kernel copies them to NFLOG group {}; no socket is bound, and no other firewall \
             has to accept them",
            knocks.group
        ),
        Intake::Socket => {
            "by a bound socket; a scanner that sends a datagram with the length of a knock can \
             detect it"
                .to_owned()
        }
    };
    let limit = match meter(knocks) {
        None => "none".to_owned(),
        Some(SourceLimit { per_second, burst, .. }) => {
            format!("{per_second} per second for each IPv4 address or IPv6 /64, burst {burst}")
        }
    };
    vec![format!("knocks: at {}, {way}", ports.join(", ")), format!("limit per source: {limit}")]
}

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
