//! The command line, in its three forms.

use std::ffi::OsString;
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use sknock::{Address, Family, Protocol, Service, check_host};

use crate::{help, misread};

/// The parsed task, whichever form it had.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) options: KnockArguments,
    pub(crate) host: String,
    pub(crate) goal: Goal,
}

#[derive(Debug)]
pub(crate) enum Goal {
    /// Request these services; none means all that the certificate allows.
    Knock(Vec<Service>),
    /// Request this TCP port and connect it to stdin and stdout.
    Connect(u16),
}

/// Request access to services protected by sKnock with one signed datagram
#[derive(Debug, Parser)]
#[command(name = "sknock", version, max_term_width = 100)]
#[command(override_usage = help::USAGE, after_long_help = help::FILES)]
struct Words {
    #[command(subcommand)]
    command: ClientCommand,
}

#[derive(Debug, Subcommand)]
enum ClientCommand {
    /// Request access to services of a host for this machine
    #[command(long_about = help::KNOCK, after_long_help = help::FILES)]
    Knock {
        #[command(flatten)]
        options: KnockArguments,
        /// The server's name or address
        #[arg(value_parser = host)]
        host: String,
        /// Services: tcp/22, udp/60000-60010 ... [default: all that your certificate allows]
        #[arg(value_parser = Service::spelt)]
        services: Vec<Service>,
    },
    /// Request access to a TCP port, and connect stdin and stdout to it
    #[command(long_about = help::CONNECT, after_long_help = help::FILES)]
    Connect {
        #[command(flatten)]
        options: KnockArguments,
        /// The server's name or address
        #[arg(value_parser = host)]
        host: String,
        /// The TCP port
        #[arg(value_parser = port)]
        port: u16,
    },
}

/// Request access to one port: the short form of sKnock 1.0
#[derive(Debug, Parser)]
#[command(name = "sknock", version, max_term_width = 100, override_usage = help::USAGE)]
struct ShortForm {
    #[command(flatten)]
    options: KnockArguments,
    /// The port
    #[arg(short, long, value_parser = port)]
    port: u16,
    /// UDP port [default: TCP]
    #[arg(short, long)]
    udp: bool,
    /// The server's name or address
    #[arg(value_parser = host)]
    host: String,
}

/// How to knock. The same in every form.
#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch that the user turns")]
pub(crate) struct KnockArguments {
    /// Your key and certificate, PKCS#12
    #[arg(long, value_name = "FILE", env = "SKNOCK_IDENTITY")]
    pub(crate) identity: Option<PathBuf>,
    /// The server's certificate, DER or PEM
    #[arg(long, value_name = "FILE", env = "SKNOCK_SERVER_CERT")]
    pub(crate) server_cert: Option<PathBuf>,
    /// File with the password of the identity; one trailing line end is ignored
    #[arg(long, value_name = "FILE", env = "SKNOCK_PASSWORD_FILE")]
    pub(crate) password_file: Option<PathBuf>,
    /// UDP port to which knocks are sent [default: 62344; with --protocol v1 a random one from 10000 to
    /// 60000]
    #[arg(long, value_name = "PORT", env = "SKNOCK_KNOCK_PORT")]
    #[arg(value_parser = port)]
    pub(crate) knock_port: Option<u16>,
    /// Protocol version; v1 is for servers of sKnock 1.0, which never answer
    #[arg(long, value_name = "v1|v2", env = "SKNOCK_PROTOCOL", default_value = "v2")]
    pub(crate) protocol: Protocol,
    /// Client address for the grant: an IP address; 'source' = the address from which the server
    /// receives the knock (behind NAT); 'auto' = the local address if it is public or the server is on
    /// the same network, otherwise the public address if it is known, otherwise 'source'
    #[arg(long, value_name = "IP|source|auto", default_value = "auto", value_parser = address)]
    pub(crate) address: Address,
    /// Duration of the grant in seconds; the server may shorten it [default: setting of the server]
    #[arg(long, value_name = "SECONDS", value_parser = lifetime)]
    pub(crate) lifetime: Option<NonZeroU16>,
    /// Single-use grant: for one TCP connection (single TCP ports only; no test connection is made)
    #[arg(long)]
    pub(crate) once: bool,
    /// Maximum number of knocks
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = attempts)]
    pub(crate) attempts: u8,
    /// Time limit in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = timeout)]
    pub(crate) timeout: u32,
    /// Send one knock without waiting for the answer or testing the port
    #[arg(long)]
    pub(crate) no_verify: bool,
    /// Use IPv4 only
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    pub(crate) ipv4: bool,
    /// Use IPv6 only
    #[arg(short = '6', long)]
    pub(crate) ipv6: bool,
    /// Report in one line of JSON (on stdout; with connect on stderr)
    #[arg(long)]
    pub(crate) json: bool,
}

impl KnockArguments {
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout.into())
    }

    pub(crate) fn family(&self) -> Family {
        match (self.ipv4, self.ipv6) {
            (true, _) => Family::V4,
            (_, true) => Family::V6,
            _ => Family::Any,
        }
    }
}

/// Parses the command line; a request for help is also an error.
pub(crate) fn parse(words: &[OsString]) -> Result<Task, clap::Error> {
    if is_short_form(words) {
        let parsed = ShortForm::try_parse_from(words);
        let ShortForm { options, port, udp, host } =
            parsed.map_err(|error| misread::without_command(words, error))?;
        let service = if udp { Service::udp(port) } else { Service::tcp(port) };
        return Ok(Task { options, host, goal: Goal::Knock(service.into_iter().collect()) });
    }
    let parsed = Words::try_parse_from(words);
    Ok(match parsed.map_err(|error| misread::with_short_options(words, error))?.command {
        ClientCommand::Knock { options, host, services } => {
            Task { options, host, goal: Goal::Knock(services) }
        }
        ClientCommand::Connect { options, host, port } => {
            Task { options, host, goal: Goal::Connect(port) }
        }
    })
}

/// The other forms begin with a command name.
fn is_short_form(words: &[OsString]) -> bool {
    const OTHERS: [&str; 7] = ["knock", "connect", "help", "-h", "--help", "-V", "--version"];
    words.get(1).is_some_and(|first| OTHERS.iter().all(|other| first != other))
}

fn address(text: &str) -> Result<Address, String> {
    match text {
        "auto" => Ok(Address::Auto),
        "source" => Ok(Address::Source),
        _ => match text.parse::<IpAddr>() {
            Ok(address) => Ok(Address::Ip(address)),
            Err(_) => Err("write an IPv4 or IPv6 address, 'source' or 'auto'".into()),
        },
    }
}

/// A host's name or address.
fn host(text: &str) -> Result<String, String> {
    check_host(text).map(|()| text.to_owned()).map_err(|error| error.to_string())
}

/// A TCP or UDP port.
fn port(text: &str) -> Result<u16, String> {
    let number = text.parse::<NonZeroU16>().map(NonZeroU16::get);
    number.map_err(|_| match text.to_ascii_lowercase().parse::<Service>() {
        Ok(service) if service.width() == 1 => {
            format!("this is only a port: write {}", service.first())
        }
        _ if text.eq_ignore_ascii_case("ssh") => "write the port as a number: SSH is 22".into(),
        _ => "write a port number from 1 to 65535".into(),
    })
}

/// Time limit of the whole call.
fn timeout(text: &str) -> Result<u32, String> {
    let seconds = text.parse().ok().filter(|seconds| *seconds > 0);
    seconds.ok_or_else(|| "write whole seconds, at least 1, without a unit".into())
}

/// Requested duration of the grant.
fn lifetime(text: &str) -> Result<NonZeroU16, String> {
    text.parse().map_err(|_| "write whole seconds from 1 to 65535, without a unit".into())
}

/// Maximum number of knocks.
fn attempts(text: &str) -> Result<u8, String> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| "write a number from 1 to 255".into())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use sknock_manual::{ManualSection, compare, completions, manual_pages};

    use super::*;

    #[test]
    fn manual_pages_and_completions_are_of_this_command_line() {
        let related = ["sknock-ca(1)", "sknockd(8)"];
        compare(&manual_pages(Words::command(), ManualSection::User, &related));
        compare(&completions("sknock", &Words::command()));
    }

    fn parsed(line: &str) -> Result<Task, clap::Error> {
        parse(&line.split(' ').map(OsString::from).collect::<Vec<_>>())
    }

    fn services(line: &str) -> String {
        match parsed(line).unwrap().goal {
            Goal::Knock(services) => {
                services.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
            }
            Goal::Connect(port) => format!("connect {port}"),
        }
    }

    #[test]
    fn the_commands_are_consistent() {
        Words::command().debug_assert();
        ShortForm::command().debug_assert();
    }

    #[test]
    fn all_three_forms_are_understood() {
        assert_eq!(services("sknock knock gw tcp/22 udp/60000-60010"), "tcp/22 udp/60000-60010");
        assert_eq!(services("sknock knock gw"), "");
        assert_eq!(services("sknock connect gw 22"), "connect 22");
        assert_eq!(services("sknock -p 22 gw"), "tcp/22");
        assert_eq!(services("sknock -u -4 -p 53 gw"), "udp/53");
        assert_eq!(services("sknock gw -up53"), "udp/53");
        assert_eq!(services("sknock --json --once -p 22 gw"), "tcp/22");
    }

    #[test]
    fn options_arrive() {
        let Task { options, host, .. } = parsed(
            "sknock knock -6 --knock-port 7 --address 2001:db8::1 --lifetime 9 --once --attempts 2 \
             --timeout 4 --no-verify --json gw",
        )
        .unwrap();
        assert_eq!(host, "gw");
        assert_eq!(options.family(), Family::V6);
        assert_eq!((options.knock_port, options.protocol), (Some(7), Protocol::V2));
        assert_eq!(options.address, Address::Ip("2001:db8::1".parse().unwrap()));
        assert_eq!(options.lifetime.map(NonZeroU16::get), Some(9));
        assert_eq!((options.attempts, options.timeout()), (2, Duration::from_secs(4)));
        assert!(options.once && options.no_verify && options.json);
    }

    #[test]
    fn the_originals_protocol_is_chosen_in_every_form() {
        for line in ["sknock knock --protocol v1 gw tcp/22", "sknock -4 -p 22 --protocol v1 gw"] {
            let options = parsed(line).unwrap().options;
            assert_eq!((options.knock_port, options.protocol), (None, Protocol::V1), "{line}");
        }
    }

    #[test]
    fn nonsense_is_a_usage_error() {
        for line in [
            "sknock",
            "sknock gw",
            "sknock -p 0 gw",
            "sknock -p 65536 gw",
            "sknock -p ssh gw",
            "sknock -p 22",
            "sknock knock",
            "sknock knock gw 22",
            "sknock knock gw tcp/0",
            "sknock knock -4 -6 gw",
            "sknock knock --address somewhere gw",
            "sknock knock --lifetime 0 gw",
            "sknock knock --lifetime 65536 gw",
            "sknock knock --attempts 0 gw",
            "sknock knock --timeout 0 gw",
            "sknock knock --knock-port 0 gw",
            "sknock knock --protocol v3 gw",
            "sknock knock --password secret gw",
            "sknock connect gw",
            "sknock connect gw 0",
            "sknock connect gw tcp/22",
        ] {
            assert_eq!(parsed(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }
}
