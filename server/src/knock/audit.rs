//! The audit log: each grant with client, services, addresses and duration, and each refusal. Names come from
//! certificates; they are truncated, and the log's format escapes them. Secrets are never logged.
//!
//! Limits the lines a second about refused knocks with a proven certificate: for all together, and a share for each
//! certificate, so that one client with many refusals leaves room for lines about others. No clock, no I/O.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;

use sknock_gate::Response;
use sknock_protocol::{CertificateId, KnockId, Refusal, Service, Subject, Timestamp};
use sknock_types::hex;
use tracing::{info, trace, warn};

use super::gate_client::{ActiveGrant, shortened};
use super::pipeline::Refused;
use super::policy::Grant;
use super::refused_knocks::Before;
use crate::sys::log::RateLimit;
use crate::sys::plain_text::cut;

/// Writes audit lines, one of these for each thread.
#[derive(Debug)]
pub struct Audit {
    refusals: RateLimit,
    /// Of clients with a proven certificate.
    known: KnownLimit,
    unanswered: RateLimit,
}

/// Lines a second for refusals of clients with a proven certificate, of each thread: more than many clients cause by
/// mistake. One certificate has a tenth of them.
const KNOWN: u32 = 100;

/// The same for all threads: a malicious client writes 0.4 MB/s at most, which leaves room for other lines in
/// the log budget of the network process (`log_budget.rs`).
const KNOWN_OF_ALL: u32 = 400;

impl Audit {
    /// The log of one of this many threads.
    pub fn of(threads: usize) -> Self {
        Self {
            refusals: RateLimit::default(),
            known: KnownLimit::of(known_of(threads)),
            unanswered: RateLimit::default(),
        }
    }

    /// Logs an active grant.
    pub fn granted(&self, opened: &ActiveGrant) {
        let grant = opened.grant();
        let KnockText { knock, name, issuer, serial, fingerprint, services, malformed } =
            KnockText::of(grant.id(), grant.subject(), grant.services());
        info!(
            target: "audit",
            knock, subject = &*name, issuer, serial, fingerprint, services, malformed,
            addresses = addresses(grant),
            address = if grant.claim().signed() { "signed" } else { "unsigned" },
            source = %grant.source(),
            seconds = opened.seconds(),
            clipped = opened.clipped(),
            once = grant.single_use(),
            "granted"
        );
    }

    /// Logs that the pipeline granted a knock and the gate did not open it.
    pub fn not_opened(&mut self, grant: &Grant, answer: Response, now: Timestamp) {
        let reason = unopened(answer);
        let certificate = &grant.subject().certificate;
        let Some(suppressed) = self.known.permit(certificate, now.as_secs()) else {
            trace!(target: "audit", knock = grant.id().to_string(), reason, "not opened");
            return;
        };
        let KnockText { knock, name, issuer, serial, fingerprint, services, malformed } =
            KnockText::of(grant.id(), grant.subject(), grant.services());
        warn!(
            target: "audit",
            knock, subject = &*name, issuer, serial, fingerprint, services, malformed,
            source = %grant.source(),
            reason,
            suppressed = suppressed_of(suppressed),
            "not opened"
        );
    }

    /// Logs that a grant is active, but its answer could not be sent. Five lines a minute are enough to see
    /// the cause.
    pub fn unanswered(
        &mut self,
        grant: &Grant,
        from: Option<SocketAddr>,
        error: &io::Error,
        now: Timestamp,
    ) {
        let Some(suppressed) = self.unanswered.permit(now.as_secs() / 60) else { return };
        let (knock, port) = (grant.id().to_string(), from.map(|from| from.port()));
        warn!(
            target: "audit",
            knock, source = %grant.source(), port, %error, suppressed,
            "granted, but the answer was not sent"
        );
    }

    /// Logs a refused knock.
    ///
    /// Refusals that any sender can cause are logged at TRACE only. Refusals of senders with the server certificate
    /// are logged at INFO, within a rate: an attacker must not fill the disk. For senders with a client certificate
    /// and its key that rate is higher, and each certificate has its share of it. A repeated datagram is logged once,
    /// within the lower rate: any sender can have recorded it. Refusals beyond a rate are logged at TRACE.
    pub fn refused(&mut self, refused: &Refused, source: SocketAddr, now: Timestamp) {
        let reason = refused.reason.name();
        if refused.before == Before::Often {
            trace!(target: "audit", reason, %source, again = true, "refused");
        } else if refused.before == Before::Once {
            if let Some(suppressed) = self.refusals.permit(now.as_secs()) {
                info!(target: "audit", reason, %source, suppressed, again = true, "refused");
            } else {
                trace!(target: "audit", reason, %source, again = true, "refused");
            }
        } else if let Some(wish) = &refused.wish {
            let certificate = &wish.subject.certificate;
            let Some(suppressed) = self.known.permit(certificate, now.as_secs()) else {
                trace!(target: "audit", knock = wish.id.to_string(), reason, %source, "refused");
                return;
            };
            let KnockText { knock, name, issuer, serial, fingerprint, services, malformed } =
                KnockText::of(wish.id, &wish.subject, &wish.services);
            info!(
                target: "audit",
                reason, knock, subject = &*name, issuer, serial, fingerprint, services, malformed, %source,
                suppressed = suppressed_of(suppressed),
                "refused"
            );
        } else if refused.reason <= Refusal::NotForThisServer {
            trace!(target: "audit", reason, %source, "refused");
        } else if let Some(suppressed) = self.refusals.permit(now.as_secs()) {
            info!(target: "audit", reason, %source, suppressed, "refused");
        } else {
            trace!(target: "audit", reason, %source, "refused");
        }
    }
}

/// Log lines per second for known clients of one of this many threads.
fn known_of(threads: usize) -> u32 {
    let threads = u32::try_from(threads).unwrap_or(u32::MAX).max(1);
    (KNOWN_OF_ALL / threads).clamp(1, KNOWN)
}

/// The number of lines suppressed before this one, if any.
fn suppressed_of(suppressed: u64) -> Option<u64> {
    (suppressed > 0).then_some(suppressed)
}

/// The reason why the gate did not open.
fn unopened(answer: Response) -> &'static str {
    match answer {
        Response::Refused(excess) => excess.name(),
        Response::NoCapacity => "no-capacity",
        // The others do not answer `Open`.
        Response::Failed
        | Response::Activated
        | Response::Opened { .. }
        | Response::Closed { .. }
        | Response::Issuer(_)
        | Response::OnTrial
        | Response::Tags => "failed",
    }
}

/// Maximum length of a name or malformed entry in a log line, in escaped characters. Long lines would exhaust
/// the log budget, and other lines would be dropped.
const LONGEST_NAME: usize = 128;
const LONGEST_ENTRIES: usize = 256;

/// A knock as text for the log.
struct KnockText<'a> {
    knock: String,
    name: Cow<'a, str>,
    issuer: String,
    serial: String,
    fingerprint: String,
    services: String,
    /// Entries of the certificate that should name a service and do not.
    malformed: Option<String>,
}

impl<'a> KnockText<'a> {
    fn of(id: KnockId, subject: &'a Subject, services: &[Service]) -> Self {
        Self {
            knock: id.to_string(),
            name: cut(&subject.name, LONGEST_NAME),
            issuer: hex(&shortened(&subject.certificate.issuer)),
            serial: serial(&subject.certificate.serial),
            fingerprint: hex(&subject.fingerprint),
            services: joined(services),
            malformed: (!subject.malformed.is_empty())
                .then(|| cut(&subject.malformed.join(", "), LONGEST_ENTRIES).into_owned()),
        }
    }
}

fn addresses(grant: &Grant) -> String {
    joined(&grant.claim().all().collect::<Vec<_>>())
}

fn joined<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// A serial number without leading zeros; no bytes are the number 0.
fn serial(bytes: &[u8]) -> String {
    if bytes.is_empty() { hex(&[0]) } else { hex(bytes) }
}

/// One certificate has this part of all lines, in percent: ten clients must be noisy at once to use up the limit.
const SHARE: u32 = 10;

/// At most this number of lines in a second, and of each certificate a tenth.
#[derive(Debug)]
pub(super) struct KnownLimit {
    most: u32,
    share: u32,
    second: u64,
    told: u32,
    /// By issuer and serial number: the holder of a certificate can change its bytes, not these.
    ///
    /// Of each certificate that has had a line in this second: no more certificates than lines.
    of_each: HashMap<CertificateId, u32>,
    suppressed: u64,
}

impl KnownLimit {
    /// At most this number for all certificates together, and at least one for each.
    pub(super) fn of(most: u32) -> Self {
        let share = (most * SHARE / 100).max(1);
        Self { most, share, second: 0, told: 0, of_each: HashMap::new(), suppressed: 0 }
    }

    /// Permits one line about this certificate in this second, by any clock. Returns the number of lines about any
    /// certificate that were suppressed since the last permitted one.
    pub(super) fn permit(&mut self, certificate: &CertificateId, second: u64) -> Option<u64> {
        if self.second != second {
            self.second = second;
            self.told = 0;
            self.of_each.clear();
        }
        let own = self.of_each.get(certificate).copied().unwrap_or(0);
        if self.told >= self.most || own >= self.share {
            self.suppressed += 1;
            return None;
        }
        self.told += 1;
        self.of_each.insert(certificate.clone(), own + 1);
        Some(std::mem::take(&mut self.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek};
    use std::sync::Arc;

    use sknock_protocol::IssuerId;

    use super::*;

    /// The lines that 20 refusals in one second write at TRACE.
    fn lines(reason: Refusal, before: Before) -> usize {
        let log = Arc::new(tempfile::tempfile().unwrap());
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(Arc::clone(&log))
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            let mut audit = Audit::of(1);
            for _ in 0..20 {
                let refused = Refused { reason, wish: None, before };
                audit.refused(&refused, "192.0.2.7:40000".parse().unwrap(), Timestamp::EPOCH);
            }
        });
        let (mut log, mut text) = (&*log, String::new());
        log.rewind().unwrap();
        log.read_to_string(&mut text).unwrap();
        text.lines().filter(|line| line.contains("refused")).count()
    }

    #[test]
    fn at_trace_every_refusal_is_logged() {
        for reason in
            [Refusal::NotTagged, Refusal::NotVeiled, Refusal::Malformed, Refusal::BadSignature]
        {
            for before in [Before::Never, Before::Once, Before::Often] {
                assert_eq!(lines(reason, before), 20, "{reason}, {before:?}");
            }
        }
    }

    #[test]
    fn one_client_cannot_use_up_what_the_log_of_all_threads_may_take() {
        assert_eq!([0, 1, 4].map(known_of), [100; 3]);
        for threads in [5, 16, 64] {
            let all = known_of(threads) * u32::try_from(threads).unwrap();
            assert!((300..=400).contains(&all), "{threads} threads: {all}");
        }
    }

    fn number(serial: u8) -> CertificateId {
        let issuer = IssuerId { name: [1; 32], key: [2; 32] };
        CertificateId { issuer, serial: vec![serial] }
    }

    fn told(limit: &mut KnownLimit, certificate: u8, count: usize, second: u64) -> usize {
        (0..count).filter(|_| limit.permit(&number(certificate), second).is_some()).count()
    }

    #[test]
    fn one_certificate_leaves_room_for_others_and_what_is_left_out_is_counted() {
        let mut limit = KnownLimit::of(100);
        assert_eq!(told(&mut limit, 1, 600, 7), 10);
        assert_eq!(limit.permit(&number(2), 7), Some(590), "the count is of all certificates");
        assert_eq!(limit.permit(&number(2), 7), Some(0));
        assert_eq!(told(&mut limit, 1, 600, 8), 10, "a second later");
        assert_eq!(limit.permit(&number(3), 9), Some(590));
    }

    #[test]
    fn all_certificates_together_have_a_limit_and_so_has_the_memory() {
        let mut limit = KnownLimit::of(100);
        let all: usize = (0..=255).map(|certificate| told(&mut limit, certificate, 3, 7)).sum();
        assert_eq!(all, 100);
        assert!(limit.of_each.len() <= 100);
        assert_eq!(limit.permit(&number(0), 8), Some(3 * 256 - 100));
        assert_eq!(told(&mut KnownLimit::of(1), 1, 5, 7), 1, "of many threads, each has a line");
    }
}
