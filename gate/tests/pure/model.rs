//! What the gate remembers, beside a model of a few lines, through any course of openings, closings,
//! time, reloads and restarts.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use sknock_gate::{
    ApprovedGrant, BootInstant, Ceiling, CertId, DenyReason, GrantKey, GrantRequest, GrantTable,
    PortRange, Serial, TokenBucket,
};

use crate::{ceiling, grant_request, tcp};

const ADDRESSES: [&str; 3] = ["192.0.2.7", "192.0.2.8", "2001:db8::7"];

/// How many doors may be open: few enough to be reached.
const LIVE: usize = 8;

#[derive(Clone, Debug)]
enum Event {
    /// Holder, address, first port and width, seconds, for single use.
    Open(u8, usize, (u16, u16), u32, bool),
    /// All of this holder.
    Close(u8),
    /// So many ms pass.
    Wait(u64),
    /// Now only ports below this one are permitted, and the kernel has lost each n-th single use.
    Reload(u16, usize),
    /// Another gate takes over what the kernel has.
    Restart(u16),
}

fn event() -> impl Strategy<Value = Event> {
    let ports = (1000..1006_u16, 1..4_u16);
    let limit = 1002..1010_u16;
    prop_oneof![
        8 => (0..3_u8, 0..3_usize, ports, 1..40_u32, prop::bool::weighted(0.2))
            .prop_map(|(who, from, to, seconds, once)| Event::Open(who, from, to, seconds, once)),
        2 => (0..3_u8).prop_map(Event::Close),
        4 => (0..30_000_u64).prop_map(Event::Wait),
        1 => (limit.clone(), 1..3_usize).prop_map(|(limit, lost)| Event::Reload(limit, lost)),
        1 => limit.prop_map(Event::Restart),
    ]
}

fn cert(serial: u8) -> CertId {
    CertId { issuer: *b"CA01CA01CA01", serial: Serial::new(&[serial]).unwrap() }
}

fn permitting(limit: u16) -> Ceiling {
    let services = vec![tcp(1000, limit - 1)];
    Ceiling {
        services,
        longest: Duration::from_secs(30),
        live: LIVE,
        per_second: 1_000_000,
        ..ceiling()
    }
}

struct World {
    now: BootInstant,
    ceiling: Ceiling,
    live: GrantTable,
    /// Who holds which door until when.
    model: BTreeMap<(GrantKey, CertId), BootInstant>,
}

impl World {
    fn new() -> Self {
        let (live, model) = (GrantTable::default(), BTreeMap::new());
        Self { now: BootInstant::from_millis(5_000), ceiling: permitting(1010), live, model }
    }

    fn permits(&self, grant_key: GrantKey) -> bool {
        self.ceiling
            .services
            .iter()
            .any(|range| range.contains(grant_key.transport, grant_key.port))
    }

    /// How long each door is open for anybody.
    fn expected(&self) -> BTreeMap<GrantKey, BootInstant> {
        let mut grant_keys = BTreeMap::new();
        for ((grant_key, _), until) in &self.model {
            let longest = grant_keys.entry(*grant_key).or_insert(*until);
            *longest = (*longest).max(*until);
        }
        grant_keys
    }

    fn open(&mut self, who: u8, from: usize, range: PortRange, seconds: u32, single_use: bool) {
        let mut grant_request =
            GrantRequest { seconds, single_use, ..grant_request(&[ADDRESSES[from]], &[range]) };
        grant_request.label.cert = cert(who);
        let checked =
            self.ceiling.check(&grant_request, &self.live, &mut TokenBucket::default(), self.now);
        let grant_keys = range.ports().map(|port| GrantKey {
            address: grant_request.addresses[0],
            transport: range.transport(),
            port,
            single_use,
        });
        let grant_keys: Vec<GrantKey> = grant_keys.collect();
        let more = grant_keys
            .iter()
            .filter(|grant_key| !self.model.contains_key(&(**grant_key, cert(who))));
        let expected = if single_use && range.width() > 1 {
            Err(DenyReason::SingleUse)
        } else if !grant_keys.iter().all(|grant_key| self.permits(*grant_key)) {
            Err(DenyReason::Service)
        } else if self.model.len() + more.count() > LIVE {
            Err(DenyReason::Live)
        } else {
            Ok(seconds.min(30))
        };
        assert_eq!(checked.as_ref().map(ApprovedGrant::seconds).map_err(|one| *one), expected);
        let Ok(grant) = checked else { return };

        let before = self.expected();
        let until = self.now.after(Duration::from_secs(grant.seconds().into()));
        for element in self.live.elements_for(&grant, self.now) {
            let open = before.get(&element.grant_key).copied().unwrap_or(until).max(until);
            assert_eq!(element.remaining, open.since(self.now), "never shorter than it was");
        }
        assert_eq!(
            self.live.is_new(&grant),
            grant_keys.iter().all(|grant_key| !before.contains_key(grant_key))
        );
        self.live.record(&grant, self.now);
        for grant_key in grant_keys {
            let open = self.model.entry((grant_key, cert(who))).or_insert(until);
            *open = (*open).max(until);
        }
    }

    fn close(&mut self, who: u8) {
        let (stay, close) = self.live.plan_close(&cert(who), self.now);
        let held = self.model.keys().filter(|(_, other)| *other == cert(who)).count();
        assert_eq!((stay.len() + close.len(), self.live.remove_cert(&cert(who))), (held, held));
        self.model.retain(|(_, other), _| *other != cert(who));
        let left = self.expected();
        assert!(
            close.iter().all(|grant_key| !left.contains_key(grant_key)),
            "somebody else holds it"
        );
        for element in stay {
            assert_eq!(element.remaining, left[&element.grant_key].since(self.now));
        }
    }

    fn reload(&mut self, limit: u16, lost: usize) {
        self.ceiling = permitting(limit);
        let mut count = 0;
        let mut seen = self.live.elements(self.now);
        seen.retain(|element| {
            count += usize::from(element.grant_key.single_use);
            !element.grant_key.single_use || count % lost != 0
        });
        let before = self.model.len();
        let dropped = self.live.retain_allowed(&seen, &self.ceiling, self.now).len();
        let has = |grant_key: &GrantKey| seen.iter().any(|element| element.grant_key == *grant_key);
        let model = std::mem::take(&mut self.model);
        let stays = |grant_key: &GrantKey| {
            self.permits(*grant_key) && (!grant_key.single_use || has(grant_key))
        };
        self.model = model.into_iter().filter(|((grant_key, _), _)| stays(grant_key)).collect();
        assert_eq!(dropped, before - self.model.len());
    }

    /// The kernel has all doors, and the grant file all claims on them.
    fn restart(&mut self, limit: u16) {
        let known = std::mem::take(&mut self.live);
        let open = known.elements(self.now).iter().map(|element| element.grant_key).collect();
        self.ceiling = permitting(limit);
        let left = self.live.restore(&known, &open, &self.ceiling, self.now).len();
        let (model, before) = (std::mem::take(&mut self.model), known.len());
        self.model =
            model.into_iter().filter(|((grant_key, _), _)| self.permits(*grant_key)).collect();
        assert_eq!(left, before - self.model.len());
    }

    fn play(&mut self, event: &Event) {
        match *event {
            Event::Open(who, from, (first, width), seconds, once) => {
                self.open(who, from, tcp(first, first + width - 1), seconds, once);
            }
            Event::Close(who) => self.close(who),
            Event::Wait(millis) => self.now = self.now.after(Duration::from_millis(millis)),
            Event::Reload(limit, lost) => self.reload(limit, lost),
            Event::Restart(limit) => self.restart(limit),
        }
        self.live.expire(self.now);
        self.model.retain(|_, until| *until > self.now);
        self.check();
    }

    /// What a flush would have to put back is what the model says.
    fn check(&self) {
        assert_eq!(self.live.len(), self.model.len());
        assert!(self.live.len() <= LIVE);
        let elements = self.live.elements(self.now);
        let found: BTreeMap<GrantKey, Duration> =
            elements.iter().map(|element| (element.grant_key, element.remaining)).collect();
        assert_eq!(found.len(), elements.len(), "each door once");
        let expected: BTreeMap<GrantKey, Duration> = self
            .expected()
            .into_iter()
            .map(|(grant_key, until)| (grant_key, until.since(self.now)))
            .collect();
        assert_eq!(found, expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_sequence_of_events_leaves_anything_open_without_a_grant(
        events in prop::collection::vec(event(), 1..60),
    ) {
        let mut world = World::new();
        for event in &events {
            world.play(event);
        }
        world.play(&Event::Wait(30_000));
        prop_assert!(world.live.is_empty(), "in the end all is closed");
    }
}
