//! Many records at once: the doors among them that nobody has open go to the kernel in one
//! transaction. If that fails, each has its own, so that none suffers for another.

use super::Gate;
use crate::ceiling::ApprovedGrant;
use crate::grant_key::GrantElement;
use crate::grants::Replaced;
use crate::outcome::Outcome;
use crate::request::{GrantRequest, Request};
use crate::uptime::BootInstant;

/// Openings that memory has already and the kernel has not. No two share a door.
#[derive(Default)]
struct OpenBatch {
    grants: Vec<(usize, ApprovedGrant, Replaced)>,
    elements: Vec<GrantElement>,
}

impl Gate {
    /// Serves records in their order, whatever they are, and says of each what came of it. After the
    /// answers have gone out, [`Gate::flush_conntrack`].
    pub fn handle_batch(&mut self, records: &[&[u8]], now: BootInstant) -> Vec<Outcome> {
        self.expire(now);
        let mut batch = OpenBatch::default();
        let mut outcome = Vec::with_capacity(records.len());
        for (place, record) in records.iter().enumerate() {
            match Request::decode(record) {
                Some(Request::Open(grant_request)) if self.installed => {
                    self.push(&mut batch, place, &grant_request, &mut outcome, now);
                }
                _ => {
                    self.flush(&mut batch, &mut outcome, now);
                    outcome.push((place, self.serve(record, now)));
                }
            }
        }
        self.flush(&mut batch, &mut outcome, now);
        // Before anybody is told: who got an answer is known to the next gate.
        self.save(now);
        outcome.sort_unstable_by_key(|(place, _)| *place);
        outcome.into_iter().map(|(_, one)| one).collect()
    }

    fn push(
        &mut self,
        batch: &mut OpenBatch,
        place: usize,
        grant_request: &GrantRequest,
        outcome: &mut Vec<(usize, Outcome)>,
        now: BootInstant,
    ) {
        match self.ceiling.check(grant_request, &self.grants, &mut self.bucket, now) {
            Ok(grant) if self.grants.is_new(&grant) && self.unblocked_by(&grant).is_empty() => {
                batch.elements.extend(self.grants.elements_for(&grant, now));
                let replaced = self.grants.record(&grant, now);
                batch.grants.push((place, grant, replaced));
            }
            // It touches what is open, perhaps by somebody in the crowd.
            Ok(grant) => {
                self.flush(batch, outcome, now);
                outcome.push((place, self.apply(grant, now)));
            }
            Err(deny_reason) => {
                outcome.push((
                    place,
                    Outcome::Refused { deny_reason, label: Some(grant_request.label) },
                ));
            }
        }
    }

    fn flush(
        &mut self,
        batch: &mut OpenBatch,
        outcome: &mut Vec<(usize, Outcome)>,
        now: BootInstant,
    ) {
        let OpenBatch { grants, elements } = std::mem::take(batch);
        if self.firewall.add(&elements).is_ok() {
            for (_, grant, _) in &grants {
                self.note_opening(grant, &[], now);
                self.mark_opened(grant, &[]);
            }
            outcome.extend(grants.into_iter().map(|(place, one, _)| (place, Outcome::Opened(one))));
            return;
        }
        let undone: Vec<_> = grants
            .into_iter()
            .map(|(place, grant, replaced)| {
                self.grants.undo(&grant, replaced);
                (place, grant)
            })
            .collect();
        for (place, grant) in undone {
            outcome.push((place, self.apply(grant, now)));
        }
    }
}
