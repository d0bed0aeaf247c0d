//! Small types shared by gate, protocol, server and client. No dependencies, no I/O.
//!
//! A crate of its own: the gate must not depend on the protocol crate, which parses data of unauthenticated
//! senders, and the client must not depend on the gate, which is under the GPL.

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
