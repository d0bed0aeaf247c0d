//! The whole table in a batch: sets, chains and rules, as the description has them.

use std::ffi::{CStr, CString};
use std::time::Duration;

use nftnl::{Batch, Chain, ChainType, Hook, MsgType, Policy, ProtoFamily, Rule, Table};

use super::expressions::{NFPROTO_IPV4, NFPROTO_IPV6};
use super::ffi::{Expiry, RawSet, SetShape};
use super::key::SetKey;
use super::present::ExistingChains;
use super::{SHORTEST, TABLE, expressions};
use crate::{ChainName, GrantSet, Rollback, SourceLimit, TableSpec};

/// The sets in which the kernel remembers who has knocked how often: IPv4, IPv6.
pub(super) const KNOCK_RATE: [&CStr; 2] = [c"knock_rate4", c"knock_rate6"];

/// The sets of blocked flows: IPv4, IPv6.
pub(super) const BLOCKED: [&CStr; 2] = [c"blocked4", c"blocked6"];

/// The sets that let only one packet use up a grant for single use: IPv4, IPv6.
pub(super) const USED: [&CStr; 2] = [c"used4", c"used6"];

/// SYNs that used up a grant, by conntrack entry and sequence number.
pub(super) const BEGUN: &CStr = c"begun";

/// The set that says whether rules on trial still have time.
pub(super) const TRIAL: &CStr = c"trial";

/// How long two packets count as sent at the same moment. The grant is gone from its own set long
/// before.
const AT_ONCE: Duration = Duration::from_secs(1);

/// How long a SYN may be repeated: the kernel's retransmissions after 1, 3 and 7 s. Nothing prolongs it.
const REPEATED_SYN: Duration = Duration::from_secs(10);

/// Adds the table as `table_spec` describe it, in place of whatever it was; with a fallback, on trial. What is
/// `present` is replaced around the base chains that stay; if that is not known, or not possible, the
/// table is removed and made again.
pub(super) fn add(
    batch: &mut Batch,
    rules: &TableSpec,
    rollback: Option<&Rollback<'_>>,
    present: Option<&ExistingChains>,
) {
    let described = match rollback {
        None => rules.chains(),
        Some(rollback) => rules.chains_on_trial(rollback.previous),
    };
    let table = Table::new(TABLE, ProtoFamily::Inet);
    // Deleting needs something to delete.
    batch.add(&table, MsgType::Add);
    if let Some(present) = present {
        present.clear(batch, &described);
    } else {
        batch.add(&table, MsgType::Del);
        batch.add(&table, MsgType::Add);
    }
    for (id, set) in (1..).zip(sets(rules)) {
        batch.add(&set.with_id(id).definition(), MsgType::Add);
    }
    if let Some(rollback) = rollback {
        add_trial(batch, rules, rollback.remaining);
    }
    // Lines lead to other chains, which must exist.
    let chains: Vec<Chain<'_>> = described.iter().map(|one| chain(one, &table)).collect();
    for chain in &chains {
        batch.add(chain, MsgType::Add);
    }
    for (chain, described) in chains.iter().zip(&described) {
        for line in &described.lines {
            let mut rule = Rule::new(chain);
            expressions::fill(&mut rule, line);
            batch.add(&rule, MsgType::Add);
        }
    }
}

fn chain<'a>(described: &crate::Chain, table: &'a Table) -> Chain<'a> {
    let mut chain = Chain::new(kernel_name(described.name), table);
    if let Some((hook, priority)) = described.hook {
        let hook = match hook {
            crate::Hook::Prerouting => Hook::PreRouting,
            crate::Hook::Input => Hook::In,
            crate::Hook::Forward => Hook::Forward,
            crate::Hook::Output => Hook::Out,
            crate::Hook::Postrouting => Hook::PostRouting,
        };
        chain.set_type(ChainType::Filter);
        chain.set_hook(hook, priority);
        // Accept: what is not ours to judge is judged by others.
        chain.set_policy(Policy::Accept);
    }
    chain
}

/// The name as the kernel has it.
pub(super) fn kernel_name(name: ChainName) -> CString {
    CString::new(name.to_string()).expect("no name of a chain has a zero byte")
}

/// The set has both families as long as there is time left. Its number comes after the others'.
fn add_trial(batch: &mut Batch, rules: &TableSpec, left: Duration) {
    const ID: u32 = 1000;
    let shape = SetShape {
        key: SetKey::Family,
        dynamic: false,
        size: 2,
        ends: Some(Expiry { timeout: None, gc_interval: rules.gc_interval }),
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

fn sets(rules: &TableSpec) -> impl Iterator<Item = RawSet> {
    let grant_keys = GrantSet::ALL.map(|set| {
        let shape = SetShape {
            key: if set.is_v6() { SetKey::Grant6 } else { SetKey::Grant4 },
            dynamic: set.is_single_use(),
            size: rules.capacity,
            ends: Some(Expiry { timeout: None, gc_interval: rules.gc_interval }),
        };
        RawSet::shaped(set.name(), &shape)
    });
    let cut_off = [SetKey::Grant4, SetKey::Grant6].into_iter().zip(BLOCKED).map(|(key, name)| {
        let shape = SetShape { key, dynamic: false, size: rules.capacity, ends: None };
        RawSet::shaped(name, &shape)
    });
    let heard = move |source_limit: SourceLimit| {
        [SetKey::Address4, SetKey::Address6].into_iter().zip(KNOCK_RATE).map(move |(key, name)| {
            let shape = SetShape {
                key,
                dynamic: true,
                size: source_limit.sources,
                ends: Some(Expiry {
                    timeout: Some(source_limit.retention()),
                    gc_interval: rules.gc_interval,
                }),
            };
            RawSet::shaped(name, &shape)
        })
    };
    let ends = |timeout| Some(Expiry { timeout: Some(timeout), gc_interval: rules.gc_interval });
    let single_use = [
        (SetKey::Grant4, USED[0], AT_ONCE),
        (SetKey::Grant6, USED[1], AT_ONCE),
        (SetKey::Syn, BEGUN, REPEATED_SYN),
    ]
    .map(|(key, name, time)| {
        let shape = SetShape { key, dynamic: true, size: rules.capacity, ends: ends(time) };
        RawSet::shaped(name, &shape)
    });
    let heard = rules.source_limit.into_iter().flat_map(heard);
    grant_keys.into_iter().chain(cut_off).chain(single_use).chain(heard)
}
