//! One attempt, and which of those at an address is the last: that one has a low tag.

use std::net::SocketAddr;
use std::time::Duration;

/// One attempt to come.
#[derive(Clone, Copy, Debug)]
pub(super) struct KnockAttempt {
    pub(super) destination: SocketAddr,
    /// How long to wait for an answer. `None`: none is requested.
    pub(super) wait: Option<Duration>,
    /// Whether no other attempt at this address is to be expected: then the tag is low, so that a server whose clock
    /// differs can log why it refuses the knock.
    pub(super) is_last: bool,
}

/// The place of an attempt in the series, counted from 0.
pub(super) struct AttemptPlace {
    pub(super) round: u8,
    pub(super) rounds: u8,
    /// The address.
    pub(super) at: usize,
    pub(super) addresses: usize,
}

impl AttemptPlace {
    /// Whether the attempt is the last one at its address: it is in the last round, or less than the wait of a first
    /// attempt would be `left` for another one there. This assumes that every attempt until then takes its whole wait
    /// for an answer, and as long again for a connection if it `connects`. If attempts end sooner, a later one is
    /// also the last.
    pub(super) fn is_last(&self, first_wait: Duration, connects: bool, left: Duration) -> bool {
        let count = |attempts: usize| u32::try_from(attempts).unwrap_or(u32::MAX);
        let wait = first_wait.saturating_mul(2u32.saturating_pow(self.round.into()));
        let this_round = wait.saturating_mul(count(self.addresses - self.at));
        let next_round = wait.saturating_mul(2).saturating_mul(count(self.at));
        let until_next =
            this_round.saturating_add(next_round).saturating_mul(1 + u32::from(connects));
        self.round + 1 >= self.rounds || left < until_next.saturating_add(first_wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of attempts that take as long as they may, as many as fit: for each address its attempts, `true` for the last.
    fn course(
        addresses: usize,
        rounds: u8,
        [first_wait, whole]: [u64; 2],
        connects: bool,
    ) -> Vec<Vec<bool>> {
        let [first_wait, whole] = [first_wait, whole].map(Duration::from_millis);
        let mut seen = vec![Vec::new(); addresses];
        let mut left = whole;
        for (round, at) in (0..rounds).flat_map(|round| (0..addresses).map(move |at| (round, at))) {
            if left.is_zero() {
                break;
            }
            seen[at].push(
                AttemptPlace { round, rounds, at, addresses }.is_last(first_wait, connects, left),
            );
            let wait = first_wait * 2u32.pow(round.into()) * if connects { 2 } else { 1 };
            left = left.saturating_sub(wait);
        }
        seen
    }

    #[test]
    fn the_last_attempt_is_known_by_the_number_or_by_the_time() {
        let usual = [1000, 10_000];
        assert_eq!(course(1, 3, usual, false), [[false, false, true]]);
        assert_eq!(course(1, 3, usual, true), [[false, false, true]]);
        assert_eq!(course(1, 1, usual, true), [[true]]);
        // the fourth would begin after 14 s
        assert_eq!(course(1, 4, usual, true), [[false, false, true]]);
        // the second address has no third attempt
        assert_eq!(course(2, 3, usual, false), [vec![false, false, true], vec![false, true]]);
        assert_eq!(course(2, 3, usual, true), [[false, true], [false, true]]);
        assert_eq!(course(5, 3, usual, true), vec![vec![true]; 5]);
        let four = [vec![false, true], vec![true], vec![true], vec![true]];
        assert_eq!(course(4, 3, usual, true), four);
        assert_eq!(course(1, 3, [1000, 1000], false), [[true]]);
        assert_eq!(course(1, 3, [0, 10_000], true), [[false, false, true]]);
    }

    /// Whatever the number of addresses and attempts, and the times: each address that is tried has a last attempt.
    #[test]
    fn every_address_has_a_last_attempt() {
        for connects in [false, true] {
            for (addresses, rounds) in (1..9).flat_map(|n| (1..9).map(move |rounds| (n, rounds))) {
                for whole in (50..20_000).step_by(50) {
                    let courses = course(addresses, rounds, [500, whole], connects);
                    let tried = courses.iter().filter(|attempts| !attempts.is_empty());
                    for attempts in tried {
                        let case = (addresses, rounds, whole, connects);
                        assert_eq!(attempts.last(), Some(&true), "{case:?}: {attempts:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn enormous_times_do_not_overflow() {
        let place = AttemptPlace { round: 200, rounds: 255, at: 7, addresses: 9 };
        assert!(place.is_last(Duration::MAX, true, Duration::from_secs(u64::MAX)));
    }
}
