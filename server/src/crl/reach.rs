//! Addresses to which a redirect may lead, and the host's own addresses.
//!
//! The server at a `crlUrl`, or an attacker on the path, chooses the target of a redirect. Without this check
//! they could make sknockd send requests to its own host or network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

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
    fn an_ipv4_address_in_an_ipv6_address_is_judged_as_such() {
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
