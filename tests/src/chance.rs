//! Random moments and bytes. The seed is printed, but does not reproduce timing.

use std::hash::{BuildHasher, RandomState};

/// A small generator (xorshift64*): nothing here is a secret.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// A new seed each time; prints it for `what`.
    pub fn new(what: &str) -> Self {
        let seed = RandomState::new().hash_one(what) | 1;
        println!("{what}: seed {seed:#018x}");
        Self(seed)
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Any number below `limit`, which is not 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.number() % limit
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// Random bytes.
    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        std::iter::repeat_with(|| self.number().to_be_bytes()[0]).take(length).collect()
    }
}
