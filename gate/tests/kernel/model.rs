//! A gate and a real kernel beside a model of a few lines, through any course of requests, flushes,
//! reloads and restarts. What the kernel has open is what the model says, for as long.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use proptest::prelude::*;
use sknock_gate::{
    BootInstant, Ceiling, CertId, FirewallPolicy, Gate, GrantKey, Outcome, Request, Response, Watch,
};

use crate::netns::Net;
use crate::setup::{
    ask, begun, ceiling, cert, elements, grant_request, handle, held_by, range, rules, tcp,
};

const ADDRESSES: [&str; 3] = ["192.0.2.7", "192.0.2.8", "2001:db8::7"];

#[derive(Clone, Debug)]
enum Event {
    /// Holder, address, port, minutes.
    Open(u8, usize, u16, u32),
    /// Several at once, as from a crowd.
    Crowd(Vec<(u8, usize, u16, u32)>),
    Close(u8),
    Garbage(Vec<u8>),
    /// `nft flush ruleset`, or less.
    Flush(usize),
    /// Now only ports below this one are permitted.
    Reload(u16),
    /// Another gate takes over.
    Restart,
}

const FLUSHES: [&str; 3] =
    ["flush ruleset", "delete table inet sknock", "flush chain inet sknock input"];

fn grant() -> impl Strategy<Value = (u8, usize, u16, u32)> {
    (0..3_u8, 0..3_usize, 1..6_u16, 2..50_u32)
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => grant().prop_map(|(who, from, port, minutes)| Event::Open(who, from, port, minutes)),
        2 => prop::collection::vec(grant(), 0..6).prop_map(Event::Crowd),
        2 => (0..3_u8).prop_map(Event::Close),
        1 => prop::collection::vec(any::<u8>(), 0..300).prop_map(Event::Garbage),
        2 => (0..FLUSHES.len()).prop_map(Event::Flush),
        1 => (2..7_u16).prop_map(Event::Reload),
        1 => Just(Event::Restart),
    ]
}

/// Slack for what passes between our clock and the kernel's.
const SLACK: Duration = Duration::from_secs(20);

struct World<'n> {
    net: &'n Net,
    gate: Gate,
    watch: Watch,
    limit: u16,
    model: BTreeMap<(GrantKey, CertId), BootInstant>,
}

fn permitting(limit: u16) -> Ceiling {
    let services = vec![range(sknock_gate::Transport::Tcp, 1, limit - 1)];
    Ceiling { services, per_second: 100_000, ..ceiling() }
}

fn begin(net: &Net, limit: u16) -> (Gate, Watch) {
    let mut gate = begun(net, rules(FirewallPolicy::Drop), permitting(limit));
    let watch = net.inside(|| gate.watch().unwrap());
    assert_eq!(ask(&mut gate, &Request::Activate), Response::Activated);
    (gate, watch)
}

impl<'n> World<'n> {
    fn new(net: &'n Net) -> Self {
        let limit = 7;
        let (gate, watch) = begin(net, limit);
        Self { net, gate, watch, limit, model: BTreeMap::new() }
    }

    fn request(one: (u8, usize, u16, u32)) -> Request {
        let (who, from, port, minutes) = one;
        Request::Open(held_by(who, grant_request(&[ADDRESSES[from]], &[tcp(port)], minutes * 60)))
    }

    fn expect(&mut self, one: (u8, usize, u16, u32), answer: Response) {
        let (who, from, port, minutes) = one;
        let permitted = port < self.limit;
        assert_eq!(matches!(answer, Response::Opened { .. }), permitted, "{answer:?}");
        if permitted {
            let address = ADDRESSES[from].parse().unwrap();
            let transport = sknock_gate::Transport::Tcp;
            let grant_key = GrantKey { address, transport, port, single_use: false };
            let until = BootInstant::now().after(Duration::from_secs(u64::from(minutes) * 60));
            let open = self.model.entry((grant_key, cert(who))).or_insert(until);
            *open = (*open).max(until);
        }
    }

    fn play(&mut self, event: &Event) {
        match event {
            Event::Open(who, from, port, minutes) => {
                let one = (*who, *from, *port, *minutes);
                let answer = ask(&mut self.gate, &Self::request(one));
                self.expect(one, answer);
            }
            Event::Crowd(all) => {
                let records: Vec<_> =
                    all.iter().map(|one| Self::request(*one).encode().unwrap()).collect();
                let records: Vec<&[u8]> = records.iter().map(<[u8; _]>::as_slice).collect();
                let outcome = self.gate.handle_batch(&records, BootInstant::now());
                for (one, outcome) in all.iter().zip(outcome) {
                    self.expect(*one, outcome.response());
                }
            }
            Event::Close(who) => {
                let held = self.model.keys().filter(|(_, other)| *other == cert(*who)).count();
                let answer = ask(&mut self.gate, &Request::close(cert(*who)));
                assert_eq!(answer, Response::Closed { count: u32::try_from(held).unwrap() });
                self.model.retain(|(_, other), _| *other != cert(*who));
            }
            Event::Garbage(bytes) => {
                let outcome = handle(&mut self.gate, bytes, BootInstant::now());
                assert!(matches!(outcome, Outcome::Refused { .. }), "{outcome}");
            }
            Event::Flush(which) => self.flush(FLUSHES[*which]),
            Event::Reload(limit) => self.reload(*limit),
            Event::Restart => self.restart(),
        }
        self.check();
    }

    fn flush(&mut self, command: &str) {
        self.net.nft(command);
        assert!(self.watch.read().structure_changed, "{command}");
        let outcome = self.gate.reinstall(BootInstant::now());
        assert_eq!(outcome, Outcome::Activated { open: self.model.len(), dropped: 0 });
        assert!(self.net.table().contains("\t\tdrop\n"));
    }

    fn reload(&mut self, limit: u16) {
        self.limit = limit;
        self.model.retain(|(grant_key, _), _| grant_key.port < limit);
        let rules = rules(FirewallPolicy::Drop);
        let outcome = self.gate.reconfigure(rules, permitting(limit), BootInstant::now());
        assert!(matches!(outcome, Outcome::Activated { .. }), "{outcome}");
    }

    /// All claims outlive it.
    fn restart(&mut self) {
        (self.gate, self.watch) = begin(self.net, self.limit);
    }

    fn check(&self) {
        let now = BootInstant::now();
        let seen = elements(self.net);
        let grant_keys: BTreeSet<GrantKey> = seen.iter().map(|element| element.grant_key).collect();
        let expected: BTreeSet<GrantKey> =
            self.model.keys().map(|(grant_key, _)| *grant_key).collect();
        assert_eq!((seen.len(), &grant_keys), (grant_keys.len(), &expected));
        for element in seen {
            let entries =
                self.model.iter().filter(|((grant_key, _), _)| *grant_key == element.grant_key);
            let until = entries.map(|(_, until)| *until).max().expect("it is held");
            let left = until.since(now);
            assert!(element.remaining <= left + SLACK && element.remaining + SLACK >= left);
        }
    }
}

/// One for all cases: they come one after the other.
fn net() -> &'static Mutex<Net> {
    static NET: OnceLock<Mutex<Net>> = OnceLock::new();
    NET.get_or_init(|| Mutex::new(Net::new()))
}

proptest! {
    // A tenth of the usual number of cases, as each asks a kernel.
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases / 10,
        failure_persistence: None,
        ..Default::default()
    })]

    #[test]
    fn the_kernel_has_exactly_the_grants_after_any_sequence_of_events(
        events in prop::collection::vec(event(), 1..20),
    ) {
        let net = net().lock().unwrap_or_else(PoisonError::into_inner);
        net.nft("flush ruleset");
        let mut world = World::new(&net);
        for event in &events {
            world.play(event);
        }
    }
}
