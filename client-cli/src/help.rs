//! The long texts of `--help`, and how clap's answers leave the program.

use std::process::ExitCode;

pub(crate) const USAGE: &str = "\
sknock knock [OPTIONS] HOST [SERVICE]...
       sknock connect [OPTIONS] HOST PORT
       sknock -p PORT [-u] [-4] [OPTIONS] HOST";

pub(crate) const KNOCK: &str = "\
Ask a host to open services for this machine.

Sends one signed datagram. If the server accepts it, the services are open to this machine's address \
for some seconds: connect in that time; connections outlast the closing, and flows of UDP too unless they are \
silent for half a minute. The server answers, and single \
TCP ports are tried with a connection too (not with --once, which it would use up). The server \
grants all services or none, and never says why not.

Example: sknock knock --identity alice.pfx --server-cert gateway.cer gateway.example tcp/22";

pub(crate) const CONNECT: &str = "\
Open a TCP port, connect to it, and join the connection to stdin and stdout.

Ends when the server closes the connection; the end of stdin is passed on to it. For ssh, in \
~/.ssh/config:

    Host gateway
        ProxyCommand /usr/local/bin/sknock connect %h %p";

pub(crate) const FILES: &str = "\
Files, in $XDG_CONFIG_HOME/sknock or ~/.config/sknock, used where no option and no variable says \
otherwise:
  identity.pfx        your key and certificate
  password            its password, mode 0600
  servers/HOST.cer    the certificate of HOST, as you write it
  server.cer          the certificate of every other host

Environment:
  SKNOCK_IDENTITY, SKNOCK_SERVER_CERT, SKNOCK_PASSWORD_FILE, SKNOCK_KNOCK_PORT,
  SKNOCK_PROTOCOL
                      as the options of these names
  SKNOCK_PFX_PASSWORD the password itself; SKNOCK_PASSWORD_FILE comes first

The password is asked for on the terminal if none of these has it. It is never taken from the command \
line, where others could read it.

Exit status:
  0  opened, and for single TCP ports verified (with --no-verify: sent)
  1  not opened, or not known to be
  2  wrong use
  3  an identity, a password or a certificate is missing or of no use";

/// Prints what clap has to say: help (exit 0) or a usage error (exit 2).
pub(crate) fn print(answer: &clap::Error) -> ExitCode {
    answer.print().ok(); // nobody reads it
    u8::try_from(answer.exit_code()).unwrap_or(2).into()
}
