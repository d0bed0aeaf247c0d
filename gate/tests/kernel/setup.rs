//! What most tests begin with.

use std::fs::File;
use std::time::Duration;

use sknock_gate::{
    Answer, Answers, Ceiling, Element, Ending, Firewall, Gate, GrantFile, Happened, Hearing,
    Holder, Label, Name, Origin, Policy, PortRange, Recalled, Request, Rules, Serial, Shares,
    Transport, Uptime, Wish,
};

use crate::netns::Net;

pub(crate) fn tcp(port: u16) -> PortRange {
    PortRange::one(Transport::Tcp, port).unwrap()
}

pub(crate) fn udp(port: u16) -> PortRange {
    PortRange::one(Transport::Udp, port).unwrap()
}

pub(crate) fn range(transport: Transport, first: u16, last: u16) -> PortRange {
    PortRange::new(transport, first, last).unwrap()
}

/// All traffic, knocks on udp/5000.
pub(crate) fn rules(policy: Policy) -> Rules {
    Rules {
        policy,
        protected: vec![],
        always_open: vec![],
        knock_ports: vec![udp(5000)],
        knock_lengths: (1208, 1208),
        hearing: Hearing::Socket,
        meter: None,
        answers: Answers { udp_length: 104, user: 65534 },
        ending: Ending::Cut,
        capacity: 512,
        gc_interval: Duration::from_secs(2),
    }
}

/// Anything above port 0, up to an hour.
pub(crate) fn ceiling() -> Ceiling {
    Ceiling {
        services: [Transport::Tcp, Transport::Udp].map(|t| range(t, 1, 65535)).to_vec(),
        longest: Duration::from_secs(3600),
        live: 256,
        per_second: 100,
        shares: Shares::WHOLE,
    }
}

/// Somebody with this serial number.
pub(crate) fn holder(serial: u8) -> Holder {
    Holder { issuer: [0xca; Holder::ISSUER], serial: Serial::new(&[serial]).unwrap() }
}

/// A wish of holder 1.
pub(crate) fn wish(addresses: &[&str], services: &[PortRange], seconds: u32) -> Wish {
    Wish {
        addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
        services: services.to_vec(),
        seconds,
        single_use: false,
        label: Label { knock: *b"knock-id", holder: holder(1), name: Name::cut("alice") },
    }
}

/// The same, of somebody else.
pub(crate) fn held_by(serial: u8, mut wish: Wish) -> Wish {
    wish.label.holder = holder(serial);
    wish
}

/// The same, for one connection.
pub(crate) fn once(mut wish: Wish) -> Wish {
    wish.single_use = true;
    wish
}

/// The files in which the gates of `net` write down what they grant, and what is there.
pub(crate) fn grant_file(net: &Net) -> (GrantFile, Option<Recalled>) {
    let open = |name| {
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        options.open(net.file(name)).unwrap()
    };
    let origin = net.inside(|| Origin::here(&net.file(".")).unwrap());
    GrantFile::of(["grants.0", "grants.1"].map(open), origin).unwrap()
}

/// A gate in `net` that begins, where perhaps an earlier one was.
pub(crate) fn begun(net: &Net, rules: Rules, ceiling: Ceiling) -> Gate {
    let mut gate = Gate::new(rules, ceiling, net.inside(|| Firewall::open().unwrap()));
    let (file, recalled) = grant_file(net);
    gate.write_to(file, recalled);
    gate
}

/// A gate in `net` with its protection up.
pub(crate) fn raised(net: &Net, rules: Rules, ceiling: Ceiling) -> Gate {
    let mut gate = begun(net, rules, ceiling);
    assert_eq!(ask(&mut gate, &Request::Raise), Answer::Raised);
    gate
}

/// Asks as the network process does: bytes in, bytes out.
pub(crate) fn ask(gate: &mut Gate, request: &Request) -> Answer {
    Answer::decode(&tell(gate, request).answer().encode()).unwrap()
}

/// The same, but what happened.
pub(crate) fn tell(gate: &mut Gate, request: &Request) -> Happened {
    gate.handle(&request.encode().unwrap(), Uptime::now())
}

/// Opens, and it must.
pub(crate) fn open(gate: &mut Gate, wish: Wish) {
    let seconds = wish.seconds;
    let answer = ask(gate, &Request::Open(wish));
    assert_eq!(answer, Answer::Opened { seconds, clipped: false });
}

/// What the kernel has open in `net`.
pub(crate) fn elements(net: &Net) -> Vec<Element> {
    net.inside(|| Firewall::open().unwrap().dump().unwrap())
}
