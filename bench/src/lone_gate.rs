//! The gate alone: called in this process, without verification.

use std::net::Ipv4Addr;
use std::time::Duration;

use sknock_gate::{
    Answers, BootInstant, Ceiling, CertId, Firewall, FirewallPolicy, Gate, GrantLabel,
    GrantRequest, KnockCapture, OnRevoke, Outcome, OwnerName, PortRange, Request, Serial, Shares,
    TableSpec, Transport,
};
use sknock_tests::Namespace;

use crate::stopwatch::Stopwatch;
use crate::world::PORT;

const HOUR: Duration = Duration::from_secs(3600);

/// Protects [`PORT`] in one namespace.
#[derive(Debug)]
pub(crate) struct LoneGate {
    gate: Gate,
    ssh: PortRange,
}

impl LoneGate {
    /// Loads the rules, without grants.
    pub(crate) fn of(namespace: &Namespace) -> Self {
        let ssh = PortRange::one(Transport::Tcp, PORT).expect("a port");
        let rules = TableSpec {
            policy: FirewallPolicy::Reject,
            protected: vec![ssh],
            always_open: Vec::new(),
            knock_ports: Vec::new(),
            knock_lengths: (1208, 1208),
            tagged_length: None,
            capture: KnockCapture::Socket,
            source_limit: None,
            answers: Answers { udp_length: 104, user: 65534 },
            ephemeral: Vec::new(),
            on_revoke: OnRevoke::Terminate,
            capacity: 2_000_000,
            gc_interval: Duration::from_secs(2),
        };
        let services = vec![ssh];
        let (live, per_second, shares) = (1_000_000, 100_000, Shares::WHOLE);
        let ceiling = Ceiling { services, longest: HOUR, live, per_second, shares };
        let firewall = namespace.inside(|| Firewall::open().expect("we are root"));
        let mut lone = Self { gate: Gate::new(rules, ceiling, firewall), ssh };
        lone.ask(&Request::Activate);
        lone
    }

    /// Grants the port to this address; returns the time.
    pub(crate) fn open(&mut self, address: Ipv4Addr) -> Duration {
        let label = GrantLabel {
            knock: *b"knock-id",
            cert: CertId {
                issuer: [1; CertId::ISSUER],
                serial: Serial::new(&[1; 16]).expect("short"),
            },
            name: OwnerName::truncated("client"),
        };
        let services = vec![self.ssh];
        let addresses = vec![address.into()];
        self.ask(&Request::Open(GrantRequest {
            addresses,
            services,
            seconds: 600,
            single_use: false,
            label,
        }))
    }

    fn ask(&mut self, request: &Request) -> Duration {
        let record = request.encode().expect("it fits");
        let watch = Stopwatch::start();
        let happened = handle(&mut self.gate, &record);
        let took = watch.elapsed();
        let refused = matches!(happened, Outcome::Refused { .. } | Outcome::Failed(_));
        assert!(!refused, "the gate: {happened}");
        took
    }
}

/// Serves one record, as the privileged process does.
pub(crate) fn handle(gate: &mut Gate, record: &[u8]) -> Outcome {
    let outcome = gate.handle_batch(&[record], BootInstant::now()).pop();
    gate.flush_conntrack();
    outcome.expect("one answer to each record")
}
