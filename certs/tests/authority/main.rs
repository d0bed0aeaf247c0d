//! The authority as others meet it: openssl, a server, a person at the command line.

mod certificates;
mod clock;
mod command_line;
mod crl;
mod files;
mod full_disk;
mod killed;
mod knock;
mod outcome;
mod owners;
mod pfx;
mod power_loss;
mod program;
mod refusals;
mod support;
