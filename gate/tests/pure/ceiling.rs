//! What the ceiling refuses, each with its own reason.

use std::net::IpAddr;

use sknock_gate::{
    ApprovedGrant, BootInstant, Ceiling, DenyReason, GrantRequest, GrantTable, MAX_PORTS,
    PortRange, TokenBucket,
};

use crate::{ceiling, grant_request, tcp, udp};

const NOW: BootInstant = BootInstant::from_millis(5_000);
const ALICE: &str = "192.0.2.7";

fn check(grant_request: &GrantRequest) -> Result<ApprovedGrant, DenyReason> {
    ceiling().check(grant_request, &GrantTable::default(), &mut TokenBucket::default(), NOW)
}

#[test]
fn a_request_within_the_limits_is_granted_as_requested() {
    let grant_request = grant_request(&[ALICE, "2001:db8::7"], &[tcp(1000, 1002), udp(53, 53)]);
    let grant = check(&grant_request).unwrap();
    assert_eq!((grant.seconds(), grant.clipped(), grant.single_use()), (30, false, false));
    assert_eq!(grant.addresses(), grant_request.addresses);
    assert_eq!(grant.services(), grant_request.services);
    assert_eq!(grant.label(), &grant_request.label);
    assert_eq!(grant.grant_keys().count(), 8);
}

#[test]
fn impossible_addresses_are_refused() {
    for address in [
        "0.0.0.0",
        "169.254.1.1",
        "224.0.0.1",
        "239.255.255.255",
        "255.255.255.255",
        "::",
        "fe80::1",
        "febf::1",
        "ff02::1",
        "::ffff:192.0.2.7",
        "::ffff:127.0.0.1",
    ] {
        assert_eq!(
            check(&grant_request(&[address], &[udp(53, 53)])),
            Err(DenyReason::Address),
            "{address}"
        );
        let other = if address.contains(':') { ALICE } else { "2001:db8::7" };
        let second = grant_request(&[other, address], &[udp(53, 53)]);
        assert_eq!(check(&second), Err(DenyReason::Address), "second {address}");
    }
    for address in ["10.0.0.1", "192.168.1.1", "100.64.0.1", "fd00::1", "2001:db8::1"] {
        assert!(check(&grant_request(&[address], &[udp(53, 53)])).is_ok(), "{address}");
    }
}

/// No packet from it needs a door: `lo` is never filtered.
#[test]
fn a_loopback_address_is_granted_without_an_element() {
    for address in ["127.0.0.1", "127.255.255.254", "::1"] {
        let grant = check(&grant_request(&[address], &[udp(53, 53)])).unwrap();
        assert_eq!(grant.grant_keys().count(), 0, "{address}");
        let other = if address.contains(':') { ALICE } else { "2001:db8::7" };
        let both = check(&grant_request(&[address, other], &[udp(53, 53)])).unwrap();
        let doors: Vec<_> = both.grant_keys().map(|one| one.address.to_string()).collect();
        assert_eq!(doors, [other]);
    }
}

#[test]
fn no_address_or_two_of_a_family_are_refused() {
    for addresses in [&[][..], &[ALICE, "192.0.2.8"], &["2001:db8::1", "2001:db8::2"]] {
        assert_eq!(check(&grant_request(addresses, &[udp(53, 53)])), Err(DenyReason::Address));
    }
    let mut three = grant_request(&[ALICE, "2001:db8::1"], &[udp(53, 53)]);
    three.addresses.push(IpAddr::from([192, 0, 2, 8]));
    assert_eq!(check(&three), Err(DenyReason::Address));
}

#[test]
fn services_beyond_the_ceiling_are_refused_as_a_whole() {
    for services in [
        &[udp(1000, 1000)][..],
        &[tcp(53, 53)],
        &[tcp(999, 1000)],
        &[tcp(1999, 2000)],
        &[tcp(1000, 1000), tcp(22, 22)],
    ] {
        assert_eq!(
            check(&grant_request(&[ALICE], services)),
            Err(DenyReason::Service),
            "{services:?}"
        );
    }
}

#[test]
fn a_service_may_span_neighbouring_permissions() {
    let split = Ceiling { services: vec![tcp(1, 10), tcp(11, 20)], ..ceiling() };
    let grant_request = grant_request(&[ALICE], &[tcp(5, 15)]);
    assert!(
        split
            .check(&grant_request, &GrantTable::default(), &mut TokenBucket::default(), NOW)
            .is_ok()
    );
}

#[test]
fn sixty_four_ports_are_the_most() {
    let max = u16::try_from(MAX_PORTS).unwrap();
    assert_eq!(
        check(&grant_request(&[ALICE], &[tcp(1000, 999 + max)])).unwrap().grant_keys().count(),
        MAX_PORTS
    );
    let both = check(&grant_request(&[ALICE, "2001:db8::7"], &[tcp(1000, 999 + max)])).unwrap();
    assert_eq!(both.grant_keys().count(), 2 * MAX_PORTS);
    for services in [&[tcp(1000, 1000 + max)][..], &[tcp(1, 65535); 16], &[]] {
        assert_eq!(check(&grant_request(&[ALICE], services)), Err(DenyReason::Ports));
    }
}

#[test]
fn a_port_that_is_requested_twice_is_one_grant() {
    let grant = check(&grant_request(&[ALICE], &[tcp(1000, 1005), tcp(1003, 1008)])).unwrap();
    assert_eq!(grant.grant_keys().count(), 9);
}

#[test]
fn single_use_is_for_single_tcp_ports() {
    let once = |services: &[PortRange]| {
        check(&GrantRequest { single_use: true, ..grant_request(&[ALICE], services) })
            .map(|grant| grant.single_use())
    };
    assert_eq!(once(&[tcp(1000, 1000), tcp(1001, 1001)]), Ok(true));
    assert_eq!(once(&[tcp(1000, 1001)]), Err(DenyReason::SingleUse));
    assert_eq!(once(&[tcp(1000, 1000), udp(53, 53)]), Err(DenyReason::SingleUse));
}

#[test]
fn a_lifetime_is_clipped_and_none_is_refused() {
    let lasting = |seconds| {
        check(&GrantRequest { seconds, ..grant_request(&[ALICE], &[udp(53, 53)]) })
            .map(|grant| (grant.seconds(), grant.clipped()))
    };
    assert_eq!(lasting(0), Err(DenyReason::Lifetime));
    assert_eq!(lasting(60), Ok((60, false)));
    assert_eq!(lasting(61), Ok((60, true)));
    assert_eq!(lasting(u32::MAX), Ok((60, true)));
}

#[test]
fn active_grants_are_limited_and_a_renewal_adds_none() {
    let ceiling = Ceiling { live: 10, ..ceiling() };
    let (mut live, mut bucket) = (GrantTable::default(), TokenBucket::default());
    let eight = grant_request(&[ALICE], &[tcp(1000, 1007)]);
    live.record(&ceiling.check(&eight, &live, &mut bucket, NOW).unwrap(), NOW);
    let mut check = |grant_request: &GrantRequest| {
        ceiling.check(grant_request, &live, &mut bucket, NOW).map(drop)
    };
    assert_eq!(check(&eight), Ok(()));
    assert_eq!(check(&grant_request(&[ALICE], &[tcp(1006, 1009)])), Ok(()));
    assert_eq!(check(&grant_request(&[ALICE], &[tcp(1006, 1010)])), Err(DenyReason::Live));
    assert_eq!(check(&grant_request(&["192.0.2.8"], &[tcp(1000, 1002)])), Err(DenyReason::Live));
}

#[test]
fn too_many_in_a_short_time_are_refused_and_refusals_cost_nothing() {
    let (live, mut bucket) = (GrantTable::default(), TokenBucket::default());
    let mut check = |services: &[PortRange], now| {
        ceiling().check(&grant_request(&[ALICE], services), &live, &mut bucket, now).map(drop)
    };
    for _ in 0..100 {
        assert_eq!(check(&[udp(53, 53)], NOW), Ok(()));
        assert_eq!(check(&[tcp(22, 22)], NOW), Err(DenyReason::Service));
    }
    assert_eq!(check(&[udp(53, 53)], NOW), Err(DenyReason::Rate));
    let later = BootInstant::from_millis(5_100);
    assert_eq!(check(&[udp(53, 53)], later), Ok(()));
    assert_eq!(check(&[udp(53, 53)], later), Err(DenyReason::Rate));
}
