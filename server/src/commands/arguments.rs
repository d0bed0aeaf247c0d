//! The command line of `sknockd`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Parser, Subcommand};
use sknock_gate::OwnerName;
use sknock_protocol::Timestamp;

use crate::control::grants::GrantFilter;
use crate::control::messages::{self, MAX_LENGTH};

/// Protects ports with nftables and grants access to clients that send a signed knock.
#[derive(Debug, Parser)]
#[command(name = "sknockd", version, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: ServerCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ServerCommand {
    /// Load the rules and process knocks until SIGTERM or SIGINT; SIGHUP reloads configuration, keys and
    /// CRLs
    Run {
        #[command(flatten)]
        config: Config,
        #[command(flatten)]
        trial: TrialArguments,
    },
    /// Confirm the trial: keep the new rules; exit status 75 if the trial has expired, 69 if no server runs
    Confirm,
    /// Reload configuration, keys and CRLs of the running server, as SIGHUP does, and wait until they are in
    /// force; exit status 1 if they cannot be, with the reasons
    Reload {
        #[command(flatten)]
        trial: TrialArguments,
    },
    /// Test configuration, keys, CRLs and firewall, and change nothing; exit status 78 on errors
    Check {
        #[command(flatten)]
        config: Config,
        /// Findings as JSON
        #[arg(long)]
        json: bool,
    },
    /// Evaluate recorded datagrams as the server would; prints one line of JSON for each file
    Explain {
        #[command(flatten)]
        config: Config,
        /// Time of arrival: as in the log (2026-11-28T18:25:21.902Z, RFC 3339), or seconds since 1970 UTC
        /// with up to three decimals [default: now]
        #[arg(long, value_name = "TIME", value_parser = timestamp)]
        at: Option<Timestamp>,
        /// Address of the sender: IP or IP:PORT
        #[arg(long, value_name = "ADDR", value_parser = address)]
        from: SocketAddr,
        /// UDP payloads, one file for each datagram
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// List the active grants. Members of the group sknock-admin can run this, too, while the server runs
    Grants {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Close grants and terminate their connections, also those of expired grants; exit status 1 if none
    /// matched. The client can knock again: to prevent that, revoke its certificate
    Close {
        #[command(flatten)]
        which: GrantArguments,
    },
    /// Remove the rules of a stopped server: all ports become reachable. Fails while sknockd runs. Does
    /// not undo `close`
    Open,
    /// What `check` starts for itself
    #[command(hide = true)]
    Fetch {
        /// The descriptor with everything it needs
        handover: i32,
    },
    /// What `run` starts for itself
    #[command(hide = true)]
    Network {
        /// The descriptor with everything it needs
        handover: i32,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Config {
    /// Configuration file
    #[arg(long = "config", value_name = "FILE", default_value = "/etc/sknock/config.ini")]
    pub(crate) path: PathBuf,
}

/// For who is afraid of locking themselves out.
#[derive(Debug, clap::Args)]
pub(crate) struct TrialArguments {
    /// Trial: roll back after SECONDS (1 to 3600) unless `sknockd confirm` is run, even if sknockd has
    /// died
    #[arg(long = "confirm", value_name = "SECONDS", value_parser = span)]
    pub(crate) span: Option<Duration>,
}

/// What must be true of a door; several conditions, all of them.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true)]
pub(crate) struct GrantArguments {
    /// By the ID of the knock
    #[arg(long, value_name = "ID", value_parser = knock)]
    knock: Option<String>,
    /// By the serial number of the certificate. If several CAs have used it, --issuer has to say which
    #[arg(long, value_name = "HEX", value_parser = digits)]
    serial: Option<String>,
    /// By the CA of the certificate, as `sknockd grants` shows it: 24 hexadecimal digits
    #[arg(long, value_name = "HEX", value_parser = issuer)]
    issuer: Option<String>,
    /// By the name in the certificate, as `sknockd grants` shows it: at most 64 characters, with `_` in place of
    /// other letters. It can stand for several names; --serial means one certificate
    #[arg(long, value_parser = name)]
    name: Option<String>,
    /// By the address of the client
    #[arg(long, value_name = "IP", value_parser = ip)]
    address: Option<IpAddr>,
    /// All grants
    #[arg(long, conflicts_with_all = ["knock", "serial", "issuer", "name", "address"])]
    all: bool,
}

impl From<GrantArguments> for GrantFilter {
    fn from(which: GrantArguments) -> Self {
        let GrantArguments { knock, serial, issuer, name, address, all } = which;
        Self { knock, serial, issuer, name, address, all }
    }
}

fn knock(text: &str) -> Result<String, String> {
    let wrong = "write 16 hexadecimal digits, as `sknockd grants` and the log show them";
    digits(text).ok().filter(|id| id.len() == 16).ok_or_else(|| wrong.to_owned())
}

fn issuer(text: &str) -> Result<String, String> {
    let wrong = "write 24 hexadecimal digits, as `sknockd grants` and the log show them";
    digits(text).ok().filter(|id| id.len() == 24).ok_or_else(|| wrong.to_owned())
}

/// What of a name is on a door.
fn name(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-_@+:,".contains(c);
    let all = (1..=OwnerName::MAX_LEN).contains(&text.len()) && text.chars().all(plain);
    all.then(|| text.to_owned()).ok_or_else(|| {
        format!(
            "names are compared by letters a to z, digits and .-_@+:, up to {}; this one could stand for others. \
             Name the certificate by --serial, which `sknockd grants` shows",
            OwnerName::MAX_LEN
        )
    })
}

fn digits(text: &str) -> Result<String, String> {
    // `openssl x509 -text` prints serial numbers with colons.
    let is_digit = |c: char| c.is_ascii_hexdigit() || c == ':';
    let all = !text.is_empty() && text.chars().all(is_digit);
    all.then(|| text.to_owned()).ok_or_else(|| "write hexadecimal digits".to_owned())
}

fn span(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(messages::span);
    seconds.ok_or_else(|| format!("write whole seconds, 1 to {MAX_LENGTH}"))
}

fn timestamp(text: &str) -> Result<Timestamp, String> {
    // `date --rfc-3339` writes a space in the place of the T.
    let date = text.replacen(' ', "T", 1);
    if let Some(timestamp) = Timestamp::of_date(&date) {
        return Ok(timestamp);
    }
    let wrong = || {
        "write the time as in the log, such as 2026-11-28T18:25:21.902Z, or in seconds since 1970 UTC, as \
         `date +%s` does, or `date +%s.%3N`"
            .to_owned()
    };
    let (seconds, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if seconds.is_empty() || decimals.len() > 3 || !digits(seconds) || !digits(decimals) {
        return Err(wrong());
    }
    let millis = format!("{seconds}{decimals:0<3}").parse().map_err(|_| wrong())?;
    Ok(Timestamp::from_millis(millis))
}

fn ip(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| "write an IP address, as `sknockd grants` shows it".to_owned())
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let bare = text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 0));
    let address: SocketAddr =
        bare.or_else(|_| text.parse()).map_err(|_| "write an IP address, or IP:PORT".to_owned())?;
    match address.ip().to_canonical() {
        ip if ip == address.ip() => Ok(address),
        v4 => Err(format!("an IPv6 packet from there is no knock; if you mean IPv4, write {v4}")),
    }
}

/// What to write instead, or clap's own words.
pub(crate) fn corrected(error: clap::Error) -> clap::Error {
    let words: Vec<String> =
        // `args` would panic on an argument that is not UTF-8.
        std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let instead = match error.kind() {
        ErrorKind::InvalidSubcommand => text(ContextKind::InvalidSubcommand).and_then(command),
        ErrorKind::UnknownArgument => {
            text(ContextKind::InvalidArg).and_then(|wrong| argument(wrong, &words))
        }
        _ => None,
    };
    instead.map_or(error, |told| clap::Error::raw(ErrorKind::UnknownArgument, told + "\n"))
}

/// What others call their commands.
fn command(word: &str) -> Option<String> {
    Some(match word {
        "start" | "stop" | "restart" => {
            format!(
                "{word:?} is not a command. Write: systemctl {word} sknockd, or without \
                     systemd: sknockd run"
            )
        }
        "status" => "\"status\" is not a command. `systemctl status sknockd` shows whether it \
                     runs, `sknockd grants` lists the active grants"
            .into(),
        "test" | "verify" | "configtest" | "-t" => {
            format!("{word:?} is not a command. Write: sknockd check")
        }
        _ => return None,
    })
}

fn argument(wrong: &str, words: &[String]) -> Option<String> {
    if ["-c", "--config"].contains(&wrong) {
        return Some("write --config FILE after the command: sknockd check --config FILE".into());
    }
    if wrong.starts_with('-') {
        return None;
    }
    match words.get(1)?.as_str() {
        command @ ("run" | "check") => {
            Some(format!("a file needs its option: sknockd {command} --config {wrong}"))
        }
        "close" => {
            let option = if wrong.parse::<IpAddr>().is_ok() { "address" } else { "name" };
            Some(format!("close needs a criterion: sknockd close --{option} {wrong}"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use sknock_manual::{ManualSection, compare, completions, manual_pages};

    use super::*;

    #[test]
    fn manual_pages_and_completions_are_of_this_command_line() {
        let related = ["sknock-config.ini(5)", "sknock-ca(1)", "sknock(1)"];
        compare(&manual_pages(Arguments::command(), ManualSection::System, &related));
        compare(&completions("sknockd", &Arguments::command()));
    }

    #[test]
    fn times_are_read_to_the_millisecond() {
        assert_eq!(timestamp("1750000000"), Ok(Timestamp::from_millis(1_750_000_000_000)));
        assert_eq!(timestamp("1750000000.05"), Ok(Timestamp::from_millis(1_750_000_000_050)));
        let logged = Timestamp::from_millis(1_750_000_000_050);
        for text in [
            "2025-06-15T15:06:40.050123Z",
            "2025-06-15 15:06:40.05Z",
            "2025-06-15T17:06:40.050+02:00",
            "2025-06-15 17:06:40.050000000+02:00",
        ] {
            assert_eq!(timestamp(text), Ok(logged), "{text}");
        }
        for text in ["2025-06-15", "2025-06-15T15:06:40", "2025-06-31T15:06:40Z", "15:06:40"] {
            assert!(timestamp(text).unwrap_err().contains("as in the log"), "{text:?}");
        }
        for text in ["", ".5", "-1", "1.2345", "1e3", "18446744073709551616", "now"] {
            assert!(timestamp(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_trial_is_in_whole_seconds_up_to_an_hour() {
        assert_eq!(span("60"), Ok(Duration::from_secs(60)));
        for text in ["", "0", "-1", "3601", "1.5", "1m", "99999999999999999999"] {
            assert!(span(text).unwrap_err().contains("1 to 3600"), "{text:?}");
        }
    }

    #[test]
    fn close_requires_a_selection_or_all() {
        let close = |words: &[&str]| {
            Arguments::try_parse_from([&["sknockd", "close"], words].concat()).is_ok()
        };
        assert!(close(&["--all"]) && close(&["--name", "alice", "--address", "192.0.2.7"]));
        assert!(close(&["--knock", "0123456789abcdef"]) && close(&["--serial", "0A:1b"]));
        assert!(close(&["--serial", "0"]) && close(&["--serial", "00"]));
        let long = "x".repeat(65);
        for name in ["", "a b", "\u{418}\u{432}\u{430}\u{43d}", "a\nb", &long] {
            assert!(!close(&["--name", name]), "{name:?}");
        }
        assert!(close(&["--name", &long[1..]]));
        assert!(close(&["--issuer", "0123456789abcdef01234567"]) && !close(&["--issuer", "0123"]));
        for wrong in [&[][..], &["--all", "--name", "x"], &["--knock", "12"], &["--serial", "x"]] {
            assert!(!close(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn an_address_may_have_a_port() {
        assert_eq!(address("2001:db8::1"), Ok("[2001:db8::1]:0".parse().unwrap()));
        assert_eq!(address("192.0.2.1:5"), Ok("192.0.2.1:5".parse().unwrap()));
        for mapped in ["::ffff:192.0.2.1", "[::ffff:192.0.2.1]:5"] {
            assert!(address(mapped).unwrap_err().ends_with("write 192.0.2.1"), "{mapped}");
        }
        assert!(address("example.org").is_err());
    }
}
