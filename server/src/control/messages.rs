//! All requests and answers of the control socket. One line of JSON each:
//!
//! ```text
//! {"version":1,"request":{"reload":{"confirm_seconds":60}}}
//! {"version":1,"answer":{"on_trial":{"seconds_left":60,...}}}
//! ```

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use sknock_gate::{GrantElement, GrantKey, Transport};
use sknock_types::hex;

use super::Closed;
use super::mistake::Mistake;
use crate::commands::grants::GrantFilter;

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
    /// List the active grants, in pages of [`PAGE`].
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
        /// The new configuration.
        #[serde(rename = "configuration")]
        in_force: ConfigInForce,
    },
    /// The previous configuration stays in force.
    NotReloaded {
        /// Why; at least one reason.
        problems: Vec<String>,
    },
    /// A page of the active grants, in the order of their keys.
    Grants {
        /// At most [`PAGE`].
        open: Vec<ListedGrant>,
        /// Whether there are more behind the last of these.
        more: bool,
    },
    /// The grants that were closed.
    Closed(Closed),
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

/// What identifies a grant: one address, one port.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ListedKey {
    /// The client.
    pub address: IpAddr,
    /// `tcp/22`.
    pub service: String,
    /// Whether the first connection uses it up.
    pub single_use: bool,
}

/// An active grant.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ListedGrant {
    /// `tcp/22`.
    pub service: String,
    /// From where.
    pub address: IpAddr,
    /// The remaining time; nothing: without end, as an administrator added it.
    pub seconds: Option<u64>,
    /// Whether the first connection uses it up.
    pub single_use: bool,
    /// What the certificate calls its owner.
    pub name: String,
    /// The beginning of the hash of its issuer, in hexadecimal digits.
    pub issuer: String,
    /// Its serial number, in hexadecimal digits.
    pub serial: String,
    /// The knock's id, in hexadecimal digits.
    pub knock: String,
}

/// The most grants in one page: at most 700 bytes each.
pub const PAGE: usize = 64;

/// The most reasons in one answer.
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

impl From<&GrantElement> for ListedGrant {
    fn from(element: &GrantElement) -> Self {
        let GrantElement { grant_key, remaining, label } = element;
        Self {
            service: format!("{}/{}", grant_key.transport, grant_key.port),
            address: grant_key.address,
            seconds: (*remaining != std::time::Duration::MAX).then_some(remaining.as_secs()),
            single_use: grant_key.single_use,
            name: label.name.to_string(),
            issuer: hex(&label.cert.issuer),
            serial: label.cert.serial_text(),
            knock: hex(&label.knock),
        }
    }
}

impl ListedGrant {
    /// What identifies it.
    pub fn key(&self) -> ListedKey {
        let Self { service, address, single_use, .. } = self;
        ListedKey { address: *address, service: service.clone(), single_use: *single_use }
    }
}

impl ListedKey {
    /// As the gate has it; nothing if there is no such service.
    pub fn grant_key(&self) -> Option<GrantKey> {
        let (transport, port) = self.service.split_once('/')?;
        let transport = Transport::from_name(transport)?;
        let Self { address, single_use, .. } = *self;
        Some(GrantKey { address, transport, port: port.parse().ok()?, single_use })
    }
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
    fn another_version_is_told_before_anything_else() {
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
    fn nothing_but_a_whole_request_is_one() {
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
}
