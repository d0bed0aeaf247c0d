//! Strangers throw everything at protected ports that a network can carry, and hear nothing: no packet
//! passes without a grant of its own or a connection that had one, and a SYN is never judged by
//! conntrack. Packets are made by hand, the daemon is real.

mod answers;
mod asymmetric;
mod borrowed_address;
mod both_ends;
mod destinations;
mod dialled_out;
mod exceptions;
mod flags;
mod forged_flows;
mod masqueraded;
mod own_address;
mod own_flows;
mod published;
mod reflected;
mod sessions;
mod single_use;
mod stage;
mod tuples;
mod unprotected;
