//! Flows from a time when their port was open to everybody: when it is protected, they end.

use std::net::SocketAddr;

use sknock_tests::ip_packet::udp;
use sknock_tests::{Authority, Config, Daemon, Wire, World};

use super::forged_flows::RULES;
use super::stage::{Dns, settle};

/// Protected by the second configuration.
const LATER: u16 = 7777;
const THEIRS: u16 = 20_001;

/// With `LATER` between protected ports, or open where all others are closed; and then protected.
fn configs(authority: &Authority, (policy, all): (&str, bool)) -> [Config; 2] {
    let config = || Config::new(authority).set("firewallPolicy", policy);
    let open = format!("udp/{LATER}");
    if all {
        let all = || config().without("protectedPorts");
        return [all().set("alwaysOpenPorts", &open), all().set("alwaysOpenPorts", "")];
    }
    ["tcp/22, udp/53, udp/9000".to_owned(), format!("tcp/22, udp/53, {open}, udp/9000")]
        .map(|protected| config().set("protectedPorts", &protected))
}

#[test]
fn a_flow_ends_when_its_port_is_protected() {
    for rules in RULES {
        let (world, authority) = (World::new(), Authority::new());
        let service = Dns::on(&world.gateway, "st", LATER);
        let wire = Wire::new(&world.stranger, World::GATEWAY_TO_STRANGER[0]);
        let [before, after] = configs(&authority, rules);
        let daemon = Daemon::start_settled(&world.gateway, &before);
        let pairs = World::GATEWAY_TO_STRANGER.into_iter().zip(World::STRANGER);
        let pairs = pairs
            .map(|(own, theirs)| (SocketAddr::new(theirs, THEIRS), SocketAddr::new(own, LATER)));
        for (from, to) in pairs.clone() {
            for _ in 0..2 {
                wire.send(&udp(from, to, b"while it is open"));
                settle();
                assert!(service.heard().contains("while it is open"), "{rules:?}: {to}");
            }
        }
        daemon.configure(&after);
        daemon.reload();
        settle();
        for (from, to) in pairs {
            wire.send(&udp(from, to, b"when it is not"));
            settle();
            assert!(service.heard().is_empty(), "{rules:?}: {to}");
        }
    }
}

/// The port is open to everybody for as long as a trial lasts.
#[test]
fn a_flow_from_a_trial_ends_with_it() {
    for rules in RULES {
        let (world, authority) = (World::new(), Authority::new());
        let service = Dns::on(&world.gateway, "st", LATER);
        let wire = Wire::new(&world.stranger, World::GATEWAY_TO_STRANGER[0]);
        let [open, closed] = configs(&authority, rules);
        let daemon = Daemon::start_settled(&world.gateway, &closed);
        daemon.configure(&open);
        let mark = daemon.mark();
        let asked = daemon.tell("reload --confirm 5");
        assert_eq!(asked.code, Some(0), "{}", asked.errors);
        daemon.wait_since(mark, " left to confirm");
        let from = SocketAddr::new(World::STRANGER[0], THEIRS);
        let to = SocketAddr::new(World::GATEWAY_TO_STRANGER[0], LATER);
        for _ in 0..2 {
            wire.send(&udp(from, to, b"on trial"));
            settle();
            assert!(service.heard().contains("on trial"), "{rules:?}");
        }
        daemon.wait_since(mark, "rolled back to the previous configuration");
        daemon.wait_since(mark, Daemon::ACCEPTING);
        wire.send(&udp(from, to, b"when it is over"));
        settle();
        assert!(service.heard().is_empty(), "{rules:?}");
    }
}
