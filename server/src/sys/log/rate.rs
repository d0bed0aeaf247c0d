//! How often something is told that an attacker can cause. Pure: time is a parameter.

/// So many lines in a second, and the count of those not told.
#[derive(Debug)]
pub(crate) struct RateLimit {
    most: u32,
    second: u64,
    told: u32,
    suppressed: u64,
}

impl Default for RateLimit {
    /// Five: enough to see an attack, little enough to live through one, about 1 kB/s.
    fn default() -> Self {
        Self::of(5)
    }
}

impl RateLimit {
    /// At most so many.
    pub(crate) fn of(most: u32) -> Self {
        Self { most, second: 0, told: 0, suppressed: 0 }
    }

    /// Leave for one line in this second, by any clock, with the number of lines that went untold before it.
    pub(crate) fn permit(&mut self, second: u64) -> Option<u64> {
        if self.second != second {
            self.second = second;
            self.told = 0;
        }
        if self.told == self.most {
            self.suppressed += 1;
            return None;
        }
        self.told += 1;
        Some(std::mem::take(&mut self.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_rate_is_kept_to_as_well() {
        let mut rate = RateLimit::of(100);
        assert_eq!((0..300).filter(|_| rate.permit(7).is_some()).count(), 100);
        assert_eq!(rate.permit(8), Some(200), "and what was left out is counted");
    }

    #[test]
    fn an_attack_is_told_within_a_rate_and_counted() {
        let mut rate = RateLimit::default();
        let told = |rate: &mut RateLimit, second| {
            (0..100).filter(|_| rate.permit(second).is_some()).count()
        };
        assert_eq!(told(&mut rate, 1), 5);
        assert_eq!(rate.permit(2), Some(95));
        assert_eq!(rate.permit(2), Some(0));
    }
}
