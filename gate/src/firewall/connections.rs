//! Blocked flows in the kernel: the sets `blocked4` and `blocked6`, and the connections that conntrack has.

use std::collections::BTreeSet;
use std::net::IpAddr;

use nix::errno::Errno;
use sknock_netfilter::conntrack::{self, ConntrackEntry, DumpFilter};
use sknock_netfilter::flow::FlowKey;
use sknock_netfilter::host::local_addresses;
use sknock_netfilter::nft;
use sknock_types::Transport;

use super::Firewall;
use crate::error::FirewallError;
use crate::table_spec::flow_labels::{GENUINE, KEPT};
use crate::table_spec::sets::BLOCKED;
use crate::table_spec::{FirewallPolicy, TableSpec};

/// The listings that have all connections to ports that `rules` close.
fn to_protected(rules: &TableSpec) -> BTreeSet<DumpFilter> {
    if rules.protected.is_empty() {
        return BTreeSet::from([DumpFilter::Any]);
    }
    let protected = rules.protected.iter();
    let ports = protected.flat_map(|range| range.ports().map(|port| (range.transport(), port)));
    DumpFilter::to_ports(ports)
}

impl Firewall {
    /// Which flows are blocked, by this or an earlier run. None if the table does not exist, or is older
    /// than these sets.
    pub fn dump_blocked(&mut self) -> Result<Vec<FlowKey>, FirewallError> {
        let mut flows = Vec::new();
        for set in BLOCKED {
            match nft::list_set(&mut self.netlink, set.name) {
                Ok(found) => {
                    let keys = found.iter().map(|raw| FlowKey::from_key(set.v6, &raw.key));
                    flows.extend(keys.flatten());
                }
                Err(Errno::ENOENT) => {}
                Err(errno) => {
                    return Err(FirewallError::while_doing("list the blocklist")(errno));
                }
            }
        }
        Ok(flows)
    }

    /// Every flow that a connection to this host is known on, that `rules` close, and that is `wanted`:
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
            // One more than `max` is kept: it shows below that they are too many.
            // This host's own programs need no grant.
            let for_us = own.contains(&to) && !own.contains(&flow.address);
            if found.len() <= max && closed && for_us && wanted(&flow) {
                found.insert(flow);
            }
        };
        for only in to_protected(rules) {
            conntrack::list(&mut self.netlink, only, |one| {
                note(one.flow, one.to);
                if one.translated {
                    note(one.arriving(), one.answers.0);
                }
            })?;
        }
        for (flow, to) in self.sockets.established_to_listeners()? {
            note(flow, to);
        }
        if found.len() > max {
            let failed = FirewallError::while_doing("add connections to the blocklist");
            return Err(failed(Errno::ENOBUFS));
        }
        Ok(found)
    }

    /// Deletes the connections of these flows to this host; how many those were.
    pub(crate) fn flush_conntrack(
        &mut self,
        flows: &BTreeSet<FlowKey>,
    ) -> Result<usize, FirewallError> {
        let own = self.own()?;
        Ok(conntrack::delete(&mut self.netlink, flows, &own)?)
    }

    /// Deletes the entries of UDP between this host and others at ports that `rules` close, if neither direction was
    /// admitted, and the host does not speak to itself: they are older than the table, or than the protection of their
    /// port. The same of flows that are masqueraded. The next packet is judged as the first one of a flow. `labelled`
    /// deletes the others, too.
    ///
    /// Kept, such an entry would refuse its flow for as long as packets came, and an answer of the host would admit it.
    pub(crate) fn delete_old_udp(
        &mut self,
        rules: &TableSpec,
        labelled: bool,
    ) -> Result<(), FirewallError> {
        if rules.policy == FirewallPolicy::None {
            return Ok(());
        }
        let own = self.own()?;
        let closes = |port| rules.requires_grant(Transport::Udp, port);
        let wanted = |one: &ConntrackEntry<'_>| {
            let arrives = one.translated || own.contains(&one.to);
            let ours = arrives && closes(one.flow.port)
                // Begun by this host from a protected port: its peer's answers arrive there.
                || (own.contains(&one.flow.address) || is_no_address(one.flow.address))
                    && closes(one.from_port);
            let is_labelled = |bits: &[u32]| bits.iter().any(|bit| one.label >> bit & 1 == 1);
            // Begun by a machine behind this host; others answer to this host, at the port that masquerading gave it.
            let masqueraded =
                one.source_translated && (closes(one.from_port) || closes(one.answered_port));
            let old = labelled || !is_labelled(&KEPT);
            let unasked = labelled || !is_labelled(&[GENUINE]);
            one.flow.transport == Transport::Udp && old && (ours || masqueraded && unasked)
        };
        // Not `to_protected`: flows that this host has begun have the protected port as their source.
        let all = BTreeSet::from([DumpFilter::Any]);
        conntrack::delete_where(&mut self.netlink, &all, wanted)?;
        Ok(())
    }

    /// What others send to these addresses is for this host.
    fn own(&mut self) -> Result<BTreeSet<IpAddr>, FirewallError> {
        let Some(routes) = &mut self.routes else {
            let failed = FirewallError::while_doing("list the addresses of this host");
            return Err(failed(Errno::ENOTCONN));
        };
        Ok(local_addresses(routes)?)
    }
}

/// What is sent there comes to this host.
fn is_no_address(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_unspecified() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unspecified(),
    }
}
