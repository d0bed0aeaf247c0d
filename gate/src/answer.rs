//! What the gate says back: one record of fixed size for every request, whatever it was.

use crate::Excess;
use crate::record::{Reader, Writer};

/// The answer to a [`Request`](crate::Request).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Answer {
    /// The protection is up.
    Raised,
    /// The kernel lets the client in.
    Opened {
        /// For so long.
        seconds: u32,
        /// Whether that is less than was wished.
        clipped: bool,
    },
    /// The certificate's grants are closed.
    Closed {
        /// So many elements were open.
        count: u32,
    },
    /// Over the ceiling, or no request.
    Refused(Excess),
    /// The kernel's set is full.
    NoCapacity,
    /// The firewall would not; the gate's log says why.
    Failed,
}

impl Answer {
    /// Every answer is this long.
    ///
    /// ```text
    /// u8 kind: 1 raised | 2 opened | 3 closed | 4 refused | 5 no capacity | 6 failed
    /// u8 clipped (0, 1), or the excess | u32 seconds, or count | zeros
    /// ```
    pub const LEN: usize = 16;

    /// The record.
    pub fn encode(&self) -> [u8; Self::LEN] {
        let (kind, detail, number) = match *self {
            Self::Raised => (1, 0, 0),
            Self::Opened { seconds, clipped } => (2, u8::from(clipped), seconds),
            Self::Closed { count } => (3, 0, count),
            Self::Refused(excess) => (4, excess as u8, 0),
            Self::NoCapacity => (5, 0, 0),
            Self::Failed => (6, 0, 0),
        };
        let mut record = Writer::<{ Self::LEN }>::new();
        let written = record.put(&[kind, detail]).and_then(|()| record.put(&number.to_be_bytes()));
        debug_assert!(written.is_some(), "six bytes fit in sixteen");
        record.finish()
    }

    /// The answer in these bytes, if they are exactly one.
    pub fn decode(record: &[u8]) -> Option<Self> {
        let mut fields = Reader::new(record.first_chunk::<{ Self::LEN }>()?);
        let answer = match (fields.byte()?, fields.byte()?, fields.long()?) {
            (1, 0, 0) => Self::Raised,
            (2, clipped @ 0..=1, seconds) => Self::Opened { seconds, clipped: clipped == 1 },
            (3, 0, count) => Self::Closed { count },
            (4, excess, 0) => Self::Refused(Excess::from_number(excess)?),
            (5, 0, 0) => Self::NoCapacity,
            (6, 0, 0) => Self::Failed,
            _ => return None,
        };
        (record.len() == Self::LEN && fields.ends()).then_some(answer)
    }
}
