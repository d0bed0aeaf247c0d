//! The words that a value of `config.ini` may be, one type for each set of words.

use serde::{Deserialize, Serialize};

/// How packets without a grant are treated.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FirewallPolicy {
    /// They pass: another firewall denies, ours only counts.
    None,
    /// A reset or "port unreachable", as from a closed port.
    #[default]
    Reject,
    /// Silence.
    Drop,
}

/// What a stopped server leaves behind.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OnExit {
    /// Protection stays.
    #[default]
    Closed,
    /// The host is as if the server had never run.
    Open,
}

/// What becomes of connections of a certificate that is revoked.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OnRevoke {
    /// They end.
    #[default]
    Cut,
    /// They continue.
    Close,
}

/// A dialect of knocks.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AcceptedProtocol {
    /// Protocol v1, of the original sKnock 1.0.
    V1,
    /// Protocol v2.
    #[default]
    V2,
}

/// How knocks are received.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Intake {
    /// By copies from the kernel; no port is bound.
    #[default]
    Nflog,
    /// By a bound UDP socket.
    Socket,
}

/// A switch as written in the file.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(super) enum YesNo {
    Yes,
    #[default]
    No,
}

/// A permission as written in the file.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(super) enum AllowDeny {
    Allow,
    #[default]
    Deny,
}
