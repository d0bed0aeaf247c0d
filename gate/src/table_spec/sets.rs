//! The sets of the table: which there are, and how their elements end. Pure.

use std::ffi::CStr;
use std::time::Duration;

use sknock_netfilter::flow::FlowKey;
use sknock_netfilter::nft::rule::AddressSet;
use sknock_netfilter::nft::set::{Element, Expiry, NFPROTO_IPV4, NFPROTO_IPV6, SetKey, SetSpec};

use super::TableSpec;
use crate::grant_key::GrantSet;
use crate::tags::{KnockTag, KnockTags, TagElements};

/// The sets with the rate of each source of knocks: IPv4, IPv6.
pub(super) const KNOCK_RATE: [AddressSet; 2] = pair(c"knock_rate4", c"knock_rate6");

/// The sets of blocked flows: IPv4, IPv6.
pub(crate) const BLOCKED: [AddressSet; 2] = pair(c"blocked4", c"blocked6");

/// The sets that let only one packet use up a grant for single use: IPv4, IPv6.
pub(crate) const USED: [AddressSet; 2] = pair(c"used4", c"used6");

/// SYNs that used up a grant, by conntrack entry and sequence number.
pub(super) const BEGUN: &CStr = c"begun";

/// The set that has both families as long as the trial lasts.
pub(crate) const TRIAL: &CStr = c"trial";

/// The tags that knocks have at present.
pub(crate) const KNOCK_TAGS: &CStr = c"knock_tags";

/// The set that has both families as long as [`KNOCK_TAGS`] is complete.
pub(crate) const TAGS_LOADED: &CStr = c"tags_loaded";

/// How long the sets [`USED`] keep an element: much longer than the kernel takes to remove the grant from its own
/// set.
const AT_ONCE: Duration = Duration::from_secs(1);

/// How long a SYN may be repeated: the kernel's retransmissions after 1, 3 and 7 s. Nothing prolongs it.
const REPEATED_SYN: Duration = Duration::from_secs(10);

const fn pair(v4: &'static CStr, v6: &'static CStr) -> [AddressSet; 2] {
    [AddressSet { name: v4, v6: false }, AddressSet { name: v6, v6: true }]
}

/// Both families, as elements that last for `remaining`. None, if that is zero.
pub(crate) fn families_for(remaining: Duration) -> impl Iterator<Item = Element> {
    let element = move |family| Element {
        key: vec![family],
        remaining: Some(remaining),
        userdata: Vec::new(),
    };
    let families = [NFPROTO_IPV4, NFPROTO_IPV6].into_iter().filter(move |_| !remaining.is_zero());
    families.map(element)
}

/// The elements of [`KNOCK_TAGS`].
pub(crate) fn tag_elements(tags: &TagElements) -> impl Iterator<Item = Element> {
    let element = |(tag, remaining): &(KnockTag, Duration)| Element {
        key: tag.to_vec(),
        remaining: Some(*remaining),
        userdata: Vec::new(),
    };
    tags.tags.iter().map(element)
}

/// The keys of those `flows` that have the address family of this set.
pub(crate) fn blocked_keys(set: AddressSet, flows: &[FlowKey]) -> impl Iterator<Item = Vec<u8>> {
    flows.iter().filter(move |flow| flow.address.is_ipv6() == set.v6).map(FlowKey::key)
}

impl TableSpec {
    /// All sets, that of the trial only if there is one.
    pub(crate) fn sets(&self, on_trial: bool) -> Vec<SetSpec> {
        let ends = |timeout| Some(Expiry { timeout, gc_interval: self.gc_interval });
        let flows = |set: AddressSet| if set.v6 { SetKey::Flow6 } else { SetKey::Flow4 };
        let size = self.capacity;
        let mut sets = Vec::with_capacity(14);
        for set in GrantSet::ALL {
            let (name, dynamic) = (set.name(), set.is_single_use());
            let key = flows(set.into());
            sets.push(SetSpec { name, key, dynamic, size, expiry: ends(None) });
        }
        for set in BLOCKED {
            let key = flows(set);
            sets.push(SetSpec { name: set.name, key, dynamic: false, size, expiry: None });
        }
        for set in USED {
            let (key, expiry) = (flows(set), ends(Some(AT_ONCE)));
            sets.push(SetSpec { name: set.name, key, dynamic: true, size, expiry });
        }
        let (key, expiry) = (SetKey::Syn, ends(Some(REPEATED_SYN)));
        sets.push(SetSpec { name: BEGUN, key, dynamic: true, size, expiry });
        if let Some(limit) = self.source_limit {
            sets.extend(KNOCK_RATE.map(|set| limit.set(set, self.gc_interval)));
        }
        if self.filters_by_tags() {
            let (size, expiry) = (u32::try_from(KnockTags::MAX).unwrap_or(u32::MAX), ends(None));
            let (name, key) = (KNOCK_TAGS, SetKey::Tag);
            sets.push(SetSpec { name, key, dynamic: false, size, expiry });
            let (name, key) = (TAGS_LOADED, SetKey::Family);
            sets.push(SetSpec { name, key, dynamic: false, size: 2, expiry });
        }
        if on_trial {
            let (key, expiry) = (SetKey::Family, ends(None));
            sets.push(SetSpec { name: TRIAL, key, dynamic: false, size: 2, expiry });
        }
        sets
    }
}
