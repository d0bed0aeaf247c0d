//! How often: a bucket of tokens, one for each grant, filled at a steady rate; and how many of them
//! each certificate and each network has had in the last ten seconds.

use std::collections::HashMap;
use std::time::Duration;

use crate::share::{Capacity, Party, ShareExceeded, Shares};
use crate::uptime::BootInstant;

/// Tokens left, in billionths. Holds ten seconds' worth, and begins full.
#[derive(Clone, Debug, Default)]
pub struct TokenBucket {
    state: Option<(u64, BootInstant)>,
    lately: RecentUse,
}

/// How many seconds' worth of tokens the bucket holds: a burst after a quiet time.
const BURST: u64 = 10;
const TOKEN: u64 = 1_000_000_000;

/// The least tokens of a share in ten seconds: a user who knocks by hand is never too fast.
const MIN_RATE: usize = 10;

/// How fast the bucket is filled, and the shares in it.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Tokens each second.
    pub per_second: u32,
    /// Of ten seconds' worth.
    pub shares: Shares,
}

impl TokenBucket {
    /// Takes a token for `certificate` and `networks` if there is one.
    pub fn take(
        &mut self,
        pace: Pace,
        certificate: Party,
        networks: &[Party],
        now: BootInstant,
    ) -> Result<(), ShareExceeded> {
        let full = u64::from(pace.per_second).saturating_mul(BURST * TOKEN);
        let filled = match self.state {
            None => full,
            Some((left, before)) => {
                left.saturating_add(tokens_in(now.since(before), pace.per_second)).min(full)
            }
        };
        self.state = Some((filled, now));
        let size = usize::try_from(full / TOKEN).unwrap_or(usize::MAX);
        let left = usize::try_from(filled / TOKEN).unwrap_or(usize::MAX);
        let room = Capacity { size, used: size - left, least: MIN_RATE, shares: pace.shares };
        // All shares are looked at before any is counted: a refusal by one network charges nobody.
        room.fits(self.lately.of(&certificate, now), 1)?;
        for network in networks {
            room.fits_network(self.lately.of(network, now), 1)?;
        }
        self.lately.add(certificate, now);
        for network in networks {
            self.lately.add(*network, now);
        }
        self.state = Some((filled.saturating_sub(TOKEN), now));
        Ok(())
    }
}

/// A billionth of a token per nanosecond and token per second: no call is too early to count.
fn tokens_in(span: Duration, per_second: u32) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX).saturating_mul(u64::from(per_second))
}

/// How many tokens each has had: counted in spans of ten seconds, the one that runs and the one before,
/// of which as much counts as lies in the last ten seconds.
#[derive(Clone, Debug, Default)]
struct RecentUse {
    counts: HashMap<Party, CountedParty>,
    /// How many entries there may be before those without a recent token are removed.
    max: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct CountedParty {
    span: u64,
    current: usize,
    previous: usize,
}

const SPAN: u64 = BURST * 1000;

/// This number is kept without a look whether they are needed: some 50 kB.
const FEW: usize = 512;

impl CountedParty {
    fn at(self, span: u64) -> Self {
        match span.saturating_sub(self.span) {
            0 => self,
            1 => Self { span, current: 0, previous: self.current },
            _ => Self { span, ..Self::default() },
        }
    }
}

impl RecentUse {
    fn of(&self, who: &Party, now: BootInstant) -> usize {
        let (span, into) = place(now);
        let counted = self.counts.get(who).copied().unwrap_or_default().at(span);
        let still = u64::try_from(counted.previous).unwrap_or(u64::MAX).saturating_mul(SPAN - into);
        counted.current + usize::try_from(still / SPAN).unwrap_or(usize::MAX)
    }

    /// Each that is kept has had a token in the last twenty seconds, or would be one of [`FEW`], or less
    /// than half of all: so the bucket bounds the memory.
    fn add(&mut self, who: Party, now: BootInstant) {
        let (span, _) = place(now);
        if self.counts.len() >= self.max {
            self.counts.retain(|_, counted| span.saturating_sub(counted.span) < 2);
            self.max = FEW.max(self.counts.len() * 2);
        }
        let counted = self.counts.entry(who).or_default();
        *counted = counted.at(span);
        counted.current += 1;
    }
}

/// In which span this moment is, and how many milliseconds of it are over.
fn place(now: BootInstant) -> (u64, u64) {
    let millis = u64::try_from(now.since(BootInstant::default()).as_millis()).unwrap_or(u64::MAX);
    (millis / SPAN, millis % SPAN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cert_id::CertId;
    use crate::share::SourceNetwork;
    use sknock_types::Serial;

    fn certificate(number: u8) -> Party {
        Party::Certificate(CertId {
            issuer: [1; CertId::ISSUER],
            serial: Serial::new(&[number]).unwrap(),
        })
    }

    fn network(number: u8) -> Party {
        Party::Network(SourceNetwork::from(std::net::IpAddr::from([192, 0, 2, number])))
    }

    fn pace(per_second: u32) -> Pace {
        Pace { per_second, shares: Shares { certificate: 20, network: 50 } }
    }

    fn alone(per_second: u32) -> Pace {
        Pace { per_second, shares: Shares::WHOLE }
    }

    fn taken(bucket: &mut TokenBucket, at: u64) -> usize {
        let now = BootInstant::from_millis(at);
        (0..1000).take_while(|_| bucket.take(alone(5), certificate(1), &[], now).is_ok()).count()
    }

    /// How many of `attempts` are let through, and why the next one is not.
    fn burst(
        bucket: &mut TokenBucket,
        who: u8,
        from: u8,
        at: u64,
        attempts: usize,
    ) -> (usize, Option<ShareExceeded>) {
        let mut count = 0;
        for _ in 0..attempts {
            let now = BootInstant::from_millis(at);
            match bucket.take(pace(10), certificate(who), &[network(from)], now) {
                Ok(()) => count += 1,
                Err(lack) => return (count, Some(lack)),
            }
        }
        (count, None)
    }

    #[test]
    fn ten_seconds_worth_at_once_then_the_rate() {
        let mut bucket = TokenBucket::default();
        assert_eq!(taken(&mut bucket, 1_000), 50);
        assert_eq!(taken(&mut bucket, 1_199), 0);
        assert_eq!(taken(&mut bucket, 1_200), 1);
        assert_eq!(taken(&mut bucket, 3_200), 10);
        assert_eq!(taken(&mut bucket, 1_000_000), 50);
    }

    #[test]
    fn asking_often_does_not_starve() {
        let mut bucket = TokenBucket::default();
        let step = Duration::from_micros(200);
        let mut now = BootInstant::default();
        let mut passed = 0;
        for _ in 0..50_000 {
            passed += usize::from(bucket.take(alone(5), certificate(1), &[], now).is_ok());
            now = now.after(step);
        }
        assert_eq!(passed, 50 + 49);
    }

    #[test]
    fn no_rate_is_no_token() {
        let later = BootInstant::from_millis(1_000_000);
        let taken = TokenBucket::default().take(pace(0), certificate(1), &[], later);
        assert_eq!(taken, Err(ShareExceeded::Room));
    }

    #[test]
    fn one_certificate_takes_its_share_and_gets_it_again_as_time_passes() {
        let mut bucket = TokenBucket::default();
        assert_eq!(burst(&mut bucket, 1, 1, 0, 1000), (20, Some(ShareExceeded::OfCertificate)));
        assert_eq!(burst(&mut bucket, 2, 1, 0, 20), (20, None));
        assert_eq!(burst(&mut bucket, 1, 1, 9_999, 1), (0, Some(ShareExceeded::OfCertificate)));
        // Half of the ten seconds before count still.
        assert_eq!(
            burst(&mut bucket, 1, 1, 15_000, 1000),
            (10, Some(ShareExceeded::OfCertificate))
        );
        assert_eq!(
            burst(&mut bucket, 1, 1, 60_000, 1000),
            (20, Some(ShareExceeded::OfCertificate))
        );
    }

    #[test]
    fn one_network_takes_its_share() {
        let mut bucket = TokenBucket::default();
        for who in 1..=2 {
            assert_eq!(burst(&mut bucket, who, 1, 0, 20), (20, None));
        }
        assert_eq!(burst(&mut bucket, 3, 1, 0, 1000), (10, Some(ShareExceeded::OfNetwork)));
        assert_eq!(burst(&mut bucket, 3, 2, 0, 1), (1, None));
    }

    #[test]
    fn a_newcomer_is_granted_however_evenly_others_spread_their_grants() {
        let mut bucket = TokenBucket::default();
        for at in (0..60_000).step_by(50) {
            for who in 1..=15 {
                burst(&mut bucket, who, who, at, 1);
            }
            if at % 5_000 == 0 {
                let honest = 100 + u8::try_from(at / 5_000).unwrap();
                assert_eq!(burst(&mut bucket, honest, honest, at, 1), (1, None), "at {at}");
            }
        }
    }

    #[test]
    fn a_party_without_recent_grants_is_forgotten() {
        let mut lately = RecentUse::default();
        for number in 0..100_000_u32 {
            let address = std::net::IpAddr::from(number.to_be_bytes());
            let now = BootInstant::from_millis(u64::from(number) * 100);
            lately.add(Party::Network(address.into()), now);
            assert!(lately.counts.len() <= FEW, "{number}");
        }
    }
}
