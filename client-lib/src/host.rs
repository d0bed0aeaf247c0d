//! Validates a host argument: a name or an address, without the additions that other programs accept.

use std::net::{Ipv6Addr, SocketAddr};

/// The text is not a host's name or address, but a form that other programs accept.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NotAHost {
    /// Empty.
    #[error("the host is empty. Write its name or address")]
    Empty,
    /// Contains white space.
    #[error("{0:?} contains white space. Write only the name or address of the host")]
    WhiteSpace(String),
    /// A service or a port.
    #[error("{0:?} is not a host. Write the host first, then the service")]
    Service(String),
    /// A host with an addition: a port, a user, a scheme.
    #[error("{text:?} is more than a host. Write {host}{}", self.rest())]
    More {
        /// The text as given.
        text: String,
        /// The host in it.
        host: String,
        /// The port in it.
        port: Option<u16>,
        /// Whether it contains a user.
        user: bool,
        /// Whether it is a URL.
        url: bool,
    },
}

impl NotAHost {
    fn rest(&self) -> String {
        let Self::More { port, user, url, .. } = self else { return String::new() };
        let port = port.map(|port| format!(", and the port as a service: tcp/{port}"));
        let user = if *user { ". No user is needed; your certificate identifies you" } else { "" };
        let url = if *url { ". No URL is needed" } else { "" };
        format!("{}{user}{url}", port.unwrap_or_default())
    }
}

/// Rejects texts that are neither a name nor an address, before the delay of a resolver.
///
/// # Errors
/// With the correct form.
pub fn check_host(text: &str) -> Result<(), NotAHost> {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Err(NotAHost::Empty);
    }
    if trimmed.contains(char::is_whitespace) {
        return Err(NotAHost::WhiteSpace(text.to_owned()));
    }
    if is_service(trimmed) {
        return Err(NotAHost::Service(text.to_owned()));
    }
    let (scheme, rest) = trimmed.split_once("://").map_or((None, trimmed), |(s, r)| (Some(s), r));
    let authority = rest.split('/').next().unwrap_or_default();
    let (user, place) = authority.rsplit_once('@').map_or((None, authority), |(u, p)| (Some(u), p));
    let (host, port) = without_port(place);
    if host.is_empty() {
        return Err(NotAHost::Empty);
    }
    if host == text {
        return Ok(());
    }
    let host = unbracketed(host).to_owned();
    let (text, user, url) = (text.to_owned(), user.is_some(), scheme.is_some());
    Err(NotAHost::More { text, host, port, user, url })
}

/// `tcp/22`, or a bare number, which a resolver would parse as an IPv4 address.
fn is_service(text: &str) -> bool {
    let words = text.to_ascii_lowercase();
    let begins = |transport: &str| words.starts_with(transport);
    begins("tcp/") || begins("udp/") || text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The host before a port, and the port. An IPv6 address without brackets has no port.
fn without_port(place: &str) -> (&str, Option<u16>) {
    if place.parse::<Ipv6Addr>().is_ok() {
        return (place, None);
    }
    if let Ok(address) = place.parse::<SocketAddr>() {
        let host = place.rsplit_once(':').map_or(place, |(host, _)| host);
        return (host, Some(address.port()).filter(|port| *port > 0));
    }
    match place.split_once(':') {
        // A scope may follow an address: fe80::1%eth0.
        Some((host, port)) if !port.contains(':') => (host, port.parse().ok()),
        _ => (place, None),
    }
}

/// `[2001:db8::1]` is an address, too.
pub(crate) fn unbracketed(host: &str) -> &str {
    host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_hosts() {
        for host in [
            "gw",
            "gw.example.",
            "GW.example",
            "192.0.2.1",
            "2001:db8::1",
            "[2001:db8::1]",
            "::1",
            "::ffff:192.0.2.1",
            "fe80::1%eth0",
            "gw_1",
            "müller.example",
            "1and1.example",
        ] {
            assert_eq!(check_host(host), Ok(()), "{host}");
        }
    }

    #[test]
    fn additions_to_a_host_name_are_distinguished() {
        let more = |text: &str| match check_host(text) {
            Err(NotAHost::More { host, port, user, url, .. }) => (host, port, user, url),
            other => panic!("{text}: {other:?}"),
        };
        let gw = |port, user, url| ("gw".to_owned(), port, user, url);
        assert_eq!(more("gw:22"), gw(Some(22), false, false));
        assert_eq!(more("gw:ssh"), gw(None, false, false));
        assert_eq!(more("gw:"), gw(None, false, false));
        assert_eq!(more("a@b@gw"), gw(None, true, false));
        assert_eq!(more("ssh://alice@gw:22/path@x"), gw(Some(22), true, true));
        assert_eq!(more(" gw"), gw(None, false, false));
        assert_eq!(more("[::1]:0").0, "::1");
        assert_eq!(more("[::1]:22"), ("::1".to_owned(), Some(22), false, false));
        for nothing in ["", " ", "ssh://", "alice@", ":22", "/"] {
            assert_eq!(check_host(nothing), Err(NotAHost::Empty), "{nothing:?}");
        }
    }
}
