//! What a scanner sees of the knock port, beside its neighbours, where nobody listens.

use std::net::IpAddr;
use std::thread;

use sknock_tests::{Authority, Daemon, Namespace, World};

use super::{POLICIES, Policy, config};

/// The knock port in the middle.
const PORTS: [u16; 3] = [62343, 62344, 62345];

/// Ways to look: a plain probe, one of a knock's length, and two of TCP.
const PLAIN: &[&str] = &["-sU"];
const KNOCK_LONG: &[&str] = &["-sU", "--data-length", "1200"];
const TCP: [&[&str]; 2] = [&["-sS"], &["-sT"]];

/// What nmap says of each port: its state and why, with the answer's time to live.
fn scan(from: &Namespace, to: IpAddr, way: &[&str]) -> [String; 3] {
    let ports = PORTS.map(|port| port.to_string()).join(",");
    let to = to.to_string();
    let family: &[&str] = if to.contains(':') { &["-6"] } else { &[] };
    let common = ["-n", "-Pn", "-r", "--reason", "--max-retries", "1", "-T4", "-p", &ports, &to];
    let said = from.run("nmap", &[family, way, &common[..]].concat());
    PORTS.map(|port| {
        let line = said.lines().find(|line| line.starts_with(&format!("{port}/")));
        let line = line.unwrap_or_else(|| panic!("nothing of {port}:\n{said}"));
        line.split_once(' ').expect("more than the port").1.trim().to_owned()
    })
}

/// What is seen of the knock port, if it is what is seen of its neighbours.
fn same(world: &World, way: &[&str], what: &str) -> [String; 2] {
    World::GATEWAY_TO_STRANGER.map(|to| {
        let [below, knock, above] = scan(&world.stranger, to, way);
        assert_eq!([&below, &above], [&knock; 2], "{what}: {way:?} to {to}");
        knock
    })
}

fn each_policy(look: impl Fn(&World, Policy, &str) + Sync, intake: &str) {
    let authority = Authority::new();
    thread::scope(|scope| {
        for policy in POLICIES {
            let (authority, look) = (&authority, &look);
            scope.spawn(move || {
                let world = World::new();
                let config = config(authority, intake, policy);
                let _daemon = Daemon::start(&world.gateway, &config);
                look(&world, policy, &format!("{intake} under {policy:?}"));
            });
        }
    });
}

/// What a port where nobody listens looks like.
fn expected((policy, all): Policy, way: &[&str]) -> &'static str {
    let closed = policy != "drop" || !all;
    match (closed, way[0]) {
        (true, _) => "closed",
        (false, "-sU") => "open|filtered",
        (false, _) => "filtered",
    }
}

fn looks_like_its_neighbours(world: &World, policy: Policy, what: &str) {
    for way in [PLAIN, KNOCK_LONG, TCP[0], TCP[1]] {
        for seen in same(world, way, what) {
            let state = expected(policy, way);
            assert!(seen.starts_with(state), "{what}: {way:?}: {seen}, not {state}");
        }
    }
}

#[test]
fn no_scan_distinguishes_a_port_with_copied_knocks_from_its_neighbours() {
    each_policy(looks_like_its_neighbours, "nflog");
}

/// A bound socket takes what is as long as a knock and has a tag, which no scanner without the server's certificate
/// can make.
#[test]
fn no_scan_distinguishes_a_port_with_a_socket_from_its_neighbours() {
    each_policy(looks_like_its_neighbours, "socket");
}
