//! The small types that gate, protocol, server and client share. No dependencies, no I/O.
//!
//! They stand here because the gate must not depend on the protocol crate, which parses what strangers send, and
//! the client must not depend on the gate, whose licence is the GPL.

mod address;
mod hex;
mod ports;
mod serial;
mod spelling;

pub use address::{is_claimable, is_grantable};
pub use hex::{from_hex, hex};
pub use ports::{NotAService, PortRange, Transport};
pub use serial::Serial;
pub use spelling::Misspelt;
