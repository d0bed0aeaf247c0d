//! The long texts of `--help`, and the output of clap's messages.

use std::borrow::Cow;
use std::io::{self, Write};
use std::process::ExitCode;

use sknock::plain_text;

pub(crate) const USAGE: &str = "\
sknock knock [OPTIONS] HOST [SERVICE]...
       sknock connect [OPTIONS] HOST PORT
       sknock -p PORT [-u] [-4] [OPTIONS] HOST";

pub(crate) const KNOCK: &str = "\
Request access to services of a host for this machine.

Sends one signed datagram. If the server accepts it, it grants this machine's address access to the \
services for some seconds: connect in that time. Connections continue after the grant has expired. UDP \
flows continue while packets arrive at least every 30 seconds. The server answers, and sknock tests \
single TCP ports with a connection (not with --once, because the test would use up the grant). The \
server grants all requested services or none. It does not report the reason; see the log of the server.

Example: sknock knock --identity alice.pfx --server-cert gateway.cer gateway.example tcp/22";

pub(crate) const CONNECT: &str = "\
Request access to a TCP port, and connect stdin and stdout to it.

Ends when both directions have ended: the end of stdin is passed on to the server, and stdout is closed \
when the server ends its direction. For ssh, in ~/.ssh/config:

    Host gateway
        ProxyCommand /usr/local/bin/sknock connect %h %p";

pub(crate) const FILES: &str = "\
Files, in $XDG_CONFIG_HOME/sknock or ~/.config/sknock, used if neither option nor \
variable is set:
  identity.pfx        your key and certificate
  password            its password, mode 0600
  servers/HOST.cer    the certificate of HOST (as on the command line)
  server.cer          the certificate of every other host

Environment:
  SKNOCK_IDENTITY, SKNOCK_SERVER_CERT, SKNOCK_PASSWORD_FILE, SKNOCK_KNOCK_PORT,
  SKNOCK_PROTOCOL
                      same as the corresponding options
  SKNOCK_PFX_PASSWORD the password itself; SKNOCK_PASSWORD_FILE comes first

If none of these is set, sknock prompts for the password. There is no option for it, because other \
users can read command lines.

Exit status:
  0  granted, and for single TCP ports tested; or reachable, although no answer arrived (JSON: \
\"result\":\"reachable\"); with --no-verify: sent
  1  not granted, or unknown
  2  wrong usage, or the certificate does not allow a requested service
  3  an identity, a password or a certificate is missing, unusable, expired or not yet valid";

/// Prints clap's message: help (exit 0) or a usage error (exit 2).
pub(crate) fn print(answer: &clap::Error) -> ExitCode {
    let text = answer.render().to_string();
    // A write error is ignored: the exit code reports the result. clap's colours remain if nothing has to be
    // escaped.
    match plain_text::escaped(&text, false) {
        Cow::Borrowed(_) => answer.print().ok(),
        Cow::Owned(text) => write!(io::stderr(), "{text}").ok(),
    };
    u8::try_from(answer.exit_code()).unwrap_or(2).into()
}
