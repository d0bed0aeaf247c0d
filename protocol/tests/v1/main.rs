//! The original's dialect from wish to believed knock, read by another program too, and everything
//! that must not be believed.

mod house;
mod openssl;
mod refusals;
mod round_trip;
mod tampering;
