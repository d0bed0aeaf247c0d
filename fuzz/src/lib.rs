//! What the targets share: genuine knocks with all their keys, and writers of what they corrupt.
//!
//! A fuzzer guesses neither keys nor checksums. So that it gets to what lies behind, each target
//! takes its first byte as a choice of how much is done rightly before the rest of the input is
//! used as it is.

pub mod der;
pub mod genuine;
pub mod pfx;
