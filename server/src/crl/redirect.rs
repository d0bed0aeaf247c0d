//! Permitted targets of a fetch. The configured address may be anywhere, also in a private network. A
//! redirect may lead from there to public addresses, or to the first server itself.
//!
//! The check applies to the address that is connected to: names are resolved here, once for each connection,
//! and forbidden addresses are removed from the result.
//!
//! Addresses to which a redirect may lead, and the host's own addresses.
//!
//! The server at a `crlUrl`, or an attacker on the path, chooses the target of a redirect. Without this check
//! they could make sknockd send requests to its own host or network.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, OnceLock};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Reasons why a redirect is not followed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RedirectRefused {
    /// Its target is not a valid URL.
    #[error("redirected to an address that is neither http nor https")]
    NoAddress,
    /// From https to http.
    #[error("redirected from https to http")]
    Downgrade,
    /// To a port that the configuration does not name.
    #[error("redirected to port {0}, which no crlUrl has. Set crlUrl to the new address")]
    Port(u16),
    /// To this host, or to one in a private network.
    #[error(
        "redirected to {0}, which is this host or not a public address. To allow that, set \
         crlUrl to it"
    )]
    NotPublic(String),
    /// More redirects than are allowed.
    #[error("redirected more than {0} times")]
    Often(usize),
}

/// One fetch with its redirects.
#[derive(Clone, Debug)]
pub(super) struct Route {
    /// The TCP ports of all configured addresses.
    ports: Arc<[u16]>,
    /// The address of the first server, once it has answered.
    home: Arc<OnceLock<IpAddr>>,
}

impl Route {
    /// A route before the first request.
    pub(super) fn new(ports: &Arc<[u16]>) -> Self {
        Self { ports: Arc::clone(ports), home: Arc::default() }
    }

    /// Records the address of the first answer.
    pub(super) fn has_answered(&self, address: Option<SocketAddr>) {
        // An answer without a known address: redirects may only lead to public addresses.
        let unspecified = IpAddr::from([0, 0, 0, 0]);
        self.home
            .get_or_init(|| address.map_or(unspecified, |address| address.ip().to_canonical()));
    }

    /// The target of `location` in an answer from `from`. The address of a name is checked when it is
    /// resolved.
    pub(super) fn next(&self, from: &Url, location: &str) -> Result<Url, RedirectRefused> {
        let to = from.join(location).map_err(|_| RedirectRefused::NoAddress)?;
        match (from.scheme(), to.scheme()) {
            ("https", "http") => return Err(RedirectRefused::Downgrade),
            (_, "http" | "https") => {}
            _ => return Err(RedirectRefused::NoAddress),
        }
        let port = to.port_or_known_default().ok_or(RedirectRefused::NoAddress)?;
        if !self.ports.contains(&port) {
            return Err(RedirectRefused::Port(port));
        }
        let host = to.host_str().ok_or(RedirectRefused::NoAddress)?;
        // `host_str` has IPv6 addresses in brackets. Other forms of IPv4, such as 0x7f.1, the URL parser has
        // already made the usual one.
        match host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(address) if !self.allows(address) => {
                Err(RedirectRefused::NotPublic(address.to_string()))
            }
            _ => Ok(to),
        }
    }

    fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        (is_public(address) && !is_own(address)) || self.home.get() == Some(&address)
    }

    /// The permitted addresses in `found`, for `name`.
    fn choose(&self, name: &str, found: &[SocketAddr]) -> Result<Vec<SocketAddr>, RedirectRefused> {
        let some = |allowed: &dyn Fn(IpAddr) -> bool| -> Vec<SocketAddr> {
            found.iter().copied().filter(|address| allowed(address.ip())).collect()
        };
        if self.home.get().is_none() {
            // As configured. If a name has public addresses, its private ones are dropped.
            let public = some(&is_public);
            return Ok(if public.is_empty() { found.to_vec() } else { public });
        }
        let allowed = some(&|address| self.allows(address));
        match found.first() {
            Some(first) if allowed.is_empty() => {
                Err(RedirectRefused::NotPublic(format!("{name} ({})", first.ip())))
            }
            _ => Ok(allowed),
        }
    }
}

impl Resolve for Route {
    fn resolve(&self, name: Name) -> Resolving {
        let route = self.clone();
        Box::pin(async move {
            let name = name.as_str();
            // The connector sets the port.
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name, 0)).await?.collect();
            let chosen =
                route.choose(name, &found).map_err(Box::<dyn Error + Send + Sync>::from)?;
            Ok::<Addrs, _>(Box::new(chosen.into_iter()))
        })
    }
}

/// Whether `address` is a public unicast address: not this host, and not in a private network. An IPv6
/// address that embeds an IPv4 address is checked as that.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, third, _] = address.octets();
    // "This" network, whose 0.0.0.0 means this host; former class E with the broadcast address; shared
    // address space (CGNAT); protocol assignments; 6to4 relays; benchmarking.
    let special = matches!(
        (first, second, third),
        (0 | 240..=255, ..) | (100, 64..=127, _) | (192, 0, 0) | (192, 88, 99) | (198, 18..=19, _)
    );
    !(special
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation())
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    // Embedded IPv4 address of the well-known NAT64 prefix or of 6to4.
    if let [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] = segments {
        return is_public_v4(embedded(high, low));
    }
    // ISATAP: an interface identifier with an IPv4 address.
    if let [.., 0 | 0x200, 0x5efe, high, low] = segments
        && !is_public_v4(embedded(high, low))
    {
        return false;
    }
    match segments {
        // Teredo, ORCHID and other assignments; documentation, twice.
        [0x2001, second, ..] => second >= 0x200 && second != 0xdb8,
        // 3fff::/20 (RFC 9637).
        [0x3fff, second, ..] => second >= 0x1000,
        // Global unicast. The rest is loopback, unspecified, link-local, unique local, multicast,
        // IPv4-compatible, a local NAT64 prefix, or unassigned.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

fn embedded(high: u16, low: u16) -> Ipv4Addr {
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    Ipv4Addr::new(a, b, c, d)
}

/// Whether a connection to `address` would stay on this host: the kernel then chooses the same address for
/// both ends. Nothing is sent. Does not detect networks that are routed to this host (`ip route add local`).
pub(super) fn is_own(address: IpAddr) -> bool {
    let any: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let reached_from = || {
        let socket = UdpSocket::bind((any, 0))?;
        // connect(2) on a UDP socket only selects a route; any port will do.
        socket.connect(SocketAddr::new(address, 9))?;
        socket.local_addr()
    };
    reached_from().is_ok_and(|from| from.ip() == address)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A route after an answer from `home`, for these ports.
    fn route(home: &str, ports: &[u16]) -> Route {
        let route = Route::new(&Arc::from(ports));
        route.has_answered(Some(SocketAddr::new(home.parse().unwrap(), 80)));
        route
    }

    #[track_caller]
    fn leads(route: &Route, from: &str, location: &str) -> Result<String, RedirectRefused> {
        route.next(&from.parse().unwrap(), location).map(Into::into)
    }

    #[test]
    fn a_redirect_may_lead_to_public_addresses_or_the_first_server() {
        let route = route("::ffff:10.0.0.5", &[80, 443]);
        for location in ["/other", "http://10.0.0.5/other", "http://[::ffff:a00:5]/", "//8.8.8.8/"]
        {
            assert!(leads(&route, "http://10.0.0.5/a", location).is_ok(), "{location}");
        }
        for (location, host) in [
            ("http://10.0.0.6/", "10.0.0.6"),
            ("http://127.1/", "127.0.0.1"),
            ("http://2130706433/", "127.0.0.1"),
            ("http://0x7f.0.0.1/", "127.0.0.1"),
            ("http://0/", "0.0.0.0"),
            ("http://[::]/", "::"),
            ("http://[::ffff:7f00:1]/", "::ffff:127.0.0.1"),
            ("//169.254.169.254/latest", "169.254.169.254"),
        ] {
            let refused = Err(RedirectRefused::NotPublic(host.to_owned()));
            assert_eq!(leads(&route, "http://10.0.0.5/a", location), refused, "{location}");
        }
    }

    #[test]
    fn a_redirect_keeps_to_the_ports_and_to_the_protection_of_what_is_configured() {
        let route = route("8.8.8.8", &[443, 8000]);
        let leads = |from, location| leads(&route, from, location);
        assert!(leads("http://a.example:8000/", "https://b.example/").is_ok());
        assert_eq!(
            leads("https://a.example/", "http://a.example:8000/"),
            Err(RedirectRefused::Downgrade)
        );
        assert_eq!(
            leads("http://a.example:8000/", "http://a.example/"),
            Err(RedirectRefused::Port(80))
        );
        assert_eq!(
            leads("http://a.example:8000/", "//a.example:53/"),
            Err(RedirectRefused::Port(53))
        );
        for location in ["file:///etc/passwd", "http://", "mailto:a@b.example"] {
            assert_eq!(
                leads("https://a.example/", location),
                Err(RedirectRefused::NoAddress),
                "{location}"
            );
        }
    }

    #[test]
    fn only_permitted_addresses_of_a_resolved_name_are_kept() {
        let at = |ip: &str| SocketAddr::new(ip.parse().unwrap(), 0);
        let (public, local, private) = (at("8.8.8.8"), at("127.0.0.1"), at("10.0.0.5"));
        let first = Route::new(&Arc::from([80]));
        assert_eq!(first.choose("a", &[private, local]), Ok(vec![private, local]), "as configured");
        assert_eq!(first.choose("a", &[local, public]), Ok(vec![public]));
        let later = route("10.0.0.5", &[80]);
        assert_eq!(later.choose("a", &[local, private, public]), Ok(vec![private, public]));
        let refused = later.choose("evil.example", &[local]).unwrap_err();
        assert!(refused.to_string().contains("evil.example (127.0.0.1)"), "{refused}");
        assert_eq!(later.choose("a", &[]), Ok(vec![]), "nobody knows it");
    }

    #[track_caller]
    fn check_public(addresses: &str, public: bool) {
        for address in addresses.split_whitespace() {
            assert_eq!(is_public(address.parse().unwrap()), public, "{address}");
        }
    }

    #[test]
    fn addresses_of_this_host_its_networks_and_of_nobody_are_not_public() {
        check_public(
            "0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.127.255.255 127.0.0.1 127.255.0.9 \
             169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.8 192.0.2.1 192.88.99.1 192.168.1.1 \
             198.18.0.1 198.19.255.255 198.51.100.7 203.0.113.9 224.0.0.1 239.255.255.255 240.0.0.1 \
             255.255.255.255",
            false,
        );
        check_public(
            ":: ::1 ::7f00:1 ::10.0.0.1 fe80::1 fe80::1 febf::1 fec0::1 fc00::1 fd77:2::2 ff02::1 ff0e::1 100::1 \
             2001::1 2001:0:7f00:1::1 2001:10::1 2001:20::1 2001:db8::1 3fff::1 5f00::1 4000::1",
            false,
        );
    }

    #[test]
    fn an_ipv4_address_embedded_in_ipv6_is_checked_as_ipv4() {
        check_public(
            "::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 64:ff9b::127.0.0.1 64:ff9b::10.1.2.3 \
             64:ff9b:1::8.8.8.8 2002:7f00:1::1 2002:a00:1::1 2002:c0a8:101::1 2a00:1450::5efe:10.0.0.1 \
             2a00:1450::200:5efe:127.0.0.1 fe80::5efe:8.8.8.8 fd77::5efe:8.8.8.8",
            false,
        );
        check_public(
            "::ffff:8.8.8.8 64:ff9b::8.8.8.8 2002:808:808::1 2a00:1450::5efe:8.8.8.8",
            true,
        );
    }

    #[test]
    fn the_rest_is_public() {
        check_public(
            "1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.1 \
             169.253.255.255 172.15.255.255 172.32.0.0 192.167.255.255 198.17.255.255 198.20.0.0 \
             223.255.255.255 2a00:1450:4001::1 2001:200::1 2001:4860:4860::8888 2600::1 3ffe::1",
            true,
        );
    }

    #[test]
    fn this_host_is_known_at_all_its_addresses() {
        for own in ["127.0.0.1", "::1"] {
            assert!(is_own(own.parse().unwrap()), "{own}");
        }
        for other in ["192.0.2.1", "2001:db8::1"] {
            assert!(!is_own(other.parse().unwrap()), "{other}");
        }
    }
}
