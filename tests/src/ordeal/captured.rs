//! A compromised network process sends all kinds of requests to the gate, valid and invalid.

use sknock_gate::{
    CertId, GrantLabel, GrantRequest, OwnerName, PortRange, Request, Response, Serial, Transport,
};

use crate::wait::{Stopwatch, until};
use crate::{Authority, Captive, Chance, Daemon, Echo, Ledger, World, process};

/// Open at one time, at most.
const LIVE: usize = 40;

/// The longest, in seconds.
const LONGEST: u64 = 8;

/// Sends this number of records of every kind over all links. Afterwards all grants are within the request
/// limits, the privileged process runs without leaks, and a reload replaces the compromised process.
pub fn requests(records: u32) {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let ledger = Ledger::new(&world, &authority, u16::try_from(LONGEST).expect("it is small"));
    let config = Ledger::config(&authority)
        .set("allowedServices", "tcp/22, tcp/20000-29999")
        .set("PORT_OPEN_DURATION_IN_SECONDS", "1")
        .set("MAX_PORT_OPEN_DURATION_IN_SECONDS", &LONGEST.to_string())
        .set("maxGrants", &LIVE.to_string());
    let daemon = Daemon::start_settled(&world.gateway, &config);
    ledger.must_hold(&daemon);

    let (parent, captive) = (daemon.parent(), Captive::take_in_peace(daemon.network()));
    let descriptors = process::descriptors(parent);
    let (mut chance, mut tally) = (Chance::new("records"), Tally::default());
    let watch = Stopwatch::start();
    for number in 0..records {
        if number % 100 == 0 {
            captive.seem_at_work();
        }
        let link = &captive.links[number as usize % captive.links.len()];
        let answer = Captive::ask(link, &record(&mut chance)).expect("each record is answered");
        tally.count(Response::decode(&answer).expect("by an answer"));
    }
    let span = watch.span();
    let doors = world.gateway.doors();
    assert!(doors.len() <= LIVE, "{} doors", doors.len());
    for door in &doors {
        assert!(door.port == 22 || (20_000..30_000).contains(&door.port), "{door:?}");
        assert!(door.left.is_some_and(|left| left <= LONGEST), "{door:?}");
    }
    assert!(tally.opened > 0 && !doors.is_empty(), "it asked for what is permitted, too");
    assert_eq!((daemon.parent(), process::descriptors(parent)), (parent, descriptors));

    daemon.reload();
    assert_ne!(daemon.network(), captive.pid());
    until("what the captive has opened closes", || world.gateway.doors().is_empty());
    ledger.must_hold(&daemon);
    println!("{records} records in {span:.1?}: {tally:?}");
}

#[derive(Debug, Default)]
struct Tally {
    opened: u32,
    closed: u32,
    refused: u32,
    others: u32,
}

impl Tally {
    fn count(&mut self, answer: Response) {
        let which = match answer {
            Response::Opened { .. } => &mut self.opened,
            Response::Closed { .. } => &mut self.closed,
            Response::Refused(_) => &mut self.refused,
            _ => &mut self.others,
        };
        *which += 1;
    }
}

/// Anything: a request of each kind, one that is damaged, or bytes.
fn record(chance: &mut Chance) -> Vec<u8> {
    let request = match chance.below(9) {
        0 => Request::Activate,
        // It takes so much with it, and has the kernel look for connections, that little else would happen.
        1 if chance.once_in(20) => Request::CloseIssuer(holder(chance).issuer),
        1 if chance.once_in(4) => Request::NextIssuer(holder(chance).issuer),
        1 => revoked(chance),
        2 => return garbage(chance),
        3 => tags(chance),
        _ => Request::Open(wish(chance)),
    };
    let mut record = request.encode().expect("it fits").to_vec();
    if chance.once_in(4) {
        let place = chance.below(record.len() as u64);
        record[usize::try_from(place).expect("it is small")] ^= chance.bytes(1)[0];
    }
    record
}

/// Not empty: an empty record is how a line ends.
fn garbage(chance: &mut Chance) -> Vec<u8> {
    let length = 1 + chance.below(600);
    chance.bytes(usize::try_from(length).expect("it is small"))
}

fn holder(chance: &mut Chance) -> CertId {
    let [serial, ..] = chance.number().to_be_bytes();
    CertId {
        issuer: [serial % 3; CertId::ISSUER],
        serial: Serial::new(&[serial]).expect("it is short"),
    }
}

fn revoked(chance: &mut Chance) -> Request {
    let issuer = holder(chance).issuer;
    let serials = (0..=chance.below(3)).map(|_| holder(chance).serial).collect();
    Request::Close { issuer, serials }
}

/// Some that are staged, or loaded in whatever way.
fn tags(chance: &mut Chance) -> Request {
    let seconds = u32::try_from(chance.below(1 << 32)).expect("it is below") >> chance.below(32);
    if chance.once_in(3) {
        let count = u32::try_from(chance.below(4)).expect("it is small");
        return Request::LoadTags { count, replace: chance.once_in(2), seconds };
    }
    let tag = |chance: &mut Chance| chance.number().to_be_bytes()[..4].try_into().expect("four");
    let tags = (0..=chance.below(3)).map(|_| tag(chance)).collect();
    Request::StageTags { seconds, tags }
}

fn wish(chance: &mut Chance) -> GrantRequest {
    let any = chance.number().to_be_bytes();
    let address = match chance.below(4) {
        0 => [any[0], any[1], any[2], any[3]].into(),
        1 => std::net::Ipv6Addr::from_bits(u128::from(chance.number()) << 64 | 1).into(),
        _ => [10, 77, 1, any[0]].into(),
    };
    let first = match chance.below(3) {
        0 => 22,
        1 => 20_000 + u16::from(any[4]),
        _ => u16::from_be_bytes([any[5], any[6]]).max(1),
    };
    let last = if chance.once_in(4) { first.saturating_add(any[7].into()) } else { first };
    let transport = if chance.once_in(4) { Transport::Udp } else { Transport::Tcp };
    let knock = chance.number().to_be_bytes();
    let name = OwnerName::truncated(&String::from_utf8_lossy(&chance.bytes(20)));
    GrantRequest {
        addresses: vec![address],
        services: vec![PortRange::new(transport, first, last).expect("first is not behind last")],
        seconds: u32::try_from(chance.below(1 << 32)).expect("it is below") >> chance.below(32),
        single_use: chance.once_in(4),
        label: GrantLabel { knock, cert: holder(chance), name },
    }
}
