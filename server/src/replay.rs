//! A knock counts once, ever. The types that prove it; what remembers is in `replay/`.
//!
//! ```text
//! shard    what one slice of the memory knows, and when it may forget   pure
//! memory   the sharded memory: enough for `explain` and tests
//! sharing  whose what is remembered is                               pure
//! record   the 64 bytes that a fact takes on disk                       pure
//! half     one of the two journal files, read                           pure
//! opening  what to believe of what was found on disk                    pure
//! files    finds and makes the files, with all the room they will need
//! log      writes them in place
//! journal  memory and files together: what `run` uses
//! ```

mod boot;
mod files;
mod half;
mod journal;
mod log;
mod memory;
mod opening;
mod record;
mod shard;
mod sharing;

use sknock_protocol::{Encapsulation, KnockId, Moment, Refusal, VerifiedKnock};

pub use boot::{BootId, NotABootId};
pub use journal::{Journal, JournalError, Opened};
pub use memory::Memory;
pub use opening::History;
pub use sharing::Sender;

/// Remembers which knocks have been used.
pub trait ReplayStore: Sync {
    /// Whether a knock with this one-time key was admitted and is still remembered.
    ///
    /// A lookup and nothing more: it spares the decryption of a captured datagram. "No" promises
    /// nothing; only [`ReplayStore::record`] decides.
    fn has_admitted(&self, encapsulation: &Encapsulation) -> bool;

    /// Uses the knock up, if it was not and if that can be remembered.
    ///
    /// One indivisible step: of two racing calls with the same id, at most one sees
    /// [`Used::Never`]. Forgetting too early lets an eavesdropper in; refusing a new knock only
    /// makes a client knock again. A store in doubt therefore refuses.
    fn record(&self, trace: &Trace, now: Moment) -> Used;

    /// The same, if this sender may have one more place: for a store that keeps shares.
    fn record_of(&self, trace: &Trace, sender: &Sender<'_>, now: Moment) -> Used {
        let _ = sender;
        self.record(trace, now)
    }
}

/// Whether a knock had been used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Used {
    /// It had not, and now it has.
    Never,
    /// It had.
    Before,
    /// It is stamped before what is remembered: nobody can tell.
    Forgotten,
    /// There is no room to remember it.
    Full,
    /// Its certificate has its share of what is remembered.
    ShareOfCertificate,
    /// Its network has its share of what is remembered.
    ShareOfNetwork,
    /// Little room is left, and that is for certificates that have less of it.
    Reserved,
    /// It could not be written down.
    Unwritten,
}

/// What is remembered of a knock.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Trace {
    /// When the client says it knocked. Part of what `id` is the hash of, so two traces with the
    /// same id have the same stamp.
    pub stamp: Moment,
    /// What makes the knock different from every other.
    pub id: KnockId,
    /// Its one-time key, shortened.
    pub key: OneTimeKey,
}

/// The first half of a one-time key's X coordinate.
///
/// As good as the whole: only signed knocks are remembered, and to find a second key pair with the
/// same half takes 2^128 attempts. Its success would be that somebody knocks again.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct OneTimeKey(pub [u8; 16]);

impl From<&Encapsulation> for OneTimeKey {
    fn from(encapsulation: &Encapsulation) -> Self {
        let mut half = [0; 16];
        half.copy_from_slice(&encapsulation[1..17]);
        Self(half)
    }
}

impl From<&VerifiedKnock> for Trace {
    fn from(knock: &VerifiedKnock) -> Self {
        Self { stamp: knock.stamp(), id: knock.id(), key: knock.encapsulation().into() }
    }
}

/// A verified knock seen for the first time, and used up. Only [`admit`] makes one:
///
/// ```compile_fail,E0423
/// use sknock_protocol::VerifiedKnock;
/// use sknock_server::replay::AdmittedKnock;
/// fn forge(knock: VerifiedKnock) -> AdmittedKnock {
///     AdmittedKnock(knock)
/// }
/// ```
///
/// and no knock is admitted twice, for `admit` takes it away:
///
/// ```compile_fail,E0382
/// use sknock_protocol::{Moment, VerifiedKnock};
/// use sknock_server::replay::{admit, Memory};
/// fn twice(store: &Memory, knock: VerifiedKnock, now: Moment) {
///     let first = admit(store, knock, now);
///     let second = admit(store, knock, now);
/// }
/// ```
///
/// Once is right:
///
/// ```
/// use sknock_protocol::{Moment, Refusal, VerifiedKnock};
/// use sknock_server::replay::{admit, AdmittedKnock, Memory};
/// fn once(store: &Memory, knock: VerifiedKnock, now: Moment) -> Result<AdmittedKnock, Refusal> {
///     admit(store, knock, now)
/// }
/// ```
#[derive(Debug)]
#[must_use]
pub struct AdmittedKnock(VerifiedKnock);

impl AdmittedKnock {
    /// What was admitted.
    pub fn knock(&self) -> &VerifiedKnock {
        &self.0
    }
}

/// Uses `knock` up.
pub fn admit(
    store: &impl ReplayStore,
    knock: VerifiedKnock,
    now: Moment,
) -> Result<AdmittedKnock, Refusal> {
    match store.record_of(&Trace::from(&knock), &Sender::from(&knock), now) {
        Used::Never => Ok(AdmittedKnock(knock)),
        Used::Before => Err(Refusal::Replayed),
        Used::Forgotten => Err(Refusal::BeforeMemory),
        Used::Full => Err(Refusal::ReplayMemoryFull),
        Used::ShareOfCertificate => Err(Refusal::ShareOfCertificate),
        Used::ShareOfNetwork => Err(Refusal::ShareOfNetwork),
        Used::Reserved => Err(Refusal::ReplayMemoryReserved),
        Used::Unwritten => Err(Refusal::ReplayJournalFailed),
    }
}
