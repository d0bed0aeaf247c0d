//! Whether this user namespace knows the user of the network process: in a container with one user nobody
//! can become another.

use std::fs;

use nix::unistd::{Uid, User, geteuid};

use super::{Finding, Host};

/// What becomes of the user of this name, or number, where we are root and so have to become it.
pub(super) fn look(user: &str, host: &mut Host) {
    let found = match user.parse().map(Uid::from_raw) {
        Ok(uid) => User::from_uid(uid),
        Err(_) => User::from_name(user),
    };
    let Ok(Some(found)) = found else { return };
    if !geteuid().is_root() {
        return;
    }
    let is_mapped = |map: &str, number| {
        let map = fs::read_to_string(format!("/proc/self/{map}"));
        // A kernel without user namespaces knows all.
        map.map_or(true, |map| has(&map, number))
    };
    if !is_mapped("uid_map", found.uid.as_raw()) || !is_mapped("gid_map", found.gid.as_raw()) {
        host.unmapped = Some(format!("{user} (uid {}, gid {})", found.uid, found.gid));
    }
}

/// Whether a map, lines of first inside, first outside and how many, has this number inside.
fn has(map: &str, number: u32) -> bool {
    map.lines().any(|line| {
        let mut words = line.split_whitespace().map(str::parse::<u32>);
        match (words.next(), words.nth(1)) {
            (Some(Ok(first)), Some(Ok(count))) => {
                number.checked_sub(first).is_some_and(|place| place < count)
            }
            _ => false,
        }
    })
}

/// Adds what that means.
pub(super) fn examine(host: &Host, findings: &mut Vec<Finding>) {
    findings.extend(host.unmapped.iter().map(|user| {
        Finding::error(
            format!(
                "user: this user namespace does not contain {user}: the network process cannot \
                 switch to it"
            ),
            "Map it (for a container: map more uids and gids than one), or run sknockd outside",
        )
    }));
}

#[cfg(test)]
mod tests {
    use super::has;

    #[test]
    fn what_a_map_has_is_known() {
        let all = "         0          0 4294967295\n";
        assert!(has(all, 0) && has(all, 65534));
        let one = "0 1000 1\n";
        assert!(has(one, 0) && !has(one, 1) && !has(one, 65534));
        let two = "0 1000 1\n1 100000 65536\n";
        assert!(has(two, 65534) && !has(two, 65537));
        assert!(!has("", 0) && !has("odd", 0));
    }
}
