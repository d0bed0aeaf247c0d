//! Admits each knock once. The types that prove it; the replay memory and its journal are in `replay/`.
//!
//! ```text
//! memory          bounded, sharded, lost with the process: enough for `explain` and tests
//! shares          the part of it that certificates and networks use       pure
//! record          a record on disk, and a file of them                      pure
//! recovery        how far the files found on disk can be trusted          pure
//! state_dir       finds and makes the files, with all their disk blocks; which folder was in force
//! journal_writer  writes them in place
//! journal         memory and files together, for `run`
//! ```

mod journal;
mod journal_writer;
mod memory;
mod record;
mod recovery;
mod shares;
pub(crate) mod state_dir;

use sknock_protocol::{Encapsulation, KnockId, Refusal, Timestamp, VerifiedKnock};

pub use self::record::{BootId, NotABootId};
pub use journal::{Journal, JournalError, Past, RecoveryReport};
pub use memory::Memory;
pub use recovery::History;
pub use shares::KnockOwner;

/// Remembers the admitted knocks.
pub trait ReplayStore: Sync {
    /// Whether a knock with this one-time key was admitted and is still remembered.
    ///
    /// Only a lookup: it saves the decryption of a recorded datagram. "No" guarantees nothing; only
    /// [`ReplayStore::record`] decides.
    fn has_admitted(&self, encapsulation: &Encapsulation) -> bool;

    /// Admits the knock, if it is new and can be recorded.
    ///
    /// Atomic: of two concurrent calls with the same id, at most one returns [`Recorded::New`]. Forgetting
    /// too early allows replays; refusing a new knock only makes a client knock again. A store in doubt
    /// therefore refuses.
    fn record(&self, trace: &ReplayEntry, now: Timestamp) -> Recorded;

    /// Same as `record`, within this sender's share: for a store with shares.
    fn record_of(&self, trace: &ReplayEntry, sender: &KnockOwner<'_>, now: Timestamp) -> Recorded {
        let _ = sender;
        self.record(trace, now)
    }
}

/// Whether a knock was recorded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Recorded {
    /// It is new, and is recorded now.
    New,
    /// It was recorded before.
    Replayed,
    /// Its timestamp is below the floor, so it is unknown.
    TooOld,
    /// The memory is full.
    Full,
    /// The certificate has used up its share.
    ShareOfCertificate,
    /// The network has used up its share.
    ShareOfNetwork,
    /// The rest of the memory is reserved for certificates that use less of it.
    Reserved,
    /// The journal could not be written.
    WriteFailed,
}

/// The remembered part of a knock.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct ReplayEntry {
    /// The client's timestamp. Part of the hash in `id`, so two entries with the same id have the same
    /// timestamp.
    pub stamp: Timestamp,
    /// Identifies the knock.
    pub id: KnockId,
    /// Its one-time key, truncated.
    pub key: OneTimeKey,
}

/// The first half of a one-time key's X coordinate.
///
/// As good as the whole: only signed knocks are remembered, and finding a second key pair with the same half
/// takes 2^128 attempts. A success would give a second grant for one knock.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct OneTimeKey(pub [u8; 16]);

impl From<&Encapsulation> for OneTimeKey {
    fn from(encapsulation: &Encapsulation) -> Self {
        let mut half = [0; 16];
        // Byte 0 is 4 in every uncompressed point (SEC 1, 2.3.3).
        half.copy_from_slice(&encapsulation[1..17]);
        Self(half)
    }
}

impl From<&VerifiedKnock> for ReplayEntry {
    fn from(knock: &VerifiedKnock) -> Self {
        Self { stamp: knock.stamp(), id: knock.id(), key: knock.encapsulation().into() }
    }
}

/// A verified knock that was admitted. Only [`admit`] makes one:
///
/// ```compile_fail,E0423
/// use sknock_protocol::VerifiedKnock;
/// use sknock_server::knock::replay::AdmittedKnock;
/// fn forge(knock: VerifiedKnock) -> AdmittedKnock {
///     AdmittedKnock(knock)
/// }
/// ```
///
/// `admit` consumes the knock, so none is admitted twice:
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
/// Correct use:
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
    /// The admitted knock.
    pub fn knock(&self) -> &VerifiedKnock {
        &self.0
    }
}

/// Admits `knock`.
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
