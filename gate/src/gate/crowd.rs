//! Many records at once: the doors among them that nobody has open go to the kernel in one
//! transaction. If that fails, each has its own, so that none suffers for another.

use super::Gate;
use crate::{Element, Happened, Opening, Request, Uptime, Wish};

/// Openings that memory has already and the kernel has not. No two share a door.
#[derive(Default)]
struct Crowd {
    openings: Vec<(usize, Opening)>,
    elements: Vec<Element>,
}

impl Gate {
    /// Serves records in their order, whatever they are, and says of each what came of it. After the
    /// answers have gone out, [`Gate::settle`].
    pub fn handle_all(&mut self, records: &[&[u8]], now: Uptime) -> Vec<Happened> {
        self.expire(now);
        let mut crowd = Crowd::default();
        let mut happened = Vec::with_capacity(records.len());
        for (place, record) in records.iter().enumerate() {
            match Request::decode(record) {
                Some(Request::Open(wish)) if self.raised => {
                    self.join(&mut crowd, place, &wish, &mut happened, now);
                }
                _ => {
                    self.let_in(&mut crowd, &mut happened, now);
                    happened.push((place, self.serve(record, now)));
                }
            }
        }
        self.let_in(&mut crowd, &mut happened, now);
        // Before anybody is told: who got an answer is known to the next gate.
        self.write_down(now);
        happened.sort_unstable_by_key(|(place, _)| *place);
        happened.into_iter().map(|(_, one)| one).collect()
    }

    fn join(
        &mut self,
        crowd: &mut Crowd,
        place: usize,
        wish: &Wish,
        happened: &mut Vec<(usize, Happened)>,
        now: Uptime,
    ) {
        match self.ceiling.check(wish, &self.live, &mut self.bucket, now) {
            Ok(opening) if self.live.is_news(&opening) && self.freed(&opening).is_empty() => {
                crowd.elements.extend(self.live.plan(&opening, now));
                self.live.record(&opening, now);
                crowd.openings.push((place, opening));
            }
            // It touches what is open, perhaps by somebody in the crowd.
            Ok(opening) => {
                self.let_in(crowd, happened, now);
                happened.push((place, self.carry_out(opening, now)));
            }
            Err(excess) => {
                happened.push((place, Happened::Refused { excess, label: Some(wish.label) }));
            }
        }
    }

    fn let_in(&mut self, crowd: &mut Crowd, happened: &mut Vec<(usize, Happened)>, now: Uptime) {
        let Crowd { openings, elements } = std::mem::take(crowd);
        if self.firewall.add(&elements).is_ok() {
            for (_, opening) in &openings {
                self.note_opening(opening, &[], now);
                self.opened(opening, &[]);
            }
            happened
                .extend(openings.into_iter().map(|(place, one)| (place, Happened::Opened(one))));
            return;
        }
        for (_, opening) in &openings {
            self.live.retract(opening);
        }
        for (place, opening) in openings {
            happened.push((place, self.carry_out(opening, now)));
        }
    }
}
