//! An administrator closes what they choose: of what is open, and of what has ended by itself, as the
//! connections of both go on.

use std::collections::BTreeSet;

use super::Gate;
use crate::error::FirewallError;
use crate::firewall::Change;
use crate::grant_file::event::SavedEvent;
use crate::grant_key::{GrantElement, GrantKey};
use crate::grants::index::GrantEntry;
use crate::label::GrantLabel;
use crate::table_spec::block::OnRevoke;
use crate::uptime::BootInstant;
use sknock_netfilter::flow::FlowKey;

/// What somebody had on one way, and has no more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ClosedGrant {
    /// From where to which port.
    pub flow: FlowKey,
    /// Who, and by which knock.
    pub label: GrantLabel,
    /// Whether it was open. Otherwise it had ended by itself.
    pub was_open: bool,
    /// Whether connections on this way were ended.
    pub cut: bool,
}

/// So many are closed in one transaction: each is 200 bytes, twice.
const AT_ONCE: usize = 5_000;

impl Gate {
    /// Closes every grant, running or ended, that `which` is true of, and ends connections on its way,
    /// unless somebody else is let in there, or connections are to go on (`OnRevoke::KeepExisting`). After an
    /// error some may be closed. What that was; connections are looked for by [`Gate::flush_conntrack`].
    pub fn close_matching(
        &mut self,
        which: impl Fn(&GrantLabel, &FlowKey) -> bool,
        now: BootInstant,
    ) -> Result<Vec<ClosedGrant>, FirewallError> {
        self.expire(now);
        let open = self.grants.index().map(|entry| (entry.grant_key.flow(), entry.label, true));
        let ended = self.expired.all().map(|(label, flow)| (*flow, *label, false));
        let mut all: Vec<(FlowKey, GrantLabel, bool)> =
            open.chain(ended).filter(|(flow, label, _)| which(label, flow)).collect();
        // What is both is told once, as open.
        all.sort_by_key(|(flow, label, open)| (*flow, label.cert, !open));
        all.dedup_by_key(|(flow, label, _)| (*flow, label.cert));
        let mut closed = Vec::with_capacity(all.len());
        for some in all.chunks(AT_ONCE) {
            self.close_some(some, &which, now)?;
            closed.extend(some.iter().map(|&(flow, label, was_open)| {
                let cut = self.blocked.contains(&flow);
                ClosedGrant { flow, label, was_open, cut }
            }));
        }
        self.save(now);
        Ok(closed)
    }

    fn close_some(
        &mut self,
        some: &[(FlowKey, GrantLabel, bool)],
        which: &impl Fn(&GrantLabel, &FlowKey) -> bool,
        now: BootInstant,
    ) -> Result<(), FirewallError> {
        let flows: BTreeSet<FlowKey> = some.iter().map(|(flow, ..)| *flow).collect();
        let (mut put, mut remove) = (Vec::<GrantElement>::new(), Vec::<GrantKey>::new());
        for grant_key in
            flows.iter().flat_map(GrantKey::both_of).filter(|grant_key| self.grants.has(grant_key))
        {
            let stays = |entry: &&GrantEntry| !which(&entry.label, &grant_key.flow());
            match self.grants.longest_of(&grant_key, stays) {
                Some(other) => put.push(other.element(now)),
                None => remove.push(grant_key),
            }
        }
        let held = |flow: &FlowKey| {
            let stays = |entry: &&GrantEntry| !which(&entry.label, flow);
            GrantKey::both_of(flow)
                .iter()
                .any(|grant_key| self.grants.longest_of(grant_key, stays).is_some())
        };
        let ends = |flow: &&FlowKey| {
            self.rules.on_revoke == OnRevoke::Terminate && self.is_blockable(flow) && !held(flow)
        };
        let cut: Vec<FlowKey> = flows.iter().filter(ends).copied().collect();
        self.only_unused(&mut put, &mut remove);
        match self.block_or_close(&cut, Change { add: &put, remove: &remove, ..Change::default() })
        {
            // A table that is gone has nothing open in it; reasserting it leaves these out.
            Err(error) if !error.not_found() => return Err(error),
            _ => {}
        }
        for (flow, label, _) in some {
            self.remove_matching(flow, label, which);
        }
        Ok(())
    }

    /// Doors for single use that somebody else holds as well stay only if the kernel still has them: to
    /// put back what was used would let a second connection in.
    pub(super) fn only_unused(&mut self, put: &mut Vec<GrantElement>, remove: &mut Vec<GrantKey>) {
        if !put.iter().any(|element| element.grant_key.single_use) {
            return;
        }
        // If that cannot be listed, none is known to be unused.
        let unused = self.firewall.dump_single_use().unwrap_or_default();
        let unused: BTreeSet<GrantKey> = unused.iter().map(|element| element.grant_key).collect();
        put.retain(|GrantElement { grant_key, .. }| {
            let stays = !grant_key.single_use || unused.contains(grant_key);
            remove.extend((!stays).then_some(*grant_key));
            stays
        });
    }

    /// Forgets what this holder has or had on the way, but for what `which` is not true of.
    fn remove_matching(
        &mut self,
        flow: &FlowKey,
        label: &GrantLabel,
        which: &impl Fn(&GrantLabel, &FlowKey) -> bool,
    ) {
        self.note(&SavedEvent::ClosedFlow(label.cert, *flow));
        let entries = self.grants.remove_on_key(flow, &label.cert);
        self.expired.remove_flow(&label.cert, *flow);
        for entry in entries.into_iter().filter(|entry| !which(&entry.label, flow)) {
            self.note(&SavedEvent::Granted(entry));
            self.grants.keep(entry);
        }
    }
}
