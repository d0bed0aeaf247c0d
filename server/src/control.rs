//! Commands for the running server: `sknockd confirm`, `reload`, `grants` and `close`.
//!
//! A stream socket beside the server's lock, one line of JSON for each request and one for each answer.
//! The privileged process answers, between knocks; it never waits for a peer.
//!
//! ```text
//! client ── line ──▶ socket: peer, bounds ──▶ lines ──▶ ControlRequest ──▶ supervisor ──▶ ControlResponse
//! ```

pub mod client;
mod closed;
pub mod lines;
pub mod messages;
pub mod mistake;
mod peer;
pub(crate) mod socket;
mod trial;

pub use self::closed::Closed;
pub use self::trial::{MAX_LENGTH, span};

/// The extension of the socket's name.
pub(crate) const SOCKET: &str = "control";

/// Members of this group may use the socket, besides root and the server's own user.
pub const GROUP: &str = "sknock-admin";
