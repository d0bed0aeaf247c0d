//! From a datagram to an open door.
//!
//! ```text
//! intake -Datagram-> pipeline: unveil > verify > admit > authorize -Grant-> gate
//! ```
//! The whole story is [`pipeline::Pipeline::handle`].

#![deny(clippy::print_stderr, clippy::print_stdout)] // they panic where nobody can hear them

mod aside;
pub mod audit;
mod capabilities;
pub mod check;
pub mod child;
pub mod clock;
pub mod closing;
pub mod config;
pub mod dismissed;
pub mod exit;
pub mod explain;
pub mod gate;
pub mod grants;
pub mod handover;
pub mod in_force;
pub mod intake;
pub mod keys;
pub mod log;
pub mod marks;
pub mod notify;
pub mod orders;
pub mod parent;
pub mod pipeline;
pub mod policy;
mod readable;
pub mod refresh;
pub mod replay;
pub mod told;
pub mod trial;
