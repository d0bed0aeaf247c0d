//! The process behind a request, as the log and answers name it.

use std::fmt;
use std::fs;

use serde::{Deserialize, Serialize};

/// A process that has sent a request over the control socket, or a signal.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Requester {
    /// Its user.
    pub uid: u32,
    /// Its process ID; 0: in another PID namespace.
    pub pid: i32,
}

/// Where the names of users are. A directory service could keep us waiting, and knocks with us.
const USERS: &str = "/etc/passwd";

impl Requester {
    /// Whether it is root.
    pub fn is_root(self) -> bool {
        self.uid == 0
    }

    /// The name of its user, if that is a local one.
    pub fn user(self) -> Option<String> {
        name_in(&fs::read_to_string(USERS).ok()?, self.uid)
    }
}

/// The first name of this user in the text of [`USERS`].
fn name_in(users: &str, uid: u32) -> Option<String> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let number: u32 = fields.nth(1)?.parse().ok()?;
        (number == uid && !name.is_empty()).then(|| name.to_owned())
    })
}

impl fmt::Display for Requester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "uid {}", self.uid)?;
        if let Some(user) = self.user() {
            write!(f, " ({user})")?;
        }
        write!(f, ", pid {}", self.pid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_named_by_the_first_line_with_its_number() {
        let users = "root:x:0:0:root:/root:/bin/sh\nbad\n:x:7:7:::\n# x:x:8\na:x:1000:1:::\nb:x:1000:1:::\n";
        assert_eq!(name_in(users, 0).as_deref(), Some("root"));
        assert_eq!(name_in(users, 1000).as_deref(), Some("a"));
        for unknown in [1, 7, 65_534] {
            assert_eq!(name_in(users, unknown), None, "{unknown}");
        }
    }
}
