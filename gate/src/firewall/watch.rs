//! Notices when others change the table: `nft flush ruleset` would otherwise leave every
//! protected port open to everyone.

use std::ffi::CStr;
use std::os::fd::BorrowedFd;

use sknock_netfilter::nft::events::{Event, EventSocket};

use crate::grant_key::{GrantElement, GrantKey, GrantSet};
use crate::table_spec::sets::{KNOCK_TAGS, TAGS_LOADED};

/// A subscription to changes of the firewall in this network namespace. Made by
/// [`Firewall::watch`](super::Firewall::watch).
#[derive(Debug)]
pub struct Watch(EventSocket);

impl Watch {
    pub(super) fn open(own: u32) -> nix::Result<Self> {
        EventSocket::open(own).map(Self)
    }

    /// Readable when there is something to [`Watch::read`].
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.fd()
    }

    /// Reads what anyone but our own gate has done to the table, without waiting.
    pub fn read(&mut self) -> Changes {
        let mut changes = Changes::default();
        let read = self.0.read(|event| match event {
            Event::Structure => changes.structure_changed = true,
            // Without its tags a knock is refused; with a mark that does not end, so is all that comes after.
            Event::Deleted(of) if is_of_tags(of.set) => changes.structure_changed = true,
            Event::Added(of) if is_of(of.set, TAGS_LOADED) => changes.structure_changed = true,
            Event::Added(of) => {
                let set = GrantSet::named(of.set);
                let added =
                    set.into_iter().flat_map(|set| GrantElement::read_all(set, of.elements()));
                changes.added.extend(added);
            }
            Event::Deleted(of) => {
                let set = GrantSet::named(of.set);
                let keys = |set| {
                    let elements = of.elements().into_iter();
                    elements.filter_map(move |raw| GrantKey::from_key(set, &raw.key))
                };
                changes.deleted.extend(set.into_iter().flat_map(keys));
            }
        });
        changes.overrun = read.is_err();
        changes
    }
}

fn is_of_tags(set: &[u8]) -> bool {
    [KNOCK_TAGS, TAGS_LOADED].into_iter().any(|name| is_of(set, name))
}

fn is_of(set: &[u8], name: &CStr) -> bool {
    set == name.to_bytes_with_nul()
}

/// What others have done.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Changes {
    /// Whether they changed the table, its chains, rules or sets, or the tags of knocks. Then
    /// [`Gate::reinstall`](crate::Gate::reinstall).
    pub structure_changed: bool,
    /// Whether events were lost: anything may have happened. Then
    /// [`Gate::missing`](crate::Gate::missing) grants were closed, and it is never wrong to reinstall.
    pub overrun: bool,
    /// Grants that they closed by hand. For
    /// [`Gate::handle_external_deletes`](crate::Gate::handle_external_deletes), before anything is
    /// reinstalled.
    pub deleted: Vec<GrantKey>,
    /// Elements that they put into the sets of grants. For
    /// [`Gate::report_added_externally`](crate::Gate::report_added_externally), after the closed ones.
    pub added: Vec<GrantElement>,
}
