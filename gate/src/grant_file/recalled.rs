//! What an earlier run in this boot and network namespace had granted, as its entries tell. Pure.

use super::entry::Entry;
use crate::{Cuts, Former, Live, Uptime};

/// What a gate that begins takes over, as far as the kernel still has it.
#[derive(Clone, Debug, Default)]
pub struct Recalled {
    /// What was open. Some of it may have ended since.
    pub(crate) live: Live,
    pub(crate) former: Former,
    pub(crate) cuts: Cuts,
    pub(crate) trial: Option<Uptime>,
}

impl Recalled {
    /// The end of the trial that the earlier run was in, if it was in one.
    pub fn trial(&self) -> Option<Uptime> {
        self.trial
    }

    pub(super) fn apply(&mut self, entry: Entry) {
        match entry {
            Entry::Granted(claim) => self.live.keep(claim),
            Entry::Ended(label, way) => self.former.keep(label, way, usize::MAX, usize::MAX),
            Entry::Closed(holder) => {
                self.live.forget(&holder);
                self.former.forget(&holder);
            }
            Entry::ClosedWay(holder, way) => {
                self.live.forget_on(&way, &holder);
                self.former.forget_one(&holder, way);
            }
            Entry::ClosedDoor(door) => {
                self.live.forget_door(&door);
            }
            Entry::Cut(way) => {
                self.cuts.add(&[way], usize::MAX);
            }
            Entry::Uncut(way) => self.cuts.remove(&[way]),
            Entry::Trial(until) => self.trial = Some(until),
        }
    }
}
