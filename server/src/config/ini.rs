//! Text to entries: the INI format of Python's `configparser`, without its surprising features.
//!
//! A value is the text between the separator and the end of the line, without surrounding white space: no
//! escapes, quotes, inline comments, `%` interpolation or continuation lines. The original's files use
//! nothing else, and passwords need no escaping. INI crates do not fit: they keep no line numbers, stop at
//! the first error, and rust-ini joins the next line to a value that ends in a backslash even with escapes
//! disabled.

use std::collections::BTreeMap;
use std::fmt;

use zeroize::Zeroizing;

use super::schema::ALL;
use super::{ConfigKey, Problem, ValueKind};

/// The value of a key, and its place.
pub(super) struct ConfigEntry {
    pub(super) key: &'static ConfigKey,
    pub(super) place: String,
    pub(super) value: Zeroizing<String>,
}

impl fmt::Debug for ConfigEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("key", &self.key.name)
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

/// Parses the configuration text; `file` is its name in problems. Each key at most once.
pub(super) fn read(text: &str, file: &str, problems: &mut Vec<Problem>) -> Vec<ConfigEntry> {
    let mut section = Section::Ours;
    let mut entries: Vec<(usize, ConfigEntry)> = Vec::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (number, line) in (1..).zip(text.lines()) {
        let place = format!("{file}:{number}");
        match classify(line) {
            Ok(ConfigLine::Nothing) => {}
            Ok(ConfigLine::Section(name)) => section = Section::enter(name, place, problems),
            // The section is an error; keys of ours in it are consequences of that.
            Ok(ConfigLine::Pair(name, _))
                if section == Section::Foreign && ConfigKey::find(name).is_none() => {}
            Ok(ConfigLine::Pair(name, value)) => match entry(name, value, place, &entries) {
                Ok(entry) => entries.push((number, entry)),
                Err(problem) => problems.push(problem),
            },
            Err(Defect { what, remedy }) => problems.push(Problem::new(place, what, remedy)),
        }
    }
    entries.into_iter().map(|(_, entry)| entry).collect()
}

fn entry(
    name: &str,
    value: &str,
    place: String,
    before: &[(usize, ConfigEntry)],
) -> Result<ConfigEntry, Problem> {
    let Some(key) = ConfigKey::find(name) else { return Err(unknown_key(name, place)) };
    if let Some((line, _)) = before.iter().find(|(_, entry)| entry.key.name == key.name) {
        let what = format!("duplicate key {}, also in line {line}", key.name);
        return Err(Problem::new(place, what, "Remove one of the two lines"));
    }
    Ok(ConfigEntry { key, place, value: Zeroizing::new(value.to_owned()) })
}

/// Reads the variables `SKNOCK_<KEY>`. Other variables with that prefix, such as `SKNOCK_PFX_PASSWORD`,
/// belong to other programs and are ignored.
pub(super) fn read_environment<'a>(
    variables: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
    problems: &mut Vec<Problem>,
) -> Vec<ConfigEntry> {
    let mut seen: BTreeMap<&'static str, &str> = BTreeMap::new();
    let mut entries = Vec::new();
    for (name, value) in variables {
        let Some(key) = name.strip_prefix("SKNOCK_").and_then(ConfigKey::find) else { continue };
        let place = format!("environment variable {name}");
        if let Some(other) = seen.insert(key.name, name) {
            let what = format!("{other} sets the same key");
            problems.push(Problem::new(place, what, "Unset one of the two"));
            continue;
        }
        let Some(value) = value.filter(|value| !value.contains(char::is_control)) else {
            let what = "the value is not plain UTF-8 text";
            problems.push(Problem::new(place, what, "Set it to text of one line"));
            continue;
        };
        let value = if key.kind == ValueKind::Secret { value } else { value.trim() };
        entries.push(ConfigEntry { key, place, value: Zeroizing::new(value.to_owned()) });
    }
    entries
}

#[derive(Eq, PartialEq)]
enum Section {
    Ours,
    Foreign,
}

impl Section {
    fn enter(name: &str, place: String, problems: &mut Vec<Problem>) -> Self {
        if name.trim().eq_ignore_ascii_case("DEFAULT") {
            return Self::Ours;
        }
        let remedy = "Put all keys under [DEFAULT]: rename the section, or remove it with its \
                      content";
        problems.push(Problem::new(place, "a section other than [DEFAULT]", remedy));
        Self::Foreign
    }
}

enum ConfigLine<'a> {
    Nothing,
    Section(&'a str),
    Pair(&'a str, &'a str),
}

/// An error in a line. Does not contain the line, which may be part of a password.
struct Defect {
    what: &'static str,
    remedy: &'static str,
}

fn classify(line: &str) -> Result<ConfigLine<'_>, Defect> {
    let trimmed = line.trim();
    if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
        return Ok(ConfigLine::Nothing);
    }
    if line.contains(|c: char| c.is_control() && c != '\t') {
        return Err(Defect {
            what: "a control character in the line",
            remedy: "Remove it. End lines with LF or CR LF",
        });
    }
    if line.starts_with(char::is_whitespace) {
        return Err(Defect {
            what: "an indented line, possibly a continuation of the line above",
            remedy: "Write a value on one line, and begin lines without white space",
        });
    }
    if let Some(rest) = trimmed.strip_prefix('[') {
        return rest.strip_suffix(']').map(ConfigLine::Section).ok_or(Defect {
            what: "a section without closing bracket",
            remedy: "Write [DEFAULT]. A comment needs a line of its own",
        });
    }
    // Both separate a key from its value in Python's configparser, which the original used.
    match trimmed.split_once(['=', ':']) {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok(ConfigLine::Pair(name.trim_end(), value.trim_start()))
        }
        _ => Err(Defect { what: "not of the form KEY = VALUE", remedy: "Correct or remove it" }),
    }
}

/// Does not contain the line, not even the text in the place of a key: it may be part of a password.
fn unknown_key(name: &str, place: String) -> Problem {
    let first = name.split_whitespace().next().unwrap_or_default();
    let start: String = first.chars().take(LONGEST_SLIP).collect();
    let remedy = match ConfigKey::nearest(&start) {
        Some(key) if first != name => format!("Write {} = VALUE?", key.name),
        Some(key) => format!("Did you mean {}?", key.name),
        None => "Write KEY = VALUE. config.ini.example lists every key".into(),
    };
    Problem::new(place, "unknown key", remedy)
}

/// In characters; no key is as long, so a longer name is not similar to any.
const LONGEST_SLIP: usize = 60;

impl ConfigKey {
    /// The key whose name is most similar to `name`, if any: a typing error; else a key that contains `name`
    /// or is contained in it; else one with half of its characters. Case and underscores are ignored.
    pub fn nearest(name: &str) -> Option<&'static Self> {
        let name = plain(name);
        let close = |share: usize| {
            let distance = |key: &&'static Self| {
                let other = plain(key.name);
                (strsim::damerau_levenshtein(&name, &other), other.len())
            };
            let candidates = ALL.iter().copied().map(|key| (distance(&key), key));
            let nearest = candidates.min_by_key(|((distance, _), _)| *distance);
            nearest
                .filter(|((distance, length), _)| distance * share <= *length)
                .map(|(_, key)| key)
        };
        close(4).or_else(|| part(&name)).or_else(|| close(2))
    }
}

/// The shortest key that contains the name; of those of equal length, the first in the table. Else the
/// longest one that the name contains.
fn part(name: &str) -> Option<&'static ConfigKey> {
    let having = ALL.iter().copied().filter(|key| name.len() > 1 && plain(key.name).contains(name));
    let within = ALL.iter().copied().filter(|key| name.contains(&plain(key.name)));
    having.min_by_key(|key| key.name.len()).or_else(|| within.max_by_key(|key| key.name.len()))
}

/// Lower-case letters and digits, with the original's abbreviations expanded.
fn plain(name: &str) -> String {
    let kept = name.chars().filter(|c| !matches!(c, '_' | '-') && !c.is_whitespace());
    kept.map(|c| c.to_ascii_lowercase()).collect::<String>().replace("password", "passwd")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_key_suggests_the_right_one_and_nonsense_none() {
        for (slip, name) in [
            ("knockprot", "knockPort"),
            ("PFXPassword", "PFXPasswd"),
            ("crlurls", "crlUrl"),
            ("PORT_OPEN_DURATION", "PORT_OPEN_DURATION_IN_SECONDS"),
            ("knock_port", "knockPort"),
            ("knock port", "knockPort"),
            ("port", "knockPort"),
            ("ports", "protectedPorts"),
            ("openDuration", "PORT_OPEN_DURATION_IN_SECONDS"),
            ("state", "stateDir"),
            ("state_directory", "stateDir"),
            ("allowed", "allowedServices"),
            ("policy", "firewallPolicy"),
            ("firewall", "firewallPolicy"),
            ("password", "PFXPasswd"),
            ("passwordFile", "PFXPasswdFile"),
            ("pfx", "PFXPasswd"),
            ("serverPFX", "serverPFXFile"),
            ("ca", "caFile"),
            ("crl", "crlUrl"),
            ("log", "logFormat"),
            ("threshold", "TIMESTAMP_THRESHOLD_IN_SECONDS"),
            ("protocol", "protocols"),
            ("serverPFXFiles", "serverPFXFile"),
        ] {
            assert_eq!(ConfigKey::nearest(slip).map(|key| key.name), Some(name), "{slip}");
        }
        for nonsense in ["x", "", "_", "foo", "a", "banner"] {
            assert!(ConfigKey::nearest(nonsense).is_none(), "{nonsense:?}");
        }
    }
}
