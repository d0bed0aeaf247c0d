//! How often something is told that an attacker can cause. Pure: time is a parameter.

/// So many lines in a second, and the count of those not told.
#[derive(Debug, Default)]
pub(crate) struct Rate {
    second: u64,
    told: u32,
    untold: u64,
}

impl Rate {
    /// Enough to see an attack, little enough to live through one: about 1 kB/s.
    const PER_SECOND: u32 = 5;

    /// Leave for one line in this second, by any clock, with the number of lines that went untold before it.
    pub(crate) fn leave(&mut self, second: u64) -> Option<u64> {
        if self.second != second {
            self.second = second;
            self.told = 0;
        }
        if self.told == Self::PER_SECOND {
            self.untold += 1;
            return None;
        }
        self.told += 1;
        Some(std::mem::take(&mut self.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attack_is_told_within_a_rate_and_counted() {
        let mut rate = Rate::default();
        let told =
            |rate: &mut Rate, second| (0..100).filter(|_| rate.leave(second).is_some()).count();
        assert_eq!(told(&mut rate, 1), 5);
        assert_eq!(rate.leave(2), Some(95));
        assert_eq!(rate.leave(2), Some(0));
    }
}
