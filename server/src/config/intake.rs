//! Where and how knocks are heard, and how many of one source.

use sknock_protocol::{Service, Transport, service, v1};

use super::reader::{SettingsReader, items};
use super::{AcceptedProtocol, Intake, schema};

/// Each makes a rule that every packet is asked.
const MOST_RANGES: usize = 64;

/// UDP ports, joined and in order; at least one.
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

/// What does not go together with this way of hearing.
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
