//! What was granted, and has ended by itself: connections outlive their grant, and a revocation still
//! has to find them. Bounded; no system call.

use std::collections::{BTreeMap, BTreeSet};

use crate::cert_id::CertId;
use crate::label::GrantLabel;
use crate::share::Tally;
use sknock_netfilter::flow::FlowKey;

/// Who was let in on which way, oldest first, with what stood on the grant.
#[derive(Clone, Debug, Default)]
pub struct ExpiredGrants {
    numbers: BTreeMap<(CertId, FlowKey), (u64, GrantLabel)>,
    order: BTreeMap<u64, (CertId, FlowKey)>,
    /// Those of each holder, oldest first.
    theirs: BTreeSet<(CertId, u64)>,
    counts: Tally<CertId>,
    next: u64,
}

impl ExpiredGrants {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Whether nothing was granted.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// Remembers a grant that has ended just now. If they are more than `max`, the oldest is forgotten:
    /// of this holder if it has more than `share`, so that nobody has those of others forgotten.
    pub fn insert(&mut self, label: GrantLabel, flow: FlowKey, max: usize, share: usize) {
        let cert = label.cert;
        if let Some((number, _)) = self.numbers.insert((cert, flow), (self.next, label)) {
            self.drop_number(number);
        }
        self.order.insert(self.next, (cert, flow));
        self.theirs.insert((cert, self.next));
        self.counts.add(cert);
        self.next += 1;
        while self.len() > max {
            let own = self.counts.of(&cert) > share;
            let oldest = if own { self.oldest_of(&cert) } else { self.oldest() };
            let Some(oldest) = oldest else { return };
            if let Some(forgotten) = self.drop_number(oldest) {
                self.numbers.remove(&forgotten);
            }
        }
    }

    fn oldest(&self) -> Option<u64> {
        self.order.first_key_value().map(|(number, _)| *number)
    }

    fn oldest_of(&self, cert: &CertId) -> Option<u64> {
        let (owner, number) = self.theirs.range((*cert, 0)..).next()?;
        (owner == cert).then_some(*number)
    }

    /// Takes it out of every index but `numbers`.
    fn drop_number(&mut self, number: u64) -> Option<(CertId, FlowKey)> {
        let (cert, flow) = self.order.remove(&number)?;
        self.theirs.remove(&(cert, number));
        self.counts.remove(&cert);
        Some((cert, flow))
    }

    /// Whether anything was granted to `cert` and has ended.
    pub fn contains(&self, cert: &CertId) -> bool {
        let next = self.numbers.range((*cert, FlowKey::FIRST)..).next();
        next.is_some_and(|((owner, _), _)| owner == cert)
    }

    /// All ways that `cert` was let in on, in order.
    pub fn flows_of(&self, cert: &CertId) -> BTreeSet<FlowKey> {
        let flows = self.numbers.range((*cert, FlowKey::FIRST)..).map(|(one, _)| one);
        flows.take_while(|(owner, _)| owner == cert).map(|(_, flow)| *flow).collect()
    }

    /// All of them, the oldest first.
    pub fn all(&self) -> impl Iterator<Item = (&GrantLabel, &FlowKey)> {
        let one = |one: &(CertId, FlowKey)| self.numbers.get_key_value(one);
        self.order.values().filter_map(one).map(|((_, flow), (_, label))| (label, flow))
    }

    /// Somebody who had a door open with a certificate by this issuer.
    pub(crate) fn any_cert_of_issuer(&self, issuer: [u8; CertId::ISSUER]) -> Option<CertId> {
        let from = (CertId::first_of(issuer), FlowKey::FIRST);
        let ((cert, _), _) = self.numbers.range(from..).next()?;
        (cert.issuer == issuer).then_some(*cert)
    }

    /// The next issuer, in the order of their bytes, of anybody who had a door open.
    pub(crate) fn next_issuer(&self, issuer: [u8; CertId::ISSUER]) -> Option<[u8; CertId::ISSUER]> {
        let ((cert, _), _) =
            self.numbers.range((CertId::after(issuer), FlowKey::FIRST)..).next()?;
        Some(cert.issuer)
    }

    /// Forgets all of `cert`.
    pub fn remove(&mut self, cert: &CertId) {
        for flow in self.flows_of(cert) {
            self.remove_flow(cert, flow);
        }
    }

    /// Forgets that `cert` was let in on this way.
    pub(crate) fn remove_flow(&mut self, cert: &CertId, flow: FlowKey) {
        if let Some((number, _)) = self.numbers.remove(&(*cert, flow)) {
            self.drop_number(number);
        }
    }
}
