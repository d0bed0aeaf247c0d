//! Where packets enter. Follow one from [`work`] through [`Worker`] to the pipeline and the gate.
//!
//! ```text
//! KnockSocket: datagrams            \
//!                                     Ear -> unveil -> FairQueue -> judge -> gate
//! KnockLog: copies -> copy -> packet /
//! ```

mod batch;
mod drop_counter;
pub mod fair;
mod liveness;
mod nflog;
mod overload;
pub mod packet;
mod poller;
mod socket;
mod source;
mod worker;

pub use liveness::Liveness;
pub use nflog::NflogSocket;
pub use overload::Overload;
pub use socket::KnockSocket;
pub use source::{Endpoints, KnockSource, Received};
pub use worker::{Worker, work};
