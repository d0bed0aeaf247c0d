//! The certificates and networks of the remembered knocks, so that none uses the whole memory.
//!
//! Knocks that were read from disk after a restart have no owner: they use memory, but no share.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Mutex;

use sknock_gate::{Capacity, ShareExceeded, Shares, SourceNetwork, Tally};
use sknock_protocol::{CertificateId, VerifiedKnock};

use super::Recorded;

/// Certificate and address of a knock.
#[derive(Clone, Copy, Debug)]
pub struct KnockOwner<'a> {
    /// Issuer and serial number of the certificate. Not its bytes, because several encodings can be valid.
    pub certificate: &'a CertificateId,
    /// The source address.
    pub address: IpAddr,
}

impl<'a> From<&'a VerifiedKnock> for KnockOwner<'a> {
    fn from(knock: &'a VerifiedKnock) -> Self {
        Self { certificate: &knock.subject().certificate, address: knock.source().ip() }
    }
}

/// A sender in 16 bytes instead of hundreds. Two senders with the same hash have one share together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner {
    certificate: u64,
    network: u64,
}

/// The numbers of entries by owner.
#[derive(Debug)]
pub(super) struct ShareTable {
    /// With a random key, so that an attacker cannot search for a certificate with a colliding hash.
    hasher: RandomState,
    size: usize,
    least: usize,
    shares: Shares,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    /// Entries of known and unknown owners.
    places: usize,
    each: Tally<u64>,
}

/// The minimum size of a share, besides the knocks that are kept whatever their age.
const MIN_SHARE: usize = 64;

impl ShareTable {
    /// For a memory of `size` entries, `used` of them without an owner. `spare` knocks are kept whatever
    /// their age, and may all be one sender's.
    pub(super) fn new(size: usize, used: usize, spare: usize) -> Self {
        let taken = Taken { places: used, each: Tally::default() };
        Self {
            hasher: RandomState::new(),
            size,
            least: MIN_SHARE + 2 * spare,
            shares: Shares::WHOLE,
            taken: Mutex::new(taken),
        }
    }

    pub(super) fn with(self, shares: Shares) -> Self {
        Self { shares, ..self }
    }

    pub(super) fn owner(&self, sender: &KnockOwner<'_>) -> Owner {
        Owner {
            // 0 and 1 keep the hashes of certificates and of networks apart: one table counts both.
            certificate: self.hasher.hash_one((0_u8, sender.certificate)),
            network: self.hasher.hash_one((1_u8, SourceNetwork::from(sender.address))),
        }
    }

    /// Counts an entry for this owner, within its share.
    pub(super) fn take(&self, owner: Option<Owner>) -> Result<(), Recorded> {
        let Ok(mut taken) = self.taken.lock() else { return Err(Recorded::WriteFailed) };
        if let Some(Owner { certificate, network }) = owner {
            let Self { size, least, shares, .. } = *self;
            let room = Capacity { size, used: taken.places, least, shares };
            let held = (taken.each.of(&certificate), taken.each.of(&network));
            room.fits(held.0, 1).and_then(|()| room.fits_network(held.1, 1)).map_err(used)?;
            taken.each.add(certificate);
            taken.each.add(network);
        }
        taken.places += 1;
        Ok(())
    }

    /// Removes entries from the counts.
    pub(super) fn free(&self, owners: impl IntoIterator<Item = Option<Owner>>) {
        // Poisoned: `take` refuses every knock from then on.
        let Ok(mut taken) = self.taken.lock() else { return };
        for owner in owners {
            taken.places = taken.places.saturating_sub(1);
            if let Some(Owner { certificate, network }) = owner {
                taken.each.remove(&certificate);
                taken.each.remove(&network);
            }
        }
    }
}

fn used(lack: ShareExceeded) -> Recorded {
    match lack {
        ShareExceeded::Room => Recorded::Full,
        ShareExceeded::OfCertificate => Recorded::ShareOfCertificate,
        ShareExceeded::OfNetwork => Recorded::ShareOfNetwork,
        ShareExceeded::Reserved => Recorded::Reserved,
    }
}
