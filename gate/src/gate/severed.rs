//! What was cut since somebody last asked: for the log.

use std::fmt;

use super::Gate;
use crate::{Error, Way};

/// So many ways are told by name; of the others, how many they are.
const SHOWN: usize = 16;

/// Connections that were ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Severed {
    /// The first of the ways that were cut, at most 16.
    pub ways: Vec<Way>,
    /// How many more ways were cut.
    pub more: usize,
    /// How many connections on them the kernel knew.
    pub connections: usize,
    /// What could not be done. Nothing passes on these ways all the same.
    pub failed: Option<Error>,
}

impl Severed {
    pub(super) fn note(&mut self, ways: &[Way]) {
        let room = SHOWN.saturating_sub(self.ways.len()).min(ways.len());
        let (shown, more) = ways.split_at(room);
        self.ways.extend(shown);
        self.more += more.len();
    }

    pub(super) fn fail(&mut self, error: Error) {
        self.failed.get_or_insert(error);
    }
}

impl Gate {
    /// What was cut since this was last asked, if anything was, or failed to be.
    pub fn severed(&mut self) -> Option<Severed> {
        (self.severed != Severed::default()).then(|| std::mem::take(&mut self.severed))
    }
}

impl fmt::Display for Severed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connections ended: {}", self.connections)?;
        for (index, way) in self.ways.iter().enumerate() {
            write!(f, "{} {way}", if index == 0 { "; cut off:" } else { "," })?;
        }
        if self.more > 0 {
            write!(f, ", and {} more", self.more)?;
        }
        self.failed.iter().try_for_each(|error| write!(f, "; {error}"))
    }
}
