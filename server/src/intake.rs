//! Where packets enter. Follow one from [`work`] through [`Porter`] to the pipeline and the gate.
//!
//! ```text
//! KnockSocket: datagrams            \
//!                                     Ear -> unveil -> FairQueue -> judge -> gate
//! KnockLog: copies -> copy -> packet /
//! ```

mod batch;
mod copy;
mod crowd;
mod ear;
pub mod fair;
mod losses;
mod nflog;
pub mod packet;
mod pulse;
mod socket;
mod wait;
mod worker;

pub use copy::packet_in;
pub use crowd::Crowd;
pub use ear::{Ear, Ends, Received};
pub use nflog::KnockLog;
pub use pulse::Pulse;
pub use socket::KnockSocket;
pub use worker::{Porter, work};
