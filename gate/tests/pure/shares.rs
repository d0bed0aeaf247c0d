//! What one certificate, or one network, can take of the gate's room, and what is left for others.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use proptest::prelude::*;
use sknock_gate::{
    BootInstant, Ceiling, CertId, DenyReason, GrantRequest, GrantTable, OpenGrants, Party,
    PortRange, Serial, Shares, SourceNetwork, TokenBucket,
};

use crate::{ceiling, grant_request, tcp};

const SIZE: usize = 2000;
const USUAL: Shares = Shares { certificate: 20, network: 50 };

fn sharing() -> Ceiling {
    let services = vec![tcp(1, 65_535)];
    Ceiling { services, live: SIZE, per_second: 1_000, shares: USUAL, ..ceiling() }
}

fn cert(number: u16) -> CertId {
    CertId { issuer: *b"CA01CA01CA01", serial: Serial::new(&number.to_be_bytes()).unwrap() }
}

/// An address of host `host` in the IPv6 network number `network`.
fn host(network: u16, host: u64) -> IpAddr {
    Ipv6Addr::from_bits(0x2001_0db8_u128 << 96 | u128::from(network) << 64 | u128::from(host))
        .into()
}

struct Gate {
    ceiling: Ceiling,
    live: GrantTable,
    bucket: TokenBucket,
    now: BootInstant,
}

impl Gate {
    fn new() -> Self {
        let now = BootInstant::from_millis(5_000);
        Self {
            ceiling: sharing(),
            live: GrantTable::default(),
            bucket: TokenBucket::default(),
            now,
        }
    }

    fn open(&mut self, who: u16, address: IpAddr, ports: PortRange) -> Result<(), DenyReason> {
        let mut grant_request = GrantRequest { seconds: 60, ..grant_request(&[], &[ports]) };
        grant_request.addresses.push(address);
        grant_request.label.cert = cert(who);
        let grant = self.ceiling.check(&grant_request, &self.live, &mut self.bucket, self.now)?;
        self.live.record(&grant, self.now);
        Ok(())
    }

    fn held(&self, who: u16) -> usize {
        self.live.held(&Party::Certificate(cert(who)))
    }

    /// Opens one door after the other at new addresses, until there is none to be had.
    fn fill(&mut self, who: u16, network: u16) -> DenyReason {
        for number in 0.. {
            // Slowly, so that the rate plays no part; doors stay open for a minute.
            self.now = self.now.after(Duration::from_millis(4));
            let address = host(network, number << 16 | u64::from(who));
            if let Err(deny_reason) = self.open(who, address, tcp(22, 22)) {
                return deny_reason;
            }
        }
        unreachable!("the room is bounded")
    }
}

#[test]
fn one_certificate_gets_its_share_and_no_more() {
    let mut gate = Gate::new();
    assert_eq!(gate.fill(1, 1), DenyReason::ShareOfCertificate);
    assert_eq!(gate.held(1), SIZE / 5);
    assert_eq!(gate.open(1, host(2, 1), tcp(22, 22)), Err(DenyReason::ShareOfCertificate));
    assert_eq!(gate.open(1, host(1, 1), tcp(22, 22)), Ok(()), "what it has can be renewed");
    assert_eq!(gate.open(2, host(1, 1), tcp(22, 85)), Ok(()), "and others get in");
}

#[test]
fn one_network_gets_its_share_and_no_more() {
    let mut gate = Gate::new();
    for who in 1..=2 {
        assert_eq!(gate.fill(who, 1), DenyReason::ShareOfCertificate);
    }
    assert_eq!(gate.fill(3, 1), DenyReason::ShareOfNetwork);
    let network = Party::Network(SourceNetwork::from(host(1, 9)));
    assert_eq!(gate.live.held(&network), SIZE / 2);
    assert_eq!(gate.open(4, host(1, 1), tcp(23, 23)), Err(DenyReason::ShareOfNetwork));
    assert_eq!(gate.open(4, host(2, 1), tcp(23, 23)), Ok(()));
}

#[test]
fn the_last_tenth_goes_to_the_certificates_that_hold_least() {
    let mut gate = Gate::new();
    for who in 1..=4 {
        assert_eq!(gate.fill(who, who), DenyReason::ShareOfCertificate);
    }
    // The fifth is stopped where the last tenth begins.
    assert_eq!(gate.fill(5, 5), DenyReason::Reserved);
    assert_eq!(gate.live.len(), SIZE * 9 / 10);
    // The next ones get a tenth of what is left: 20 of 200, 18 of 180 ...
    let got: Vec<usize> = (6..=10)
        .map(|who| {
            assert_eq!(gate.fill(who, who), DenyReason::Reserved);
            gate.held(who)
        })
        .collect();
    assert!(got.is_sorted_by(|one, next| one >= next), "{got:?}");
    assert!((15..=20).contains(&got[0]) && gate.live.len() < SIZE - 90, "{got:?}");
    assert_eq!(gate.open(11, host(11, 1), tcp(22, 22)), Ok(()));
}

#[test]
fn an_ended_grant_is_charged_to_no_share() {
    let mut gate = Gate::new();
    let _ = gate.fill(1, 1);
    assert_eq!(gate.live.remove_cert(&cert(1)), SIZE / 5);
    let network = Party::Network(SourceNetwork::from(host(1, 1)));
    assert_eq!((gate.held(1), gate.live.held(&network)), (0, 0));
    let _ = gate.fill(1, 1);
    gate.now = gate.now.after(Duration::from_secs(61));
    let _ = gate.live.expire(gate.now);
    assert_eq!((gate.held(1), gate.live.held(&network)), (0, 0));
}

#[test]
fn one_certificate_gets_its_share_of_the_rate_and_no_more() {
    let mut gate = Gate::new();
    gate.ceiling.per_second = 10;
    let mut opened = 0;
    let deny_reason = loop {
        match gate.open(1, host(1, 1), tcp(22, 22)) {
            Ok(()) => opened += 1,
            Err(deny_reason) => break deny_reason,
        }
    };
    assert_eq!((opened, deny_reason), (20, DenyReason::RateOfCertificate));
    assert_eq!(gate.open(2, host(1, 2), tcp(22, 22)), Ok(()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However two certificates divide their wishes over time, addresses, networks and ports, who holds
    /// nothing gets in with the largest wish, also from their network.
    #[test]
    fn a_certificate_without_grants_is_granted_beside_two_greedy_ones(
        grant_requests in prop::collection::vec((0..2_u16, 0..3_u16, 0..8_u64, 1..900_u16, 1..=64_u16, 0..40_u64), 1..200),
        from in 0..3_u16,
    ) {
        let mut gate = Gate::new();
        for (who, network, number, first, width, later) in grant_requests {
            gate.now = gate.now.after(Duration::from_millis(later));
            let _ = gate.live.expire(gate.now);
            let _ = gate.open(who, host(network, number), tcp(first, first + width - 1));
        }
        prop_assert!(gate.held(0) <= SIZE / 5 && gate.held(1) <= SIZE / 5);
        prop_assert_eq!(gate.open(9, host(from, 99), tcp(2000, 2063)), Ok(()));
    }

    /// With however many certificates: in the last tenth nobody gets more than a tenth of what was left.
    #[test]
    fn no_certificate_fills_the_last_tenth(grant_requests in prop::collection::vec((0..40_u16, 0..30_u64, 1..=64_u16), 1..200)) {
        let mut gate = Gate::new();
        for (who, number, width) in grant_requests {
            let (left, before) = (SIZE - gate.live.len(), gate.held(who));
            let opened = gate.open(who, host(who, number), tcp(1, width));
            let more = gate.held(who) - before;
            if more > 0 && left - more < SIZE / 10 {
                prop_assert!(gate.held(who) <= (left / 10).max(1), "{} of {left}", gate.held(who));
            }
            if left > 0 && opened == Err(DenyReason::Live) {
                prop_assert!(usize::from(width) > left);
            }
        }
    }
}
