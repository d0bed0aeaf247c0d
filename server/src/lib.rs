//! From a datagram to an open door.
//!
//! ```text
//! intake -Datagram-> pipeline: unveil > verify > admit > authorize -Grant-> gate
//! ```
//! The whole story is [`pipeline::Pipeline::receive`], [`pipeline::Pipeline::decide`], [`pipeline::Pipeline::open`].

#![deny(clippy::print_stderr, clippy::print_stdout)] // they panic where nobody can hear them

mod aside;
pub mod audit;
pub mod capabilities;
pub mod check;
pub mod clock;
pub mod config;
pub mod control;
pub mod crl;
pub mod crl_marks;
pub mod exit;
pub mod explain;
pub mod gate_client;
pub mod grants;
pub mod handover;
pub mod in_force;
pub mod intake;
pub mod keys;
mod local_ports;
pub mod log;
pub mod messages;
pub mod network;
pub mod notify;
pub mod pipeline;
mod plain_text;
pub mod policy;
pub mod print;
mod readable;
pub mod refused_knocks;
pub mod replay;
pub mod state_in_force;
pub mod supervisor;
