//! From bytes to a believed knock: every check that needs a key, in the order of their cost.

use core::net::SocketAddr;
use core::time::Duration;

use crate::v2::{self, Frame, Message, Signed};
use crate::{
    Anchors, AnswerKey, Datagram, Encapsulation, Moment, Refusal, Revocation, ServerKey,
    VerifiedKnock,
};

/// What the administrator decides about knocks as such.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rules {
    /// How far a client's clock may be from ours, in either direction, inclusive.
    pub window: Duration,
    /// Whether a client may leave its address to the network.
    pub unsigned_address: bool,
    /// Whether a client may name an address of the other family besides.
    pub second_address: bool,
}

/// Knows whom to believe. One is shared by all threads.
#[derive(Debug)]
pub struct Verifier {
    key: ServerKey,
    anchors: Anchors,
    rules: Rules,
}

/// A datagram whose sender knows this server's certificate. Nothing more is known.
///
/// Only [`Verifier::unveil`] makes one, and it is verified once:
///
/// ```compile_fail,E0382
/// use sknock_protocol::{Moment, Revocation, Unveiled, Verifier};
/// fn twice(verifier: &Verifier, unveiled: Unveiled, revocation: &Revocation, now: Moment) {
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
    /// The knock's one-time public key: a repetition of an admitted knock has the same.
    pub fn encapsulation(&self) -> &Encapsulation {
        &self.frame.encapsulation
    }
}

impl Verifier {
    /// Opens with `key`, believes what is under `anchors`, and keeps to `rules`.
    pub fn new(key: ServerKey, anchors: Anchors, rules: Rules) -> Self {
        Self { key, anchors, rules }
    }

    /// Whom this believes: one of them must have signed every revocation list.
    pub fn anchors(&self) -> &Anchors {
        &self.anchors
    }

    /// Sorts out strangers: length and veil. Allocates nothing and does no public-key operation, so
    /// junk costs under a microsecond.
    pub fn unveil(&self, datagram: Datagram<'_>) -> Result<Unveiled, Refusal> {
        let frame = self.key.veil.lift(datagram.payload())?;
        Ok(Unveiled { source: datagram.source(), frame })
    }

    /// Proves who sent it and that every word of it is theirs, now, for this server, and from where.
    pub fn verify(
        &self,
        unveiled: Unveiled,
        revocation: &Revocation,
        now: Moment,
    ) -> Result<VerifiedKnock, Refusal> {
        let Unveiled { source, frame: Frame { encapsulation, mut sealed } } = unveiled;
        let plain = self.key.hpke.open(&encapsulation, b"", sealed.as_mut());
        let message = Message::read(plain.map_err(|_| Refusal::NotForThisServer)?)?;
        self.check_time(message.wish.stamp, now)?;
        let believed = self.anchors.believe(message.certificate, now)?;
        revocation.check(&believed.path, now)?;
        let signed = Signed::new(self.key.sid(), &encapsulation, message.unsigned);
        believed.verify_signature(signed.bytes(), message.signature)?;
        let claim = v2::claim(&message.wish, source, &self.rules)?;

        let id = signed.id();
        // Without a key the client gets no answer, but its door opens.
        let answer = message.wish.answer.then(|| AnswerKey::new(message.secret, &id).ok());
        Ok(VerifiedKnock {
            id,
            encapsulation,
            stamp: message.wish.stamp,
            source,
            claim,
            services: message.wish.services,
            lifetime: message.wish.lifetime.map(u16::from),
            single_use: message.wish.single_use,
            subject: believed.subject.clone(),
            answer: answer.flatten(),
        })
    }

    fn check_time(&self, stamp: Moment, now: Moment) -> Result<(), Refusal> {
        if stamp.distance(now) <= self.rules.window {
            Ok(())
        } else if stamp < now {
            Err(Refusal::StampTooOld)
        } else {
            Err(Refusal::StampInFuture)
        }
    }
}
