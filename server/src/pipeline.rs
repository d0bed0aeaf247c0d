//! The story of one knock.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use sknock_protocol::{
    AddressClaim, Datagram, KnockId, Moment, Refusal, Revocation, Service, Subject, VerifiedKnock,
    Verifier,
};

use crate::policy::{Grant, Policy};
use crate::replay::{self, ReplayStore};

/// Decides about knocks; one for all threads. Does no I/O but what the replay store does.
#[derive(Debug)]
pub struct Pipeline<R> {
    /// Whom to believe.
    pub verifier: Arc<Verifier>,
    /// Whom not to believe any more. Whoever refreshes it swaps it.
    pub revocation: Arc<ArcSwap<Revocation>>,
    /// What has been used up.
    pub replay: R,
    /// Who may have what.
    pub policy: Policy,
}

impl<R: ReplayStore> Pipeline<R> {
    /// Takes a datagram that arrived at `now` to a grant, or says why not.
    pub fn handle(&self, datagram: Datagram<'_>, now: Moment) -> Result<Grant, Refused> {
        let unveiled = self.verifier.unveil(datagram)?;
        if self.replay.has_admitted(unveiled.encapsulation()) {
            return Err(Refusal::Repeated.into());
        }
        let verified = self.verifier.verify(unveiled, &self.revocation.load(), now)?;
        let wish = Wish::of(&verified);
        replay::admit(&self.replay, verified, now)
            .and_then(|admitted| self.policy.authorize(admitted, now))
            .map_err(|reason| Refused { reason, wish: Some(Box::new(wish)) })
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
    fn of(knock: &VerifiedKnock) -> Self {
        Self {
            id: knock.id(),
            subject: knock.subject().clone(),
            claim: knock.claim(),
            services: knock.services().to_vec(),
        }
    }
}
