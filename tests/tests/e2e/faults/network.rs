//! Interfaces and addresses that come and go.

use sknock_tests::wait::until;
use sknock_tests::{Authority, Client, Daemon, Echo, Found, World, reach};

#[test]
fn an_interface_that_comes_up_after_the_start_is_served() {
    for intake in ["nflog", "socket"] {
        let (world, authority) = (World::new(), Authority::new());
        let _ssh = Echo::tcp(&world.gateway, 22);
        let config = sknock_tests::Ledger::config(&authority).set("intake", intake);
        world.gateway.run("ip", &["link", "set", "cl", "down"]);
        let daemon = Daemon::start_settled(&world.gateway, &config);
        assert_eq!(world.tcp(22).stranger, [Found::Refused; 2]);
        world.gateway.run("ip", &["link", "set", "cl", "up"]);
        // IPv6 addresses go with the link.
        world.gateway.run("ip", &["addr", "replace", "fd77:1::1/64", "dev", "cl", "nodad"]);
        let alice = Client::alice(&world.client, &authority);
        for host in World::GATEWAY {
            alice.open(host, "tcp/22 --timeout 20");
        }
        assert_eq!(world.tcp(22).client, [Found::Open; 2]);
        assert_eq!(daemon.times_said("network process exited"), 0);
    }
}

#[test]
fn a_new_address_is_protected_and_opened_at_once() {
    for intake in ["nflog", "socket"] {
        let (world, authority) = (World::new(), Authority::new());
        let _ssh = Echo::tcp(&world.gateway, 22);
        let config = sknock_tests::Ledger::config(&authority).set("intake", intake);
        let _daemon = Daemon::start_settled(&world.gateway, &config);
        let alice = Client::alice(&world.client, &authority);
        alice.open(World::GATEWAY[0], "tcp/22");

        let moved: [std::net::IpAddr; 2] =
            ["10.77.1.9", "fd77:1::9"].map(|one| one.parse().unwrap());
        for (old, new) in [("10.77.1.1/24", "10.77.1.9/24"), ("fd77:1::1/64", "fd77:1::9/64")] {
            world.gateway.run("ip", &["addr", "del", old, "dev", "cl"]);
            world.gateway.run("ip", &["addr", "add", new, "dev", "cl", "nodad"]);
        }
        let found = |host| reach::tcp(&world.client, (host, 22).into());
        // She has knocked over IPv4; a door is open from an address, not to one.
        until("the neighbours know the addresses", || {
            moved.map(found) == [Found::Open, Found::Refused]
        });
        alice.open(moved[1], "tcp/22");
        assert_eq!(moved.map(found), [Found::Open; 2]);
        assert_eq!(world.tcp(22).stranger, [Found::Refused; 2]);
    }
}
