//! Each knock is admitted once, ever. The types that prove it; the replay memory and its journal are in `replay/`.
//!
//! ```text
//! shard           one part of the memory, and when it may forget          pure
//! memory          the sharded memory: enough for `explain` and tests
//! shares          which certificate and network have how much of it      pure
//! record          the 64 bytes that a knock takes on disk                 pure
//! journal_half    one of the two journal files, read                      pure
//! recovery        how much of what was found on disk can be trusted       pure
//! state_dir       finds and makes the files, with all the room they need
//! journal_writer  writes them in place
//! journal         memory and files together: what `run` uses
//! state_in_force  which state directory was in force last
//! ```

mod journal;
mod journal_half;
mod journal_writer;
mod memory;
mod record;
mod recovery;
mod shard;
mod shares;
pub(crate) mod state_dir;
pub mod state_in_force;

use sknock_protocol::{Encapsulation, KnockId, Refusal, Timestamp, VerifiedKnock};

pub use self::record::{BootId, NotABootId};
pub use journal::{Journal, JournalError, Past, RecoveryReport};
pub use memory::Memory;
pub use recovery::History;
pub use shares::KnockOwner;

/// Remembers which knocks have been used.
pub trait ReplayStore: Sync {
    /// Whether a knock with this one-time key was admitted and is still remembered.
    ///
    /// A lookup and nothing more: it spares the decryption of a recorded datagram. "No" promises
    /// nothing; only [`ReplayStore::record`] decides.
    fn has_admitted(&self, encapsulation: &Encapsulation) -> bool;

    /// Uses the knock up, if it was not and if that can be remembered.
    ///
    /// One indivisible step: of two racing calls with the same id, at most one sees
    /// [`Recorded::New`]. Forgetting too early lets an eavesdropper in; refusing a new knock only
    /// makes a client knock again. A store in doubt therefore refuses.
    fn record(&self, trace: &ReplayEntry, now: Timestamp) -> Recorded;

    /// The same, if this sender may have one more place: for a store that keeps shares.
    fn record_of(&self, trace: &ReplayEntry, sender: &KnockOwner<'_>, now: Timestamp) -> Recorded {
        let _ = sender;
        self.record(trace, now)
    }
}

/// Whether a knock had been used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Recorded {
    /// It had not, and now it has.
    New,
    /// It had.
    Replayed,
    /// It is stamped before what is remembered: it is unknown.
    TooOld,
    /// There is no room to remember it.
    Full,
    /// Its certificate has its share of what is remembered.
    ShareOfCertificate,
    /// Its network has its share of what is remembered.
    ShareOfNetwork,
    /// Little room is left, and that is for certificates that have less of it.
    Reserved,
    /// It could not be written down.
    WriteFailed,
}

/// What is remembered of a knock.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct ReplayEntry {
    /// When the client says it knocked. Part of what `id` is the hash of, so two traces with the
    /// same id have the same stamp.
    pub stamp: Timestamp,
    /// What makes the knock different from every other.
    pub id: KnockId,
    /// Its one-time key, shortened.
    pub key: OneTimeKey,
}

/// The first half of a one-time key's X coordinate.
///
/// As good as the whole: only signed knocks are remembered, and to find a second key pair with the
/// same half takes 2^128 attempts. Its success would be a second grant for one knock.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct OneTimeKey(pub [u8; 16]);

impl From<&Encapsulation> for OneTimeKey {
    fn from(encapsulation: &Encapsulation) -> Self {
        let mut half = [0; 16];
        half.copy_from_slice(&encapsulation[1..17]);
        Self(half)
    }
}

impl From<&VerifiedKnock> for ReplayEntry {
    fn from(knock: &VerifiedKnock) -> Self {
        Self { stamp: knock.stamp(), id: knock.id(), key: knock.encapsulation().into() }
    }
}

/// A verified knock seen for the first time, and used up. Only [`admit`] makes one:
///
/// ```compile_fail,E0423
/// use sknock_protocol::VerifiedKnock;
/// use sknock_server::knock::replay::AdmittedKnock;
/// fn forge(knock: VerifiedKnock) -> AdmittedKnock {
///     AdmittedKnock(knock)
/// }
/// ```
///
/// and no knock is admitted twice, for `admit` takes it away:
///
/// ```compile_fail,E0382
/// use sknock_protocol::{Timestamp, VerifiedKnock};
/// use sknock_server::knock::replay::{admit, Memory};
/// fn twice(store: &Memory, knock: VerifiedKnock, now: Timestamp) {
///     let first = admit(store, knock, now);
///     let second = admit(store, knock, now);
/// }
/// ```
///
/// Once is right:
///
/// ```
/// use sknock_protocol::{Timestamp, Refusal, VerifiedKnock};
/// use sknock_server::knock::replay::{admit, AdmittedKnock, Memory};
/// fn once(store: &Memory, knock: VerifiedKnock, now: Timestamp) -> Result<AdmittedKnock, Refusal> {
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
    now: Timestamp,
) -> Result<AdmittedKnock, Refusal> {
    match store.record_of(&ReplayEntry::from(&knock), &KnockOwner::from(&knock), now) {
        Recorded::New => Ok(AdmittedKnock(knock)),
        Recorded::Replayed => Err(Refusal::Replayed),
        Recorded::TooOld => Err(Refusal::BeforeMemory),
        Recorded::Full => Err(Refusal::ReplayMemoryFull),
        Recorded::ShareOfCertificate => Err(Refusal::ShareOfCertificate),
        Recorded::ShareOfNetwork => Err(Refusal::ShareOfNetwork),
        Recorded::Reserved => Err(Refusal::ReplayMemoryReserved),
        Recorded::WriteFailed => Err(Refusal::ReplayJournalFailed),
    }
}
