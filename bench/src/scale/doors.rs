//! A gate in this process with any number of grants: one for each address, each of another certificate.

use std::net::Ipv4Addr;
use std::time::Duration;

use sknock_gate::{
    Answers, BootInstant, Ceiling, CertId, Firewall, FirewallPolicy, Gate, GrantLabel,
    GrantRequest, KnockCapture, OnRevoke, Outcome, OwnerName, PortRange, Request, Serial, Shares,
    TableSpec, Transport,
};
use sknock_protocol::DEFAULT_KNOCK_PORT;
use sknock_tests::Namespace;

use crate::lone_gate::handle;
use crate::stopwatch::{Stopwatch, own_cpu};

/// The maximum of `maxGrants`.
pub(super) const MOST: u32 = 1_000_000;

/// The maximum number of records that the daemon passes to its gate at once.
const CROWD: u32 = 64;

/// Longer than the run.
const LIFETIME: u32 = 3600;

/// The cost of an operation: elapsed time, and CPU time of this thread, including the kernel's work for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Took {
    pub(super) elapsed: Duration,
    pub(super) cpu: Duration,
}

/// Runs `work` and returns its cost.
pub(super) fn timed<T>(work: impl FnOnce() -> T) -> (T, Took) {
    let (watch, cpu) = (Stopwatch::start(), own_cpu());
    let done = work();
    (done, Took { elapsed: watch.elapsed(), cpu: own_cpu().saturating_sub(cpu) })
}

/// A gate with grants for the first addresses of [`address`].
pub(super) struct Doors {
    gate: Gate,
    open: u32,
}

impl Doors {
    /// Without grants, except those in the kernel.
    pub(super) fn of(namespace: &Namespace, gc_interval: Duration) -> Self {
        let firewall = namespace.inside(|| Firewall::open().expect("we are root"));
        let mut gate = Gate::new(rules(gc_interval), ceiling(), firewall);
        must_not_fail(&gate.install(BootInstant::now()));
        let open = u32::try_from(gate.live().len()).expect("as many as are permitted");
        Self { gate, open }
    }

    /// Makes one more grant, as an idle daemon does.
    pub(super) fn open_one(&mut self) -> Took {
        let record = record(self.open);
        self.open += 1;
        let (happened, took) = timed(|| handle(&mut self.gate, &record));
        must_not_fail(&happened);
        took
    }

    /// Makes grants until there are `count`, as a busy daemon does.
    pub(super) fn open_until(&mut self, count: u32) {
        while self.open < count {
            let end = count.min(self.open + CROWD);
            let records: Vec<_> = (self.open..end).map(record).collect();
            let records: Vec<&[u8]> = records.iter().map(|record| &record[..]).collect();
            self.gate.handle_batch(&records, BootInstant::now()).iter().for_each(must_not_fail);
            self.open = end;
        }
    }

    /// Restores the whole table.
    pub(super) fn reassert(&mut self) -> Took {
        let (happened, took) = timed(|| self.gate.reinstall(BootInstant::now()));
        must_not_fail(&happened);
        took
    }

    /// Changes the interval, as a reload does.
    pub(super) fn reload(&mut self, gc_interval: Duration) -> Took {
        let (rules, now) = (rules(gc_interval), BootInstant::now());
        let (happened, took) = timed(|| self.gate.reconfigure(rules, ceiling(), now));
        must_not_fail(&happened);
        took
    }
}

/// The `number`th of all addresses.
pub(super) fn address(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(Ipv4Addr::new(10, 128, 0, 0).to_bits() + number)
}

/// The range of [`address`].
pub(super) const ADDRESSES: &str = "10.128.0.0/9";

fn record(number: u32) -> [u8; Request::LEN] {
    let serial = [&[0x71; 12][..], &number.to_be_bytes()].concat();
    let issuer = *b"CA01CA01CA01";
    let wish = GrantRequest {
        addresses: vec![address(number).into()],
        services: vec![door()],
        seconds: LIFETIME,
        single_use: false,
        label: GrantLabel {
            knock: u64::from(number).to_be_bytes(),
            cert: CertId { issuer, serial: Serial::new(&serial).expect("16 bytes") },
            name: OwnerName::truncated(&format!("client-{number}@example.org")),
        },
    };
    Request::Open(wish).encode().expect("one address, one service")
}

/// The destination port of [`crate::sender::Sender`].
fn door() -> PortRange {
    PortRange::one(Transport::Udp, DEFAULT_KNOCK_PORT).expect("not zero")
}

/// Protects one port, without a knock port.
fn rules(gc_interval: Duration) -> TableSpec {
    TableSpec {
        policy: FirewallPolicy::Drop,
        protected: vec![door()],
        always_open: Vec::new(),
        knock_ports: Vec::new(),
        knock_lengths: (1208, 1208),
        tagged_length: None,
        capture: KnockCapture::Socket,
        source_limit: None,
        answers: Answers { udp_length: 104, user: 65534 },
        ephemeral: Vec::new(),
        capacity: 2 * MOST,
        gc_interval,
        on_revoke: OnRevoke::Terminate,
    }
}

fn ceiling() -> Ceiling {
    Ceiling {
        services: vec![door()],
        longest: Duration::from_secs(LIFETIME.into()),
        live: usize::try_from(MOST).expect("64 bits"),
        // More than one thread can request.
        per_second: MOST,
        shares: Shares::WHOLE,
    }
}

fn must_not_fail(happened: &Outcome) {
    let well = matches!(happened, Outcome::Opened(_) | Outcome::Activated { dropped: 0, .. });
    assert!(well, "the gate: {happened}");
}
