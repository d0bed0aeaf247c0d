//! What servers told us about our public address. Forgotten with the client, and after a while.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sknock_protocol::Timestamp;

/// Longer than this, a NAT's or a traveller's address is not taken for granted: the next knock
/// asks for its source address, as the first one did, and learns anew.
const LASTS: Duration = Duration::from_secs(600);

/// Paths remembered at a time; a client talks to a handful of servers.
const MOST: usize = 16;

/// Public addresses by path: what one server sees says nothing about another one beyond a tunnel.
#[derive(Debug, Default)]
pub(crate) struct PublicAddresses(Mutex<Vec<PublicAddress>>);

#[derive(Debug)]
struct PublicAddress {
    local: IpAddr,
    server: IpAddr,
    observed: IpAddr,
    at: Timestamp,
}

impl PublicAddresses {
    /// How `server` saw our address `local`, if it said so a short time ago.
    pub(crate) fn recall(&self, local: IpAddr, server: IpAddr, now: Timestamp) -> Option<IpAddr> {
        let lessons = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lesson = lessons.iter().find(|known| known.local == local && known.server == server)?;
        (lesson.at.distance(now) <= LASTS).then_some(lesson.observed)
    }

    /// Remembers that `server` sees our address `local` as `observed`.
    pub(crate) fn remember(&self, local: IpAddr, server: IpAddr, observed: IpAddr, now: Timestamp) {
        let mut lessons = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lessons.retain(|known| !(known.local == local && known.server == server));
        if lessons.len() >= MOST {
            lessons.remove(0);
        }
        lessons.push(PublicAddress { local, server, observed, at: now });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u8) -> IpAddr {
        [10, 0, 0, last].into()
    }

    const NOON: Timestamp = Timestamp::from_secs(43_200);

    #[test]
    fn a_lesson_holds_for_its_path_and_its_time() {
        let learnt = PublicAddresses::default();
        learnt.remember(ip(1), ip(2), ip(3), NOON);
        learnt.remember(ip(1), ip(2), ip(4), NOON);
        assert_eq!(learnt.recall(ip(1), ip(2), NOON.after(LASTS)), Some(ip(4)));
        assert_eq!(learnt.recall(ip(1), ip(2), NOON.after(LASTS + Duration::from_millis(1))), None);
        assert_eq!(learnt.recall(ip(1), ip(9), NOON), None);
        assert_eq!(learnt.recall(ip(9), ip(2), NOON), None);
    }

    #[test]
    fn only_the_latest_paths_are_kept() {
        let learnt = PublicAddresses::default();
        for server in 0..=16 {
            learnt.remember(ip(1), ip(server), ip(3), NOON);
        }
        assert_eq!(learnt.recall(ip(1), ip(0), NOON), None);
        assert_eq!(learnt.recall(ip(1), ip(1), NOON), Some(ip(3)));
        assert_eq!(learnt.recall(ip(1), ip(16), NOON), Some(ip(3)));
    }
}
