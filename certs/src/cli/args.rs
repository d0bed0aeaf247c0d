//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use sknock_certs::{CertificateName, MAX_DAYS, Reason};
use sknock_protocol::Service;

/// The CA of sKnock: issues certificates for servers and clients, and revokes them.
///
/// The directory contains the key of the CA (ca.key): do not keep it on a server. Publish crl.der on a
/// web server, and renew it before it expires, for example weekly: sknock-ca --dir DIR crl
#[derive(Parser)]
#[command(
    name = "sknock-ca",
    version,
    after_help = "Exit status: 0 done; 1 not done, or recorded but not published; 2 wrong usage"
)]
pub(crate) struct Args {
    /// Directory of the CA
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Same as --password-file of server and client
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: AuthorityCommand,
}

#[derive(Subcommand)]
pub(crate) enum AuthorityCommand {
    /// Create a CA: ca.key, ca.cer, ca.pem and an empty crl.der
    Init {
        /// Common name of the CA [default: generated]
        #[arg(long, value_name = "CN")]
        name: Option<String>,
        /// Validity of its certificate in days
        #[arg(long, value_name = "N", default_value_t = 3650, value_parser = days())]
        days: u32,
    },
    /// Issue key and certificate of a server: NAME.pfx for the server, NAME.cer for its clients
    Server {
        /// Name of the server, usually its host name
        name: CertificateName,
        /// Validity in days, at most until the CA certificate expires [default: 3650]
        #[arg(long, value_name = "N", value_parser = days())]
        days: Option<u32>,
        #[command(flatten)]
        password: PasswordArgument,
    },
    /// Issue key and certificate of a client: NAME.pfx
    Client {
        /// Name of the client
        name: CertificateName,
        /// Service that it may request, such as tcp/22 or udp/60000-60010; may be repeated
        #[arg(long, value_name = "SERVICE", required = true, value_parser = Service::spelt)]
        allow: Vec<Service>,
        /// Validity in days, at most until the CA certificate expires [default: 365]
        #[arg(long, value_name = "N", value_parser = days())]
        days: Option<u32>,
        #[command(flatten)]
        password: PasswordArgument,
    },
    /// Revoke a certificate, and write a new crl.der
    Revoke {
        /// Name of the client or server, or the serial number in hexadecimal
        #[arg(value_name = "NAME-or-SERIAL")]
        which: String,
        /// Reason in the CRL; servers treat all reasons alike
        #[arg(long, value_enum, default_value_t)]
        reason: Reason,
    },
    /// Write a new CRL, crl.der
    Crl {
        /// Validity of the CRL in days [default: as for the previous CRL; 30 for the first]
        #[arg(long, value_name = "N", value_parser = days())]
        days: Option<u32>,
        /// The previous CRL was issued while the clock was ahead, and the clock is correct now: issue a CRL
        /// with the current time. Servers that accepted the previous CRL must delete their high-water
        /// mark first (see OPERATIONS)
        #[arg(long)]
        clock_was_ahead: bool,
    },
    /// List all certificates ever issued
    List,
}

/// The source of the password for a new file.
#[derive(clap::Args)]
pub(crate) struct PasswordArgument {
    /// File with the password for the new .pfx and nothing else [default: `SKNOCK_PFX_PASSWORD` in the
    /// environment, otherwise a prompt]
    #[arg(long = "password-file", value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

fn days() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=i64::from(MAX_DAYS))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use sknock_manual::{ManualSection, compare, completions, manual_pages};

    use super::*;

    #[test]
    fn manual_pages_and_completions_are_of_this_command_line() {
        compare(&manual_pages(Args::command(), ManualSection::User, &["sknock(1)", "sknockd(8)"]));
        compare(&completions("sknock-ca", &Args::command()));
    }
}
