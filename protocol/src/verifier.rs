//! From bytes to a verified knock: every check that needs a key, in the order of cost.

mod address;

use core::hash::Hash;
use core::net::SocketAddr;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::sync::Arc;

use crate::answer::AnswerKey;
use crate::crl::Revocation;
use crate::decrypted::{Datagram, DecryptedKnock, Encapsulation};
use crate::knock::{AddressClaim, VerifiedKnock};
use crate::refusal::Refusal;
use crate::refusal_memo::{Besides, Ground, RefusalMemo, RefusedDatagram, Second};
use crate::server_key::ServerKey;
use crate::timestamp::Timestamp;
use crate::trust::{TrustStore, VerifiedCertificate};
use crate::{v1, v2};

/// The administrator's rules for knocks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KnockRules {
    /// How far a client's clock may be from ours, in either direction, inclusive.
    pub window: Duration,
    /// Whether a client may leave its address unsigned.
    pub unsigned_address: bool,
    /// Whether a client may also name an address of the other family.
    pub second_address: bool,
}

/// Verifies knocks. One is shared by all threads.
#[derive(Debug)]
pub struct Verifier {
    key: ServerKey,
    tags: v2::tag::TagTable,
    trust_store: TrustStore,
    rules: KnockRules,
    v1: Option<v1::V1Rules>,
    decrypted: AtomicU64,
}

/// A datagram of an accepted protocol version. In v2 its sender has this server's certificate; in v1 any
/// sender can have made it. Nothing more is known.
///
/// Only [`Verifier::unveil`] constructs one, and it is verified once:
///
/// ```compile_fail,E0382
/// use sknock_protocol::{Timestamp, Revocation, Unveiled, Verifier};
/// fn twice(verifier: &Verifier, unveiled: Unveiled, revocation: &Revocation, now: Timestamp) {
///     let first = verifier.verify(unveiled, revocation, now);
///     let second = verifier.verify(unveiled, revocation, now);
/// }
/// ```
#[derive(Debug)]
#[must_use]
pub struct Unveiled {
    source: SocketAddr,
    frame: Frame,
}

impl Unveiled {
    /// The apparent source; may be forged.
    pub fn source(&self) -> SocketAddr {
        self.source
    }

    /// The knock's one-time public key: a repetition of an admitted knock has the same.
    pub fn encapsulation(&self) -> &Encapsulation {
        self.frame.encapsulation()
    }

    /// All input of the verification except time, source and CRLs: equal for each copy of a datagram, and
    /// different for all others.
    pub fn content(&self) -> impl Hash + '_ {
        self.frame.content()
    }
}

/// A datagram in the form of one protocol version. Not decrypted, not verified.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a stranger's datagram must cost no allocation in v2"
)]
enum Frame {
    V1(v1::V1Frame),
    V2(v2::V2Frame),
}

impl Frame {
    /// The knock's one-time public key.
    fn encapsulation(&self) -> &Encapsulation {
        match self {
            Self::V1(frame) => frame.point(),
            Self::V2(frame) => &frame.encapsulation,
        }
    }

    /// All input of the decryption except the key.
    fn content(&self) -> (&Encapsulation, &[u8], bool) {
        match self {
            Self::V1(frame) => frame.content(),
            Self::V2(frame) => (&frame.encapsulation, frame.sealed.as_slice(), false),
        }
    }

    /// Decrypts it in place and parses it.
    fn open(&mut self, key: &ServerKey) -> Result<DecryptedKnock<'_>, Refusal> {
        match self {
            Self::V1(frame) => frame.open(key.hpke.key()),
            Self::V2(frame) => frame.open(&key.hpke, key.sid()),
        }
    }
}

/// The reason for a refusal, and the sender, if verified.
struct RefusedKnock {
    reason: Refusal,
    sender: Option<Arc<VerifiedCertificate>>,
}

impl From<Refusal> for RefusedKnock {
    fn from(reason: Refusal) -> Self {
        Self { reason, sender: None }
    }
}

impl Verifier {
    /// Decrypts with `key`, verifies against `trust_store`, and applies `rules`. Accepts v2.
    pub fn new(key: ServerKey, trust_store: TrustStore, rules: KnockRules) -> Self {
        let tags = v2::tag::TagTable::new(key.tags().clone(), rules.window);
        Self { key, tags, trust_store, rules, v1: None, decrypted: AtomicU64::new(0) }
    }

    /// Also accepts v1. The length alone distinguishes the versions.
    #[must_use]
    pub fn with_v1(self, rules: v1::V1Rules) -> Self {
        Self { v1: Some(rules), ..self }
    }

    /// The trusted authorities: one of them must have signed every CRL.
    pub fn trust_store(&self) -> &TrustStore {
        &self.trust_store
    }

    /// The server's own key.
    pub fn key(&self) -> &ServerKey {
        &self.key
    }

    /// Computes the tags of knocks that are accepted at `now`: some 20,000 HMACs. Without it, the first datagram waits for
    /// that. Later, the first datagram of each epoch (64 s) waits for 4,000 of them.
    pub fn prepare(&self, now: Timestamp) {
        self.tags.prepare(now);
    }

    /// Refuses unauthenticated senders by length, tag and veil, or by v1's header. `received` is when the datagram
    /// arrived. Does no public-key operation, so a refusal here costs under a microsecond, unless tags
    /// are [computed](Self::prepare).
    pub fn unveil(&self, datagram: Datagram<'_>, received: Timestamp) -> Result<Unveiled, Refusal> {
        let frame = match self.v1 {
            Some(rules) if datagram.payload().len() != v2::DATAGRAM_LENGTH => {
                Frame::V1(v1::V1Frame::read(datagram, rules)?)
            }
            _ => {
                let tagged = self.tags.check(datagram.payload(), received)?;
                Frame::V2(self.key.veil.unseal(&tagged)?)
            }
        };
        Ok(Unveiled { source: datagram.source(), frame })
    }

    /// The number of decrypted datagrams. Each costs an ECDH, the first public-key operation.
    pub fn decrypted(&self) -> u64 {
        self.decrypted.load(Ordering::Relaxed)
    }

    /// Whether a second check of a refused datagram must have the same result; if so, the reason. `source` is
    /// its source this time, `second` the time and the CRLs. Costs no decryption.
    pub fn refuses_again(
        &self,
        refusal_memo: &RefusalMemo,
        source: SocketAddr,
        second: Second,
        now: Timestamp,
    ) -> Option<Refusal> {
        let Ground::Stamped(request, besides) = &refusal_memo.ground else {
            return Some(refusal_memo.reason);
        };
        if let Err(reason) = self.check_time(request.stamp, now) {
            return Some(reason);
        }
        match besides {
            Besides::Nothing => None,
            Besides::Source => address::claim(request, source, &self.rules).err(),
            Besides::Second(then) => (*then == second).then_some(refusal_memo.reason),
        }
    }

    /// As [`Verifier::examine`], without a memo.
    pub fn verify(
        &self,
        unveiled: Unveiled,
        revocation: &Revocation,
        now: Timestamp,
    ) -> Result<VerifiedKnock, Refusal> {
        self.examine(unveiled, revocation, Second::new(now, 0), now)
            .map_err(|disbelieved| disbelieved.reason)
    }

    /// Decrypts the knock, and verifies timestamp, certificate, CRL, signature and address, in this order. `second`
    /// is for the memo of a refusal.
    pub fn examine(
        &self,
        unveiled: Unveiled,
        revocation: &Revocation,
        second: Second,
        now: Timestamp,
    ) -> Result<VerifiedKnock, RefusedDatagram> {
        let Unveiled { source, mut frame } = unveiled;
        let encapsulation = *frame.encapsulation();
        self.decrypted.fetch_add(1, Ordering::Relaxed);
        let decrypted_knock = frame.open(&self.key).map_err(|reason| RefusedDatagram {
            reason,
            refusal_memo: RefusalMemo::new(reason, None, second),
            sender: None,
        })?;
        let verified = self.verify_decrypted(&decrypted_knock, revocation, source, now);
        let (verified, not_after, claim) =
            verified.map_err(|RefusedKnock { reason, sender }| {
                let refusal_memo = RefusalMemo::new(reason, Some(&decrypted_knock.request), second);
                let sender = sender.map(|sender| Box::new(decrypted_knock.sent_by(&sender)));
                RefusedDatagram { reason, refusal_memo, sender }
            })?;

        let id = decrypted_knock.signed.id();
        // Without a key the client gets no answer, but it gets the grant.
        let exporter = decrypted_knock.exporter.as_ref();
        let answer = exporter.and_then(|exporter| AnswerKey::new(exporter, &id).ok());
        Ok(VerifiedKnock {
            id,
            encapsulation,
            timestamp: decrypted_knock.request.stamp,
            source,
            claim,
            services: decrypted_knock.request.services,
            lifetime: decrypted_knock.request.lifetime.map(u16::from),
            single_use: decrypted_knock.request.single_use,
            verified,
            not_after,
            answer,
        })
    }

    fn verify_decrypted(
        &self,
        decrypted_knock: &DecryptedKnock<'_>,
        revocation: &Revocation,
        source: SocketAddr,
        now: Timestamp,
    ) -> Result<(Arc<VerifiedCertificate>, Timestamp, AddressClaim), RefusedKnock> {
        self.check_time(decrypted_knock.request.stamp, now)?;
        let verified =
            self.trust_store.verify_client(decrypted_knock.certificate, decrypted_knock.usage, now);
        let verified = verified.map_err(|reason| self.dated(decrypted_knock, reason, now))?;
        let not_after = revocation.check(&verified.paths, now).map_err(|reason| {
            let is_genuine = decrypted_knock.check_signature(&verified).is_ok();
            RefusedKnock { reason, sender: is_genuine.then(|| Arc::clone(&verified)) }
        })?;
        decrypted_knock.check_signature(&verified)?;
        match address::claim(&decrypted_knock.request, source, &self.rules) {
            Ok(claim) => Ok((verified, not_after, claim)),
            Err(reason) => Err(RefusedKnock { reason, sender: Some(verified) }),
        }
    }

    /// A refusal of the certificate. A certificate that was valid at another time still identifies the
    /// sender.
    fn dated(
        &self,
        decrypted_knock: &DecryptedKnock<'_>,
        reason: Refusal,
        now: Timestamp,
    ) -> RefusedKnock {
        let is_dated =
            matches!(reason, Refusal::CertificateExpired | Refusal::CertificateNotYetValid);
        let proven = || {
            let (certificate, usage) = (decrypted_knock.certificate, decrypted_knock.usage);
            let sender = self.trust_store.verify_while_valid(certificate, usage, now).ok()?;
            decrypted_knock.check_signature(&sender).ok()?;
            Some(Arc::new(sender))
        };
        RefusedKnock { reason, sender: is_dated.then(proven).flatten() }
    }

    fn check_time(&self, stamp: Timestamp, now: Timestamp) -> Result<(), Refusal> {
        if stamp.distance(now) <= self.rules.window {
            Ok(())
        } else if stamp < now {
            Err(Refusal::StampTooOld)
        } else {
            Err(Refusal::StampInFuture)
        }
    }
}
