//! What an earlier run in this boot and network namespace had granted, as its entries tell. Pure.

use super::event::SavedEvent;
use crate::blocked_flows::BlockedFlows;
use crate::expired::ExpiredGrants;
use crate::grants::GrantTable;
use crate::uptime::BootInstant;

/// What a gate that begins takes over, as far as the kernel still has it.
#[derive(Clone, Debug, Default)]
pub struct SavedGrants {
    /// What was open. Some of it may have ended since.
    pub(crate) live: GrantTable,
    pub(crate) expired: ExpiredGrants,
    pub(crate) blocked: BlockedFlows,
    pub(crate) trial: Option<BootInstant>,
}

impl SavedGrants {
    /// The end of the trial that the earlier run was in, if it was in one.
    pub fn trial(&self) -> Option<BootInstant> {
        self.trial
    }

    pub(super) fn apply(&mut self, entry: SavedEvent) {
        match entry {
            SavedEvent::Granted(entry) => self.live.keep(entry),
            SavedEvent::Ended(label, flow) => {
                self.expired.insert(label, flow, usize::MAX, usize::MAX);
            }
            SavedEvent::Closed(cert) => {
                self.live.remove_cert(&cert);
                self.expired.remove(&cert);
            }
            SavedEvent::ClosedFlow(cert, flow) => {
                self.live.remove_on_key(&flow, &cert);
                self.expired.remove_flow(&cert, flow);
            }
            SavedEvent::ClosedKey(grant_key) => {
                self.live.remove_key(&grant_key);
            }
            SavedEvent::Blocked(flow) => {
                self.blocked.add(&[flow], usize::MAX);
            }
            SavedEvent::Unblocked(flow) => self.blocked.remove(&[flow]),
            SavedEvent::Trial(until) => self.trial = Some(until),
        }
    }
}
