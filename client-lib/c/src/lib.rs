//! The client library for C: implements `sknock.h` and `knock.h` with the crate `sknock`.
//!
//! ```text
//! C ──> client, identity, server, opened   sknock.h
//! C ──> original                           knock.h, as in the original sKnock
//!         └──> sknock::Client
//! ```
//!
//! The type of an argument states which values C may pass: `Option<&T>` and `Option<Box<T>>` are pointers
//! that may be NULL, [`Text`] may be any string. So the functions are safe, and only `argument.rs`
//! dereferences raw pointers. No panic leaves this crate: each function runs in `failure::caught`, and its
//! error is stored for its thread.

mod argument;
mod client;
mod failure;
mod identity;
mod opened;
mod options;
mod original;
mod server;

pub use argument::{CallerBytes, Place, Shared, Text};
pub use client::*;
pub use failure::{Outcome, sknock_error, sknock_error_text};
pub use identity::*;
pub use opened::*;
pub use options::*;
pub use original::*;
pub use server::*;
