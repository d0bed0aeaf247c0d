//! Grants, each kept once, and found by its key, its certificate and its end. Decides nothing.
//!
//! A million take about 300 MB: the indexes hold places, not grants.

use std::collections::BTreeSet;
use std::ops::Bound;

use crate::cert_id::CertId;
use crate::grant_key::{GrantElement, GrantKey};
use crate::label::GrantLabel;
use crate::share::{Party, SourceNetwork, Tally};
use crate::uptime::BootInstant;

/// One grant of one certificate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GrantEntry {
    pub(crate) grant_key: GrantKey,
    pub(crate) until: BootInstant,
    pub(crate) label: GrantLabel,
}

impl GrantEntry {
    /// As the kernel should have it now.
    pub(crate) fn element(&self, now: BootInstant) -> GrantElement {
        GrantElement {
            grant_key: self.grant_key,
            remaining: self.until.since(now),
            label: self.label,
        }
    }
}

/// Where a grant is kept.
type EntryIndex = u32;

/// No two have the same key and certificate; the caller of `insert` sees to that.
#[derive(Clone, Debug, Default)]
pub(super) struct GrantIndex {
    places: Vec<Option<GrantEntry>>,
    empty: Vec<EntryIndex>,
    by_key: BTreeSet<(GrantKey, EntryIndex)>,
    by_cert: BTreeSet<(CertId, EntryIndex)>,
    by_end: BTreeSet<(BootInstant, EntryIndex)>,
    tally: Tally<Party>,
}

impl GrantIndex {
    pub(super) fn len(&self) -> usize {
        self.by_end.len()
    }

    /// How many grants a certificate or a network has.
    pub(super) fn held(&self, party: &Party) -> usize {
        self.tally.of(party)
    }

    pub(super) fn insert(&mut self, entry: GrantEntry) {
        // Places are used again: memory is bounded by the most grants that were open at one time.
        let place = self.empty.pop().unwrap_or_else(|| {
            self.places.push(None);
            let last = self.places.len() - 1;
            EntryIndex::try_from(last).expect("2^32 claims, of 120 bytes each, fit into no memory")
        });
        self.by_key.insert((entry.grant_key, place));
        self.by_cert.insert((entry.label.cert, place));
        self.by_end.insert((entry.until, place));
        for party in parties(&entry) {
            self.tally.add(party);
        }
        if let Some(slot) = self.slot(place) {
            *slot = Some(entry);
        }
    }

    /// The grant of `cert` with this key.
    pub(super) fn find(&self, grant_key: &GrantKey, cert: &CertId) -> Option<&GrantEntry> {
        self.on(grant_key).find(|entry| entry.label.cert == *cert)
    }

    /// Removes the grant of `cert` with this key.
    pub(super) fn take(&mut self, grant_key: &GrantKey, cert: &CertId) -> Option<GrantEntry> {
        let is_theirs =
            |place: &EntryIndex| self.at(*place).is_some_and(|entry| entry.label.cert == *cert);
        let place = self.places_on(grant_key).find(is_theirs)?;
        self.take_from(place)
    }

    /// Removes a grant that has ended, if there is one.
    pub(super) fn take_ended(&mut self, now: BootInstant) -> Option<GrantEntry> {
        let &(until, place) = self.by_end.first()?;
        if until > now { None } else { self.take_from(place) }
    }

    /// All grants with this key.
    pub(super) fn on(&self, grant_key: &GrantKey) -> impl Iterator<Item = &GrantEntry> {
        self.places_on(grant_key).filter_map(|place| self.at(place))
    }

    /// All grants of `cert`.
    pub(super) fn of(&self, cert: &CertId) -> impl Iterator<Item = &GrantEntry> {
        let places = self.by_cert.range((*cert, EntryIndex::MIN)..=(*cert, EntryIndex::MAX));
        places.filter_map(|(_, place)| self.at(*place))
    }

    /// Some certificate by this issuer that has a grant.
    pub(super) fn any_cert_of_issuer(&self, issuer: [u8; CertId::ISSUER]) -> Option<CertId> {
        let (cert, _) = self.by_cert.range((CertId::first_of(issuer), EntryIndex::MIN)..).next()?;
        (cert.issuer == issuer).then_some(*cert)
    }

    /// The next issuer, in the order of their bytes, of any certificate that has a grant.
    pub(super) fn next_issuer(&self, issuer: [u8; CertId::ISSUER]) -> Option<[u8; CertId::ISSUER]> {
        let (cert, _) = self.by_cert.range((CertId::after(issuer), EntryIndex::MIN)..).next()?;
        Some(cert.issuer)
    }

    /// All grants, in the order of keys.
    pub(super) fn iter(&self) -> impl Iterator<Item = &GrantEntry> {
        self.by_key.iter().filter_map(|(_, place)| self.at(*place))
    }

    /// All grants with keys behind this one, in the order of keys; without one, from the first.
    pub(super) fn behind(&self, door: Option<&GrantKey>) -> impl Iterator<Item = &GrantEntry> {
        let start = door.map_or(Bound::Unbounded, |door| Bound::Excluded((*door, EntryIndex::MAX)));
        let places = self.by_key.range((start, Bound::Unbounded));
        places.filter_map(|(_, place)| self.at(*place))
    }

    fn places_on(&self, grant_key: &GrantKey) -> impl Iterator<Item = EntryIndex> {
        self.by_key
            .range((*grant_key, EntryIndex::MIN)..=(*grant_key, EntryIndex::MAX))
            .map(|(_, place)| *place)
    }

    fn take_from(&mut self, place: EntryIndex) -> Option<GrantEntry> {
        let entry = self.slot(place)?.take()?;
        self.by_key.remove(&(entry.grant_key, place));
        self.by_cert.remove(&(entry.label.cert, place));
        self.by_end.remove(&(entry.until, place));
        for party in parties(&entry) {
            self.tally.remove(&party);
        }
        self.empty.push(place);
        Some(entry)
    }

    fn at(&self, place: EntryIndex) -> Option<&GrantEntry> {
        self.places.get(usize::try_from(place).ok()?)?.as_ref()
    }

    fn slot(&mut self, place: EntryIndex) -> Option<&mut Option<GrantEntry>> {
        self.places.get_mut(usize::try_from(place).ok()?)
    }
}

/// Whose shares a grant counts against.
fn parties(entry: &GrantEntry) -> [Party; 2] {
    let network = SourceNetwork::from(entry.grant_key.address);
    [Party::Certificate(entry.label.cert), Party::Network(network)]
}
