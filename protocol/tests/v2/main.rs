//! The native dialect from wish to believed knock, and everything that must not be believed.

mod cross_signed;
mod house;
mod points;
mod refusals;
mod round_trip;
mod senders;
mod sizes;
mod tags;
mod tampering;
mod wire;
