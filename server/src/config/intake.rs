//! The reception of knocks: ports, intake, protocols, and the keys that apply to protocol v1 only.

use sknock_protocol::{Service, Transport, service, v1};

use super::reader::{SettingsReader, items};
use super::settings::YesNo;
use super::{AcceptedProtocol, Intake, schema};

/// Each range adds a rule that every packet traverses.
const MOST_RANGES: usize = 64;

/// UDP ports, joined and sorted; at least one.
pub(super) fn ports(read: &mut SettingsReader<'_>) -> Vec<Service> {
    let text = read.text(&schema::KNOCK_PORT);
    let mut ports = Vec::new();
    for item in items(&text) {
        match format!("udp/{item}").parse() {
            Ok(range) => ports.push(range),
            Err(_) => read.bad(&schema::KNOCK_PORT, item),
        }
    }
    if items(&text).next().is_none() {
        read.bad(&schema::KNOCK_PORT, &text);
    }
    let ports = service::union(ports);
    if ports.len() > MOST_RANGES {
        let what = format!("knockPort has {} ranges", ports.len());
        read.problem(&schema::KNOCK_PORT, what, format!("Use at most {MOST_RANGES}"));
    }
    ports
}

/// Warns about settings that do not fit the intake.
pub(super) fn warn(
    read: &mut SettingsReader<'_>,
    intake: Intake,
    ports: &[Service],
    spoken: &[AcceptedProtocol],
) {
    match intake {
        Intake::Socket => warn_socket(read, ports),
        Intake::Nflog => warn_nflog(read, ports),
    }
    let (first, last) = v1::KNOCK_PORTS.into_inner();
    let random = Service::new(Transport::Udp, first, last);
    if spoken.contains(&AcceptedProtocol::V1)
        && let Some(place) = read.place(&schema::PROTOCOLS)
        && random.is_some_and(|random| !service::all_covered(&random, ports))
    {
        let what = "clients of sKnock 1.0 send knocks to a random port from 10000 to 60000, \
                    which knockPort does not contain";
        let remedy = "Write knockPort = 10000-60000, 62344 and intake = nflog, unless those \
                      clients use another port";
        read.note(place, what, remedy, false);
    }
}

fn warn_socket(read: &mut SettingsReader<'_>, ports: &[Service]) {
    if ports.len() > 1 || ports.iter().any(|range| range.width() > 1) {
        let what = "intake = socket supports one port, and knockPort has several";
        read.problem(&schema::KNOCK_PORT, what, "Write intake = nflog, or set one port");
    }
    if let Some(place) = read.place(&schema::NFLOG_GROUP) {
        let what = "nflogGroup has no effect with intake = socket";
        read.note(place, what, "Remove it, or write intake = nflog", false);
    }
}

fn warn_nflog(read: &mut SettingsReader<'_>, ports: &[Service]) {
    if let Some(place) = read.place(&schema::KNOCK_PORT)
        && ports.first().is_some_and(|range| range.first() < 1024)
    {
        let what = "knocks to ports below 1024 are granted but not answered: the network process \
                    cannot send from these ports";
        read.note(place, what, "Use higher ports, or write intake = socket", false);
    }
}

/// The longest Ethernet frame of a v1 knock: over IPv6, whose header is longer.
const LONGEST_FRAME: usize = v1::LONGEST_DATAGRAM + 14 + 40 + 8;

/// v2 and possibly v1, each once.
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

/// The rules for v1 knocks, if v1 is accepted.
pub(super) fn original(read: &mut SettingsReader<'_>, spoken: &[AcceptedProtocol]) -> v1::V1Rules {
    let rules = v1::V1Rules {
        shortest_frame: read.number(&schema::KNOCKPACKET_MIN_LENGTH),
        any_usage: read.word::<YesNo>(&schema::V1_ANY_USAGE) == YesNo::Yes,
    };
    if spoken.contains(&AcceptedProtocol::V1) {
        warn_of_v1(read, rules);
    } else {
        without_effect(read);
    }
    rules
}

/// Warns about the weaknesses of v1.
fn warn_of_v1(read: &mut SettingsReader<'_>, rules: v1::V1Rules) {
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
