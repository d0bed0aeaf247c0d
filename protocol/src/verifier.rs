//! From bytes to a believed knock: every check that needs a key, in the order of their cost.

use core::net::SocketAddr;
use core::time::Duration;

use crate::letter::Frame;
use crate::{
    Anchors, AnswerKey, Datagram, Encapsulation, Moment, Refusal, Revocation, ServerKey,
    VerifiedKnock, v1, v2,
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
    v1: Option<v1::Rules>,
}

/// A datagram of a dialect that is spoken here. In v2 its sender knows this server's certificate; in v1
/// anyone can have sent it. Nothing more is known.
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
    /// Who appears to have sent it; may be forged.
    pub fn source(&self) -> SocketAddr {
        self.source
    }

    /// The knock's one-time public key: a repetition of an admitted knock has the same.
    pub fn encapsulation(&self) -> &Encapsulation {
        self.frame.encapsulation()
    }
}

impl Verifier {
    /// Opens with `key`, believes what is under `anchors`, and keeps to `rules`. Speaks v2.
    pub fn new(key: ServerKey, anchors: Anchors, rules: Rules) -> Self {
        Self { key, anchors, rules, v1: None }
    }

    /// Speaks v1 too. Length alone tells the dialects apart.
    #[must_use]
    pub fn with_v1(self, rules: v1::Rules) -> Self {
        Self { v1: Some(rules), ..self }
    }

    /// Whom this believes: one of them must have signed every revocation list.
    pub fn anchors(&self) -> &Anchors {
        &self.anchors
    }

    /// Sorts out strangers: length and veil, or v1's header. Does no public-key operation, so what is
    /// refused here costs under a microsecond.
    pub fn unveil(&self, datagram: Datagram<'_>) -> Result<Unveiled, Refusal> {
        let frame = match self.v1 {
            Some(rules) if datagram.payload().len() != v2::DATAGRAM_LENGTH => {
                Frame::V1(v1::Frame::read(datagram, rules)?)
            }
            _ => Frame::V2(self.key.veil.lift(datagram.payload())?),
        };
        Ok(Unveiled { source: datagram.source(), frame })
    }

    /// Proves who sent it and that every word of it is theirs, now, for this server, and from where.
    pub fn verify(
        &self,
        unveiled: Unveiled,
        revocation: &Revocation,
        now: Moment,
    ) -> Result<VerifiedKnock, Refusal> {
        let Unveiled { source, mut frame } = unveiled;
        let encapsulation = *frame.encapsulation();
        let letter = frame.open(&self.key)?;
        self.check_time(letter.wish.stamp, now)?;
        let believed = self.anchors.believe(letter.certificate, letter.usage, now)?;
        revocation.check(&believed.path, now)?;
        letter.check_signature(&believed)?;
        let claim = v2::claim(&letter.wish, source, &self.rules)?;

        let id = letter.signed.id();
        // Without a key the client gets no answer, but its door opens.
        let answer = letter.secret.and_then(|secret| AnswerKey::new(secret, &id).ok());
        Ok(VerifiedKnock {
            id,
            encapsulation,
            stamp: letter.wish.stamp,
            source,
            claim,
            services: letter.wish.services,
            lifetime: letter.wish.lifetime.map(u16::from),
            single_use: letter.wish.single_use,
            believed,
            answer,
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
