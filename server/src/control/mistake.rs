//! Why the server refuses a request.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::GROUP;

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
            Self::NotAllowed => write!(
                f,
                "not allowed: only root, the user of sknockd and members of the group {GROUP} can do this. \
                 Run this as root"
            ),
        }
    }
}
