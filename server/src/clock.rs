//! The one place in the server that reads clocks. Everything else takes the time as an argument.

use std::time::{Duration, SystemTime};

use sknock_protocol::Moment;

/// The wall clock. A clock before 1970 counts as 1970: every knock is then refused as too new.
#[expect(clippy::disallowed_methods, reason = "the edge where time comes in")]
pub fn now() -> Moment {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Moment::EPOCH.after(since.unwrap_or(Duration::ZERO))
}
