//! What the gate remembers, beside a model of a few lines, through any course of openings, closings,
//! time, reloads and restarts.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use sknock_gate::{
    Bucket, Ceiling, Door, Excess, Holder, Live, Opening, PortRange, Serial, Uptime, Wish,
};

use crate::{ceiling, tcp, wish};

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

fn holder(serial: u8) -> Holder {
    Holder { issuer: *b"CA01CA01CA01", serial: Serial::new(&[serial]).unwrap() }
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
    now: Uptime,
    ceiling: Ceiling,
    live: Live,
    /// Who holds which door until when.
    model: BTreeMap<(Door, Holder), Uptime>,
}

impl World {
    fn new() -> Self {
        let (live, model) = (Live::default(), BTreeMap::new());
        Self { now: Uptime::from_millis(5_000), ceiling: permitting(1010), live, model }
    }

    fn permits(&self, door: Door) -> bool {
        self.ceiling.services.iter().any(|range| range.contains(door.transport, door.port))
    }

    /// How long each door is open for anybody.
    fn expected(&self) -> BTreeMap<Door, Uptime> {
        let mut doors = BTreeMap::new();
        for ((door, _), until) in &self.model {
            let longest = doors.entry(*door).or_insert(*until);
            *longest = (*longest).max(*until);
        }
        doors
    }

    fn open(&mut self, who: u8, from: usize, range: PortRange, seconds: u32, single_use: bool) {
        let mut wish = Wish { seconds, single_use, ..wish(&[ADDRESSES[from]], &[range]) };
        wish.label.holder = holder(who);
        let checked = self.ceiling.check(&wish, &self.live, &mut Bucket::default(), self.now);
        let doors = range.ports().map(|port| Door {
            address: wish.addresses[0],
            transport: range.transport(),
            port,
            single_use,
        });
        let doors: Vec<Door> = doors.collect();
        let more = doors.iter().filter(|door| !self.model.contains_key(&(**door, holder(who))));
        let expected = if single_use && range.width() > 1 {
            Err(Excess::SingleUse)
        } else if !doors.iter().all(|door| self.permits(*door)) {
            Err(Excess::Service)
        } else if self.model.len() + more.count() > LIVE {
            Err(Excess::Live)
        } else {
            Ok(seconds.min(30))
        };
        assert_eq!(checked.as_ref().map(Opening::seconds).map_err(|one| *one), expected);
        let Ok(opening) = checked else { return };

        let before = self.expected();
        let until = self.now.after(Duration::from_secs(opening.seconds().into()));
        for element in self.live.plan(&opening, self.now) {
            let open = before.get(&element.door).copied().unwrap_or(until).max(until);
            assert_eq!(element.remaining, open.since(self.now), "never shorter than it was");
        }
        assert_eq!(
            self.live.is_news(&opening),
            doors.iter().all(|door| !before.contains_key(door))
        );
        self.live.record(&opening, self.now);
        for door in doors {
            let open = self.model.entry((door, holder(who))).or_insert(until);
            *open = (*open).max(until);
        }
    }

    fn close(&mut self, who: u8) {
        let (stay, close) = self.live.plan_close(&holder(who), self.now);
        let held = self.model.keys().filter(|(_, other)| *other == holder(who)).count();
        assert_eq!((stay.len() + close.len(), self.live.forget(&holder(who))), (held, held));
        self.model.retain(|(_, other), _| *other != holder(who));
        let left = self.expected();
        assert!(close.iter().all(|door| !left.contains_key(door)), "somebody else holds it");
        for element in stay {
            assert_eq!(element.remaining, left[&element.door].since(self.now));
        }
    }

    fn reload(&mut self, limit: u16, lost: usize) {
        self.ceiling = permitting(limit);
        let mut count = 0;
        let mut seen = self.live.elements(self.now);
        seen.retain(|element| {
            count += usize::from(element.door.single_use);
            !element.door.single_use || count % lost != 0
        });
        let before = self.model.len();
        let dropped = self.live.narrow(&seen, &self.ceiling, self.now).len();
        let has = |door: &Door| seen.iter().any(|element| element.door == *door);
        let model = std::mem::take(&mut self.model);
        let stays = |door: &Door| self.permits(*door) && (!door.single_use || has(door));
        self.model = model.into_iter().filter(|((door, _), _)| stays(door)).collect();
        assert_eq!(dropped, before - self.model.len());
    }

    /// The kernel has all doors, and the grant file all claims on them.
    fn restart(&mut self, limit: u16) {
        let known = std::mem::take(&mut self.live);
        let open = known.elements(self.now).iter().map(|element| element.door).collect();
        self.ceiling = permitting(limit);
        let left = self.live.adopt(&known, &open, &self.ceiling, self.now).len();
        let (model, before) = (std::mem::take(&mut self.model), known.len());
        self.model = model.into_iter().filter(|((door, _), _)| self.permits(*door)).collect();
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
        let found: BTreeMap<Door, Duration> =
            elements.iter().map(|element| (element.door, element.remaining)).collect();
        assert_eq!(found.len(), elements.len(), "each door once");
        let expected: BTreeMap<Door, Duration> = self
            .expected()
            .into_iter()
            .map(|(door, until)| (door, until.since(self.now)))
            .collect();
        assert_eq!(found, expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_course_of_events_leaves_anything_open_that_nobody_holds(
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
