//! The command line of `sknockd`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use sknock_protocol::Moment;
use sknock_server::trial;

/// Hides services behind nftables and opens them for signed knocks.
#[derive(Debug, Parser)]
#[command(name = "sknockd", version, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Protect, and judge knocks, until stopped by SIGTERM or SIGINT; SIGHUP reads everything anew
    Run {
        #[command(flatten)]
        config: Config,
        #[command(flatten)]
        trial: Trial,
    },
    /// Keep what is on trial; exit status 75 if that comes too late
    Confirm,
    /// Have the running server read everything anew, as SIGHUP does
    Reload {
        #[command(flatten)]
        trial: Trial,
    },
    /// Look for everything that could be wrong, and change nothing; exit status 78 if anything is
    Check {
        #[command(flatten)]
        config: Config,
        /// Findings as JSON
        #[arg(long)]
        json: bool,
    },
    /// Say what the server would make of captured datagrams, as lines of JSON
    Explain {
        #[command(flatten)]
        config: Config,
        /// When they arrived: seconds since 1970 UTC, with up to three decimals [default: now]
        #[arg(long, value_name = "TIME", value_parser = moment)]
        at: Option<Moment>,
        /// Who sent them: an IP address, or IP:PORT
        #[arg(long, value_name = "ADDR", value_parser = address)]
        from: SocketAddr,
        /// The UDP payloads, one file each
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Remove the protection that a stopped server has left in place
    Open,
    /// What `run` starts for itself
    #[command(hide = true)]
    Network {
        /// The descriptor with everything it needs
        handover: i32,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Config {
    /// The configuration file
    #[arg(long = "config", value_name = "FILE", default_value = "/etc/sknock/config.ini")]
    pub(crate) path: PathBuf,
}

/// For who is afraid of locking themselves out.
#[derive(Debug, clap::Args)]
pub(crate) struct Trial {
    /// Go back to what was before, unless `sknockd confirm` comes within so many seconds (1 to 3600),
    /// also if sknockd dies meanwhile
    #[arg(long = "confirm", value_name = "SECONDS", value_parser = span)]
    pub(crate) span: Option<Duration>,
}

fn span(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(trial::span);
    seconds.ok_or_else(|| format!("write whole seconds, 1 to {}", trial::LONGEST))
}

fn moment(text: &str) -> Result<Moment, String> {
    let wrong = || "write seconds since 1970 UTC, as `date +%s` does, or `date +%s.%3N`".to_owned();
    let (seconds, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if seconds.is_empty() || decimals.len() > 3 || !digits(seconds) || !digits(decimals) {
        return Err(wrong());
    }
    let millis = format!("{seconds}{decimals:0<3}").parse().map_err(|_| wrong())?;
    Ok(Moment::from_millis(millis))
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let bare = text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 0));
    bare.or_else(|_| text.parse()).map_err(|_| "write an IP address, or IP:PORT".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_to_the_millisecond() {
        assert_eq!(moment("1750000000"), Ok(Moment::from_millis(1_750_000_000_000)));
        assert_eq!(moment("1750000000.05"), Ok(Moment::from_millis(1_750_000_000_050)));
        for text in ["", ".5", "-1", "1.2345", "1e3", "18446744073709551616", "now"] {
            assert!(moment(text).is_err(), "{text:?}");
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
    fn an_address_may_have_a_port() {
        assert_eq!(address("2001:db8::1"), Ok("[2001:db8::1]:0".parse().unwrap()));
        assert_eq!(address("192.0.2.1:5"), Ok("192.0.2.1:5".parse().unwrap()));
        assert!(address("example.org").is_err());
    }
}
