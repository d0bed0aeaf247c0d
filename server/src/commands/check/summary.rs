//! What is so because of several keys or of defaults, in words, whether or not anything is wrong.

use sknock_gate::SourceLimit;

use super::unknown_keys::UnknownKeys;
use crate::config::{Intake, Settings};
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
