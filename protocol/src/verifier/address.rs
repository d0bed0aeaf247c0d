//! The address check: the addresses that a verified signature claims.

use core::net::{IpAddr, SocketAddr};

use sknock_types::{is_claimable, is_grantable};

use super::KnockRules;
use crate::decrypted::{ClaimedAddress, KnockRequest};
use crate::knock::AddressClaim;
use crate::refusal::Refusal;

/// Compares the claimed address with the source of the datagram. A knock that fails here is not recorded: a
/// client that changed networks, or whose knock was relayed, can knock again.
///
/// The source itself may be forged: an attacker gains a grant for an address that did not request it.
pub(super) fn claim(
    request: &KnockRequest,
    source: SocketAddr,
    rules: &KnockRules,
) -> Result<AddressClaim, Refusal> {
    let source = source.ip();
    let signed = match request.address {
        ClaimedAddress::Ip(address) if address == source => true,
        ClaimedAddress::Ip(_) => return Err(Refusal::AddressMismatch),
        ClaimedAddress::Source if rules.unsigned_address => false,
        ClaimedAddress::Source => return Err(Refusal::AddressUnsigned),
    };
    if let Some(second) = request.second {
        check_second(second, source, rules)?;
    }
    let usable = if signed { is_claimable(source) } else { is_grantable(source) };
    if !usable {
        return Err(Refusal::AddressUnusable);
    }
    Ok(AddressClaim { first: source, signed, second: request.second })
}

/// A second address of the source's own family would be an address that the knock did not come from.
fn check_second(second: IpAddr, source: IpAddr, rules: &KnockRules) -> Result<(), Refusal> {
    if second.is_ipv4() == source.is_ipv4() {
        return Err(Refusal::AddressMismatch);
    }
    if !rules.second_address {
        return Err(Refusal::SecondAddress);
    }
    if !is_claimable(second) {
        return Err(Refusal::AddressUnusable);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;
    use crate::Timestamp;

    fn request(first: &str, second: Option<&str>) -> KnockRequest {
        let address = match first {
            "source" => ClaimedAddress::Source,
            address => ClaimedAddress::Ip(address.parse().unwrap()),
        };
        KnockRequest {
            stamp: Timestamp::EPOCH,
            lifetime: None,
            single_use: false,
            answer: false,
            address,
            second: second.map(|address| address.parse().unwrap()),
            services: Vec::new(),
        }
    }

    const RULES: KnockRules =
        KnockRules { window: Duration::from_secs(7), unsigned_address: true, second_address: true };

    fn check(first: &str, second: Option<&str>, source: &str) -> Result<AddressClaim, Refusal> {
        let source = SocketAddr::new(source.parse().unwrap(), 40000);
        claim(&request(first, second), source, &RULES)
    }

    #[test]
    fn a_signed_address_is_the_source() {
        for address in ["192.0.2.7", "10.0.0.1", "100.64.0.1", "2001:db8::7", "fd00::1"] {
            let claim = check(address, None, address).unwrap();
            assert_eq!(claim.first(), address.parse::<IpAddr>().unwrap());
            assert!(claim.signed());
        }
        assert_eq!(check("192.0.2.7", None, "192.0.2.8"), Err(Refusal::AddressMismatch));
        assert_eq!(check("192.0.2.7", None, "2001:db8::7"), Err(Refusal::AddressMismatch));
        assert_eq!(check("::ffff:192.0.2.7", None, "192.0.2.7"), Err(Refusal::AddressMismatch));
    }

    #[test]
    fn an_unsigned_address_is_accepted_only_if_permitted() {
        let claim = check("source", None, "192.0.2.7").unwrap();
        assert!(!claim.signed());
        assert_eq!(claim.all().collect::<Vec<_>>(), ["192.0.2.7".parse::<IpAddr>().unwrap()]);

        let strict = KnockRules { unsigned_address: false, ..RULES };
        let source = "192.0.2.7:40000".parse().unwrap();
        let refusal = super::claim(&request("source", None), source, &strict).unwrap_err();
        assert_eq!(refusal, Refusal::AddressUnsigned);
    }

    #[test]
    fn a_second_address_is_of_the_other_family_and_the_administrators_choice() {
        for first in ["source", "192.0.2.7"] {
            let claim = check(first, Some("2001:db8::7"), "192.0.2.7").unwrap();
            assert_eq!(claim.second(), Some("2001:db8::7".parse().unwrap()));
            assert_eq!(claim.all().count(), 2);
            for same in ["192.0.2.7", "192.0.2.8"] {
                let refusal = check(first, Some(same), "192.0.2.7").unwrap_err();
                assert_eq!(refusal, Refusal::AddressMismatch, "{same}");
            }
        }
        let source = "192.0.2.7:40000".parse().unwrap();
        let request = request("source", Some("2001:db8::7"));
        let one_address = KnockRules { second_address: false, ..RULES };
        let refusal = super::claim(&request, source, &one_address).unwrap_err();
        assert_eq!(refusal, Refusal::SecondAddress);
    }

    const UNUSABLE: [&str; 9] = [
        "0.0.0.0",
        "127.0.0.1",
        "127.9.9.9",
        "224.0.0.1",
        "255.255.255.255",
        "169.254.1.1",
        "::",
        "ff02::1",
        "fe80::1",
    ];

    #[test]
    fn an_address_that_no_client_can_have_is_refused() {
        for address in UNUSABLE.into_iter().chain(["::1"]) {
            assert_eq!(check(address, None, address), Err(Refusal::AddressUnusable), "{address}");
            let source = if address.contains(':') { "192.0.2.7" } else { "2001:db8::7" };
            let refusal = check("source", Some(address), source).unwrap_err();
            assert_eq!(refusal, Refusal::AddressUnusable, "second {address}");
        }
        let refusal = check("source", Some("::ffff:192.0.2.7"), "192.0.2.7").unwrap_err();
        assert_eq!(refusal, Refusal::AddressUnusable);
    }

    #[test]
    fn an_unsigned_source_may_be_loopback_and_nothing_else_unusable() {
        for address in ["127.0.0.1", "::1"] {
            assert!(check("source", None, address).is_ok(), "{address}");
        }
        for address in ["0.0.0.0", "224.0.0.1", "169.254.1.1", "::", "ff02::1", "fe80::1"] {
            let refusal = check("source", None, address).unwrap_err();
            assert_eq!(refusal, Refusal::AddressUnusable, "{address}");
        }
    }
}
