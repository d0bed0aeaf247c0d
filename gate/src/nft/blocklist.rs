//! Ways that are cut, in the kernel: the sets `blocked4` and `blocked6`, and the table of connections.

use std::collections::BTreeSet;
use std::net::IpAddr;

use nftnl::{Batch, MsgType};
use nix::errno::Errno;

use super::ffi::{self, RawSet};
use super::table::BLOCKED;
use super::{ELEMENTS_PER_MESSAGE, Firewall};
use crate::conntrack::{self, DumpFilter, local_addresses};
use crate::{FirewallError, FlowKey, TableSpec, seed};

/// The most connections that are deleted at one time. What is left over passes nothing all the same:
/// the sets see to that.
const MAX_DELETED: usize = 10_000;

/// So often the kernel looks through its connections for some of them, rather than once for all. Of
/// 250,000, all take it some 0.7 s on a busy machine, few of them 0.1 s.
const MAX_LISTINGS: usize = 6;

/// The listings that have all connections on these ways.
fn on_all(flows: &BTreeSet<FlowKey>) -> BTreeSet<DumpFilter> {
    let to = |flow: &FlowKey| {
        let FlowKey { address, transport, port } = *flow;
        DumpFilter::To { v6: address.is_ipv6(), transport, port }
    };
    few(flows.iter().map(to).collect())
}

fn few(listings: BTreeSet<DumpFilter>) -> BTreeSet<DumpFilter> {
    if listings.len() > MAX_LISTINGS { BTreeSet::from([DumpFilter::Any]) } else { listings }
}

/// The listings that have all connections to ports that `table_spec` close.
fn to_protected(rules: &TableSpec) -> BTreeSet<DumpFilter> {
    if rules.protected.is_empty() {
        return BTreeSet::from([DumpFilter::Any]);
    }
    let ports = rules.protected.iter().flat_map(|range| {
        let to = |port| (range.transport(), port);
        range.ports().map(to)
    });
    let to = |(transport, port)| [false, true].map(|v6| DumpFilter::To { v6, transport, port });
    // One too many says as much as all.
    few(ports.take(MAX_LISTINGS).flat_map(to).collect())
}

/// Adds or deletes elements of the sets.
pub(super) fn add(batch: &mut Batch, flows: &[FlowKey], what: MsgType) {
    for (v6, name) in [false, true].into_iter().zip(BLOCKED) {
        let ours: Vec<&FlowKey> =
            flows.iter().filter(|flow| flow.address.is_ipv6() == v6).collect();
        for some in ours.chunks(ELEMENTS_PER_MESSAGE) {
            let mut raw = RawSet::named(name);
            for flow in some {
                raw.push_key(&flow.key());
            }
            batch.add(&raw.elements(), what);
        }
    }
}

impl Firewall {
    /// Which ways are cut, by this or an earlier run. None if the table does not exist, or is older
    /// than these sets.
    pub fn block(&mut self) -> Result<Vec<FlowKey>, FirewallError> {
        let mut flows = Vec::new();
        for (v6, name) in [false, true].into_iter().zip(BLOCKED) {
            match self.netlink.dump(&RawSet::named(name).dump_request(), ffi::elements) {
                Ok(found) => {
                    flows.extend(found.iter().filter_map(|raw| FlowKey::from_key(v6, &raw.key)));
                }
                Err(Errno::ENOENT) => {}
                Err(errno) => {
                    return Err(FirewallError::while_doing("list the blocklist")(errno));
                }
            }
        }
        Ok(flows)
    }

    /// Every way that a connection to this host is known on, that `table_spec` close, and that is `wanted`:
    /// those that conntrack has, and TCP that it has not. `ENOBUFS` if they are more than `max`.
    pub(crate) fn connected(
        &mut self,
        rules: &TableSpec,
        wanted: impl Fn(&FlowKey) -> bool,
        max: usize,
    ) -> Result<BTreeSet<FlowKey>, FirewallError> {
        let own = self.own()?;
        let mut found = BTreeSet::new();
        let mut note = |flow: FlowKey, to: IpAddr| {
            let closed = rules.requires_grant(flow.transport, flow.port);
            if found.len() <= max && closed && own.contains(&to) && wanted(&flow) {
                found.insert(flow);
            }
        };
        for only in to_protected(rules) {
            conntrack::list(&mut self.netlink, only, |one| note(one.flow, one.to))?;
        }
        for (flow, to) in seed::established_to_listeners(&mut self.sockets)? {
            note(flow, to);
        }
        if found.len() > max {
            return Err(FirewallError::while_doing("add connections to the blocklist")(
                Errno::ENOBUFS,
            ));
        }
        Ok(found)
    }

    /// Deletes the connections on these ways to this host; how many those were.
    pub(crate) fn flush_conntrack(
        &mut self,
        flows: &BTreeSet<FlowKey>,
    ) -> Result<usize, FirewallError> {
        let own = self.own()?;
        let mut requests = Vec::new();
        for only in on_all(flows) {
            conntrack::list(&mut self.netlink, only, |one| {
                let room = requests.len() < MAX_DELETED;
                if room && flows.contains(&one.flow) && own.contains(&one.to) {
                    requests.push(one.deletion());
                }
            })?;
        }
        let mut terminated = 0;
        for request in &requests {
            match self.netlink.ask(request) {
                Ok(()) => terminated += 1,
                // It has just ended by itself.
                Err(Errno::ENOENT) => {}
                Err(errno) => {
                    return Err(FirewallError::while_doing("terminate a connection")(errno));
                }
            }
        }
        Ok(terminated)
    }

    /// What others send to these addresses is for this host.
    fn own(&mut self) -> Result<BTreeSet<IpAddr>, FirewallError> {
        let unknown = FirewallError::while_doing("list the addresses of this host");
        self.routes.as_mut().ok_or_else(|| unknown(Errno::ENOTCONN)).and_then(local_addresses::list)
    }
}
