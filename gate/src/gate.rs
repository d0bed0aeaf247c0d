//! The gate: takes a record, does what it may, says what happened. One thread, no waiting, and
//! nothing that a record says can make it panic.

mod crowd;
mod trial;

use crate::{
    Bucket, Ceiling, Error, Excess, Firewall, Happened, Holder, Live, Opening, Request, Rules,
    Trial, Uptime, Watch, Wish,
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
}

impl Gate {
    /// A gate that does nothing until it is asked to raise its protection.
    pub fn new(rules: Rules, ceiling: Ceiling, firewall: Firewall) -> Self {
        let (live, bucket) = (Live::default(), Bucket::default());
        Self { rules, ceiling, firewall, live, bucket, raised: false, trial: None }
    }

    /// Serves one record, whatever it is; send back what [`Happened::answer`] says.
    pub fn handle(&mut self, record: &[u8], now: Uptime) -> Happened {
        match Request::decode(record) {
            None => Happened::Refused { excess: Excess::NotARequest, label: None },
            Some(Request::Raise) => self.raise(now),
            Some(_) if !self.raised => Happened::Refused { excess: Excess::NotRaised, label: None },
            Some(Request::Open(wish)) => self.open(&wish, now),
            Some(Request::Close(holder)) => self.close(holder, now),
        }
    }

    /// Puts the protection back as it should be, with every grant that is open. For when
    /// [`Watch::lost_table`] says so. Grants for single use come back only if the kernel still had
    /// them: which of them were used, nobody else knows.
    pub fn reassert(&mut self, now: Uptime) -> Happened {
        if self.raised {
            self.raise(now)
        } else {
            Happened::Refused { excess: Excess::NotRaised, label: None }
        }
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
        }
        happened
    }

    /// Takes the table down, protection, grants and all.
    pub fn lower(&mut self) -> Result<(), Error> {
        self.firewall.lower()?;
        (self.live, self.raised, self.trial) = (Live::default(), false, None);
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
        match self.try_raise(now) {
            Ok(dropped) => Happened::Raised { open: self.live.len(), dropped },
            Err(error) => Happened::Failed(error),
        }
    }

    /// The first time, what an earlier run left open is taken over; later, memory knows better than
    /// the kernel, except for what a connection may have used up.
    fn try_raise(&mut self, now: Uptime) -> Result<usize, Error> {
        let seen = match self.firewall.dump() {
            // Others change the firewall all the time. Protection comes first; without a listing, nobody
            // knows which single uses are left.
            Err(error) if error.is_unsteady() && self.raised => Vec::new(),
            listed => listed?,
        };
        let mut live = self.live.clone();
        live.expire(now);
        let dropped = if self.raised {
            live.narrow(&seen, &self.ceiling)
        } else {
            self.firewall.introduce()?;
            live.adopt(seen, &self.ceiling, now)
        };
        let elements = live.elements(now);
        match &self.trial {
            None => self.firewall.raise(&self.rules, &elements)?,
            Some(trial) => {
                self.firewall.raise_on_trial(&self.rules, trial.fallback(now), &elements)?;
            }
        }
        self.live = live;
        self.raised = true;
        Ok(dropped)
    }

    fn open(&mut self, wish: &Wish, now: Uptime) -> Happened {
        self.live.expire(now);
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
        let elements = self.live.plan(opening, now);
        let added = if self.live.is_news(opening) {
            self.firewall.add(&elements)
        } else {
            self.firewall.change(&elements, &[])
        };
        let added = match added {
            // By hand, or left by a single use that another certificate was granted.
            Err(error) if error.is_there() => self.firewall.change(&elements, &[]),
            other => other,
        };
        match added {
            Err(error) if error.is_gone() => {
                // Somebody flushed the table and its events are not read yet.
                self.try_raise(now)?;
                self.firewall.change(&elements, &[])?;
            }
            result => result?,
        }
        self.live.record(opening, now);
        Ok(())
    }

    fn close(&mut self, holder: Holder, now: Uptime) -> Happened {
        self.live.expire(now);
        let (stay, close) = self.live.plan_close(&holder, now);
        match self.firewall.change(&stay, &close) {
            Ok(()) => {}
            // A table that is gone has nothing open in it; reasserting it leaves these out.
            Err(error) if error.is_gone() => {}
            Err(error) => return Happened::Failed(error),
        }
        Happened::Closed { holder, count: self.live.forget(&holder) }
    }
}
