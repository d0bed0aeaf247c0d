//! The client address in a knock, and public addresses learnt from servers' answers. Pure, except for one
//! query of the network interfaces.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use if_addrs::IfAddr;
use sknock_protocol::Timestamp;
use sknock_protocol::v2::ClaimedAddress;
use sknock_types::is_claimable;

/// A network of one of our interfaces.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LocalNetwork {
    address: IpAddr,
    mask: IpAddr,
}

impl LocalNetwork {
    /// Whether `local` is our address in this network and `peer` is in it too.
    fn joins(&self, local: IpAddr, peer: IpAddr) -> bool {
        if self.address != local {
            return false;
        }
        match (self.address, self.mask, peer) {
            (IpAddr::V4(ours), IpAddr::V4(mask), IpAddr::V4(peer)) => {
                // A mask of zeros would call every server on-link.
                !mask.is_unspecified() && ours & mask == peer & mask
            }
            (IpAddr::V6(ours), IpAddr::V6(mask), IpAddr::V6(peer)) => {
                !mask.is_unspecified() && ours & mask == peer & mask
            }
            _ => false,
        }
    }
}

/// The networks of this host. Empty if the system does not report them: then no server is treated as on-link.
pub(crate) fn networks() -> Vec<LocalNetwork> {
    let network = |addr| match addr {
        IfAddr::V4(v4) => LocalNetwork { address: v4.ip.into(), mask: v4.netmask.into() },
        IfAddr::V6(v6) => LocalNetwork { address: v6.ip.into(), mask: v6.netmask.into() },
    };
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    interfaces.into_iter().map(|interface| network(interface.addr)).collect()
}

/// The address to claim on the way from `local` to `destination`.
///
/// Our own, if the server certainly sees it; else `public`, as learnt or configured; else the packet's
/// source. `networks` is called only where it decides.
pub(crate) fn choose(
    local: IpAddr,
    destination: IpAddr,
    networks: impl FnOnce() -> Vec<LocalNetwork>,
    public: Option<IpAddr>,
) -> ClaimedAddress {
    if !is_claimable(local) {
        // Loopback and link-local: the server is on this host or on this link, and refuses such addresses.
        return ClaimedAddress::Source;
    }
    let on_link = || networks().iter().any(|network| network.joins(local, destination));
    if !is_nat64(destination) && (is_global(local) || on_link()) {
        return ClaimedAddress::Ip(local);
    }
    public
        .filter(|address| is_claimable(*address))
        .map_or(ClaimedAddress::Source, ClaimedAddress::Ip)
}

/// Whether a server at `destination` sees an IPv4 address of ours.
pub(crate) fn seen_as_v4(destination: IpAddr) -> bool {
    destination.is_ipv4() || is_nat64(destination)
}

/// Whether this address is globally reachable and so not translated on the way: IANA's registry of
/// special-purpose addresses (RFC 6890), as far as a host can have them.
fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_global_v4(v4),
        IpAddr::V6(v6) => is_global_v6(v6),
    }
}

fn is_global_v4(v4: Ipv4Addr) -> bool {
    let [a, b, c, _] = v4.octets();
    let shared = a == 100 && (64..128).contains(&b); // RFC 6598: carriers' NAT
    let protocols = (a, b, c) == (192, 0, 0); // RFC 7335: behind a 464XLAT
    let benchmarks = a == 198 && (18..20).contains(&b); // RFC 2544
    is_claimable(v4.into())
        && !(v4.is_private() || v4.is_documentation() || shared || protocols || benchmarks)
        && a != 0
        && a < 240
}

fn is_global_v6(v6: Ipv6Addr) -> bool {
    let [first, second, ..] = v6.segments();
    let documentation = (first, second) == (0x2001, 0xdb8) || (first == 0x3fff && second < 0x1000);
    first & 0xe000 == 0x2000 && !documentation // 2000::/3 is all that is handed out
}

/// Whether an IPv4 server is behind this address (RFC 6052, RFC 8215): it sees the translator.
fn is_nat64(destination: IpAddr) -> bool {
    match destination {
        IpAddr::V4(_) => false,
        IpAddr::V6(v6) => match v6.segments() {
            // 64:ff9b::/96, and 64:ff9b:1::/48 for networks of one's own.
            [0x64, 0xff9b, 0, 0, 0, 0, ..] => true,
            [0x64, 0xff9b, third, ..] => third == 1,
            _ => false,
        },
    }
}

/// A NAT's or a mobile client's address may change, so an older one is not used: the next knock leaves its
/// address to the source, and the answer updates it.
const LEARNT_LASTS: Duration = Duration::from_secs(600);

/// Maximum number of paths; a client uses a handful of servers.
const MAX_LEARNT: usize = 16;

/// Public addresses by path: beyond a tunnel, another server may see another address. Forgotten with the
/// client, and after [`LEARNT_LASTS`].
#[derive(Debug, Default)]
pub(crate) struct PublicAddresses(Mutex<Vec<PublicAddress>>);

#[derive(Debug)]
struct PublicAddress {
    local: IpAddr,
    server: IpAddr,
    observed: IpAddr,
    at: Timestamp,
}

impl PublicAddresses {
    /// The public address of `local` in a recent answer of `server`.
    pub(crate) fn recall(&self, local: IpAddr, server: IpAddr, now: Timestamp) -> Option<IpAddr> {
        let lessons = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lesson = lessons.iter().find(|known| known.local == local && known.server == server)?;
        // Not `since`: when the clock was set back, an entry from the future must not last until then.
        (lesson.at.distance(now) <= LEARNT_LASTS).then_some(lesson.observed)
    }

    /// Remembers that `server` sees our address `local` as `observed`.
    pub(crate) fn remember(&self, local: IpAddr, server: IpAddr, observed: IpAddr, now: Timestamp) {
        let mut lessons = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lessons.retain(|known| !(known.local == local && known.server == server));
        if lessons.len() >= MAX_LEARNT {
            lessons.remove(0);
        }
        lessons.push(PublicAddress { local, server, observed, at: now });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn lan() -> Vec<LocalNetwork> {
        [
            ("127.0.0.1", "255.0.0.0"),
            ("192.168.1.9", "255.255.255.0"),
            ("fd00:1::9", "ffff:ffff:ffff:ffff::"),
            ("10.9.9.9", "0.0.0.0"),
        ]
        .map(|(address, mask)| LocalNetwork { address: ip(address), mask: ip(mask) })
        .to_vec()
    }

    fn chosen(local: &str, destination: &str, public: Option<&str>) -> String {
        match choose(ip(local), ip(destination), lan, public.map(ip)) {
            ClaimedAddress::Source => "source".into(),
            ClaimedAddress::Ip(address) => address.to_string(),
        }
    }

    #[test]
    fn a_global_address_is_signed() {
        assert_eq!(chosen("9.8.7.6", "1.2.3.4", Some("5.5.5.5")), "9.8.7.6");
        assert_eq!(chosen("2a00::5", "2a01::6", None), "2a00::5");
    }

    #[test]
    fn a_private_address_is_signed_to_a_server_on_the_link_only() {
        assert_eq!(chosen("192.168.1.9", "192.168.1.1", Some("5.5.5.5")), "192.168.1.9");
        assert_eq!(chosen("192.168.1.9", "192.168.2.1", None), "source");
        assert_eq!(chosen("fd00:1::9", "fd00:1::1", None), "fd00:1::9");
        assert_eq!(chosen("fd00:1::9", "fd00:1:0:1::1", None), "source");
        // another interface's network is not ours
        assert_eq!(chosen("10.0.0.1", "192.168.1.1", None), "source");
        // an empty netmask would make every address on-link
        assert_eq!(chosen("10.9.9.9", "1.2.3.4", None), "source");
    }

    #[test]
    fn behind_a_nat_the_public_address_is_signed_where_known() {
        assert_eq!(chosen("192.168.1.9", "1.2.3.4", Some("5.5.5.5")), "5.5.5.5");
        assert_eq!(chosen("100.64.0.1", "1.2.3.4", Some("5.5.5.5")), "5.5.5.5");
        assert_eq!(chosen("192.168.1.9", "1.2.3.4", Some("127.0.0.1")), "source");
        assert_eq!(chosen("192.168.1.9", "1.2.3.4", None), "source");
    }

    #[test]
    fn loopback_and_link_local_are_never_claimed() {
        assert_eq!(chosen("127.0.0.1", "127.0.0.1", Some("5.5.5.5")), "source");
        assert_eq!(chosen("::1", "::1", Some("5.5.5.5")), "source");
        assert_eq!(chosen("fe80::2", "fe80::1", None), "source");
        assert_eq!(chosen("169.254.1.1", "169.254.1.2", None), "source");
    }

    #[test]
    fn through_nat64_our_own_address_is_not_what_the_server_sees() {
        assert_eq!(chosen("2a00::5", "64:ff9b::102:304", None), "source");
        assert_eq!(chosen("2a00::5", "64:ff9b:1::102:304", None), "source");
        assert_eq!(chosen("2a00::5", "64:ff9b::102:304", Some("5.5.5.5")), "5.5.5.5");
        assert!(seen_as_v4(ip("64:ff9b::102:304")));
        assert!(!seen_as_v4(ip("2a00::5")));
    }

    #[test]
    fn special_addresses_are_not_global() {
        for special in [
            "10.0.0.1",
            "172.16.0.1",
            "192.168.0.1",
            "100.127.0.1",
            "192.0.0.4",
            "192.0.2.1",
            "198.19.0.1",
            "0.1.2.3",
            "240.0.0.1",
            "255.255.255.255",
            "fc00::1",
            "2001:db8::1",
            "3fff:fff::1",
            "64:ff9b::1",
        ] {
            assert!(!is_global(ip(special)), "{special}");
        }
        for global in ["1.1.1.1", "100.128.0.1", "198.20.0.1", "2606:4700::1111", "3fff:1000::1"] {
            assert!(is_global(ip(global)), "{global}");
        }
    }

    #[test]
    fn this_hosts_networks_can_be_read() {
        assert!(networks().iter().any(|network| network.address.is_loopback()));
    }

    fn host(last: u8) -> IpAddr {
        [10, 0, 0, last].into()
    }

    const NOON: Timestamp = Timestamp::from_secs(43_200);

    #[test]
    fn a_learnt_address_is_valid_for_its_path_and_lifetime() {
        let learnt = PublicAddresses::default();
        learnt.remember(host(1), host(2), host(3), NOON);
        learnt.remember(host(1), host(2), host(4), NOON);
        assert_eq!(learnt.recall(host(1), host(2), NOON.after(LEARNT_LASTS)), Some(host(4)));
        assert_eq!(
            learnt.recall(host(1), host(2), NOON.after(LEARNT_LASTS + Duration::from_millis(1))),
            None
        );
        assert_eq!(learnt.recall(host(1), host(9), NOON), None);
        assert_eq!(learnt.recall(host(9), host(2), NOON), None);
    }

    #[test]
    fn only_the_latest_paths_are_kept() {
        let learnt = PublicAddresses::default();
        for server in 0..=16 {
            learnt.remember(host(1), host(server), host(3), NOON);
        }
        assert_eq!(learnt.recall(host(1), host(0), NOON), None);
        assert_eq!(learnt.recall(host(1), host(1), NOON), Some(host(3)));
        assert_eq!(learnt.recall(host(1), host(16), NOON), Some(host(3)));
    }
}
