//! Flows that the gate remembers after their grants: those that are blocked, and those of grants that have ended by
//! themselves. Oldest first, and no more than there may be. No system call.

use std::collections::{BTreeMap, BTreeSet};

use sknock_netfilter::flow::FlowKey;

use crate::cert_id::CertId;
use crate::label::GrantLabel;
use crate::share::Tally;

/// A map that knows in which order its entries were added.
#[derive(Clone, Debug)]
struct AgedMap<K, V> {
    entries: BTreeMap<K, (u64, V)>,
    order: BTreeMap<u64, K>,
    next: u64,
}

impl<K, V> Default for AgedMap<K, V> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), order: BTreeMap::new(), next: 0 }
    }
}

impl<K: Copy + Ord, V> AgedMap<K, V> {
    /// Adds an entry that is not there yet; its number, which no other has.
    fn insert(&mut self, key: K, value: V) -> u64 {
        let number = self.next;
        self.entries.insert(key, (number, value));
        self.order.insert(number, key);
        self.next += 1;
        number
    }

    /// Removes an entry; the number that it had.
    fn remove(&mut self, key: &K) -> Option<u64> {
        let (number, _) = self.entries.remove(key)?;
        self.order.remove(&number);
        Some(number)
    }

    /// All keys, oldest first.
    fn keys(&self) -> impl Iterator<Item = &K> {
        self.order.values()
    }
}

/// Flows on which no packet passes, until a grant unblocks them.
#[derive(Clone, Debug, Default)]
pub struct BlockedFlows(AgedMap<FlowKey, ()>);

impl BlockedFlows {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.entries.len()
    }

    /// Whether no flow is blocked.
    pub fn is_empty(&self) -> bool {
        self.0.entries.is_empty()
    }

    /// Whether this one is blocked.
    pub fn contains(&self, flow: &FlowKey) -> bool {
        self.0.entries.contains_key(flow)
    }

    /// All of them, oldest first.
    pub fn all(&self) -> impl Iterator<Item = FlowKey> {
        self.0.keys().copied()
    }

    /// Adds the last of `flows` that `max` has room for; those that had to make room for them, oldest
    /// first. A flow that is there already keeps its place.
    pub fn add(&mut self, flows: &[FlowKey], max: usize) -> Vec<FlowKey> {
        for flow in flows {
            if !self.contains(flow) {
                self.0.insert(*flow, ());
            }
        }
        let surplus = self.len().saturating_sub(max);
        let oldest: Vec<FlowKey> = self.all().take(surplus).collect();
        self.remove(&oldest);
        oldest
    }

    /// Removes these.
    pub fn remove(&mut self, flows: &[FlowKey]) {
        for flow in flows {
            self.0.remove(flow);
        }
    }

    /// Keeps only those that `stays` is true of.
    pub fn retain(&mut self, stays: impl Fn(&FlowKey) -> bool) {
        let gone: Vec<FlowKey> = self.all().filter(|flow| !stays(flow)).collect();
        self.remove(&gone);
    }
}

/// Grants that have ended by themselves: connections outlive their grant, and a revocation still has to find
/// them. Each certificate and flow once, with the label of the last grant.
#[derive(Clone, Debug, Default)]
pub struct ExpiredGrants {
    grants: AgedMap<(CertId, FlowKey), GrantLabel>,
    /// The numbers of each certificate's entries.
    by_cert: BTreeSet<(CertId, u64)>,
    counts: Tally<CertId>,
}

impl ExpiredGrants {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.grants.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.grants.entries.is_empty()
    }

    /// Adds a grant that has ended just now. If they are more than `max`, the oldest is removed:
    /// of this certificate if it has more than `share`, so that none displaces those of others.
    pub fn insert(&mut self, label: GrantLabel, flow: FlowKey, max: usize, share: usize) {
        let cert = label.cert;
        // So that it becomes the youngest, with the label of the latest knock.
        self.remove_flow(&cert, flow);
        let number = self.grants.insert((cert, flow), label);
        self.by_cert.insert((cert, number));
        self.counts.add(cert);
        while self.len() > max {
            let own = self.counts.of(&cert) > share;
            let oldest =
                if own { self.oldest_of(&cert) } else { self.grants.keys().next().copied() };
            let Some((cert, flow)) = oldest else { return };
            self.remove_flow(&cert, flow);
        }
    }

    fn oldest_of(&self, cert: &CertId) -> Option<(CertId, FlowKey)> {
        let (_, number) = self.by_cert.range((*cert, 0)..=(*cert, u64::MAX)).next()?;
        self.grants.order.get(number).copied()
    }

    /// From this certificate and its first flow on, in the order of certificates and flows.
    fn since(&self, cert: CertId) -> impl Iterator<Item = &(CertId, FlowKey)> {
        self.grants.entries.range((cert, FlowKey::FIRST)..).map(|(key, _)| key)
    }

    /// Whether `cert` has one.
    pub fn contains(&self, cert: &CertId) -> bool {
        self.since(*cert).next().is_some_and(|(owner, _)| owner == cert)
    }

    /// All flows of `cert`, in order.
    pub fn flows_of(&self, cert: &CertId) -> BTreeSet<FlowKey> {
        let theirs = self.since(*cert).take_while(|(owner, _)| owner == cert);
        theirs.map(|(_, flow)| *flow).collect()
    }

    /// All of them, the oldest first.
    pub fn all(&self) -> impl Iterator<Item = (&GrantLabel, &FlowKey)> {
        self.grants.keys().filter_map(|key| {
            let (_, label) = self.grants.entries.get(key)?;
            Some((label, &key.1))
        })
    }

    /// Some certificate by this issuer that has one.
    pub(crate) fn any_cert_of_issuer(&self, issuer: [u8; CertId::ISSUER]) -> Option<CertId> {
        let (cert, _) = self.since(CertId::first_of(issuer)).next()?;
        (cert.issuer == issuer).then_some(*cert)
    }

    /// The next issuer, in the order of their bytes, of any certificate that has one.
    pub(crate) fn next_issuer(&self, issuer: [u8; CertId::ISSUER]) -> Option<[u8; CertId::ISSUER]> {
        Some(self.since(CertId::after(issuer)).next()?.0.issuer)
    }

    /// Removes all of `cert`.
    pub fn remove(&mut self, cert: &CertId) {
        for flow in self.flows_of(cert) {
            self.remove_flow(cert, flow);
        }
    }

    /// Removes what `cert` has on this flow.
    pub(crate) fn remove_flow(&mut self, cert: &CertId, flow: FlowKey) {
        if let Some(number) = self.grants.remove(&(*cert, flow)) {
            self.by_cert.remove(&(*cert, number));
            self.counts.remove(cert);
        }
    }
}
