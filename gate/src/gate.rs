//! The gate: takes a record, does what it may, says what happened. One thread, no waiting, and
//! nothing that a record says can make it panic.

mod batch;
pub(crate) mod closing;
pub(crate) mod saving;
mod terminate;
pub(crate) mod terminated;
mod trial;

use std::collections::BTreeSet;

use self::saving::{GrantStore, Restored, UnknownElements};
use crate::baseline::ConnectionBaseline;
use crate::blocked_flows::BlockedFlows;
use crate::ceiling::deny_reason::DenyReason;
use crate::ceiling::rate::TokenBucket;
use crate::ceiling::{ApprovedGrant, Ceiling};
use crate::cert_id::CertId;
use crate::error::FirewallError;
use crate::expired::ExpiredGrants;
use crate::firewall::watch::Watch;
use crate::firewall::{Change, Firewall};
use crate::gate::terminated::Terminated;
use crate::grant_file::SavedGrants;
use crate::grant_file::event::SavedEvent;
use crate::grant_key::{GrantElement, GrantKey};
use crate::grants::GrantTable;
use crate::outcome::Outcome;
use crate::request::{GrantRequest, Request};
use crate::table_spec::TableSpec;
use crate::table_spec::block::OnRevoke;
use crate::trial::TrialState;
use crate::uptime::BootInstant;
use sknock_netfilter::flow::FlowKey;
use sknock_types::Serial;

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
    /// What an earlier run protects, until something is put up.
    previous: Option<(TableSpec, Ceiling)>,
    /// On which ways connections end once the rules on trial are confirmed: those forbid what was open.
    forbidden_on_trial: BTreeSet<FlowKey>,
    /// What was open once.
    expired: ExpiredGrants,
    blocked: BlockedFlows,
    baseline: ConnectionBaseline,
    /// Ways that were just cut, and whose connections the kernel still knows.
    pending_flush: BTreeSet<FlowKey>,
    terminated: Terminated,
    store: GrantStore,
    unknown: UnknownElements,
}

/// So many lose what they hold with one request: about a millisecond, for which a knock may wait.
const CERTS_AT_ONCE: usize = 64;

impl Gate {
    /// A gate that does nothing until it is asked to raise its protection.
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
            baseline: ConnectionBaseline::default(),
            pending_flush: BTreeSet::new(),
            terminated: Terminated::default(),
            store: GrantStore::default(),
            unknown: UnknownElements::default(),
        }
    }

    fn serve(&mut self, record: &[u8], now: BootInstant) -> Outcome {
        match Request::decode(record) {
            None => Outcome::Refused { deny_reason: DenyReason::NotARequest, label: None },
            Some(Request::Activate) => self.install(now),
            Some(_) if !self.installed => {
                Outcome::Refused { deny_reason: DenyReason::NotInstalled, label: None }
            }
            Some(Request::Open(grant_request)) => self.open(&grant_request, now),
            Some(Request::Close { issuer, serials }) => self.close_certs(issuer, serials, now),
            Some(Request::CloseIssuer(issuer)) => self.close_issuer(issuer, now),
            // Who asks wants to close what the issuers that it does not know have open.
            Some(Request::NextIssuer(_)) if self.trial.is_some() || self.rolled_back => {
                Outcome::OnTrial
            }
            Some(Request::NextIssuer(issuer)) => Outcome::Issuer(self.next_issuer(issuer)),
        }
    }

    /// Puts the protection back as it should be, with every grant that is open. For when
    /// [`Watch::read`] says so. Grants for single use come back only if the kernel still had
    /// them: which of them were used, nobody else knows.
    pub fn reinstall(&mut self, now: BootInstant) -> Outcome {
        if !self.installed {
            return Outcome::Refused { deny_reason: DenyReason::NotInstalled, label: None };
        }
        let outcome = self.try_install(now);
        if let Outcome::Activated { .. } = outcome {
            self.block_unauthorised_after_flush();
            self.save(now);
            self.flush_conntrack();
        }
        outcome
    }

    /// Takes over a new configuration, in one transaction if the protection is up; grants that it
    /// forbids are closed. If that fails, everything stays as it was. Without protection nothing
    /// happens yet but that [`Request::Activate`] will use it. A trial continues with the new rules.
    pub fn reconfigure(&mut self, rules: TableSpec, ceiling: Ceiling, now: BootInstant) -> Outcome {
        let (rules, ceiling) = self.replace_config(rules, ceiling);
        if !self.installed {
            return Outcome::Activated { open: 0, dropped: 0 };
        }
        let outcome = self.install(now);
        if matches!(outcome, Outcome::Failed(_)) {
            self.replace_config(rules, ceiling);
        } else {
            self.rolled_back = false;
        }
        outcome
    }

    /// Takes the table down, protection, grants and all.
    pub fn remove(&mut self) -> Result<(), FirewallError> {
        self.firewall.remove()?;
        (self.grants, self.installed, self.trial) = (GrantTable::default(), false, None);
        self.previous = None;
        (self.expired, self.blocked) = (ExpiredGrants::default(), BlockedFlows::default());
        self.baseline.begin(None);
        self.save_nothing();
        Ok(())
    }

    /// Tells of changes that others make to the table.
    pub fn watch(&self) -> Result<Watch, FirewallError> {
        self.firewall.watch()
    }

    /// What is open; what has ended lately may still be in it.
    pub fn live(&self) -> &GrantTable {
        &self.grants
    }

    /// Puts the protection up, with every grant that is open, in one transaction.
    pub fn install(&mut self, now: BootInstant) -> Outcome {
        let outcome = self.try_install(now);
        if let Outcome::Activated { .. } = outcome {
            self.flush_conntrack();
            self.snapshot_baseline();
        }
        outcome
    }

    fn try_install(&mut self, now: BootInstant) -> Outcome {
        match self.install_table(now) {
            Ok(dropped) => Outcome::Activated { open: self.grants.len(), dropped },
            Err(error) => Outcome::Failed(error),
        }
    }

    /// The first time, what an earlier run left open is taken over; later, memory knows better than
    /// the kernel, except for what a connection may have used up.
    fn install_table(&mut self, now: BootInstant) -> Result<usize, FirewallError> {
        let listed =
            if self.installed { self.firewall.dump_single_use() } else { self.firewall.dump() };
        let seen = match listed {
            // Others change the firewall all the time. Protection comes first; without a listing, nobody
            // knows which single uses are left.
            Err(error) if error.inconsistent_dump() && self.installed => Vec::new(),
            listed => listed?,
        };
        self.expire(now);
        if !self.installed {
            self.firewall.track_existing()?;
        }
        let adopted =
            if self.installed { self.retained(&seen, now) } else { self.restore(&seen, now) };
        let left: Vec<FlowKey> =
            if self.installed { Vec::new() } else { self.blocked_before().all().collect() };
        let Restored { live, expired, forbidden, dropped, unknown } = adopted;
        let blocked = self.next_blocklist(&live, &left, &forbidden);
        let (elements, flows) = (live.elements(now), blocked.all().collect::<Vec<FlowKey>>());
        match &self.trial {
            None => self.firewall.install(&self.rules, &elements, &flows)?,
            Some(trial) => {
                let rollback = trial.rollback(now);
                self.firewall.install_on_trial(&self.rules, rollback, &elements, &flows)?;
            }
        }
        self.commit_blocked(blocked, &left);
        self.note_forbidden(&forbidden);
        (self.grants, self.expired, self.installed) = (live, expired, true);
        self.store.saved = SavedGrants::default();
        self.unknown.extend(unknown.elements.into_iter(), unknown.more);
        self.save_all(now);
        Ok(dropped)
    }

    /// What stays of what is open, if the kernel has these doors for single use.
    fn retained(&self, seen: &[GrantElement], now: BootInstant) -> Restored {
        let (mut live, mut expired) = (self.grants.clone(), self.expired.clone());
        let forbidden = live.disallowed(&self.ceiling);
        let gone = live.retain_allowed(seen, &self.ceiling, now);
        let dropped = gone.len();
        // Used or forbidden: what went through may go on, and a revocation has to find it.
        if self.rules.on_revoke == OnRevoke::Terminate {
            let keep = |(label, grant_key): (_, GrantKey)| {
                expired.insert(
                    label,
                    grant_key.flow(),
                    self.ceiling.live,
                    self.ceiling.live_of_one(),
                );
            };
            gone.into_iter().for_each(keep);
        }
        Restored { live, expired, forbidden, dropped, unknown: UnknownElements::default() }
    }

    fn open(&mut self, grant_request: &GrantRequest, now: BootInstant) -> Outcome {
        self.expire(now);
        let grant = match self.ceiling.check(grant_request, &self.grants, &mut self.bucket, now) {
            Ok(grant) => grant,
            Err(deny_reason) => {
                return Outcome::Refused { deny_reason, label: Some(grant_request.label) };
            }
        };
        self.apply(grant, now)
    }

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
            // By hand, or left by a single use that another certificate was granted.
            Err(error) if error.already_exists() => self.firewall.change(&change),
            other => other,
        };
        match added {
            Err(error) if error.not_found() => {
                // Somebody flushed the table and its events are not read yet. The table comes back with
                // what was granted before.
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

    /// Each as far as it goes: that one cannot be closed must not keep the others open.
    fn close_certs(
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

    /// How many doors that were.
    fn close(&mut self, cert: CertId, now: BootInstant) -> Result<usize, FirewallError> {
        self.expire(now);
        // As it is with most entries of a revocation list.
        if !self.grants.contains(&cert) && !self.expired.contains(&cert) {
            return Ok(0);
        }
        let (mut stay, mut close) = self.grants.plan_close(&cert, now);
        self.only_unused(&mut stay, &mut close);
        match self.close_and_block(&cert, (&stay, &close)) {
            // A table that is gone has nothing open in it; reasserting it leaves these out.
            Err(error) if !error.not_found() => return Err(error),
            _ => {}
        }
        self.note(&SavedEvent::Closed(cert));
        self.expired.remove(&cert);
        Ok(self.grants.remove_cert(&cert))
    }

    fn next_issuer(&self, issuer: [u8; CertId::ISSUER]) -> Option<[u8; CertId::ISSUER]> {
        let (live, expired) = (self.grants.next_issuer(issuer), self.expired.next_issuer(issuer));
        live.into_iter().chain(expired).min()
    }

    fn close_issuer(&mut self, issuer: [u8; CertId::ISSUER], now: BootInstant) -> Outcome {
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
