//! Where packets enter. Follow one from [`work`] through [`Porter`] to the pipeline and the gate.

mod batch;
mod socket;
mod worker;

pub use batch::{Batch, Received};
pub use socket::KnockSocket;
pub use worker::{Porter, work};
