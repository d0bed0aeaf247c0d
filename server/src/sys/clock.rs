//! The only place in the server that reads clocks. Elsewhere time is a parameter.

use std::time::{Duration, SystemTime};

use sknock_protocol::Timestamp;

/// The wall clock. A clock before 1970 is treated as 1970: every knock is then refused as too new.
#[expect(clippy::disallowed_methods, reason = "the edge where time comes in")]
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Timestamp::EPOCH.after(since.unwrap_or(Duration::ZERO))
}
