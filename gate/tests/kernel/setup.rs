//! What most tests begin with.

use std::fs::File;
use std::time::Duration;

use sknock_gate::{
    Answers, BootInstant, Ceiling, CertId, Firewall, FirewallPolicy, Gate, GrantElement, GrantFile,
    GrantLabel, GrantRequest, KnockCapture, OnRevoke, Origin, Outcome, OwnerName, PortRange,
    Request, Response, SavedGrants, Serial, Shares, TableSpec, Transport,
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
pub(crate) fn rules(policy: FirewallPolicy) -> TableSpec {
    TableSpec {
        policy,
        protected: vec![],
        always_open: vec![],
        knock_ports: vec![udp(5000)],
        knock_lengths: (1208, 1208),
        tagged_length: None,
        capture: KnockCapture::Socket,
        source_limit: None,
        answers: Answers { udp_length: 104, user: 65534 },
        ephemeral: vec![],
        on_revoke: OnRevoke::Terminate,
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
pub(crate) fn cert(serial: u8) -> CertId {
    CertId { issuer: [0xca; CertId::ISSUER], serial: Serial::new(&[serial]).unwrap() }
}

/// A wish of holder 1.
pub(crate) fn grant_request(
    addresses: &[&str],
    services: &[PortRange],
    seconds: u32,
) -> GrantRequest {
    GrantRequest {
        addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
        services: services.to_vec(),
        seconds,
        single_use: false,
        label: GrantLabel {
            knock: *b"knock-id",
            cert: cert(1),
            name: OwnerName::truncated("alice"),
        },
    }
}

/// The same, of somebody else.
pub(crate) fn held_by(serial: u8, mut grant_request: GrantRequest) -> GrantRequest {
    grant_request.label.cert = cert(serial);
    grant_request
}

/// The same, for one connection.
pub(crate) fn once(mut grant_request: GrantRequest) -> GrantRequest {
    grant_request.single_use = true;
    grant_request
}

/// The files in which the gates of `net` write down what they grant, and what is there.
pub(crate) fn grant_file(net: &Net) -> (GrantFile, Option<SavedGrants>) {
    let open = |name| {
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        options.open(net.file(name)).unwrap()
    };
    let origin = net.inside(|| Origin::here(&net.file(".")).unwrap());
    GrantFile::of(["grants.0", "grants.1"].map(open), origin).unwrap()
}

/// A gate in `net` that begins, where perhaps an earlier one was.
pub(crate) fn begun(net: &Net, rules: TableSpec, ceiling: Ceiling) -> Gate {
    let mut gate = Gate::new(rules, ceiling, net.inside(|| Firewall::open().unwrap()));
    let (file, saved) = grant_file(net);
    gate.save_to(file, saved);
    gate
}

/// A gate in `net` with its protection up.
pub(crate) fn raised(net: &Net, rules: TableSpec, ceiling: Ceiling) -> Gate {
    let mut gate = begun(net, rules, ceiling);
    assert_eq!(ask(&mut gate, &Request::Activate), Response::Activated);
    gate
}

/// Asks as the network process does: bytes in, bytes out.
pub(crate) fn ask(gate: &mut Gate, request: &Request) -> Response {
    Response::decode(&tell(gate, request).response().encode()).unwrap()
}

/// Serves one record, as the loop of the privileged process does with all that it has received.
pub(crate) fn handle(gate: &mut Gate, record: &[u8], now: BootInstant) -> Outcome {
    let outcome = gate.handle_batch(&[record], now).pop().expect("one answer to each record");
    gate.flush_conntrack();
    outcome
}

/// The same, but what happened.
pub(crate) fn tell(gate: &mut Gate, request: &Request) -> Outcome {
    handle(gate, &request.encode().unwrap(), BootInstant::now())
}

/// Opens, and it must.
pub(crate) fn open(gate: &mut Gate, grant_request: GrantRequest) {
    let seconds = grant_request.seconds;
    let answer = ask(gate, &Request::Open(grant_request));
    assert_eq!(answer, Response::Opened { seconds, clipped: false });
}

/// What the kernel has open in `net`.
pub(crate) fn elements(net: &Net) -> Vec<GrantElement> {
    net.inside(|| Firewall::open().unwrap().dump().unwrap())
}
