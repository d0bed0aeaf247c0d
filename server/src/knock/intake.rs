//! Where packets enter. Follow one from [`work`] through [`Worker`] to the pipeline and the gate.
//!
//! ```text
//! KnockSocket: datagrams            \
//!                                     Ear -> unveil -> FairQueue -> judge -> gate
//! KnockLog: copies -> copy -> packet /
//! ```

pub(crate) mod batch;
mod drop_counter;
pub mod fair;
mod liveness;
mod nflog;
mod overload;
pub mod packet;
pub(crate) mod poller;
mod socket;
mod source;

pub use super::worker::{Worker, work};
pub use liveness::Liveness;
pub use nflog::NflogSocket;
pub use overload::Overload;
pub use socket::KnockSocket;
pub use source::{Endpoints, KnockSource, Received};
