//! An administrator closes what they choose: of what is open, and of what has ended by itself, as the
//! connections of both go on.

use std::collections::BTreeSet;

use super::Gate;
use crate::grant_file::entry::Entry;
use crate::live::Claim;
use crate::{Change, Door, Element, Ending, Error, Label, Uptime, Way};

/// What somebody had on one way, and has no more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ClosedGrant {
    /// From where to which port.
    pub way: Way,
    /// Who, and by which knock.
    pub label: Label,
    /// Whether it was open. Otherwise it had ended by itself.
    pub was_open: bool,
    /// Whether connections on this way were ended.
    pub cut: bool,
}

/// So many are closed in one transaction: each is 200 bytes, twice.
const AT_ONCE: usize = 5_000;

impl Gate {
    /// Closes every grant, running or ended, that `which` is true of, and ends connections on its way,
    /// unless somebody else is let in there, or connections are to go on (`Ending::Close`). After an
    /// error some may be closed. What that was; connections are looked for by [`Gate::settle`].
    pub fn close_which(
        &mut self,
        which: impl Fn(&Label, &Way) -> bool,
        now: Uptime,
    ) -> Result<Vec<ClosedGrant>, Error> {
        self.expire(now);
        let open = self.live.claims().map(|claim| (claim.door.way(), claim.label, true));
        let ended = self.former.all().map(|(label, way)| (*way, *label, false));
        let mut all: Vec<(Way, Label, bool)> =
            open.chain(ended).filter(|(way, label, _)| which(label, way)).collect();
        // What is both is told once, as open.
        all.sort_by_key(|(way, label, open)| (*way, label.holder, !open));
        all.dedup_by_key(|(way, label, _)| (*way, label.holder));
        let mut closed = Vec::with_capacity(all.len());
        for some in all.chunks(AT_ONCE) {
            self.close_some(some, &which, now)?;
            closed.extend(some.iter().map(|&(way, label, was_open)| {
                let cut = self.cuts.contains(&way);
                ClosedGrant { way, label, was_open, cut }
            }));
        }
        self.write_down(now);
        Ok(closed)
    }

    fn close_some(
        &mut self,
        some: &[(Way, Label, bool)],
        which: &impl Fn(&Label, &Way) -> bool,
        now: Uptime,
    ) -> Result<(), Error> {
        let ways: BTreeSet<Way> = some.iter().map(|(way, ..)| *way).collect();
        let (mut put, mut remove) = (Vec::<Element>::new(), Vec::<Door>::new());
        for door in ways.iter().flat_map(Way::doors).filter(|door| self.live.has(door)) {
            let stays = |claim: &&Claim| !which(&claim.label, &door.way());
            match self.live.longest_of(&door, stays) {
                Some(other) => put.push(other.element(now)),
                None => remove.push(door),
            }
        }
        let held = |way: &Way| {
            let stays = |claim: &&Claim| !which(&claim.label, way);
            way.doors().iter().any(|door| self.live.longest_of(door, stays).is_some())
        };
        let ends = |way: &&Way| self.rules.ending == Ending::Cut && self.may_cut(way) && !held(way);
        let cut: Vec<Way> = ways.iter().filter(ends).copied().collect();
        self.only_unused(&mut put, &mut remove);
        match self.cut_and(&cut, Change { put: &put, remove: &remove, ..Change::default() }) {
            // A table that is gone has nothing open in it; reasserting it leaves these out.
            Err(error) if !error.is_gone() => return Err(error),
            _ => {}
        }
        for (way, label, _) in some {
            self.forget_which(way, label, which);
        }
        Ok(())
    }

    /// Doors for single use that somebody else holds as well stay only if the kernel still has them: to
    /// put back what was used would let a second connection in.
    pub(super) fn only_unused(&mut self, put: &mut Vec<Element>, remove: &mut Vec<Door>) {
        if !put.iter().any(|element| element.door.single_use) {
            return;
        }
        // If that cannot be listed, none is known to be unused.
        let unused = self.firewall.dump_single_use().unwrap_or_default();
        let unused: BTreeSet<Door> = unused.iter().map(|element| element.door).collect();
        put.retain(|Element { door, .. }| {
            let stays = !door.single_use || unused.contains(door);
            remove.extend((!stays).then_some(*door));
            stays
        });
    }

    /// Forgets what this holder has or had on the way, but for what `which` is not true of.
    fn forget_which(&mut self, way: &Way, label: &Label, which: &impl Fn(&Label, &Way) -> bool) {
        self.note(&Entry::ClosedWay(label.holder, *way));
        let claims = self.live.forget_on(way, &label.holder);
        self.former.forget_one(&label.holder, *way);
        for claim in claims.into_iter().filter(|claim| !which(&claim.label, way)) {
            self.note(&Entry::Granted(claim));
            self.live.keep(claim);
        }
    }
}
