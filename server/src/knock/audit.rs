//! The audit log: each grant with client, services, addresses and duration, and each refusal. Names come from
//! certificates; they are truncated, and the log's format escapes them. Secrets are never logged.

mod known_limit;

use std::borrow::Cow;
use std::io;
use std::net::SocketAddr;

use sknock_gate::Response;
use sknock_protocol::{KnockId, Refusal, Service, Subject, Timestamp};
use sknock_types::hex;
use tracing::{info, trace, warn};

use self::known_limit::KnownLimit;
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
    /// What anyone can cause at any rate is told at TRACE only. What takes the server's certificate
    /// is told at INFO, within a rate: an attacker must not fill the disk. For what takes a certificate
    /// of ours and its key that rate is higher, and each certificate has its share of it. The same datagram again is
    /// told once, within that rate: anyone can have recorded it. What exceeds a rate is told at TRACE.
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

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek};
    use std::sync::Arc;

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
}
