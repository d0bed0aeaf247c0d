//! Conntrack has room for so many flows. A flood of what looks like knocks must not take any of it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::thread;

use sknock_protocol::v2::DATAGRAM_LENGTH;
use sknock_tests::packet::{Packet, Wire};
use sknock_tests::{Authority, Chance, Client, Daemon, World};

use super::traces::{WAYS, Way, closing};
use super::{POLICIES, Policy, config};

/// How many addresses the flood comes from, and how many packets of each kind in each family.
const SOURCES: u16 = 1000;
const PACKETS: u16 = 1250;

/// A source that nobody has, which the gateway reaches through the stranger.
fn forged(v6: bool, number: u16) -> IpAddr {
    let [high, low] = (number % SOURCES).to_be_bytes();
    if v6 {
        // A network of 64 bits each: that is what is metered.
        Ipv6Addr::new(0xfd78, 0, 0, number % SOURCES, 0, 0, 0, 1).into()
    } else {
        Ipv4Addr::new(100, 64, high, low).into()
    }
}

fn route_to_forged_sources(world: &World) {
    let [v4, v6] = World::STRANGER.map(|address| address.to_string());
    world.gateway.run("ip", &["route", "add", "100.64.0.0/16", "via", &v4]);
    world.gateway.run("ip", &["-6", "route", "add", "fd78::/32", "via", &v6]);
}

/// Sends [`PACKETS`] of what `next` makes, to `port`, in both families.
fn flood(world: &World, port: u16, mut next: impl FnMut() -> Vec<u8>) {
    let wire = Wire::new(&world.stranger);
    for to in World::GATEWAY_TO_STRANGER {
        for number in 0..PACKETS {
            let from = (forged(to.is_ipv6(), number), 20_000 + number);
            wire.send(&Packet::udp(next()).between(from, (to, port)), to);
        }
    }
}

/// Floods with noise, and with a knock that was granted; entries of UDP that are there then and were
/// not before.
fn left_by_floods(world: &World, authority: &Authority, port: u16) -> Vec<String> {
    let alice = Client::alice(&world.client, authority);
    let real = alice.seal_for(&["tcp/22"], 600);
    real.send_to(&world.client, SocketAddr::new(World::GATEWAY[0], port)).must_be_granted();
    let before = world.gateway.tracked();
    let mut chance = Chance::new("noise");
    flood(world, port, || chance.bytes(DATAGRAM_LENGTH));
    flood(world, port, || real.bytes.to_vec());
    let mut after = world.gateway.tracked();
    after.retain(|line| line.contains(" udp ") && !before.contains(line));
    after
}

fn no_entry_is_left(way: Way, policy: Policy) {
    let (world, authority) = (World::new(), Authority::new());
    world.gateway.track_connections();
    route_to_forged_sources(&world);
    let config = match policy {
        // Closes nothing.
        ("none", _) => config(&authority, way.0, policy).set("knockPort", way.1),
        _ => closing(&authority, way, policy),
    };
    let _daemon = Daemon::start_settled(&world.gateway, &config);
    let left = left_by_floods(&world, &authority, way.2);
    assert!(left.is_empty(), "{way:?} under {policy:?}: {} entries: {}", left.len(), left[0]);
}

#[test]
fn a_flood_of_noise_and_of_replays_leaves_no_entry_in_conntrack() {
    for way in WAYS {
        thread::scope(|scope| {
            for policy in POLICIES {
                // A range may have other services in it: see `traces`.
                if policy.0 != "none" || way.2 == 62344 {
                    scope.spawn(move || no_entry_is_left(way, policy));
                }
            }
        });
    }
}
