//! Which connections are there by right: those that were there when the protection was last put up by
//! our own doing, and those on ways that were granted since. In doubt, all are. No system call.

use std::collections::BTreeSet;

use crate::Way;

/// Ways on which connections may be older than a gap in the protection.
#[derive(Debug, Default)]
pub(crate) struct Legitimate {
    /// Nothing: it could not be found out.
    begun: Option<BTreeSet<Way>>,
    granted: BTreeSet<Way>,
}

impl Legitimate {
    /// Begins anew: these are there, or nobody knows.
    pub(crate) fn begin(&mut self, begun: Option<BTreeSet<Way>>) {
        self.begun = begun;
        self.granted.clear();
    }

    /// Whether anything can be said of a connection.
    pub(crate) fn is_known(&self) -> bool {
        self.begun.is_some()
    }

    /// This way is granted from now on.
    pub(crate) fn grant(&mut self, way: Way) {
        if let Some(begun) = &self.begun
            && !begun.contains(&way)
        {
            self.granted.insert(way);
        }
    }

    /// Whether more than `most` ways were granted: time to look what is there now.
    pub(crate) fn is_full(&self, most: usize) -> bool {
        self.granted.len() > most
    }

    /// Whether a connection on this way may be there by right.
    pub(crate) fn contains(&self, way: &Way) -> bool {
        self.begun.as_ref().is_none_or(|begun| begun.contains(way)) || self.granted.contains(way)
    }
}
