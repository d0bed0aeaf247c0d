//! The network process and the gate each look at addresses, and neither believes the other: they must agree.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use sknock_gate::{
    BootInstant, Ceiling, CertId, GrantLabel, GrantRequest, GrantTable, OwnerName, PortRange,
    Serial, Shares, TokenBucket, Transport,
};
use sknock_protocol::Datagram;
use sknock_protocol::v2::{ClaimedAddress, KnockRequest};

use crate::{WINDOW, wish, world_by};
use sknock_server::knock::replay::Memory;

/// Both ends of every range that is special, and what is just outside.
const ADDRESSES: [&str; 38] = [
    "0.0.0.0",
    "0.0.0.1",
    "126.255.255.255",
    "127.0.0.0",
    "127.0.0.1",
    "127.255.255.255",
    "128.0.0.0",
    "169.253.255.255",
    "169.254.0.0",
    "169.254.255.255",
    "169.255.0.0",
    "223.255.255.255",
    "224.0.0.0",
    "239.255.255.255",
    "240.0.0.0",
    "255.255.255.254",
    "255.255.255.255",
    "10.0.0.1",
    "100.64.0.1",
    "192.168.1.1",
    "192.0.2.7",
    "::",
    "::1",
    "::2",
    "::192.0.2.7",
    "::ffff:192.0.2.7",
    "::fffe:192.0.2.7",
    "64:ff9b::192.0.2.7",
    "fe7f:ffff::1",
    "fe80::",
    "fe80::1",
    "febf:ffff::1",
    "fec0::1",
    "feff::1",
    "ff00::",
    "ff02::1",
    "fd00::1",
    "2001:db8::1",
];

fn gate_lets_through(addresses: &[IpAddr]) -> bool {
    let services = vec![PortRange::new(Transport::Tcp, 22, 22).unwrap()];
    let ceiling = Ceiling {
        services: services.clone(),
        longest: Duration::from_secs(60),
        live: 1000,
        per_second: 1000,
        shares: Shares { certificate: 100, network: 100 },
    };
    let cert = CertId { issuer: [1; CertId::ISSUER], serial: Serial::new(&[1]).unwrap() };
    let label = GrantLabel { knock: [1; 8], cert, name: OwnerName::truncated("alice") };
    let addresses = addresses.to_vec();
    let request = GrantRequest { addresses, services, seconds: 30, single_use: false, label };
    let now = BootInstant::from_millis(5_000);
    ceiling.check(&request, &GrantTable::default(), &mut TokenBucket::default(), now).is_ok()
}

#[test]
fn the_gate_accepts_exactly_the_addresses_that_a_knock_can_have() {
    let world = world_by(Memory::new(WINDOW, 1000), true);
    let verified = |source: IpAddr, address: ClaimedAddress| {
        let datagram = world.seal(&KnockRequest { address, ..wish() }).datagram;
        let source = SocketAddr::new(source, 4000);
        world.handle_from(Datagram::new(source, &datagram)).is_ok()
    };
    let mut loopback = 0;
    for address in ADDRESSES.map(|text| text.parse::<IpAddr>().unwrap()) {
        let canonical = address.to_canonical();
        let unsigned = verified(address, ClaimedAddress::Source);
        // A socket for both families tells of IPv4 like this.
        assert_eq!(unsigned, gate_lets_through(&[canonical]), "{address}");
        let signed = verified(address, ClaimedAddress::Ip(address));
        assert!(!signed || gate_lets_through(&[canonical]), "{address}");
        if unsigned != signed && address == canonical {
            assert!(address.is_loopback(), "{address}");
            loopback += 1;
        }
    }
    assert_eq!(loopback, 4, "nobody signs those");
    assert!(!gate_lets_through(&["::ffff:192.0.2.7".parse().unwrap()]));
}
