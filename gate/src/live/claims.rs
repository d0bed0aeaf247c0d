//! Claims on doors, each kept once, and found by its door, its holder and its end. Decides nothing.
//!
//! A million take about 300 MB: the indexes hold places, not claims.

use std::collections::BTreeSet;

use crate::{Door, Holder, Label, Network, Party, Tally, Uptime};

/// Somebody may use a door for a while.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim {
    pub(crate) door: Door,
    pub(crate) until: Uptime,
    pub(crate) label: Label,
}

/// Where a claim is kept.
type Place = u32;

/// No two are of the same holder on the same door; that is up to whoever inserts.
#[derive(Clone, Debug, Default)]
pub(super) struct Claims {
    places: Vec<Option<Claim>>,
    empty: Vec<Place>,
    by_door: BTreeSet<(Door, Place)>,
    by_holder: BTreeSet<(Holder, Place)>,
    by_end: BTreeSet<(Uptime, Place)>,
    tally: Tally<Party>,
}

impl Claims {
    pub(super) fn len(&self) -> usize {
        self.by_end.len()
    }

    /// How many claims a certificate or a network has.
    pub(super) fn held(&self, party: &Party) -> usize {
        self.tally.of(party)
    }

    pub(super) fn insert(&mut self, claim: Claim) {
        let place = self.empty.pop().unwrap_or_else(|| {
            self.places.push(None);
            let last = self.places.len() - 1;
            Place::try_from(last).expect("2^32 claims, of 120 bytes each, fit into no memory")
        });
        self.by_door.insert((claim.door, place));
        self.by_holder.insert((claim.label.holder, place));
        self.by_end.insert((claim.until, place));
        for party in parties(&claim) {
            self.tally.add(party);
        }
        if let Some(slot) = self.slot(place) {
            *slot = Some(claim);
        }
    }

    /// The claim of `holder` on `door`.
    pub(super) fn find(&self, door: &Door, holder: &Holder) -> Option<&Claim> {
        self.on(door).find(|claim| claim.label.holder == *holder)
    }

    /// Takes out the claim of `holder` on `door`.
    pub(super) fn take(&mut self, door: &Door, holder: &Holder) -> Option<Claim> {
        let is_theirs =
            |place: &Place| self.at(*place).is_some_and(|claim| claim.label.holder == *holder);
        let place = self.places_on(door).find(is_theirs)?;
        self.take_from(place)
    }

    /// Takes out a claim that has ended, if there is one.
    pub(super) fn take_ended(&mut self, now: Uptime) -> Option<Claim> {
        let &(until, place) = self.by_end.first()?;
        if until > now { None } else { self.take_from(place) }
    }

    /// All claims on `door`.
    pub(super) fn on(&self, door: &Door) -> impl Iterator<Item = &Claim> {
        self.places_on(door).filter_map(|place| self.at(place))
    }

    /// All claims of `holder`.
    pub(super) fn of(&self, holder: &Holder) -> impl Iterator<Item = &Claim> {
        let places = self.by_holder.range((*holder, Place::MIN)..=(*holder, Place::MAX));
        places.filter_map(|(_, place)| self.at(*place))
    }

    /// Some holder whose certificate is by this issuer.
    pub(super) fn holder_below(&self, issuer: [u8; Holder::ISSUER]) -> Option<Holder> {
        let (holder, _) = self.by_holder.range((Holder::first_of(issuer), Place::MIN)..).next()?;
        (holder.issuer == issuer).then_some(*holder)
    }

    /// The next issuer, in the order of their bytes, of anybody who holds a claim.
    pub(super) fn issuer_after(
        &self,
        issuer: [u8; Holder::ISSUER],
    ) -> Option<[u8; Holder::ISSUER]> {
        let (holder, _) = self.by_holder.range((Holder::after(issuer), Place::MIN)..).next()?;
        Some(holder.issuer)
    }

    /// All claims, those on one door one after the other.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Claim> {
        self.by_door.iter().filter_map(|(_, place)| self.at(*place))
    }

    fn places_on(&self, door: &Door) -> impl Iterator<Item = Place> {
        self.by_door.range((*door, Place::MIN)..=(*door, Place::MAX)).map(|(_, place)| *place)
    }

    fn take_from(&mut self, place: Place) -> Option<Claim> {
        let claim = self.slot(place)?.take()?;
        self.by_door.remove(&(claim.door, place));
        self.by_holder.remove(&(claim.label.holder, place));
        self.by_end.remove(&(claim.until, place));
        for party in parties(&claim) {
            self.tally.remove(&party);
        }
        self.empty.push(place);
        Some(claim)
    }

    fn at(&self, place: Place) -> Option<&Claim> {
        self.places.get(usize::try_from(place).ok()?)?.as_ref()
    }

    fn slot(&mut self, place: Place) -> Option<&mut Option<Claim>> {
        self.places.get_mut(usize::try_from(place).ok()?)
    }
}

/// Whose shares a claim counts against.
fn parties(claim: &Claim) -> [Party; 2] {
    let network = Network::from(claim.door.address);
    [Party::Certificate(claim.label.holder), Party::Network(network)]
}
