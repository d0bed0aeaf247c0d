//! The client library for C: what `sknock.h` and `knock.h` declare, over the crate `sknock`.
//!
//! ```text
//! C ──> client, identity, server, opened   sknock.h
//! C ──> original                           knock.h, as the original sKnock had it
//!         └──> sknock::Client
//! ```
//!
//! An argument is what C may hand over, said as a type: `Option<&T>` and `Option<Box<T>>` are
//! pointers that may be NULL, [`Text`] is a string that may be anything. So the functions are safe,
//! and only `argument.rs` follows a raw pointer. No panic leaves this crate: each function runs in
//! `failure::caught`, and what went wrong is remembered for its thread.

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
