//! The way of a knock, in the order in which it goes: [`intake`] receives datagrams, [`worker`] takes each through
//! [`pipeline`] (with [`refused_knocks`], [`replay`], [`policy`] and the revocation lists [`in_force`]) to the privileged
//! process ([`gate_client`]), answers the client, and [`audit`] logs the outcome. [`tag_loader`] tells the kernel which
//! datagrams can be knocks.

pub mod audit;
pub mod gate_client;
pub mod in_force;
pub mod intake;
pub mod pipeline;
pub mod policy;
pub mod refused_knocks;
pub mod replay;
pub mod tag_loader;
pub mod worker;
