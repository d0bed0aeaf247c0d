//! Answers the network processes' requests to the gate: one answer for each record.

use sknock_gate::{BootInstant, Changes, Gate, GrantLabel, Outcome, Response, TagReport};
use sknock_netfilter::flow::FlowKey;
use sknock_types::hex;
use tracing::{error, info, warn};

use super::Supervisor;
use super::asked::Closing;
use super::links::{Gathered, Link, LinkRecord, receive_requests, reply};
use super::reload::RestartBackoff;
use crate::config::Settings;
use crate::control::grants::Closed;
use crate::control::messages::ControlResponse;
use crate::control::requester::Requester;
use crate::supervisor::marks::{Keeper, MarkLifetime};
use crate::supervisor::network_process::NetworkProcess;
use crate::supervisor::spawner::Spawner;
use crate::supervisor::table;
use crate::sys::clock;
use crate::sys::log::{RateLimit, buffered};

impl Supervisor {
    /// Serves pending requests, one record from each link in turn, so that no link starves the others.
    pub(super) fn serve(&mut self, now: BootInstant) {
        if let Some(NetworkProcess { links, settings, .. }) = &mut self.current {
            let Gathered { activations, reports, others } = receive_requests(links);
            // The rules are loaded already. To load them once more would only cost time.
            reply(links, &activations, |_| Response::Failed);
            let lasts = self.trial.lifetime_in(&self.gate_service, settings, &self.settings);
            if note(&mut self.spawner.marks, links, &reports, lasts, now) {
                self.next.iter_mut().for_each(NetworkProcess::outdate);
            }
            match note_clock(&mut self.spawner, &others) {
                Some(stepped) => {
                    if stepped {
                        self.next.iter_mut().for_each(NetworkProcess::outdate);
                    }
                    self.gate_service.handle(links, &others, now);
                }
                None => reply(links, &others, |_| Response::Failed),
            }
        }
        let mut is_up = false;
        if let Some(next) = &mut self.next {
            let begun = next.has_begun();
            let NetworkProcess { links, settings, .. } = next;
            let Gathered { activations, reports, others } = receive_requests(links);
            let running = self.protected.then_some(&self.settings);
            let lasts = self.trial.lifetime_before(&self.gate_service, settings, running);
            note(&mut self.spawner.marks, links, &reports, lasts, now);
            if begun && !activations.is_empty() {
                let answer = match self.spawner.enter_state(settings) {
                    Ok(()) => self.trial.load_rules(&mut self.gate_service, settings, running, now),
                    Err(error) => {
                        error!(
                            "cannot record which stateDir is in force: {error}. The rules are not \
                             loaded. Check the file system of /run/sknock"
                        );
                        Response::Failed
                    }
                };
                is_up = answer == Response::Activated;
                reply(links, &activations, |_| answer);
            } else {
                // Another process serves, or none has the state directory.
                reply(links, &activations, |_| Response::Failed);
            }
            self.gate_service.handle(links, &others, now);
        }
        if is_up {
            self.promote(now);
            self.restore_at = None;
        }
    }

    /// Makes the next network process the current one.
    fn promote(&mut self, now: BootInstant) {
        if let Some(next) = self.next.take() {
            self.settings = next.settings.clone();
            self.allowance.adapt(self.settings.grants.per_second);
            self.spawner.settle(&self.settings);
            self.holders.look_soon();
            self.current = Some(next);
        }
        self.protected = true;
        self.again = RestartBackoff::default();
        self.names.settle();
        self.renewed = false;
        self.reloaded(now);
        let state = self.status(now);
        self.notify.ready(&state);
        let summary = table::summary(&self.settings);
        if self.gate_service.gate.trial().is_some() {
            let by = self.trial.begun_by;
            info!(
                status = %summary,
                uid = by.map(|by| by.uid),
                pid = by.map(|by| by.pid),
                user = by.and_then(Requester::user),
                "{state}"
            );
        } else {
            info!(status = %summary, "protecting");
        }
    }
}

/// Records by which clock is granted, before it is done: another `stateDir` could be in force afterwards. Whether the
/// clock was stepped since the grants before; `None`: it could not be recorded, so nothing may be granted.
fn note_clock(spawner: &mut Spawner, records: &[LinkRecord]) -> Option<bool> {
    if !records.iter().any(|record| record.is_open) {
        return Some(false);
    }
    let noted = spawner.note_grants();
    let log = |error: &_| error!("cannot record the clock of grants: {error}. Check /run/sknock");
    noted.inspect_err(log).ok()
}

/// How many issuers an answer lists.
const MAX_ISSUERS: usize = 50;

/// Passes records to the gate, and logs the outcomes.
#[derive(Debug)]
pub(crate) struct GateService {
    pub(super) gate: Gate,
    refusals: RateLimit,
}

impl GateService {
    pub(crate) fn new(gate: Gate) -> Self {
        Self { gate, refusals: RateLimit::default() }
    }

    /// Serves records from `links` and sends the answers. Logging comes afterwards: a log line takes as long
    /// as a grant.
    fn handle(&mut self, links: &mut [Link], records: &[LinkRecord], now: BootInstant) {
        let bytes: Vec<&[u8]> = records.iter().map(LinkRecord::bytes).collect();
        let outcome = self.gate.handle_batch(&bytes, now);
        reply(links, records, |place| {
            outcome.get(place).map_or(Response::Failed, Outcome::response)
        });
        buffered(|| outcome.iter().for_each(|one| self.log_outcome(one, now)));
        self.gate.flush_conntrack();
        self.log_other_changes();
    }

    /// Closes the next grants of a request. The answer, if these were the last.
    pub(super) fn close_next(
        &mut self,
        closing: &mut Closing,
        now: BootInstant,
    ) -> Option<ControlResponse> {
        let Closing { which, asker, rest, report } = closing;
        let is_meant = |label: &GrantLabel, way: &FlowKey| which.is_true_of(label, way.address);
        if rest.is_none() {
            let issuers = self.gate.issuers_matching(is_meant);
            if which.is_ambiguous(issuers.len()) {
                // A CA may have thousands of CAs below it.
                let issuers = issuers.iter().take(MAX_ISSUERS).map(|issuer| hex(issuer)).collect();
                return Some(ControlResponse::SeveralIssuers { issuers });
            }
        }
        let rest = rest.get_or_insert_with(|| self.gate.find_matching(is_meant, now));
        match self.gate.close_next(rest, is_meant, now) {
            Ok(closed) => {
                self.gate.flush_conntrack();
                report.add(Closed::of(&closed, self.log_terminated()));
            }
            Err(error) => {
                error!(target: "gate", "cannot close grants on request: {error}");
                return Some(ControlResponse::Closed(Closed::failed(error)));
            }
        }
        if !rest.is_empty() {
            return None;
        }
        if report.open + report.ended > 0 {
            let by = asker.by;
            info!(
                target: "gate",
                by = "hand",
                uid = by.uid,
                pid = by.pid,
                user = by.user(),
                "{}",
                report.summary()
            );
        }
        Some(ControlResponse::Closed(std::mem::take(report)))
    }

    /// Closes the grants whose elements other programs have removed. If a removal is unknown, the grant is restored
    /// with the table.
    pub(super) fn on_external_changes(&mut self, changes: &Changes, now: BootInstant) {
        self.close_deleted_grants(changes, now);
        if changes.overrun {
            self.gate.end_single_use(now);
        }
        if !changes.added.is_empty()
            && let Err(error) = self.gate.report_added_externally(&changes.added, now)
        {
            error!(target: "gate", "cannot close elements that others added: {error}");
        }
        self.log_other_changes();
    }

    fn close_deleted_grants(&mut self, changes: &Changes, now: BootInstant) {
        let mut closed = changes.deleted.clone();
        if changes.overrun {
            match self.gate.missing(now) {
                Ok(doors) => closed.extend(doors),
                Err(error) => warn!(target: "gate", "grants that were closed with nft may become \
                                                     active again: {error}"),
            }
        }
        if closed.is_empty() {
            return;
        }
        match self.gate.handle_external_deletes(&closed, now) {
            Outcome::Closed(closed) if closed.is_empty() => {}
            closed @ Outcome::Closed(_) => info!(target: "gate", by = "hand", "{closed}"),
            other => self.log_outcome(&other, now),
        }
    }

    /// Loads the rules for `settings` in one transaction.
    pub(super) fn load_rules(
        &mut self,
        settings: &Settings,
        up: bool,
        now: BootInstant,
    ) -> Response {
        let changed =
            self.gate.reconfigure(table::table_spec(settings), table::ceiling(settings), now);
        let outcome = if up { changed } else { self.gate.install(now) };
        self.log_outcome(&outcome, now);
        self.log_other_changes();
        outcome.response()
    }

    /// Logs terminated connections, removed elements that are no grants, and whether grants cannot be saved.
    pub(super) fn log_other_changes(&mut self) {
        if let Some(unknown) = self.gate.take_unknown() {
            warn!(target: "gate", "{unknown}");
        }
        if let Some(error) = self.gate.save_error() {
            error!(
                target: "gate",
                "cannot save grants: {error}. After a restart sknockd does not know the active \
                 grants, and a revocation cannot end their connections"
            );
        }
        self.log_terminated();
    }

    /// Logs once that the network process does not renew the tags of knocks, and once that it does again.
    pub(super) fn report_tags(&mut self, now: BootInstant) {
        match self.gate.take_tag_report(now) {
            None => {}
            Some(TagReport::OutOfDate) => warn!(
                target: "gate",
                "the network process has not renewed the tags of knocks in time. The kernel now also captures \
                 datagrams without a tag"
            ),
            Some(TagReport::Renewed) => info!(
                target: "gate",
                "the tags of knocks are renewed. The kernel captures only datagrams that have one"
            ),
        }
    }

    /// Logs and returns the number of terminated connections.
    fn log_terminated(&mut self) -> usize {
        let Some(severed) = self.gate.take_terminated() else { return 0 };
        if severed.failed.is_some() {
            warn!(target: "gate", "{severed}");
        } else {
            info!(target: "gate", "{severed}");
        }
        severed.connections
    }

    /// Every grant is logged here too, independent of the network process.
    pub(super) fn log_outcome(&mut self, outcome: &Outcome, now: BootInstant) {
        match outcome {
            // For a whole CRL, most closed entries never had a grant.
            Outcome::Closed(closed) if closed.is_empty() => {}
            Outcome::ClosedIssuer { certs: 0, .. }
            | Outcome::Issuer(_)
            | Outcome::OnTrial
            | Outcome::TagsStaged
            | Outcome::TagsLoaded => {}
            Outcome::Failed(_) => error!(target: "gate", "{outcome}"),
            // A compromised network process may send requests at any rate, but must not fill the disk.
            Outcome::Refused { .. } | Outcome::NoCapacity(_) => {
                if let Some(suppressed) =
                    self.refusals.permit(now.since(BootInstant::default()).as_secs())
                {
                    warn!(target: "gate", suppressed, "{outcome}");
                }
            }
            _ => info!(target: "gate", "{outcome}"),
        }
    }
}

/// Handles reported CRL marks; returns whether any was newer than all before. Marks are stored before the
/// answer.
fn note(
    marks: &mut Keeper,
    links: &mut [Link],
    reports: &[LinkRecord],
    lasts: MarkLifetime,
    now: BootInstant,
) -> bool {
    if reports.is_empty() {
        return false;
    }
    let wall = clock::now();
    let taken: Vec<_> =
        reports.iter().map(|report| marks.take(report.bytes(), lasts, wall)).collect();
    marks.save(now);
    reply(links, reports, |place| match taken.get(place) {
        Some(Ok(_)) => Response::Activated,
        _ => Response::Failed,
    });
    for why in taken.iter().filter_map(|one| one.err()) {
        marks.log_rejected(why, now);
    }
    taken.contains(&Ok(true))
}
