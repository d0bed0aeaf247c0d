//! What is so because of several keys or of defaults, in words, whether or not anything is wrong.

use std::collections::BTreeSet;

use sknock_gate::SourceLimit;

use super::Finding;
use crate::config::{Intake, Problems, Settings};
use crate::supervisor::table::meter;

/// How knocks come in, and how many of one source: nothing, where the values of `unknown` keys decide it.
pub(super) fn gather(settings: &Settings, unknown: &UnknownKeys) -> Vec<String> {
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
