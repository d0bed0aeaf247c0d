//! The whole table in a batch: sets, chains and rules, as the description has them.

use std::time::Duration;

use nftnl::{Batch, Chain, ChainType, Hook, MsgType, Policy, ProtoFamily, Rule, Table};

use super::expressions::{NFPROTO_IPV4, NFPROTO_IPV6};
use super::ffi::{Ends, Key, RawSet, SetShape};
use super::{SHORTEST, TABLE, expressions};
use crate::{Fallback, Hearing, Line, Meter, Rules, Set};

/// The sets in which the kernel remembers who has knocked how often: IPv4, IPv6.
pub(super) const HEARD: [&std::ffi::CStr; 2] = [c"heard4", c"heard6"];

/// The chain that [`Verdict::Knock`](crate::Verdict::Knock) leads to.
pub(super) const KNOCK: &std::ffi::CStr = c"knock";

/// The sets of who was cut off from which port: IPv4, IPv6.
pub(super) const CUT_OFF: [&std::ffi::CStr; 2] = [c"cut4", c"cut6"];

/// The chain that [`Verdict::Cut`](crate::Verdict::Cut) leads to.
pub(super) const CUT: &std::ffi::CStr = c"cut";

/// The chain that [`Verdict::Mute`](crate::Verdict::Mute) leads to.
pub(super) const MUTE: &std::ffi::CStr = c"mute";

/// The set that says whether rules on trial still have time, and the chain with them.
pub(super) const TRIAL: &std::ffi::CStr = c"trial";

/// Adds the table as `rules` describe it, in place of whatever it was; with a fallback, on trial.
pub(super) fn add(batch: &mut Batch, rules: &Rules, fallback: Option<&Fallback<'_>>) {
    let table = Table::new(TABLE, ProtoFamily::Inet);
    // Deleting needs something to delete.
    batch.add(&table, MsgType::Add);
    batch.add(&table, MsgType::Del);
    batch.add(&table, MsgType::Add);
    for (id, set) in (1..).zip(sets(rules)) {
        batch.add(&set.with_id(id).definition(), MsgType::Add);
    }
    if let Some(fallback) = fallback {
        add_trial(batch, rules, fallback.left);
    }
    // A jump needs somewhere to go.
    add_chain(batch, &Chain::new(KNOCK, &table), &rules.knock());
    add_chain(batch, &Chain::new(CUT, &table), &rules.cut());
    add_chain(batch, &Chain::new(MUTE, &table), &rules.mute());
    let back = hooked(c"back", (Hook::PostRouting, Rules::BACK_PRIORITY), &table);
    add_chain(batch, &back, &rules.back());
    if rules.hearing != Hearing::Socket {
        let hear = hooked(c"hear", (Hook::PreRouting, Rules::HEAR_PRIORITY), &table);
        add_chain(batch, &hear, &rules.hear());
    }
    let deny = hooked(c"deny", (Hook::PreRouting, Rules::PRIORITY), &table);
    match fallback {
        None => add_chain(batch, &deny, &rules.deny()),
        Some(fallback) => {
            add_chain(batch, &Chain::new(TRIAL, &table), &rules.deny());
            add_chain(batch, &deny, &fallback.deny());
        }
    }
}

/// The set has both families as long as there is time left. Its number comes after the others'.
fn add_trial(batch: &mut Batch, rules: &Rules, left: Duration) {
    const ID: u32 = 1000;
    let shape = SetShape {
        key: Key::Family,
        dynamic: false,
        size: 2,
        ends: Some(Ends { timeout: None, gc_interval: rules.gc_interval }),
    };
    batch.add(&RawSet::shaped(TRIAL, &shape).with_id(ID).definition(), MsgType::Add);
    if !left.is_zero() {
        let mut elements = RawSet::named(TRIAL);
        for family in [NFPROTO_IPV4, NFPROTO_IPV6] {
            elements.push(&[family], left.max(SHORTEST), &[]);
        }
        batch.add(&elements.elements(), MsgType::Add);
    }
}

fn sets(rules: &Rules) -> impl Iterator<Item = RawSet> {
    let doors = Set::ALL.map(|set| {
        let shape = SetShape {
            key: if set.is_v6() { Key::Door6 } else { Key::Door4 },
            dynamic: set.is_single_use(),
            size: rules.capacity,
            ends: Some(Ends { timeout: None, gc_interval: rules.gc_interval }),
        };
        RawSet::shaped(set.name(), &shape)
    });
    let cut_off = [Key::Door4, Key::Door6].into_iter().zip(CUT_OFF).map(|(key, name)| {
        let shape = SetShape { key, dynamic: false, size: rules.capacity, ends: None };
        RawSet::shaped(name, &shape)
    });
    let heard = move |meter: Meter| {
        [Key::Address4, Key::Address6].into_iter().zip(HEARD).map(move |(key, name)| {
            let shape = SetShape {
                key,
                dynamic: true,
                size: meter.sources,
                ends: Some(Ends { timeout: Some(meter.memory()), gc_interval: rules.gc_interval }),
            };
            RawSet::shaped(name, &shape)
        })
    };
    doors.into_iter().chain(cut_off).chain(rules.meter.into_iter().flat_map(heard))
}

fn hooked<'a>(name: &std::ffi::CStr, at: (Hook, i32), table: &'a Table) -> Chain<'a> {
    let mut chain = Chain::new(name, table);
    chain.set_type(ChainType::Filter);
    chain.set_hook(at.0, at.1);
    // Accept: what is not ours to judge is judged by others.
    chain.set_policy(Policy::Accept);
    chain
}

fn add_chain(batch: &mut Batch, chain: &Chain<'_>, lines: &[Line]) {
    batch.add(chain, MsgType::Add);
    for line in lines {
        let mut rule = Rule::new(chain);
        expressions::fill(&mut rule, line);
        batch.add(&rule, MsgType::Add);
    }
}
