//! Addresses that a knock may claim, and addresses that may get a grant.
//!
//! The two rules differ in loopback addresses only:
//!
//! | address | [`is_claimable`] | [`is_grantable`] |
//! |---|---|---|
//! | 0.0.0.0/8, 240.0.0.0/4, unspecified, multicast, broadcast, link-local, IPv4-mapped IPv6 | no | no |
//! | loopback | no | yes |
//! | any other | yes | yes |

use core::net::IpAddr;

/// Whether a client may name this address in a knock: one host can have it, and it means the same host on the
/// client and on the server. A loopback address means the host that reads it, so it is not claimable.
pub fn is_claimable(address: IpAddr) -> bool {
    is_grantable(address) && !address.is_loopback()
}

/// Whether a knock from this address may be granted. A loopback address may, if the knock does not name it: a
/// host may knock at itself. The firewall never filters `lo`, so such a grant has no effect.
pub fn is_grantable(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            // Nobody has an address of 0.0.0.0/8 or 240.0.0.0/4 (RFC 6890), which has broadcast in it.
            let first = v4.octets()[0];
            !(first == 0 || first >= 240 || v4.is_multicast() || v4.is_link_local())
        }
        // An IPv4-mapped address is never a packet's source. A grant for it would have no effect.
        IpAddr::V6(v6) => {
            !(v6.is_unspecified()
                || v6.is_multicast()
                || v6.is_unicast_link_local()
                || v6.to_ipv4_mapped().is_some())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_differ_in_loopback_only() {
        let rules = |text: &str| {
            let address = text.parse().unwrap();
            (is_claimable(address), is_grantable(address))
        };
        for usable in ["192.0.2.7", "10.0.0.1", "100.64.0.1", "2001:db8::7", "fd00::1"] {
            assert_eq!(rules(usable), (true, true), "{usable}");
        }
        for loopback in ["127.0.0.1", "127.9.9.9", "::1"] {
            assert_eq!(rules(loopback), (false, true), "{loopback}");
        }
        for unusable in [
            "0.0.0.0",
            "0.1.2.3",
            "240.0.0.1",
            "254.255.255.255",
            "224.0.0.1",
            "255.255.255.255",
            "169.254.1.1",
            "::",
            "ff02::1",
            "fe80::1",
            "::ffff:192.0.2.7",
            "::ffff:127.0.0.1",
        ] {
            assert_eq!(rules(unusable), (false, false), "{unusable}");
        }
    }
}
