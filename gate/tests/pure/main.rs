//! The gate's decisions, without a kernel.

mod blocking;
mod ceiling;
mod chain_table;
mod grants;
mod model;
mod requests;
mod shares;
mod table_spec;
mod tags;

use sknock_gate::{
    Ceiling, CertId, GrantLabel, GrantRequest, OwnerName, PortRange, Serial, Shares, Transport,
};
use std::time::Duration;

fn tcp(first: u16, last: u16) -> PortRange {
    PortRange::new(Transport::Tcp, first, last).unwrap()
}

fn udp(first: u16, last: u16) -> PortRange {
    PortRange::new(Transport::Udp, first, last).unwrap()
}

/// TCP 1000-1999 and UDP 53, at most a minute.
fn ceiling() -> Ceiling {
    Ceiling {
        services: vec![tcp(1000, 1999), udp(53, 53)],
        longest: Duration::from_secs(60),
        live: 200,
        per_second: 10,
        shares: Shares::WHOLE,
    }
}

fn grant_request(addresses: &[&str], services: &[PortRange]) -> GrantRequest {
    GrantRequest {
        addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
        services: services.to_vec(),
        seconds: 30,
        single_use: false,
        label: GrantLabel {
            knock: *b"12345678",
            cert: CertId { issuer: *b"CA01CA01CA01", serial: Serial::new(&[7, 0, 9]).unwrap() },
            name: OwnerName::truncated("alice"),
        },
    }
}
