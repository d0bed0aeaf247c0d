//! The mechanism of the privileged half: every netlink message that it sends or reads, and all of its
//! `unsafe` code.
//!
//! This crate knows sets, rules and chains as data, connections by their addresses and ports, and NFLOG
//! groups by their numbers. It decides nothing: certificates, grants and request limits are the
//! `sknock-gate` crate's. The only table that it can change is [`nft::TABLE`] in the family `inet`.
//!
//! Start reading at [`nft`], which changes the table, or at [`conntrack`] and [`nflog`]. All of them send
//! through [`socket::Netlink`], and `message` encodes and decodes.

pub mod conntrack;
pub mod error;
pub mod flow;
pub mod host;
mod message;
pub mod nflog;
pub mod nft;
pub mod socket;
pub mod socket_option;
