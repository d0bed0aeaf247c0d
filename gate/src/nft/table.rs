//! The whole table in a batch: sets, chains and rules, as the description has them.

use nftnl::{Batch, Chain, ChainType, Hook, MsgType, Policy, ProtoFamily, Rule, Table};

use super::ffi::{Key, RawSet, SetShape};
use super::{TABLE, expressions};
use crate::{Hearing, Line, Meter, Rules, Set};

/// The sets in which the kernel remembers who has knocked how often: IPv4, IPv6.
pub(super) const HEARD: [&std::ffi::CStr; 2] = [c"heard4", c"heard6"];

/// The chain that [`Verdict::Knock`](crate::Verdict::Knock) leads to.
pub(super) const KNOCK: &std::ffi::CStr = c"knock";

/// Adds the table as `rules` describe it, in place of whatever it was.
pub(super) fn add(batch: &mut Batch, rules: &Rules) {
    let table = Table::new(TABLE, ProtoFamily::Inet);
    // Deleting needs something to delete.
    batch.add(&table, MsgType::Add);
    batch.add(&table, MsgType::Del);
    batch.add(&table, MsgType::Add);
    for (id, set) in (1..).zip(sets(rules)) {
        batch.add(&set.with_id(id).definition(), MsgType::Add);
    }
    // A jump needs somewhere to go.
    add_chain(batch, &Chain::new(KNOCK, &table), &rules.knock());
    if rules.hearing != Hearing::Socket {
        add_chain(batch, &hooked(c"hear", Rules::HEAR_PRIORITY, &table), &rules.hear());
    }
    add_chain(batch, &hooked(c"deny", Rules::PRIORITY, &table), &rules.deny());
}

fn sets(rules: &Rules) -> impl Iterator<Item = RawSet> {
    let doors = Set::ALL.map(|set| {
        let shape = SetShape {
            key: if set.is_v6() { Key::Door6 } else { Key::Door4 },
            dynamic: set.is_single_use(),
            size: rules.capacity,
            timeout: None,
            gc_interval: rules.gc_interval,
        };
        RawSet::shaped(set.name(), &shape)
    });
    let heard = move |meter: Meter| {
        [Key::Address4, Key::Address6].into_iter().zip(HEARD).map(move |(key, name)| {
            let shape = SetShape {
                key,
                dynamic: true,
                size: meter.sources,
                timeout: Some(meter.memory()),
                gc_interval: rules.gc_interval,
            };
            RawSet::shaped(name, &shape)
        })
    };
    doors.into_iter().chain(rules.meter.into_iter().flat_map(heard))
}

fn hooked<'a>(name: &std::ffi::CStr, priority: i32, table: &'a Table) -> Chain<'a> {
    let mut chain = Chain::new(name, table);
    chain.set_type(ChainType::Filter);
    chain.set_hook(Hook::PreRouting, priority);
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
