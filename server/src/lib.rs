//! From a datagram to an open door.
//!
//! ```text
//! intake -Datagram-> pipeline: unveil > verify > admit > authorize -Grant-> gate
//! ```
//! The whole story is [`pipeline::Pipeline::handle`].

pub mod config;
pub mod pipeline;
pub mod policy;
pub mod replay;
