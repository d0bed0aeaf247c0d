//! The server: from a datagram in the kernel to a grant in the firewall.
//!
//! ```text
//! intake -Datagram-> pipeline: unveil > verify > admit > authorize -Grant-> gate
//! ```
//! The whole story is [`knock::pipeline::Pipeline::unveil`], [`knock::pipeline::Pipeline::decide`] and
//! [`knock::pipeline::Pipeline::open`]. Modules import only from those further down:
//!
//! ```text
//! commands > supervisor > network > crl > knock > config > sys      supervisor, commands > control > sys
//! ```

#![deny(clippy::print_stderr, clippy::print_stdout)] // they panic if the stream is closed

// What the command line runs: `run`, `check`, `explain`, `grants`, `close`, `confirm`, `reload`, `open`.
pub mod commands;
// The configuration file, the settings that it makes, and the key files that it names.
pub mod config;
// The control socket, by which administrators send commands to the running server.
pub mod control;
// Certificate revocation lists: fetch, verify, save, put in force, close the grants of revoked certificates.
pub mod crl;
// The way of a knock: receive, verify, admit, authorize, ask the gate.
pub mod knock;
// The network process: sandbox, inputs from the privileged process, threads.
pub mod network;
// The privileged process: owns the firewall, starts and watches the network process.
pub mod supervisor;
// What the operating system gives: log, clock, capabilities, notification of systemd, exit codes.
pub mod sys;
