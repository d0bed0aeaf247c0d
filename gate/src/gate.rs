//! The gate: receives requests, carries out those that it permits, and reports the outcomes. One thread, no waiting,
//! and no request can make it panic.
//!
//! [`Gate::handle_batch`] is the whole way from the bytes of requests to elements in the kernel. Grants that are new
//! go to the kernel in one transaction. If that fails, each grant gets a transaction of its own, so that one does not
//! prevent the others.

pub(crate) mod closing;
pub(crate) mod external;
mod gap;
mod install;
mod saving;
mod tagged;
pub(crate) mod terminate;
pub(crate) mod trial;

use std::collections::BTreeSet;

use sknock_netfilter::flow::FlowKey;

use self::external::UnknownElements;
use self::gap::ConnectionBaseline;
use self::saving::GrantStore;
use self::terminate::Terminated;
use self::trial::TrialState;
use crate::ceiling::deny_reason::DenyReason;
use crate::ceiling::rate::TokenBucket;
use crate::ceiling::{ApprovedGrant, Ceiling};
use crate::error::FirewallError;
use crate::firewall::watch::Watch;
use crate::firewall::{Change, Firewall};
use crate::grant_key::GrantElement;
use crate::grants::{GrantTable, Replaced};
use crate::outcome::Outcome;
use crate::remembered::{BlockedFlows, ExpiredGrants};
use crate::request::{GrantRequest, Request};
use crate::table_spec::TableSpec;
use crate::tags::KnockTags;
use crate::uptime::BootInstant;

/// Serves the requests of one network process after another.
#[derive(Debug)]
pub struct Gate {
    rules: TableSpec,
    ceiling: Ceiling,
    firewall: Firewall,
    grants: GrantTable,
    bucket: TokenBucket,
    installed: bool,
    trial: Option<TrialState>,
    /// Whether the network process still has the configuration of a trial that was rolled back.
    rolled_back: bool,
    /// The rules and limits of an earlier run, until this one installs its table.
    previous: Option<(TableSpec, Ceiling)>,
    /// Flows of open grants that the rules on trial forbid: they are blocked when the trial is confirmed.
    forbidden_on_trial: BTreeSet<FlowKey>,
    /// Grants that have expired.
    expired: ExpiredGrants,
    blocked: BlockedFlows,
    /// Flows of closed grants that needed none at that time: they are blocked once they need one.
    spared: BlockedFlows,
    baseline: ConnectionBaseline,
    /// Flows that were just blocked, and whose connections conntrack still has.
    pending_flush: BTreeSet<FlowKey>,
    terminated: Terminated,
    store: GrantStore,
    unknown: UnknownElements,
    tags: KnockTags,
}

/// Grants that are in memory and not in the kernel yet. No two have an element in common.
#[derive(Default)]
struct OpenBatch {
    grants: Vec<(usize, ApprovedGrant, Replaced)>,
    elements: Vec<GrantElement>,
}

impl Gate {
    /// A gate that does nothing until it is asked to install its table.
    pub fn new(rules: TableSpec, ceiling: Ceiling, firewall: Firewall) -> Self {
        Self {
            rules,
            ceiling,
            firewall,
            grants: GrantTable::default(),
            bucket: TokenBucket::default(),
            installed: false,
            trial: None,
            rolled_back: false,
            previous: None,
            forbidden_on_trial: BTreeSet::new(),
            expired: ExpiredGrants::default(),
            blocked: BlockedFlows::default(),
            spared: BlockedFlows::default(),
            baseline: ConnectionBaseline::default(),
            pending_flush: BTreeSet::new(),
            terminated: Terminated::default(),
            store: GrantStore::default(),
            unknown: UnknownElements::default(),
            tags: KnockTags::default(),
        }
    }

    /// Serves requests in order, and returns the outcome of each. Call [`Gate::flush_conntrack`] after the responses
    /// are sent.
    pub fn handle_batch(&mut self, records: &[&[u8]], now: BootInstant) -> Vec<Outcome> {
        self.expire(now);
        let mut batch = OpenBatch::default();
        let mut outcome = Vec::with_capacity(records.len());
        for (place, record) in records.iter().enumerate() {
            match Request::decode(record) {
                Some(Request::Open(grant_request)) if self.installed => {
                    self.push(&mut batch, place, &grant_request, &mut outcome, now);
                }
                request => {
                    self.flush(&mut batch, &mut outcome, now);
                    outcome.push((place, self.serve(request, now)));
                }
            }
        }
        self.flush(&mut batch, &mut outcome, now);
        // Before the answers: a grant that was confirmed must be known to the next gate.
        self.save(now);
        outcome.sort_unstable_by_key(|(place, _)| *place);
        outcome.into_iter().map(|(_, one)| one).collect()
    }

    /// Serves a request that opens no grant, or that comes before the table is installed.
    fn serve(&mut self, request: Option<Request>, now: BootInstant) -> Outcome {
        let refused = |deny_reason| Outcome::Refused { deny_reason, label: None };
        match request {
            None => refused(DenyReason::NotARequest),
            Some(Request::Activate) => self.install(now),
            // Where the table is installed, `handle_batch` has opened it.
            Some(Request::Open(_)) => refused(DenyReason::NotInstalled),
            // Before the table, too: it is then loaded with them.
            Some(Request::StageTags { seconds, tags }) => self.stage_tags(&tags, seconds, now),
            Some(Request::LoadTags { count, replace, seconds }) => {
                self.load_tags(count, replace, seconds, now)
            }
            Some(_) if !self.installed => refused(DenyReason::NotInstalled),
            Some(Request::Close { issuer, serials }) => self.close_certs(issuer, serials, now),
            Some(Request::CloseIssuer(issuer)) => self.close_issuer(issuer, now),
            // With this the network process finds issuers that it does not know, to close their grants.
            Some(Request::NextIssuer(_)) if self.trial.is_some() || self.rolled_back => {
                Outcome::OnTrial
            }
            Some(Request::NextIssuer(issuer)) => Outcome::Issuer(self.next_issuer(issuer)),
        }
    }

    /// Checks a request against the limits, and adds its grant to the batch.
    fn push(
        &mut self,
        batch: &mut OpenBatch,
        place: usize,
        grant_request: &GrantRequest,
        outcome: &mut Vec<(usize, Outcome)>,
        now: BootInstant,
    ) {
        match self.ceiling.check(grant_request, &self.grants, &mut self.bucket, now) {
            Ok(grant) if self.grants.is_new(&grant) && self.unblocked_by(&grant).is_empty() => {
                batch.elements.extend(self.grants.elements_for(&grant, now));
                let replaced = self.grants.record(&grant, now);
                batch.grants.push((place, grant, replaced));
            }
            // It concerns grants that are open, perhaps by a request in the same batch.
            Ok(grant) => {
                self.flush(batch, outcome, now);
                outcome.push((place, self.apply(grant, now)));
            }
            Err(deny_reason) => {
                let label = Some(grant_request.label);
                outcome.push((place, Outcome::Refused { deny_reason, label }));
            }
        }
    }

    /// Has the kernel add the batch; one grant at a time if it refuses them together.
    fn flush(
        &mut self,
        batch: &mut OpenBatch,
        outcome: &mut Vec<(usize, Outcome)>,
        now: BootInstant,
    ) {
        let OpenBatch { grants, elements } = std::mem::take(batch);
        if self.firewall.add(&elements).is_ok() {
            for (_, grant, _) in &grants {
                self.note_opening(grant, &[], now);
                self.mark_opened(grant, &[]);
            }
            outcome.extend(grants.into_iter().map(|(place, one, _)| (place, Outcome::Opened(one))));
            return;
        }
        let undone: Vec<_> = grants
            .into_iter()
            .map(|(place, grant, replaced)| {
                self.grants.undo(&grant, replaced);
                (place, grant)
            })
            .collect();
        for (place, grant) in undone {
            outcome.push((place, self.apply(grant, now)));
        }
    }

    /// Opens one grant by itself.
    fn apply(&mut self, grant: ApprovedGrant, now: BootInstant) -> Outcome {
        match self.try_open(&grant, now) {
            Ok(()) => Outcome::Opened(grant),
            Err(error) if error.is_full() => Outcome::NoCapacity(*grant.label()),
            Err(error) => Outcome::Failed(error),
        }
    }

    fn try_open(&mut self, grant: &ApprovedGrant, now: BootInstant) -> Result<(), FirewallError> {
        let (elements, freed) = (self.grants.elements_for(grant, now), self.unblocked_by(grant));
        let change = Change { add: &elements, unblock: &freed, ..Change::default() };
        let is_new = self.grants.is_new(grant);
        // Into memory first, as in a batch: what the kernel refuses is undone.
        let replaced = self.grants.record(grant, now);
        let added = if is_new && freed.is_empty() {
            self.firewall.add(&elements)
        } else {
            self.firewall.change(&change)
        };
        let added = match added {
            // Added by hand, or left by a single use that another certificate was granted.
            Err(error) if error.already_exists() => self.firewall.change(&change),
            other => other,
        };
        match added {
            Err(error) if error.not_found() => {
                // The table was flushed and its events are not read yet. It comes back with what was
                // granted before.
                self.grants.undo(grant, replaced);
                self.install_table(now)?;
                self.firewall.change(&change)?;
                self.grants.record(grant, now);
            }
            Err(error) => {
                self.grants.undo(grant, replaced);
                return Err(error);
            }
            Ok(()) => {}
        }
        self.note_opening(grant, &freed, now);
        self.mark_opened(grant, &freed);
        Ok(())
    }

    /// Reports changes of the table by other programs.
    pub fn watch(&self) -> Result<Watch, FirewallError> {
        self.firewall.watch()
    }

    /// The open grants. A grant that has just expired may still be among them.
    pub fn live(&self) -> &GrantTable {
        &self.grants
    }
}
