//! Commands for the running server: `sknockd confirm`, `reload`, `grants` and `close`.
//!
//! A stream socket beside the server's lock, one line of JSON for each request and one for each answer.
//! The privileged process answers, between knocks; it never waits for a peer.
//!
//! ```text
//! client ── line ──▶ socket: peer, bounds ──▶ lines ──▶ ControlRequest ──▶ supervisor ──▶ ControlResponse
//! ```

pub mod client;
pub mod grants;
pub mod lines;
pub mod messages;
mod peer;
pub mod requester;
pub(crate) mod socket;

/// The extension of the socket's name.
pub(crate) const SOCKET: &str = "control";

/// Members of this group may use the socket, besides root and the server's own user.
pub const GROUP: &str = "sknock-admin";
