//! The two ways in which datagrams arrive; the rest of the server sees no difference.
//!
//! ```text
//! socket: a bound UDP port        \
//!                                   source -> batch -> worker: unveil -> fair queue -> verify
//! nflog: copies -> packet         /
//! ```

pub mod batch;
pub mod fair;
pub(crate) mod nflog;
pub mod packet;
pub mod socket;
pub mod source;
