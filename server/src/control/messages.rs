//! All requests and answers of the control socket. One line of JSON each:
//!
//! ```text
//! {"version":1,"request":{"reload":{"confirm_seconds":60}}}
//! {"version":1,"answer":{"on_trial":{"seconds_left":60,...}}}
//! ```

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::GROUP;
use super::grants::{Closed, GrantFilter, ListedGrant, ListedKey};
use super::requester::Requester;

/// The version of these messages. Another one is answered with [`Mistake::UnknownVersion`].
pub const VERSION: u32 = 1;

/// What the command line, or another program, asks for.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ControlRequest {
    /// End the trial: its rules stay.
    Confirm,
    /// Reload configuration, keys and CRLs. The answer comes when they are in force, or have failed.
    Reload {
        /// On trial for this number of seconds, 1 to 3600.
        confirm_seconds: Option<u16>,
    },
    /// List the active grants, in pages of [`PAGE`](super::grants::PAGE).
    Grants {
        /// The last one of the page before; nothing: from the first.
        after: Option<ListedKey>,
    },
    /// Close the matching grants and terminate their connections.
    Close(GrantFilter),
}

/// The answer to a [`ControlRequest`].
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ControlResponse {
    /// The trial has ended, and its rules stay.
    Confirmed,
    /// No trial is active, and none has expired since the last reload began.
    NothingOnTrial,
    /// The trial had expired: the previous rules are in force again, or none.
    TooLate,
    /// The kernel refused; the trial continues.
    NotConfirmed {
        /// Why.
        why: String,
    },
    /// The new configuration is in force.
    Reloaded(ConfigInForce),
    /// The new configuration is in force, on trial.
    OnTrial {
        /// Until the rollback, rounded up.
        seconds_left: u64,
        /// Who began the trial; nothing: the start of the server.
        begun_by: Option<Requester>,
        /// Whether the trial had begun before this reload: the new configuration is part of it, and ends with it.
        joined: bool,
        /// The new configuration.
        #[serde(rename = "configuration")]
        in_force: ConfigInForce,
    },
    /// The previous configuration stays in force.
    NotReloaded {
        /// Why; at least one reason.
        problems: Vec<String>,
    },
    /// A page of the active grants of all holders, in the order of their keys.
    Grants {
        /// At most [`PAGE`](super::grants::PAGE).
        open: Vec<ListedGrant>,
        /// Whether there are more behind the last of these.
        more: bool,
    },
    /// The grants that were closed.
    Closed(Closed),
    /// Nothing was closed: certificates of several issuers have the serial number.
    SeveralIssuers {
        /// Their names for the filter.
        issuers: Vec<String>,
    },
    /// The server is stopping; nothing was done.
    Stopping,
    /// The request is invalid, or this peer may not send it; nothing was done.
    Mistake(Mistake),
}

/// The configuration that is in force.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigInForce {
    /// The server's process.
    pub process: u32,
    /// The file.
    pub file: String,
    /// What it protects, in short.
    pub protection: String,
}

/// The most reasons in one answer.
// Of 500 characters (`short`) with at most 6 bytes each in JSON: far below the client's `MAX_ANSWER`, 1 MiB.
const MAX_REASONS: usize = 50;

/// A whole line of a client.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct RequestLine {
    version: u64,
    request: ControlRequest,
}

/// A whole line of the server.
#[derive(Debug, Deserialize, Serialize)]
struct ResponseLine {
    version: u64,
    answer: ControlResponse,
}

/// All that is known of a line before its version is.
#[derive(Deserialize)]
struct AnyVersion {
    version: u64,
}

impl ControlRequest {
    /// Reads a line, with or without its end.
    pub fn read(line: &[u8]) -> Result<Self, Mistake> {
        let malformed = |error: serde_json::Error| Mistake::Malformed { why: short(&error) };
        let AnyVersion { version } = serde_json::from_slice(line).map_err(malformed)?;
        if version != u64::from(VERSION) {
            return Err(Mistake::UnknownVersion { requested: version, supported: VERSION });
        }
        let RequestLine { request, .. } = serde_json::from_slice(line).map_err(malformed)?;
        Ok(request)
    }

    /// As a line, with its end.
    pub fn line(self) -> serde_json::Result<Vec<u8>> {
        written(&RequestLine { version: VERSION.into(), request: self })
    }
}

impl ControlResponse {
    /// The previous configuration stays in force, for these reasons; only the first of many.
    pub fn not_reloaded(problems: &[String]) -> Self {
        let mut reasons: Vec<String> = problems.iter().take(MAX_REASONS).map(short).collect();
        match problems.len().saturating_sub(MAX_REASONS) {
            0 => {}
            more => reasons.push(format!("and {more} more")),
        }
        Self::NotReloaded { problems: reasons }
    }

    /// Reads a line of the server.
    pub fn read(line: &[u8]) -> serde_json::Result<Self> {
        let ResponseLine { answer, .. } = serde_json::from_slice(line)?;
        Ok(answer)
    }

    /// As a line, with its end.
    pub fn line(self) -> serde_json::Result<Vec<u8>> {
        written(&ResponseLine { version: VERSION.into(), answer: self })
    }
}

/// As text of a bounded length: it may quote what a peer has sent, or a configuration.
fn short(what: &impl ToString) -> String {
    what.to_string().chars().take(500).collect()
}

fn written(line: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Why a request was refused.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Mistake {
    /// Another version of these messages.
    UnknownVersion {
        /// The version of the request.
        requested: u64,
        /// The only version of this server.
        supported: u32,
    },
    /// Not JSON, or no request.
    Malformed {
        /// Where, and what.
        why: String,
    },
    /// Longer than this many bytes; the connection ends.
    TooLong {
        /// The limit.
        limit: usize,
    },
    /// Too many connections, of this user or in total; this one ends.
    TooManyConnections,
    /// The server starts, and has not loaded its rules yet.
    NotReady,
    /// This process may not use the socket; the connection ends.
    NotAllowed,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownVersion { requested, supported } => write!(
                f,
                "this program uses version {requested} of the control socket, the running server \
                 version {supported}. Restart the server after an upgrade"
            ),
            Self::Malformed { why } => write!(f, "the server refused the request: {why}"),
            Self::TooLong { limit } => {
                write!(f, "the server refused the request: it has more than {limit} bytes")
            }
            Self::TooManyConnections => {
                f.write_str("too many connections to the control socket. Try again")
            }
            Self::NotReady => f.write_str("the server has not loaded its rules yet. Try again"),
            Self::NotAllowed => write!(
                f,
                "not allowed: only root, the user of sknockd and members of the group {GROUP} can do this. \
                 Run this as root"
            ),
        }
    }
}

/// The longest trial, in seconds: an hour. An administrator who has not confirmed by then has left, or is locked out.
pub const MAX_LENGTH: u16 = 3600;

/// This number of seconds, if a trial may last so long: 1 to [`MAX_LENGTH`].
pub fn span(seconds: i64) -> Option<Duration> {
    let seconds =
        u16::try_from(seconds).ok().filter(|seconds| (1..=MAX_LENGTH).contains(seconds))?;
    Some(Duration::from_secs(seconds.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_as_it_was_written() {
        for (request, text) in [
            (ControlRequest::Confirm, r#""confirm""#),
            (
                ControlRequest::Reload { confirm_seconds: Some(60) },
                r#"{"reload":{"confirm_seconds":60}}"#,
            ),
            (ControlRequest::Grants { after: None }, r#"{"grants":{"after":null}}"#),
        ] {
            let line = request.line().unwrap();
            let expected = format!("{{\"version\":1,\"request\":{text}}}\n");
            assert_eq!(String::from_utf8_lossy(&line), expected);
            let again = ControlRequest::read(&line).unwrap().line().unwrap();
            assert_eq!(again, line);
        }
        let short = br#"{"version":1,"request":{"reload":{}}}"#;
        assert!(matches!(
            ControlRequest::read(short),
            Ok(ControlRequest::Reload { confirm_seconds: None })
        ));
    }

    #[test]
    fn an_unknown_version_is_reported_before_any_other_error() {
        for (line, requested) in [
            (r#"{"version":2}"#, 2),
            (r#"{"request":{"fly":{}},"version":0,"more":[]}"#, 0),
            (r#"{"version":18446744073709551615,"request":"confirm"}"#, u64::MAX),
        ] {
            let mistake = ControlRequest::read(line.as_bytes()).unwrap_err();
            assert_eq!(mistake, Mistake::UnknownVersion { requested, supported: 1 }, "{line}");
        }
    }

    #[test]
    fn answers_are_bounded_whatever_they_quote() {
        let line = format!(r#"{{"version":1,"request":"{}"}}"#, "x".repeat(60_000));
        let answer = ControlResponse::Mistake(ControlRequest::read(line.as_bytes()).unwrap_err());
        assert!(answer.line().unwrap().len() < 4000);
        let problems = vec!["\u{1}".repeat(60_000); 5000];
        let line = ControlResponse::not_reloaded(&problems).line().unwrap();
        assert!(line.len() < 256 * 1024, "{}", line.len());
        let Ok(ControlResponse::NotReloaded { problems }) = ControlResponse::read(&line) else {
            panic!()
        };
        assert_eq!((problems.len(), problems[50].as_str()), (51, "and 4950 more"));
    }

    #[test]
    fn anything_but_a_complete_request_is_refused() {
        for line in [
            "",
            "confirm",
            "[]",
            r#"{"request":"confirm"}"#,
            r#"{"version":"1","request":"confirm"}"#,
            r#"{"version":1}"#,
            r#"{"version":1,"request":"fly"}"#,
            r#"{"version":1,"request":"confirm","also":1}"#,
            r#"{"version":1,"request":"confirm","request":"confirm"}"#,
            r#"{"version":1,"request":"confirm"} {}"#,
            r#"{"version":1,"request":{"reload":{"confirm_seconds":-1}}}"#,
            r#"{"version":1,"request":{"reload":{"confirm":60}}}"#,
            r#"{"version":1,"request":{"close":{"nome":"alice"}}}"#,
            "\u{feff}{\"version\":1,\"request\":\"confirm\"}",
        ] {
            let mistake = ControlRequest::read(line.as_bytes()).unwrap_err();
            assert!(matches!(mistake, Mistake::Malformed { .. }), "{line}: {mistake:?}");
        }
        let deep = [vec![b'['; 60_000], vec![b']'; 60_000]].concat();
        assert!(matches!(ControlRequest::read(&deep), Err(Mistake::Malformed { .. })));
    }

    #[test]
    fn a_trial_lasts_a_second_to_an_hour() {
        assert_eq!(span(1), Some(Duration::from_secs(1)));
        assert_eq!(span(3600), Some(Duration::from_secs(3600)));
        for seconds in [i64::MIN, -60, -1, 0, 3601, 65_536 + 60, 1 << 32, i64::MAX] {
            assert_eq!(span(seconds), None, "{seconds}");
        }
    }
}
