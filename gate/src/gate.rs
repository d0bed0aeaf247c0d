//! The gate: takes a record, does what it may, says what happened. One thread, no waiting, and
//! nothing that a record says can make it panic.

pub(crate) mod closing;
mod crowd;
mod cutting;
pub(crate) mod severed;
pub(crate) mod storing;
mod trial;

use std::collections::BTreeSet;

use self::storing::{Adopted, Store, Unknown};
use crate::grant_file::entry::Entry;
use crate::tracked::legitimate::Legitimate;
use crate::{
    Bucket, Ceiling, Change, Cuts, Door, Element, Ending, Error, Excess, Firewall, Former,
    Happened, Holder, Live, Opening, Recalled, Request, Rules, Serial, Severed, Trial, Uptime,
    Watch, Way, Wish,
};

/// Serves the requests of one network process after another.
#[derive(Debug)]
pub struct Gate {
    rules: Rules,
    ceiling: Ceiling,
    firewall: Firewall,
    live: Live,
    bucket: Bucket,
    raised: bool,
    trial: Option<Trial>,
    /// Whether the network process still has the configuration of a trial that was rolled back.
    rolled_back: bool,
    /// What an earlier run protects, until something is put up.
    inherited: Option<(Rules, Ceiling)>,
    /// On which ways connections end once the rules on trial are confirmed: those forbid what was open.
    forbidden_on_trial: BTreeSet<Way>,
    /// What was open once.
    former: Former,
    cuts: Cuts,
    legitimate: Legitimate,
    /// Ways that were just cut, and whose connections the kernel still knows.
    doomed: BTreeSet<Way>,
    severed: Severed,
    store: Store,
    unknown: Unknown,
}

/// So many lose what they hold with one request: about a millisecond, for which a knock may wait.
const HOLDERS_AT_ONCE: usize = 64;

impl Gate {
    /// A gate that does nothing until it is asked to raise its protection.
    pub fn new(rules: Rules, ceiling: Ceiling, firewall: Firewall) -> Self {
        Self {
            rules,
            ceiling,
            firewall,
            live: Live::default(),
            bucket: Bucket::default(),
            raised: false,
            trial: None,
            rolled_back: false,
            inherited: None,
            forbidden_on_trial: BTreeSet::new(),
            former: Former::default(),
            cuts: Cuts::default(),
            legitimate: Legitimate::default(),
            doomed: BTreeSet::new(),
            severed: Severed::default(),
            store: Store::default(),
            unknown: Unknown::default(),
        }
    }

    /// Serves one record, whatever it is; send back what [`Happened::answer`] says.
    pub fn handle(&mut self, record: &[u8], now: Uptime) -> Happened {
        let happened = self.serve(record, now);
        self.write_down(now);
        self.settle();
        happened
    }

    fn serve(&mut self, record: &[u8], now: Uptime) -> Happened {
        match Request::decode(record) {
            None => Happened::Refused { excess: Excess::NotARequest, label: None },
            Some(Request::Raise) => self.raise(now),
            Some(_) if !self.raised => Happened::Refused { excess: Excess::NotRaised, label: None },
            Some(Request::Open(wish)) => self.open(&wish, now),
            Some(Request::Close { issuer, serials }) => self.close_all(issuer, serials, now),
            Some(Request::CloseBelow(issuer)) => self.close_below(issuer, now),
            // Who asks wants to close what the issuers that it does not know have open.
            Some(Request::IssuerAfter(_)) if self.trial.is_some() || self.rolled_back => {
                Happened::OnTrial
            }
            Some(Request::IssuerAfter(issuer)) => Happened::Issuer(self.issuer_after(issuer)),
        }
    }

    /// Puts the protection back as it should be, with every grant that is open. For when
    /// [`Watch::read`] says so. Grants for single use come back only if the kernel still had
    /// them: which of them were used, nobody else knows.
    pub fn reassert(&mut self, now: Uptime) -> Happened {
        if !self.raised {
            return Happened::Refused { excess: Excess::NotRaised, label: None };
        }
        let happened = self.put_up(now);
        if let Happened::Raised { .. } = happened {
            self.mind_the_gap();
            self.write_down(now);
            self.settle();
        }
        happened
    }

    /// Takes over a new configuration, in one transaction if the protection is up; grants that it
    /// forbids are closed. If that fails, everything stays as it was. Without protection nothing
    /// happens yet but that [`Request::Raise`] will use it. A trial goes on with the new rules.
    pub fn reconfigure(&mut self, rules: Rules, ceiling: Ceiling, now: Uptime) -> Happened {
        let (rules, ceiling) = self.put_on(rules, ceiling);
        if !self.raised {
            return Happened::Raised { open: 0, dropped: 0 };
        }
        let happened = self.raise(now);
        if matches!(happened, Happened::Failed(_)) {
            self.put_on(rules, ceiling);
        } else {
            self.rolled_back = false;
        }
        happened
    }

    /// Takes the table down, protection, grants and all.
    pub fn lower(&mut self) -> Result<(), Error> {
        self.firewall.lower()?;
        (self.live, self.raised, self.trial) = (Live::default(), false, None);
        self.inherited = None;
        (self.former, self.cuts) = (Former::default(), Cuts::default());
        self.legitimate.begin(None);
        self.write_nothing();
        Ok(())
    }

    /// Tells of changes that others make to the table.
    pub fn watch(&self) -> Result<Watch, Error> {
        self.firewall.watch()
    }

    /// What is open; what has ended lately may still be in it.
    pub fn live(&self) -> &Live {
        &self.live
    }

    /// Puts the protection up, with every grant that is open, in one transaction.
    pub fn raise(&mut self, now: Uptime) -> Happened {
        let happened = self.put_up(now);
        if let Happened::Raised { .. } = happened {
            self.settle();
            self.take_stock();
        }
        happened
    }

    fn put_up(&mut self, now: Uptime) -> Happened {
        match self.try_raise(now) {
            Ok(dropped) => Happened::Raised { open: self.live.len(), dropped },
            Err(error) => Happened::Failed(error),
        }
    }

    /// The first time, what an earlier run left open is taken over; later, memory knows better than
    /// the kernel, except for what a connection may have used up.
    fn try_raise(&mut self, now: Uptime) -> Result<usize, Error> {
        let listed =
            if self.raised { self.firewall.dump_single_use() } else { self.firewall.dump() };
        let seen = match listed {
            // Others change the firewall all the time. Protection comes first; without a listing, nobody
            // knows which single uses are left.
            Err(error) if error.is_unsteady() && self.raised => Vec::new(),
            listed => listed?,
        };
        self.expire(now);
        if !self.raised {
            self.firewall.introduce()?;
        }
        let adopted =
            if self.raised { self.narrowed(&seen, now) } else { self.take_over(&seen, now) };
        let left: Vec<Way> =
            if self.raised { Vec::new() } else { self.cut_before().all().collect() };
        let Adopted { live, former, forbidden, dropped, unknown } = adopted;
        let cuts = self.cuts_with(&live, &left, &forbidden);
        let (elements, ways) = (live.elements(now), cuts.all().collect::<Vec<Way>>());
        match &self.trial {
            None => self.firewall.raise(&self.rules, &elements, &ways)?,
            Some(trial) => {
                let fallback = trial.fallback(now);
                self.firewall.raise_on_trial(&self.rules, fallback, &elements, &ways)?;
            }
        }
        self.have_cut(cuts, &left);
        self.note_forbidden(&forbidden);
        (self.live, self.former, self.raised) = (live, former, true);
        self.store.recalled = Recalled::default();
        self.unknown.extend(unknown.elements.into_iter(), unknown.more);
        self.write_whole(now);
        Ok(dropped)
    }

    /// What stays of what is open, if the kernel has these doors for single use.
    fn narrowed(&self, seen: &[Element], now: Uptime) -> Adopted {
        let (mut live, mut former) = (self.live.clone(), self.former.clone());
        let forbidden = live.forbidden(&self.ceiling);
        let gone = live.narrow(seen, &self.ceiling, now);
        let dropped = gone.len();
        // Used or forbidden: what went through may go on, and a revocation has to find it.
        if self.rules.ending == Ending::Cut {
            let keep = |(label, door): (_, Door)| {
                former.keep(label, door.way(), self.ceiling.live, self.ceiling.live_of_one());
            };
            gone.into_iter().for_each(keep);
        }
        Adopted { live, former, forbidden, dropped, unknown: Unknown::default() }
    }

    fn open(&mut self, wish: &Wish, now: Uptime) -> Happened {
        self.expire(now);
        let opening = match self.ceiling.check(wish, &self.live, &mut self.bucket, now) {
            Ok(opening) => opening,
            Err(excess) => return Happened::Refused { excess, label: Some(wish.label) },
        };
        self.carry_out(opening, now)
    }

    fn carry_out(&mut self, opening: Opening, now: Uptime) -> Happened {
        match self.try_open(&opening, now) {
            Ok(()) => Happened::Opened(opening),
            Err(error) if error.is_full() => Happened::NoCapacity(*opening.label()),
            Err(error) => Happened::Failed(error),
        }
    }

    fn try_open(&mut self, opening: &Opening, now: Uptime) -> Result<(), Error> {
        let (elements, freed) = (self.live.plan(opening, now), self.freed(opening));
        let change = Change { put: &elements, uncut: &freed, ..Change::default() };
        let added = if self.live.is_news(opening) && freed.is_empty() {
            self.firewall.add(&elements)
        } else {
            self.firewall.change(&change)
        };
        let added = match added {
            // By hand, or left by a single use that another certificate was granted.
            Err(error) if error.is_there() => self.firewall.change(&change),
            other => other,
        };
        match added {
            Err(error) if error.is_gone() => {
                // Somebody flushed the table and its events are not read yet.
                self.try_raise(now)?;
                self.firewall.change(&change)?;
            }
            result => result?,
        }
        self.live.record(opening, now);
        self.note_opening(opening, &freed, now);
        self.opened(opening, &freed);
        Ok(())
    }

    /// Each as far as it goes: that one cannot be closed must not keep the others open.
    fn close_all(
        &mut self,
        issuer: [u8; Holder::ISSUER],
        serials: Vec<Serial>,
        now: Uptime,
    ) -> Happened {
        let (mut closed, mut failed) = (Vec::new(), None);
        for serial in serials {
            let holder = Holder { issuer, serial };
            match self.close(holder, now) {
                Ok(0) => {}
                Ok(count) => closed.push((holder, count)),
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Happened::Closed(closed), Happened::Failed)
    }

    /// How many doors that were.
    fn close(&mut self, holder: Holder, now: Uptime) -> Result<usize, Error> {
        self.expire(now);
        // As it is with most entries of a revocation list.
        if !self.live.knows(&holder) && !self.former.knows(&holder) {
            return Ok(0);
        }
        let (mut stay, mut close) = self.live.plan_close(&holder, now);
        self.only_unused(&mut stay, &mut close);
        match self.shut(&holder, (&stay, &close)) {
            // A table that is gone has nothing open in it; reasserting it leaves these out.
            Err(error) if !error.is_gone() => return Err(error),
            _ => {}
        }
        self.note(&Entry::Closed(holder));
        self.former.forget(&holder);
        Ok(self.live.forget(&holder))
    }

    fn issuer_after(&self, issuer: [u8; Holder::ISSUER]) -> Option<[u8; Holder::ISSUER]> {
        let (live, former) = (self.live.issuer_after(issuer), self.former.issuer_after(issuer));
        live.into_iter().chain(former).min()
    }

    fn close_below(&mut self, issuer: [u8; Holder::ISSUER], now: Uptime) -> Happened {
        let (mut holders, mut count) = (0, 0);
        while holders < HOLDERS_AT_ONCE
            && let Some(holder) =
                self.live.holder_below(issuer).or_else(|| self.former.holder_below(issuer))
        {
            match self.close(holder, now) {
                Ok(doors) => count += doors,
                Err(error) => return Happened::Failed(error),
            }
            holders += 1;
        }
        Happened::ClosedBelow { issuer, holders, count }
    }
}
