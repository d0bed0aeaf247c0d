//! sknockd beside others on one host: it leaves their rules alone, and puts its own back.

use sknock_tests::Found::{Open, Refused};
use sknock_tests::wait::until;
use sknock_tests::{Authority, Client, Config, Daemon, Echo, Seen, World};

const CLIENT_ONLY: Seen = Seen { client: [Open; 2], stranger: [Refused; 2] };

/// What a host with a firewall and containers may have.
const OTHERS: &str = r#"
table inet filter {
    set blocked {
        type ipv4_addr
        flags interval
        elements = { 192.0.2.0/24 }
    }
    map redirected {
        type inet_service : verdict
        elements = { 81 : accept }
    }
    chain input {
        type filter hook input priority filter; policy accept;
        ip saddr @blocked counter drop
        tcp dport vmap @redirected
        tcp dport 22 limit rate 100/second accept comment "ssh"
    }
}
table ip nat {
    chain DOCKER {
    }
    chain PREROUTING {
        type nat hook prerouting priority dstnat; policy accept;
        fib daddr type local counter jump DOCKER
    }
}
table ip6 mangle {
    chain PREROUTING {
        type filter hook prerouting priority mangle;
    }
}
table inet sknockish {
    chain input {
        type filter hook input priority -151;
    }
}
"#;

#[test]
fn the_rules_of_others_stay_as_they_are_to_the_byte() {
    let (world, authority) = (World::new(), Authority::new());
    world.gateway.nft(OTHERS);
    let before = world.gateway.other_tables();
    assert_eq!(before.matches("table ").count(), 4);
    let unchanged = |when: &str| assert_eq!(world.gateway.other_tables(), before, "{when}");

    let config = Config::new(&authority);
    let mut daemon = Daemon::start(&world.gateway, &config);
    let alice = Client::alice(&world.client, &authority);
    alice.open(World::GATEWAY[0], "udp/53");
    unchanged("running");
    daemon.reload();
    unchanged("reloaded");
    assert_eq!(daemon.stop().code, Some(0));
    unchanged("stopped");
    daemon.begin();
    daemon.wait_for(Daemon::ACCEPTING);
    unchanged("started again");
    daemon.crash();
    unchanged("crashed");
    daemon.configure(&config.set("onExit", "open"));
    daemon.begin();
    daemon.wait_for(Daemon::ACCEPTING);
    assert_eq!(daemon.stop().code, Some(0));
    unchanged("stopped and opened");
    assert_eq!(world.gateway.table(), None);
}

#[test]
fn a_flushed_ruleset_is_put_back_with_all_grants() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let daemon = Daemon::start(&world.gateway, &Config::new(&authority));
    let alice = Client::alice(&world.client, &authority);
    for host in World::GATEWAY {
        alice.open(host, "tcp/22");
    }
    for flush in ["flush ruleset", "delete table inet sknock", "flush chain inet sknock input"] {
        let mark = daemon.mark();
        world.gateway.nft(flush);
        daemon.wait_since(mark, "another program removed table inet sknock");
        until(flush, || world.tcp(22) == CLIENT_ONLY);
    }
    alice.open(World::GATEWAY[0], "udp/53");
}

/// The part of the table that does not count down.
fn rules(table: Option<String>) -> String {
    let table = table.expect("the host is protected");
    table.split_once("chain knock_meter").expect("a chain").1.to_owned()
}

#[test]
fn a_second_instance_says_so_and_stops_and_the_first_is_unharmed() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let first = Daemon::start(&world.gateway, &Config::new(&authority));
    let alice = Client::alice(&world.client, &authority);
    for host in World::GATEWAY {
        alice.open(host, "tcp/22");
    }
    let (table, network) = (world.gateway.table(), first.network());
    let other = Config::new(&authority).set("knockPort", "62345").set("protectedPorts", "tcp/80");
    let mut second = Daemon::stopped(&world.gateway, &other);
    second.begin();
    let ended = second.wait_for_end();
    assert_eq!(ended.code, Some(69), "{}", ended.said);
    let owner = format!("another sknockd (process {})", first.parent());
    assert!(ended.said.contains(&owner), "{}", ended.said);

    assert_eq!(first.network(), network);
    assert_eq!(rules(world.gateway.table()), rules(table));
    assert_eq!(world.tcp(22), CLIENT_ONLY);
    alice.open(World::GATEWAY[1], "udp/53");
}
