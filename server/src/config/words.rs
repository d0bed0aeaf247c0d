//! Enumerated values of `config.ini`, one type for each set of words.

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
    /// No response.
    Drop,
}

/// The firewall state after a stop.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OnExit {
    /// The rules stay.
    #[default]
    Closed,
    /// The rules are removed.
    Open,
}

/// How connections of a revoked certificate are treated.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OnRevoke {
    /// They are terminated.
    #[default]
    Cut,
    /// They continue.
    Close,
}

/// An accepted protocol version.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AcceptedProtocol {
    /// Protocol v1, of the original sKnock 1.0.
    V1,
    /// Protocol v2.
    #[default]
    V2,
}

/// The intake: how knocks are received.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Intake {
    /// By copies from the kernel; no port is bound.
    #[default]
    Nflog,
    /// By a bound UDP socket.
    Socket,
}

/// A boolean as written in the file.
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
