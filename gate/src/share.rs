//! How much of a room of bounded size one certificate, or one network, may take. Pure.
//!
//! This is fairness among clients, and no bound on the network process: it is that process which says
//! whose a request is, and from where. Once compromised, it may name a different certificate and a different
//! address each time. What bounds it is the size of the room, so that is asked first.
//!
//! Nothing that was granted is taken back to make room, so a rule can only be about what comes next:
//!
//! - one certificate takes its share at most, one network its share;
//! - of the last tenth, a certificate that would then hold more than a tenth of what is left gets nothing.
//!   The less is left, the less may it hold to get more. So those that came early and took their shares
//!   cannot fill it, and a certificate that holds nothing gets a place as long as there are places left.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;

use crate::cert_id::CertId;

/// The shares, in percent of the room: 1 to 100.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Shares {
    /// Of one certificate. 100: one may take everything, and nothing is reserved for those that hold least.
    pub certificate: u8,
    /// Of one network. It must be more than that of two certificates: otherwise two clients in it, or two
    /// that forge its addresses, exclude all others in it.
    pub network: u8,
}

impl Shares {
    /// Everything for everybody.
    pub const WHOLE: Self = Self { certificate: 100, network: 100 };
}

/// An IPv4 address, or the 64 bits in front of an IPv6 address: what one host, or one household, has.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SourceNetwork(IpAddr);

impl From<IpAddr> for SourceNetwork {
    fn from(address: IpAddr) -> Self {
        const HOST: u128 = u64::MAX as u128;
        match address.to_canonical() {
            IpAddr::V6(v6) => Self(IpAddr::V6((u128::from(v6) & !HOST).into())),
            v4 @ IpAddr::V4(_) => Self(v4),
        }
    }
}

/// A certificate or a network, which has a share.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Party {
    /// A certificate.
    Certificate(CertId),
    /// Everybody with an address in it.
    Network(SourceNetwork),
}

/// A room, some of it taken.
#[derive(Clone, Copy, Debug)]
pub struct Capacity {
    /// How many places it has.
    pub size: usize,
    /// How many of them are taken.
    pub used: usize,
    /// A share has this number of places at least, if the room has them: as many as one knock may need.
    pub least: usize,
    /// The shares in it.
    pub shares: Shares,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ShareExceeded {
    /// The room is full.
    Room,
    /// The certificate would have more than its share.
    OfCertificate,
    /// The network would have more than its share.
    OfNetwork,
    /// Only the last tenth is left, and that is for those that hold less.
    Reserved,
}

impl Capacity {
    /// Whether `more` places are there for a certificate that holds `held` of them.
    pub fn fits(&self, held: usize, more: usize) -> Result<(), ShareExceeded> {
        let left = self.size.saturating_sub(self.used);
        let then = held.saturating_add(more);
        if more > left {
            Err(ShareExceeded::Room)
        // What only renews takes no place, so it is not refused, however little is left.
        } else if more == 0 || self.shares.certificate >= 100 {
            Ok(())
        } else if then > self.share(self.shares.certificate) {
            Err(ShareExceeded::OfCertificate)
        // At least 1: with fewer than ten places left, a certificate that holds none still gets one.
        } else if left - more < self.size / 10 && then > (left / 10).max(1) {
            Err(ShareExceeded::Reserved)
        } else {
            Ok(())
        }
    }

    /// Whether a network that holds `held` places may have `more`.
    pub fn fits_network(&self, held: usize, more: usize) -> Result<(), ShareExceeded> {
        let share = self.share(self.shares.network);
        if more == 0 || self.shares.network >= 100 || held.saturating_add(more) <= share {
            Ok(())
        } else {
            Err(ShareExceeded::OfNetwork)
        }
    }

    /// The most that one certificate may have.
    pub fn of_certificate(&self) -> usize {
        self.share(self.shares.certificate)
    }

    fn share(&self, percent: u8) -> usize {
        let exact = self.size.saturating_mul(percent.into()) / 100;
        exact.max(self.least).min(self.size)
    }
}

/// How many places each has. One that has none takes no memory.
#[derive(Clone, Debug)]
pub struct Tally<K>(HashMap<K, usize>);

impl<K> Default for Tally<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash> Tally<K> {
    /// How many `who` has.
    pub fn of(&self, who: &K) -> usize {
        self.0.get(who).copied().unwrap_or(0)
    }

    /// One more.
    pub fn add(&mut self, who: K) {
        *self.0.entry(who).or_insert(0) += 1;
    }

    /// One less.
    pub fn remove(&mut self, who: &K) {
        match self.0.get_mut(who) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(self.0.remove(who)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_an_ipv4_address_or_64_bits() {
        let network = |address: &str| SourceNetwork::from(address.parse::<IpAddr>().unwrap());
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:0:0:1"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
    }

    #[test]
    fn a_share_is_what_one_knock_needs_at_least_and_never_more_than_there_is() {
        let room = |size| Capacity {
            size,
            used: 0,
            least: 128,
            shares: Shares { certificate: 20, network: 50 },
        };
        assert_eq!(room(1000).fits(0, 200), Ok(()));
        assert_eq!(room(1000).fits(0, 201), Err(ShareExceeded::OfCertificate));
        assert_eq!(room(1000).fits(200, 0), Ok(()), "who asks for nothing gets it");
        assert_eq!(room(1000).fits_network(499, 1), Ok(()));
        assert_eq!(room(1000).fits_network(500, 1), Err(ShareExceeded::OfNetwork));
        assert_eq!(room(300).fits(0, 128), Ok(()));
        assert_eq!(room(100).fits(0, 101), Err(ShareExceeded::Room));
        assert_eq!(Capacity { shares: Shares::WHOLE, ..room(1000) }.fits(999, 1), Ok(()));
    }
}
