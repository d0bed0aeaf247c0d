//! `sknockd`. The command line and what it runs are in [`sknock_server::commands`].

use std::process::ExitCode;

fn main() -> ExitCode {
    sknock_server::commands::main()
}
