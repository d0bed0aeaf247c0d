//! The three steps of a knock: unveil, decide, open.

use std::fmt;
use std::sync::Arc;

use sknock_protocol::{
    AddressClaim, Datagram, KnockId, ProvenSender, Refusal, RefusalMemo, RefusedDatagram, Service,
    Subject, Timestamp, Unveiled, VerifiedKnock, Verifier,
};

use super::in_force::InForce;
use super::policy::{Grant, Policy};
use super::refused_knocks::{Before, DatagramId, RefusedKnocks};
use super::replay::{self, ReplayStore};

/// Decides about knocks; one for all threads. Does no I/O except for the replay store.
#[derive(Debug)]
pub struct Pipeline<R> {
    /// The trust anchors and the server's key.
    pub verifier: Arc<Verifier>,
    /// The CRLs in force; the CRL thread replaces them.
    pub revocation: Arc<InForce>,
    /// The admitted knocks.
    pub replay: R,
    /// The services that certificates may get.
    pub policy: Policy,
    /// Refused datagrams, which need not be decrypted again.
    pub refused_knocks: RefusedKnocks,
}

impl<R: ReplayStore> Pipeline<R> {
    /// First step: removes the veil of a datagram that arrived at `now`, and refuses junk and repetitions.
    /// Costs no public-key operation. Between the steps knocks wait in a fair queue.
    pub fn unveil(&self, datagram: Datagram<'_>, now: Timestamp) -> Result<Unveiled, Refused> {
        let unveiled = self.verifier.unveil(datagram, now)?;
        self.check_repeat(&unveiled, now)?;
        Ok(unveiled)
    }

    /// Second step: verifies and admits the knock that arrived at `now`, and computes its grant.
    pub fn decide(&self, unveiled: Unveiled, now: Timestamp) -> Result<Grant, Refused> {
        // A copy may have been admitted or refused while this knock waited.
        let name = self.check_repeat(&unveiled, now)?;
        let revocation = self.revocation.load();
        let second = self.refused_knocks.second(&revocation, now);
        let examined = self.verifier.examine(unveiled, &revocation, second, now);
        let verified = examined.map_err(|RefusedDatagram { reason, refusal_memo, sender }| {
            let before = self.refused_knocks.keep(name, refusal_memo);
            let wish = sender.map(|sender| Box::new(KnockDetails::of_sender(*sender)));
            Refused { reason, wish, before }
        })?;
        let wish = KnockDetails::of(&verified);
        let refusal_memo = RefusalMemo::of_proven(&verified, second);
        let refused = |reason, before| Refused { reason, wish: Some(Box::new(wish)), before };
        let admitted = match replay::admit(&self.replay, verified, now) {
            Ok(admitted) => admitted,
            Err(reason) => {
                let before = self.refused_knocks.keep(name, refusal_memo.because(reason));
                return Err(refused(reason, before));
            }
        };
        // It is admitted: its one-time key marks a repetition.
        self.policy.authorize(admitted, now).map_err(|reason| refused(reason, Before::Never))
    }

    /// Third step: requests the grants from the gate (`open`), unless CRLs that refuse them have come into
    /// force. During the request no other CRL comes into force. Returns the refused grants.
    pub fn open<T>(
        &self,
        grants: Vec<(Grant, Timestamp)>,
        open: impl FnOnce(Vec<Grant>) -> T,
    ) -> (T, Vec<(Grant, Refused)>) {
        self.revocation.open(|revocation| {
            let (mut good, mut late) = (Vec::new(), Vec::new());
            for (mut grant, received) in grants {
                match grant.check_revocation(revocation, received) {
                    Ok(()) => good.push(grant),
                    Err(reason) => {
                        let wish = Some(Box::new(KnockDetails::of_grant(&grant)));
                        // It is admitted, too.
                        late.push((grant, Refused { reason, wish, before: Before::Never }));
                    }
                }
            }
            (open(good), late)
        })
    }

    /// Lookups only: a recorded datagram that is sent at line rate must not cause public-key operations.
    fn check_repeat(&self, unveiled: &Unveiled, now: Timestamp) -> Result<DatagramId, Refused> {
        if self.replay.has_admitted(unveiled.encapsulation()) {
            return Err(Refusal::Repeated.into());
        }
        let name = self.refused_knocks.name(unveiled);
        let again = self.refused_knocks.again(name, |refusal_memo| {
            let second = self.refused_knocks.second(&self.revocation.load(), now);
            self.verifier.refuses_again(refusal_memo, unveiled.source(), second, now)
        });
        match again {
            Some((reason, before)) => Err(Refused { reason, wish: None, before }),
            None => Ok(name),
        }
    }
}

/// A refused knock.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refused {
    /// The reason.
    pub reason: Refusal,
    /// The client and its request, if verified before the refusal: for the audit log.
    pub wish: Option<Box<KnockDetails>>,
    /// How often the same datagram was refused before.
    pub before: Before,
}

impl From<Refusal> for Refused {
    fn from(reason: Refusal) -> Self {
        Self { reason, wish: None, before: Before::Never }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

/// A knock with a verified sender.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KnockDetails {
    /// The knock id.
    pub id: KnockId,
    /// The client's certificate.
    pub subject: Subject,
    /// The addresses of the grant, if they were verified.
    pub claim: Option<AddressClaim>,
    /// The requested services; empty means all that the certificate allows.
    pub services: Vec<Service>,
}

impl KnockDetails {
    fn of_grant(grant: &Grant) -> Self {
        Self {
            id: grant.id(),
            subject: grant.subject().clone(),
            claim: Some(grant.claim()),
            services: grant.services().to_vec(),
        }
    }

    fn of_sender(sender: ProvenSender) -> Self {
        let ProvenSender { id, subject, services } = sender;
        Self { id, subject, claim: None, services }
    }

    fn of(knock: &VerifiedKnock) -> Self {
        Self {
            id: knock.id(),
            subject: knock.subject().clone(),
            claim: Some(knock.claim()),
            services: knock.services().to_vec(),
        }
    }
}
