//! The base of the end-to-end tests: real network namespaces, real programs, real certificates.
//!
//! ```text
//!   client 10.77.1.2 ---- 10.77.1.1 gateway 10.77.2.1 ---- 10.77.2.2 stranger
//!   fd77:1::2             (sknockd)         10.77.3.1 ---- 10.77.3.2 inner (as a container)
//! ```
//!
//! Start with [`World`], give it an [`Authority`] and a [`Daemon`], and knock as a [`Client`]. Nothing here
//! changes the machine's own network or firewall. Nothing is skipped: without root or a tool, a test fails
//! with that message. All waits are for a condition, with a limit, and everything is undone when dropped,
//! also on panic.

#![expect(clippy::missing_panics_doc, reason = "whatever fails here fails the test that uses it")]

mod authority;
pub mod binaries;
pub mod boots;
mod captive;
mod chance;
mod client;
mod clock;
mod config;
mod control;
mod daemon;
mod dns;
mod doors;
mod echo;
pub mod forge;
pub mod ip_packet;
mod ledger;
mod machine;
mod memory_group;
mod mounts;
mod namespace;
pub mod openssl;
pub mod ordeal;
pub mod packet;
pub mod process;
pub mod reach;
mod tracked;
mod trial;
pub mod wait;
mod web;
pub mod wire;
mod world;

pub use authority::{Authority, PASSWORD};
pub use captive::Captive;
pub use chance::Chance;
pub use client::{Client, Datagram, Ran, Sent};
pub use clock::WallClock;
pub use config::Config;
pub use control::ControlLine;
pub use daemon::{Asked, Daemon, Ended};
pub use dns::Dns;
pub use doors::Door;
pub use echo::{Echo, udp_socket};
pub use ledger::Ledger;
pub use machine::Machine;
pub use memory_group::MemoryGroup;
pub use mounts::Mounts;
pub use namespace::Namespace;
pub use reach::{Found, Seen};
pub use web::{Page, Reply, Request, Web};
pub use wire::Wire;
pub use world::{Families, World};
