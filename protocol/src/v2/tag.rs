//! Tags: the first four bytes of a knock's nonce. Only senders with the server's certificate can make one that the
//! server accepts now, so the kernel can drop all other datagrams before it copies them.
//!
//! ```text
//! K_tag     = HKDF(ikm = sid, salt = "", info = "sknock v2 tag", 32 bytes)
//! epoch     = floor(stamp in ms / 64000)
//! tag(e, i) = HMAC-SHA256(K_tag, u64 e || u16 i)[0..4]
//! ```
//!
//! A tag proves nothing about the sender beyond that: it can be copied. The checks that follow do not depend on it.

mod table;

use core::fmt;
use core::ops::RangeInclusive;
use core::time::Duration;

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::{hmac, rand};

use crate::timestamp::Timestamp;

pub(crate) use table::{TagTable, TaggedDatagram};

/// Length of an epoch in milliseconds: a tag is made for the epoch of the knock's timestamp.
pub const EPOCH_MS: u64 = 64_000;

/// Tags of one epoch: a client chooses one of them for each knock.
pub const TAGS: u16 = 4096;

/// How many of them, from the first, are low: a client uses only these in its last attempt, because the server also
/// accepts them for timestamps that are [`FAR`] from its clock.
pub const LOW_TAGS: u16 = 64;

/// How far a timestamp may be from the server's clock if the tag is low.
pub const FAR: Duration = Duration::from_secs(3600);

/// The largest value of [`near`].
const MOST_NEAR: Duration = Duration::from_secs(128);

const INFO: &[u8] = b"sknock v2 tag";

/// A tag.
pub type Tag = [u8; 4];

/// Makes the tags of one server. All holders of the server's certificate have this key.
#[derive(Clone)]
pub struct TagKey(hmac::Key);

impl TagKey {
    /// The key for the server with this `sid` ([`ServerKey::sid`], [`ServerCertificate::sid`]). `None` if the
    /// library has no memory.
    ///
    /// [`ServerKey::sid`]: crate::ServerKey::sid
    /// [`ServerCertificate::sid`]: crate::ServerCertificate::sid
    pub fn new(sid: &[u8; 32]) -> Option<Self> {
        let extracted = Salt::new(HKDF_SHA256, b"").extract(sid);
        let okm = extracted.expand(&[INFO], hmac::HMAC_SHA256).ok()?;
        Some(Self(okm.into()))
    }

    /// The tag of `epoch` with this `index`, which is below [`TAGS`].
    pub fn tag(&self, epoch: u64, index: u16) -> Tag {
        let [e0, e1, e2, e3, e4, e5, e6, e7] = epoch.to_be_bytes();
        let [i0, i1] = index.to_be_bytes();
        let hash = hmac::sign(&self.0, &[e0, e1, e2, e3, e4, e5, e6, e7, i0, i1]);
        let mut tag = Tag::default();
        tag.copy_from_slice(&hash.as_ref()[..size_of::<Tag>()]); // of 32 bytes
        tag
    }

    /// A tag for a knock with this timestamp: of its epoch, with a random index below `count`, a power of two.
    pub(crate) fn random(&self, stamp: Timestamp, count: u16) -> Result<Tag, Unspecified> {
        let mut index = [0; 2];
        rand::fill(&mut index)?;
        Ok(self.tag(epoch(stamp), u16::from_be_bytes(index) & (count - 1)))
    }
}

// so that every index below them is equally probable
const _: () = assert!(TAGS.is_power_of_two() && LOW_TAGS.is_power_of_two());

impl fmt::Debug for TagKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TagKey(..)")
    }
}

/// The epoch of a timestamp.
pub const fn epoch(stamp: Timestamp) -> u64 {
    stamp.as_millis() / EPOCH_MS
}

/// How far a timestamp may be from the server's clock with any tag, if the server's window is `window`.
pub fn near(window: Duration) -> Duration {
    window.min(MOST_NEAR)
}

/// The epochs whose tags a server accepts at `received` by its clock, ascending, each with the number of tags: all
/// [`TAGS`] for timestamps up to [`near`] from that clock, and the [`LOW_TAGS`] for those up to [`FAR`] from it.
/// `window` is at most [`FAR`].
pub fn accepted(received: Timestamp, window: Duration) -> impl Iterator<Item = (u64, u16)> {
    Accepted::at(received, window).epochs()
}

/// What [`accepted`] lists.
#[derive(Clone, Debug)]
struct Accepted {
    /// Epochs of which all tags are accepted.
    near: RangeInclusive<u64>,
    /// Epochs of which the low tags are accepted.
    far: RangeInclusive<u64>,
}

impl Accepted {
    fn at(received: Timestamp, window: Duration) -> Self {
        Self::between(received, received, window)
    }

    /// What is accepted at any time from `first` to `last`.
    fn between(first: Timestamp, last: Timestamp, window: Duration) -> Self {
        let around = |span| epoch(first.before(span))..=epoch(last.after(span));
        Self { near: around(near(window)), far: around(FAR) }
    }

    fn includes(&self, epoch: u64, is_low: bool) -> bool {
        self.near.contains(&epoch) || (is_low && self.far.contains(&epoch))
    }

    fn epochs(self) -> impl Iterator<Item = (u64, u16)> {
        let Self { near, far } = self;
        far.map(move |epoch| (epoch, if near.contains(&epoch) { TAGS } else { LOW_TAGS }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_secs(1_750_000_000); // 27343750 epochs, no rest

    fn key() -> TagKey {
        TagKey::new(&[7; 32]).unwrap()
    }

    /// The definition, step by step, without the library's HKDF.
    #[test]
    fn a_tag_is_the_beginning_of_an_hmac() {
        let hmac = |key: &[u8], data: &[u8]| {
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data).as_ref().to_vec()
        };
        let prk = hmac(&[0; 32], &[7; 32]);
        let key_bytes = hmac(&prk, b"sknock v2 tag\x01");
        for (epoch, index) in [(0, 0), (1, 0_u16), (27_343_750, 4095), (u64::MAX, 0x0102)] {
            let data = [&epoch.to_be_bytes()[..], &index.to_be_bytes()].concat();
            assert_eq!(key().tag(epoch, index), hmac(&key_bytes, &data)[..4]);
        }
    }

    #[test]
    fn epochs_begin_every_64_seconds() {
        assert_eq!(epoch(Timestamp::EPOCH), 0);
        assert_eq!(epoch(Timestamp::from_millis(63_999)), 0);
        assert_eq!(epoch(Timestamp::from_millis(64_000)), 1);
        assert_eq!(epoch(NOON), 27_343_750);
    }

    fn with_all_tags(received: Timestamp, window: u64) -> Vec<u64> {
        let all = accepted(received, Duration::from_secs(window));
        all.filter(|(_, count)| *count == TAGS).map(|(epoch, _)| epoch).collect()
    }

    #[test]
    fn all_tags_are_accepted_within_the_window_and_at_most_128_seconds() {
        let now = epoch(NOON);
        let at = |seconds: i64| {
            Timestamp::from_millis(NOON.as_millis().strict_add_signed(seconds * 1000))
        };
        assert_eq!(with_all_tags(at(0), 7), [now - 1, now]);
        assert_eq!(with_all_tags(at(7), 7), [now]);
        assert_eq!(with_all_tags(at(56), 7), [now]);
        assert_eq!(with_all_tags(at(57), 7), [now, now + 1]);
        for window in [128, 129, 3600] {
            assert_eq!(with_all_tags(at(0), window), [now - 2, now - 1, now, now + 1, now + 2]);
            assert_eq!(with_all_tags(at(63), window), [now - 2, now - 1, now, now + 1, now + 2]);
        }
    }

    /// The ends are exact to the millisecond: the tag of any timestamp within the window is accepted.
    #[test]
    fn every_timestamp_within_the_window_has_an_accepted_epoch() {
        for window in [1, 7, 64, 128].map(Duration::from_secs) {
            for received in (0..64_000).step_by(997).map(|ms| NOON.after(Duration::from_millis(ms)))
            {
                let all: Vec<_> = accepted(received, window).collect();
                for stamp in [received.before(window), received, received.after(window)] {
                    assert!(all.contains(&(epoch(stamp), TAGS)), "{received} {window:?} {stamp}");
                }
                for stamp in [received.before(FAR), received.after(FAR)] {
                    assert!(all.contains(&(epoch(stamp), LOW_TAGS)), "{received} {stamp}");
                }
                assert_eq!(all.first().unwrap().0, epoch(received.before(FAR)));
                assert_eq!(all.last().unwrap().0, epoch(received.after(FAR)));
                assert!(all.windows(2).all(|pair| pair[0].0 + 1 == pair[1].0));
            }
        }
    }

    /// How many tags are accepted at once, for every window that a server can have. A random tag is one of them with
    /// a probability of less than this number in 2^32.
    #[test]
    fn the_number_of_accepted_tags_is_bounded() {
        let most = |window: u64| {
            // the number changes at whole seconds of an epoch
            let times = (0..64).map(|second| NOON.after(Duration::from_secs(second)));
            let before = (1..65).map(|second| NOON.after(Duration::from_millis(second * 1000 - 1)));
            let count = |received| -> u64 {
                let all = accepted(received, Duration::from_secs(window));
                all.map(|(_, count)| u64::from(count)).sum()
            };
            times.chain(before).map(count).max().unwrap()
        };
        for window in 1..=3600 {
            let near = 2 * window.min(128) / 64 + 2;
            let far = 2 * FAR.as_secs() / 64 + 2;
            assert!(most(window) <= near * 4096 + (far - near) * 64, "{window}");
        }
        assert_eq!([1, 7, 32].map(most), [15_360; 3]);
        assert_eq!([33, 64, 65, 128, 3600].map(most), [19_328, 19_392, 23_424, 27_456, 27_456]);
    }

    /// What an observer sees: of a number of knocks in one epoch, with a number of tags, the probability that two begin alike,
    /// and the number of such pairs.
    #[test]
    fn the_table_of_equal_beginnings_is_right() {
        let table = [10, 100, 1000].map(|knocks: u32| {
            [TAGS, LOW_TAGS].map(|tags| {
                let tags = f64::from(tags);
                let apart = (0..knocks).map(|knock| (1.0 - f64::from(knock) / tags).max(0.0));
                let percent = 100.0 * (1.0 - apart.product::<f64>());
                let pairs = f64::from(knocks * (knocks - 1) / 2) / tags;
                format!("{percent:.1} % {pairs:.2}")
            })
        });
        let [ten, hundred, thousand] = table.each_ref().map(|[all, low]| [all, low]);
        assert_eq!(ten, ["1.1 % 0.01", "52.3 % 0.70"]);
        assert_eq!(hundred, ["70.4 % 1.21", "100.0 % 77.34"]);
        assert_eq!(thousand, ["100.0 % 121.95", "100.0 % 7804.69"]);
    }

    #[test]
    fn the_ends_of_time_have_epochs() {
        let window = Duration::from_secs(7);
        assert_eq!(accepted(Timestamp::EPOCH, window).next(), Some((0, TAGS)));
        let end = Timestamp::from_millis(u64::MAX);
        assert_eq!(accepted(end, window).last(), Some((u64::MAX / EPOCH_MS, TAGS)));
    }

    #[test]
    fn the_key_is_not_printed() {
        assert_eq!(format!("{:?}", key()), "TagKey(..)");
    }
}
