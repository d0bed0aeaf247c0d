//! The key that somebody may have meant who wrote another name.

use super::ConfigKey;
use super::schema::ALL;

impl ConfigKey {
    /// The key whose name is most like `name`, if any is at all like it: a slip; else a name that has `name`
    /// in it, or is in `name`; else one that is half the same. Case and underscores do not count.
    pub fn nearest(name: &str) -> Option<&'static Self> {
        let name = plain(name);
        let close = |share: usize| {
            let distance = |key: &&'static Self| {
                let other = plain(key.name);
                (strsim::damerau_levenshtein(&name, &other), other.len())
            };
            let candidates = ALL.iter().copied().map(|key| (distance(&key), key));
            let nearest = candidates.min_by_key(|((distance, _), _)| *distance);
            nearest
                .filter(|((distance, length), _)| distance * share <= *length)
                .map(|(_, key)| key)
        };
        close(4).or_else(|| part(&name)).or_else(|| close(2))
    }
}

/// The shortest key that has the name in it; of those of one length, the first of the table. Or the longest one
/// that is in the name.
fn part(name: &str) -> Option<&'static ConfigKey> {
    let having = ALL.iter().copied().filter(|key| name.len() > 1 && plain(key.name).contains(name));
    let within = ALL.iter().copied().filter(|key| name.contains(&plain(key.name)));
    having.min_by_key(|key| key.name.len()).or_else(|| within.max_by_key(|key| key.name.len()))
}

/// Letters in lower case and digits, and one spelling of what the original abbreviates.
fn plain(name: &str) -> String {
    let kept = name.chars().filter(|c| !matches!(c, '_' | '-') && !c.is_whitespace());
    kept.map(|c| c.to_ascii_lowercase()).collect::<String>().replace("password", "passwd")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_key_and_nonsense_finds_none() {
        for (slip, name) in [
            ("knockprot", "knockPort"),
            ("PFXPassword", "PFXPasswd"),
            ("crlurls", "crlUrl"),
            ("PORT_OPEN_DURATION", "PORT_OPEN_DURATION_IN_SECONDS"),
            ("knock_port", "knockPort"),
            ("knock port", "knockPort"),
            ("port", "knockPort"),
            ("ports", "protectedPorts"),
            ("openDuration", "PORT_OPEN_DURATION_IN_SECONDS"),
            ("state", "stateDir"),
            ("state_directory", "stateDir"),
            ("allowed", "allowedServices"),
            ("policy", "firewallPolicy"),
            ("firewall", "firewallPolicy"),
            ("password", "PFXPasswd"),
            ("passwordFile", "PFXPasswdFile"),
            ("pfx", "PFXPasswd"),
            ("serverPFX", "serverPFXFile"),
            ("ca", "caFile"),
            ("crl", "crlUrl"),
            ("log", "logFormat"),
            ("threshold", "TIMESTAMP_THRESHOLD_IN_SECONDS"),
            ("protocol", "protocols"),
            ("serverPFXFiles", "serverPFXFile"),
        ] {
            assert_eq!(ConfigKey::nearest(slip).map(|key| key.name), Some(name), "{slip}");
        }
        for nonsense in ["x", "", "_", "foo", "a", "banner"] {
            assert!(ConfigKey::nearest(nonsense).is_none(), "{nonsense:?}");
        }
    }
}
