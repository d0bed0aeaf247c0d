//! Grants in memory: to load them again after a flush, never to shorten a longer one, and to close those of a
//! certificate. No system call; time is a parameter.

pub(crate) mod index;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use self::index::{GrantEntry, GrantIndex};
use crate::ceiling::{ApprovedGrant, Ceiling, OpenGrants};
use crate::cert_id::CertId;
use crate::grant_key::{GrantElement, GrantKey};
use crate::label::GrantLabel;
use crate::share::Party;
use crate::uptime::BootInstant;
use sknock_netfilter::flow::FlowKey;

/// Grants that are open, of all certificates. Two certificates behind one address may have grants with the
/// same key: the kernel has one element, which lasts as long as the longer of them, and revoking one
/// leaves the other what it was granted.
#[derive(Clone, Debug, Default)]
pub struct GrantTable(GrantIndex);

/// The entries that a grant has replaced in memory.
#[derive(Clone, Debug, Default)]
pub struct Replaced(Vec<GrantEntry>);

impl GrantTable {
    /// How many grants are open, counted once for every certificate. Exact after [`GrantTable::expire`].
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is open.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Removes and returns what has ended; the kernel has removed its elements by itself.
    pub fn expire(&mut self, now: BootInstant) -> Vec<(GrantLabel, GrantKey)> {
        let ended = std::iter::from_fn(|| self.0.take_ended(now));
        ended.map(|entry| (entry.label, entry.grant_key)).collect()
    }

    /// All grants, in the order of keys.
    pub(crate) fn index(&self) -> impl Iterator<Item = &GrantEntry> {
        self.0.iter()
    }

    /// Whether any certificate has this grant.
    pub(crate) fn has(&self, grant_key: &GrantKey) -> bool {
        self.0.on(grant_key).next().is_some()
    }

    /// This grant as the kernel should have it now.
    pub(crate) fn element(&self, grant_key: &GrantKey, now: BootInstant) -> Option<GrantElement> {
        self.longest(grant_key, None).map(|entry| entry.element(now))
    }

    /// Whether any certificate but `except` has a grant on this flow, for single use or not.
    pub fn is_held(&self, flow: &FlowKey, except: Option<&CertId>) -> bool {
        GrantKey::both_of(flow).iter().any(|grant_key| self.longest(grant_key, except).is_some())
    }

    /// The grants that are open and that `ceiling` forbids.
    pub(crate) fn disallowed(&self, ceiling: &Ceiling) -> Vec<GrantKey> {
        let grant_keys = self.0.iter().map(|entry| entry.grant_key);
        grant_keys
            .filter(|grant_key| !ceiling.permits(grant_key.transport, grant_key.port))
            .collect()
    }

    /// The elements that this grant needs in the kernel. None is shorter than what is open there.
    pub fn elements_for(&self, grant: &ApprovedGrant, now: BootInstant) -> Vec<GrantElement> {
        let longer = |wanted: GrantEntry| match self.longest(&wanted.grant_key, None) {
            Some(open) if open.until > wanted.until => open.element(now),
            _ => wanted.element(now),
        };
        entries(grant, now).map(longer).collect()
    }

    /// Whether no certificate has any part of this grant open.
    pub fn is_new(&self, grant: &ApprovedGrant) -> bool {
        grant.grant_keys().all(|grant_key| self.0.on(&grant_key).next().is_none())
    }

    /// Records a grant; returns the entries of the same certificate that it replaces, for
    /// [`Self::undo`].
    pub fn record(&mut self, grant: &ApprovedGrant, now: BootInstant) -> Replaced {
        let cert = grant.label().cert;
        let before = grant.grant_keys().filter_map(|key| self.0.find(&key, &cert).copied());
        let replaced = Replaced(before.collect());
        entries(grant, now).for_each(|entry| self.keep(entry));
        replaced
    }

    /// Takes back a grant that the kernel refused; `replaced` is what [`Self::record`] returned.
    pub fn undo(&mut self, grant: &ApprovedGrant, replaced: Replaced) {
        let cert = grant.label().cert;
        for grant_key in grant.grant_keys() {
            self.0.take(&grant_key, &cert);
        }
        replaced.0.into_iter().for_each(|entry| self.keep(entry));
    }

    /// What closing everything of `cert` means for the kernel: elements that another certificate has as
    /// well, with what that one has left, and elements to remove.
    pub fn plan_close(
        &self,
        cert: &CertId,
        now: BootInstant,
    ) -> (Vec<GrantElement>, Vec<GrantKey>) {
        let mut stay = Vec::new();
        let mut close = Vec::new();
        for grant_key in self.keys_of(cert) {
            match self.longest(&grant_key, Some(cert)) {
                Some(other) => stay.push(other.element(now)),
                None => close.push(grant_key),
            }
        }
        (stay, close)
    }

    fn keys_of(&self, cert: &CertId) -> impl Iterator<Item = GrantKey> {
        self.0.of(cert).map(|entry| entry.grant_key)
    }

    /// Some certificate by this issuer that has a grant open.
    pub(crate) fn any_cert_of_issuer(&self, issuer: [u8; CertId::ISSUER]) -> Option<CertId> {
        self.0.any_cert_of_issuer(issuer)
    }

    /// The next issuer, in the order of their bytes, of any certificate that has a grant open.
    pub(crate) fn next_issuer(&self, issuer: [u8; CertId::ISSUER]) -> Option<[u8; CertId::ISSUER]> {
        self.0.next_issuer(issuer)
    }

    /// Removes all grants of `cert`; how many those were.
    pub fn remove_cert(&mut self, cert: &CertId) -> usize {
        let grant_keys: Vec<GrantKey> = self.keys_of(cert).collect();
        for grant_key in &grant_keys {
            self.0.take(grant_key, cert);
        }
        grant_keys.len()
    }

    /// Removes all grants with this key; whose they were.
    pub fn remove_key(&mut self, grant_key: &GrantKey) -> Vec<GrantLabel> {
        let labels: Vec<GrantLabel> = self.0.on(grant_key).map(|entry| entry.label).collect();
        for label in &labels {
            self.0.take(grant_key, &label.cert);
        }
        labels
    }

    /// Removes and returns what `cert` has on this flow, for single use or not.
    pub(crate) fn remove_on_key(&mut self, flow: &FlowKey, cert: &CertId) -> Vec<GrantEntry> {
        GrantKey::both_of(flow)
            .into_iter()
            .filter_map(|grant_key| self.0.take(&grant_key, cert))
            .collect()
    }

    /// Whether `cert` has anything open.
    pub fn contains(&self, cert: &CertId) -> bool {
        self.0.of(cert).next().is_some()
    }

    /// Takes over those grants of an earlier run whose elements the kernel still has `open`: not what the
    /// ceiling forbids now, nothing longer than its longest, the longest first if they are too many.
    /// Returns those that were not taken over.
    pub fn restore(
        &mut self,
        known: &Self,
        open: &BTreeSet<GrantKey>,
        ceiling: &Ceiling,
        now: BootInstant,
    ) -> Vec<(GrantLabel, GrantKey)> {
        let permitted = |grant_key: &GrantKey| ceiling.permits(grant_key.transport, grant_key.port);
        let fits =
            |entry: &&GrantEntry| open.contains(&entry.grant_key) && permitted(&entry.grant_key);
        let (mut kept, mut left): (Vec<&GrantEntry>, Vec<&GrantEntry>) =
            known.index().partition(fits);
        // `maxGrants` may be lower than in the earlier run.
        kept.sort_by_key(|entry| std::cmp::Reverse(entry.until));
        left.extend(kept.split_off(kept.len().min(ceiling.live.saturating_sub(self.len()))));
        for entry in kept {
            let until = entry.until.min(now.after(ceiling.longest));
            self.keep(GrantEntry { until, ..*entry });
        }
        left.into_iter().map(|entry| (entry.label, entry.grant_key)).collect()
    }

    /// Removes and returns what `ceiling` forbids, and grants for single use that are not among those `seen`
    /// in the kernel: they may have been used. What stays lasts no longer than the ceiling's longest.
    pub fn retain_allowed(
        &mut self,
        seen: &[GrantElement],
        ceiling: &Ceiling,
        now: BootInstant,
    ) -> Vec<(GrantLabel, GrantKey)> {
        let unused: BTreeSet<GrantKey> = seen.iter().map(|element| element.grant_key).collect();
        let stays = |grant_key: &GrantKey| {
            ceiling.permits(grant_key.transport, grant_key.port)
                && (!grant_key.single_use || unused.contains(grant_key))
        };
        let gone = self.0.iter().filter(|entry| !stays(&entry.grant_key));
        let gone: Vec<_> = gone.map(|entry| (entry.label, entry.grant_key)).collect();
        for (label, grant_key) in &gone {
            self.0.take(grant_key, &label.cert);
        }
        let latest = now.after(ceiling.longest);
        let long: Vec<GrantEntry> =
            self.0.iter().filter(|entry| entry.until > latest).copied().collect();
        for entry in long {
            // Taken out and put in again, as one index is ordered by the end.
            self.0.take(&entry.grant_key, &entry.label.cert);
            self.keep(GrantEntry { until: latest, ..entry });
        }
        gone
    }

    /// All elements that the kernel should have now, each key once.
    pub fn elements(&self, now: BootInstant) -> Vec<GrantElement> {
        let mut elements: Vec<GrantElement> = Vec::with_capacity(self.len());
        for entry in self.0.iter().filter(|entry| entry.until > now) {
            merge(&mut elements, entry.element(now));
        }
        elements
    }

    /// At most `count` claims, each holder's, in the order of keys and holders: those behind `after`, or the first.
    /// Costs what `count` and the holders of one key cost, however many are open.
    pub fn page(
        &self,
        after: Option<&(GrantKey, CertId)>,
        count: usize,
        now: BootInstant,
    ) -> Vec<GrantElement> {
        let rest_of_key = after.into_iter().flat_map(|(grant_key, cert)| {
            self.0.on(grant_key).filter(move |entry| entry.label.cert > *cert && entry.until > now)
        });
        let mut page: Vec<GrantEntry> = rest_of_key.copied().collect();
        let behind = self.0.behind(after.map(|(grant_key, _)| grant_key));
        for entry in behind.filter(|entry| entry.until > now) {
            // All holders of a key, which come in the order of places here. They are sorted below, and only
            // then cut.
            let is_next = page.last().is_none_or(|last| last.grant_key != entry.grant_key);
            if is_next && page.len() >= count {
                break;
            }
            page.push(*entry);
        }
        page.sort_by_key(|entry| (entry.grant_key, entry.label.cert));
        page.truncate(count);
        page.iter().map(|entry| entry.element(now)).collect()
    }

    /// The longest grant with this key, of any certificate but `except`.
    fn longest(&self, grant_key: &GrantKey, except: Option<&CertId>) -> Option<&GrantEntry> {
        self.longest_of(grant_key, |entry| Some(&entry.label.cert) != except)
    }

    /// The longest of those grants with this key that `counts` is true of.
    pub(crate) fn longest_of(
        &self,
        grant_key: &GrantKey,
        counts: impl FnMut(&&GrantEntry) -> bool,
    ) -> Option<&GrantEntry> {
        self.0.on(grant_key).filter(counts).max_by_key(|entry| entry.until)
    }

    /// Adds a grant, unless its certificate has a longer one with the same key.
    pub(crate) fn keep(&mut self, entry: GrantEntry) {
        let cert = entry.label.cert;
        let open = self.0.find(&entry.grant_key, &cert);
        // ARCHITECTURE, invariant 5: no later knock shortens a grant.
        if open.is_some_and(|open| open.until >= entry.until) {
            return;
        }
        self.0.take(&entry.grant_key, &cert);
        self.0.insert(entry);
    }
}

impl OpenGrants for GrantTable {
    fn open(&self) -> usize {
        self.len()
    }

    fn held(&self, party: &Party) -> usize {
        self.0.held(party)
    }

    fn additional(&self, grant: &ApprovedGrant, address: IpAddr) -> usize {
        let cert = grant.label().cert;
        let grant_keys = grant.grant_keys().filter(|grant_key| grant_key.address == address);
        grant_keys.filter(|grant_key| self.0.find(grant_key, &cert).is_none()).count()
    }
}

/// Adds an element to those before it in order. Of those with the same key the longest stays.
fn merge(elements: &mut Vec<GrantElement>, element: GrantElement) {
    match elements.last_mut() {
        Some(last) if last.grant_key == element.grant_key => {
            if last.remaining < element.remaining {
                *last = element;
            }
        }
        _ => elements.push(element),
    }
}

/// What a grant consists of, key by key.
pub(crate) fn entries(grant: &ApprovedGrant, now: BootInstant) -> impl Iterator<Item = GrantEntry> {
    let until = now.after(Duration::from_secs(grant.seconds().into()));
    grant.grant_keys().map(move |grant_key| GrantEntry { grant_key, until, label: *grant.label() })
}
