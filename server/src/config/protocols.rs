//! Which dialects are understood, and the keys that are about the original's only.

use sknock_protocol::v1;

use super::reader::{SettingsReader, items};
use super::settings::YesNo;
use super::{AcceptedProtocol, schema};

/// The longest Ethernet frame that a v1 knock comes in: over IPv6, whose header is the longer one.
const LONGEST_FRAME: usize = v1::LONGEST_DATAGRAM + 14 + 40 + 8;

/// At least v2, each once.
pub(super) fn protocols(read: &mut SettingsReader<'_>) -> Vec<AcceptedProtocol> {
    let text = read.text(&schema::PROTOCOLS);
    let mut spoken = Vec::new();
    let mut unknown = false;
    for item in items(&text) {
        match item.to_ascii_lowercase().as_str() {
            "v1" => spoken.push(AcceptedProtocol::V1),
            "v2" => spoken.push(AcceptedProtocol::V2),
            _ => {
                unknown = true;
                let shown: String = item.chars().take(20).collect();
                let what = format!("this version does not support protocol {shown:?}");
                read.problem(&schema::PROTOCOLS, what, "Write v2, or v2, v1");
            }
        }
    }
    if !unknown && !spoken.contains(&AcceptedProtocol::V2) {
        let remedy = "Write v2, or v2, v1 to also accept clients of sKnock 1.0";
        read.problem(&schema::PROTOCOLS, "protocols does not contain v2", remedy);
    }
    spoken.sort_unstable();
    spoken.dedup();
    spoken
}

/// What counts as a v1 knock, where any does.
pub(super) fn original(read: &mut SettingsReader<'_>, spoken: &[AcceptedProtocol]) -> v1::V1Rules {
    let rules = v1::V1Rules {
        shortest_frame: read.number(&schema::KNOCKPACKET_MIN_LENGTH),
        any_usage: read.word::<YesNo>(&schema::V1_ANY_USAGE) == YesNo::Yes,
    };
    if spoken.contains(&AcceptedProtocol::V1) {
        warn(read, rules);
    } else {
        without_effect(read);
    }
    rules
}

/// What the administrator takes upon himself.
fn warn(read: &mut SettingsReader<'_>, rules: v1::V1Rules) {
    if let Some(place) = read.place(&schema::PROTOCOLS) {
        let what = "protocol v1 is on: v1 knocks do not name a server, so another server of the \
                    same CA can forward them to this server within the timestamp window";
        read.note(place, what, "Remove v1 when no client of sKnock 1.0 is left", true);
    }
    if rules.any_usage
        && let Some(place) = read.place(&schema::V1_ANY_USAGE)
    {
        let what = "protocol v1 accepts every certificate of the CAs that contains services, \
                    whatever it was issued for";
        read.note(place, what, "Reissue certificates with clientAuth, and write no", true);
    }
    if usize::from(rules.shortest_frame) > LONGEST_FRAME {
        let what = format!("knocks of protocol v1 have at most {LONGEST_FRAME} bytes");
        read.problem(&schema::KNOCKPACKET_MIN_LENGTH, what, "Write 800");
    }
}

fn without_effect(read: &mut SettingsReader<'_>) {
    for key in [&schema::KNOCKPACKET_MIN_LENGTH, &schema::V1_ANY_USAGE] {
        if let Some(place) = read.place(key).filter(|_| read.text(key) != key.default) {
            let what = format!("{} has no effect: it is for protocol v1, which is off", key.name);
            read.note(place, what, "Remove it, or add v1 to protocols", false);
        }
    }
}
