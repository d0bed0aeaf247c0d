//! Closes grants early: those of certificates that the network process reports as revoked, and those that an
//! administrator selects. Also closes expired grants, because their connections continue, too.

use std::collections::BTreeSet;

use sknock_netfilter::flow::FlowKey;

use super::Gate;
use crate::cert_id::CertId;
use crate::error::FirewallError;
use crate::firewall::Change;
use crate::grant_file::event::SavedEvent;
use crate::grant_key::{GrantElement, GrantKey};
use crate::grants::index::GrantEntry;
use crate::label::GrantLabel;
use crate::outcome::Outcome;
use crate::uptime::BootInstant;
use sknock_types::Serial;

/// A closed grant of one certificate on one flow.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ClosedGrant {
    /// Source address, transport and port.
    pub flow: FlowKey,
    /// The certificate, and its knock.
    pub label: GrantLabel,
    /// Whether it was open. Otherwise it had expired.
    pub was_open: bool,
    /// Whether connections on this flow were terminated.
    pub cut: bool,
}

/// Grants to be closed, in reverse order.
#[derive(Clone, Debug, Default)]
pub struct MatchingGrants(Vec<(FlowKey, GrantLabel, bool)>);

impl MatchingGrants {
    /// Whether none is left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The most grants that one transaction closes. It takes about a tenth of a second, for which a knock waits.
const AT_ONCE: usize = 1_000;

/// The most certificates that one request closes: it takes about a millisecond, for which a knock waits.
const CERTS_AT_ONCE: usize = 64;

impl Gate {
    /// Closes every grant, open or expired, for which `which` is true, and blocks its flow, unless another
    /// certificate has a grant there, or connections are to continue (`OnRevoke::KeepExisting`). After an
    /// error some may be closed. Returns what was closed; [`Gate::flush_conntrack`] deletes conntrack entries.
    pub fn close_matching(
        &mut self,
        which: impl Fn(&GrantLabel, &FlowKey) -> bool,
        now: BootInstant,
    ) -> Result<Vec<ClosedGrant>, FirewallError> {
        let mut found = self.find_matching(&which, now);
        let mut closed = Vec::with_capacity(found.0.len());
        while !found.is_empty() {
            closed.extend(self.close_next(&mut found, &which, now)?);
        }
        Ok(closed)
    }

    /// The grants that [`Gate::close_matching`] would close now, for [`Gate::close_next`].
    pub fn find_matching(
        &mut self,
        which: impl Fn(&GrantLabel, &FlowKey) -> bool,
        now: BootInstant,
    ) -> MatchingGrants {
        self.expire(now);
        let open = self.grants.index().map(|entry| (entry.grant_key.flow(), entry.label, true));
        let ended = self.expired.all().map(|(label, flow)| (*flow, *label, false));
        let mut all: Vec<(FlowKey, GrantLabel, bool)> =
            open.chain(ended).filter(|(flow, label, _)| which(label, flow)).collect();
        // A grant that is both is returned once, as open.
        all.sort_by_key(|(flow, label, open)| (*flow, label.cert, !open));
        all.dedup_by_key(|(flow, label, _)| (*flow, label.cert));
        all.reverse();
        MatchingGrants(all)
    }

    /// Closes the next 1000 of these, as [`Gate::close_matching`] does; knocks can be served between two calls. `which`
    /// is that of [`Gate::find_matching`].
    pub fn close_next(
        &mut self,
        found: &mut MatchingGrants,
        which: impl Fn(&GrantLabel, &FlowKey) -> bool,
        now: BootInstant,
    ) -> Result<Vec<ClosedGrant>, FirewallError> {
        self.expire(now);
        // From the end: to take from the beginning would move all that are left, each time.
        let mut some = found.0.split_off(found.0.len().saturating_sub(AT_ONCE));
        some.reverse();
        self.close_some(&some, &which, now)?;
        self.save(now);
        let closed = some.into_iter().map(|(flow, label, was_open)| {
            // A flow that needs no grant, or that another certificate has, was not blocked.
            let cut = self.blocked.contains(&flow);
            ClosedGrant { flow, label, was_open, cut }
        });
        Ok(closed.collect())
    }

    /// The issuers of the certificates with grants, open or expired, for which `which` is true.
    pub fn issuers_matching(
        &self,
        which: impl Fn(&GrantLabel, &FlowKey) -> bool,
    ) -> BTreeSet<[u8; CertId::ISSUER]> {
        let open = self.grants.index().map(|entry| (entry.label, entry.grant_key.flow()));
        let ended = self.expired.all().map(|(label, flow)| (*label, *flow));
        let matching = open.chain(ended).filter(|(label, flow)| which(label, flow));
        matching.map(|(label, _)| label.cert.issuer).collect()
    }

    fn close_some(
        &mut self,
        some: &[(FlowKey, GrantLabel, bool)],
        which: &impl Fn(&GrantLabel, &FlowKey) -> bool,
        now: BootInstant,
    ) -> Result<(), FirewallError> {
        let flows: BTreeSet<FlowKey> = some.iter().map(|(flow, ..)| *flow).collect();
        let (mut put, mut remove) = (Vec::<GrantElement>::new(), Vec::<GrantKey>::new());
        for grant_key in
            flows.iter().flat_map(GrantKey::both_of).filter(|grant_key| self.grants.has(grant_key))
        {
            let stays = |entry: &&GrantEntry| !which(&entry.label, &grant_key.flow());
            match self.grants.longest_of(&grant_key, stays) {
                Some(other) => put.push(other.element(now)),
                None => remove.push(grant_key),
            }
        }
        let held = |flow: &FlowKey| {
            let stays = |entry: &&GrantEntry| !which(&entry.label, flow);
            GrantKey::both_of(flow)
                .iter()
                .any(|grant_key| self.grants.longest_of(grant_key, stays).is_some())
        };
        let free: Vec<FlowKey> = flows.iter().filter(|flow| !held(flow)).copied().collect();
        let cut = self.block_now_or_later(free);
        self.only_unused(&mut put, &mut remove);
        self.block_or_close(&cut, Change { add: &put, remove: &remove, ..Change::default() })?;
        // After the kernel: if that refuses, the grants are still known, and can be closed once more.
        for (flow, label, _) in some {
            self.remove_matching(flow, label, which);
        }
        Ok(())
    }

    /// Grants for single use that another certificate has as well stay only if the kernel still has them:
    /// to add a used one again would admit a second connection.
    pub(super) fn only_unused(&mut self, put: &mut Vec<GrantElement>, remove: &mut Vec<GrantKey>) {
        if !put.iter().any(|element| element.grant_key.single_use) {
            return;
        }
        // If that cannot be listed, none is known to be unused.
        let unused = self.firewall.dump_single_use().unwrap_or_default();
        let unused: BTreeSet<GrantKey> = unused.iter().map(|element| element.grant_key).collect();
        put.retain(|GrantElement { grant_key, .. }| {
            let stays = !grant_key.single_use || unused.contains(grant_key);
            remove.extend((!stays).then_some(*grant_key));
            stays
        });
    }

    /// Removes the grants of this certificate on the flow, open or expired, for which `which` is true.
    fn remove_matching(
        &mut self,
        flow: &FlowKey,
        label: &GrantLabel,
        which: &impl Fn(&GrantLabel, &FlowKey) -> bool,
    ) {
        self.note(&SavedEvent::ClosedFlow(label.cert, *flow));
        let entries = self.grants.remove_on_key(flow, &label.cert);
        self.expired.remove_flow(&label.cert, *flow);
        // Both grants of the flow were removed, many connections and single use, perhaps of two knocks. What
        // was not meant is granted again, in the file, too.
        for entry in entries.into_iter().filter(|entry| !which(&entry.label, flow)) {
            self.note(&SavedEvent::Granted(entry));
            self.grants.keep(entry);
        }
    }

    /// Closes as many grants as possible: a failure for one certificate must not keep the grants of others open.
    pub(super) fn close_certs(
        &mut self,
        issuer: [u8; CertId::ISSUER],
        serials: Vec<Serial>,
        now: BootInstant,
    ) -> Outcome {
        let (mut closed, mut failed) = (Vec::new(), None);
        for serial in serials {
            let cert = CertId { issuer, serial };
            match self.close(cert, now) {
                Ok(0) => {}
                Ok(count) => closed.push((cert, count)),
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Outcome::Closed(closed), Outcome::Failed)
    }

    /// Closes the grants of a certificate; returns their number.
    fn close(&mut self, cert: CertId, now: BootInstant) -> Result<usize, FirewallError> {
        self.expire(now);
        // Most entries of a CRL have no grant.
        if !self.grants.contains(&cert) && !self.expired.contains(&cert) {
            return Ok(0);
        }
        let (mut stay, mut close) = self.grants.plan_close(&cert, now);
        self.only_unused(&mut stay, &mut close);
        let flows = self.flows_of(&cert, &close);
        let flows = self.block_now_or_later(flows);
        self.block_or_close(&flows, Change { add: &stay, remove: &close, ..Change::default() })?;
        // After the kernel: what it refuses to close stays in memory and in the file, for the next attempt.
        self.note(&SavedEvent::Closed(cert));
        self.expired.remove(&cert);
        Ok(self.grants.remove_cert(&cert))
    }

    pub(super) fn next_issuer(&self, issuer: [u8; CertId::ISSUER]) -> Option<[u8; CertId::ISSUER]> {
        let (live, expired) = (self.grants.next_issuer(issuer), self.expired.next_issuer(issuer));
        live.into_iter().chain(expired).min()
    }

    pub(super) fn close_issuer(
        &mut self,
        issuer: [u8; CertId::ISSUER],
        now: BootInstant,
    ) -> Outcome {
        let (mut certs, mut count) = (0, 0);
        while certs < CERTS_AT_ONCE
            && let Some(cert) = self
                .grants
                .any_cert_of_issuer(issuer)
                .or_else(|| self.expired.any_cert_of_issuer(issuer))
        {
            match self.close(cert, now) {
                Ok(grant_keys) => count += grant_keys,
                Err(error) => return Outcome::Failed(error),
            }
            certs += 1;
        }
        Outcome::ClosedIssuer { issuer, certs, count }
    }
}
