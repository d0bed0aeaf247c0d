//! What can be typed.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use sknock_certs::{CertificateName, MAX_DAYS, Reason};
use sknock_protocol::Service;

/// The authority of sKnock: issues certificates to servers and clients, and revokes them.
///
/// The folder holds the authority's key (ca.key), so keep it off the servers. Publish crl.der on any
/// web server, and issue it anew before it ends, for example weekly: sknock-ca --dir DIR crl
#[derive(Parser)]
#[command(
    name = "sknock-ca",
    version,
    after_help = "Exit status: 0 done; 1 not done, or recorded but not published; 2 wrong usage"
)]
pub(crate) struct Args {
    /// The folder of the authority
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Write the outcome as JSON to standard output
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// For server and client: as theirs
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: AuthorityCommand,
}

#[derive(Subcommand)]
pub(crate) enum AuthorityCommand {
    /// Make an authority: ca.key, ca.cer, ca.pem and an empty crl.der
    Init {
        /// Its common name; one of its own if not given
        #[arg(long, value_name = "CN")]
        name: Option<String>,
        /// How long its certificate is valid
        #[arg(long, value_name = "N", default_value_t = 3650, value_parser = days())]
        days: u32,
    },
    /// Issue a server's key and certificate: NAME.pfx for the server, NAME.cer for its clients
    Server {
        /// Its host name, or any name
        name: CertificateName,
        /// How long the certificate is valid; 3650 if not given, but no longer than the authority's
        #[arg(long, value_name = "N", value_parser = days())]
        days: Option<u32>,
        #[command(flatten)]
        password: PasswordArgument,
    },
    /// Issue a client's key and certificate: NAME.pfx
    Client {
        /// Its holder
        name: CertificateName,
        /// What it may open, such as tcp/22 or udp/60000-60010; may be repeated
        #[arg(long, value_name = "SERVICE", required = true, value_parser = Service::spelt)]
        allow: Vec<Service>,
        /// How long the certificate is valid; 365 if not given, but no longer than the authority's
        #[arg(long, value_name = "N", value_parser = days())]
        days: Option<u32>,
        #[command(flatten)]
        password: PasswordArgument,
    },
    /// Revoke a certificate, and issue crl.der anew at once
    Revoke {
        /// The holder's name, or the serial number in hexadecimal
        #[arg(value_name = "NAME-or-SERIAL")]
        which: String,
        /// Why; servers treat all reasons alike
        #[arg(long, value_enum, default_value_t)]
        reason: Reason,
    },
    /// Issue the revocation list crl.der anew
    Crl {
        /// By when the next one is due; as last time if not given, at first 30
        #[arg(long, value_name = "N", value_parser = days())]
        days: Option<u32>,
        /// The last list was made while the clock was ahead, and it is right now: date the new one so.
        /// Servers that have taken the last one must forget it first
        #[arg(long)]
        clock_was_ahead: bool,
    },
    /// List all certificates that were ever issued
    List,
}

/// Where the password for a new file comes from.
#[derive(clap::Args)]
pub(crate) struct PasswordArgument {
    /// A file that holds nothing but the password for the new .pfx; without it, the environment's
    /// `SKNOCK_PFX_PASSWORD`, else a prompt
    #[arg(long = "password-file", value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

fn days() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=i64::from(MAX_DAYS))
}
