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
            "copied by the kernel to NFLOG group {}; nothing is bound, and no other firewall has to \
             let them through",
            knocks.group
        ),
        Intake::Socket => {
            "by a bound socket, which whoever tries a knock's length can tell from a \
                           closed port"
                .to_owned()
        }
    };
    let limit = match meter(knocks) {
        None => "any number from one source".to_owned(),
        Some(SourceLimit { per_second, burst, .. }) => format!(
            "{per_second} a second of one address (IPv6: of one network of 64 bits), {burst} at once"
        ),
    };
    vec![format!("knocks: at {}, {way}", ports.join(", ")), format!("knocks heard: {limit}")]
}
