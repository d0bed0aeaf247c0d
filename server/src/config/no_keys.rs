//! Variables of the environment that look as if they were settings, and are none.

use super::{ConfigKey, Note};

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
