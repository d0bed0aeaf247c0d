//! The story of one knock.

use std::fmt;
use std::sync::Arc;

use sknock_protocol::{
    AddressClaim, Datagram, KnockId, Moment, Refusal, Service, Subject, Unveiled, VerifiedKnock,
    Verifier,
};

use crate::in_force::InForce;
use crate::policy::{Grant, Policy};
use crate::replay::{self, ReplayStore};

/// Decides about knocks; one for all threads. Does no I/O but what the replay store does.
#[derive(Debug)]
pub struct Pipeline<R> {
    /// Whom to believe.
    pub verifier: Arc<Verifier>,
    /// Whom not to believe any more. Whoever refreshes it swaps it.
    pub revocation: Arc<InForce>,
    /// What has been used up.
    pub replay: R,
    /// Who may have what.
    pub policy: Policy,
}

impl<R: ReplayStore> Pipeline<R> {
    /// Takes a datagram that arrived at `now` to a grant, or says why not.
    ///
    /// The intake calls the two halves itself: between them knocks wait, fairly, for their turn.
    pub fn handle(&self, datagram: Datagram<'_>, now: Moment) -> Result<Grant, Refused> {
        self.judge(self.unveil(datagram)?, now)
    }

    /// Sorts out, at next to no cost, what nobody needs to judge: strangers and repetitions.
    pub fn unveil(&self, datagram: Datagram<'_>) -> Result<Unveiled, Refused> {
        let unveiled = self.verifier.unveil(datagram)?;
        self.check_new(&unveiled)?;
        Ok(unveiled)
    }

    /// Judges what arrived at `now`.
    pub fn judge(&self, unveiled: Unveiled, now: Moment) -> Result<Grant, Refused> {
        // It may have been admitted while this one waited.
        self.check_new(&unveiled)?;
        let verified = self.verifier.verify(unveiled, &self.revocation.load(), now)?;
        let wish = Wish::of(&verified);
        replay::admit(&self.replay, verified, now)
            .and_then(|admitted| self.policy.authorize(admitted, now))
            .map_err(|reason| Refused { reason, wish: Some(Box::new(wish)) })
    }

    /// Opens what was granted, unless lists have come into force meanwhile that refuse it. `open` is the
    /// gate; while it is asked, no list comes into force and is acted upon. The refused are given back.
    pub fn open<T>(
        &self,
        grants: Vec<(Grant, Moment)>,
        open: impl FnOnce(Vec<Grant>) -> T,
    ) -> (T, Vec<(Grant, Refused)>) {
        self.revocation.open(|revocation| {
            let (mut good, mut late) = (Vec::new(), Vec::new());
            for (grant, received) in grants {
                match grant.check_revocation(revocation, received) {
                    Ok(()) => good.push(grant),
                    Err(reason) => {
                        let wish = Some(Box::new(Wish::of_grant(&grant)));
                        late.push((grant, Refused { reason, wish }));
                    }
                }
            }
            (open(good), late)
        })
    }

    /// A lookup only: a captured datagram at line rate must not buy public-key operations.
    fn check_new(&self, unveiled: &Unveiled) -> Result<(), Refused> {
        if self.replay.has_admitted(unveiled.encapsulation()) {
            return Err(Refusal::Repeated.into());
        }
        Ok(())
    }
}

/// A knock that opened nothing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refused {
    /// Why.
    pub reason: Refusal,
    /// Who wanted what, if that was proven before the refusal: for the audit log.
    pub wish: Option<Box<Wish>>,
}

impl From<Refusal> for Refused {
    fn from(reason: Refusal) -> Self {
        Self { reason, wish: None }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

/// What a verified knock was about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Wish {
    /// Which knock.
    pub id: KnockId,
    /// Who asked.
    pub subject: Subject,
    /// Whom to let in.
    pub claim: AddressClaim,
    /// To what; empty means all that the certificate allows.
    pub services: Vec<Service>,
}

impl Wish {
    fn of_grant(grant: &Grant) -> Self {
        Self {
            id: grant.id(),
            subject: grant.subject().clone(),
            claim: grant.claim(),
            services: grant.services().to_vec(),
        }
    }

    fn of(knock: &VerifiedKnock) -> Self {
        Self {
            id: knock.id(),
            subject: knock.subject().clone(),
            claim: knock.claim(),
            services: knock.services().to_vec(),
        }
    }
}
