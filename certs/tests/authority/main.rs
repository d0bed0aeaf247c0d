//! The authority as others meet it: openssl, a server, a person at the command line.

mod certificates;
mod command_line;
mod crl;
mod files;
mod knock;
mod pfx;
mod power_loss;
mod refusals;
mod support;
