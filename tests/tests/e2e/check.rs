//! `sknockd check` on a host with other firewalls: it names who is in the way, and touches nothing.

use serde_json::Value;
use sknock_tests::wait::until;
use sknock_tests::{Authority, Client, Config, Daemon, Echo, World, binaries, reach};

/// Denies as ufw does, in chains that are jumped to, with a policy that drops.
const DENYING: &str = "
table ip filter {
    chain ufw-before-input {
        iifname lo counter accept
        ct state related,established counter accept
        ct state invalid counter drop
        fib daddr type local counter jump ufw-user-input
    }
    chain ufw-user-input {
        tcp dport 80 counter accept
    }
    chain INPUT {
        type filter hook input priority filter; policy drop;
        counter jump ufw-before-input
    }
}
";

fn denying(world: &World) {
    world.gateway.nft(DENYING);
}

/// A configuration without anything else to be told.
fn config(authority: &Authority) -> Config {
    let list = authority.file("crl.der");
    Config::new(authority)
        .set("crlFile", list.to_str().expect("temporary files have plain names"))
        .set("intake", "socket")
}

/// What is found, but that the certificates of tests end soon, and what others make of the clock.
#[track_caller]
fn found(daemon: &Daemon<'_>) -> Vec<String> {
    let asked = daemon.ask("check", &["--json"]);
    assert_eq!(asked.code, Some(0), "{}{}", asked.answer, asked.errors);
    let report: Value = serde_json::from_str(&asked.answer).expect("it is told as JSON");
    let findings = report["findings"].as_array().expect("a list").iter();
    let told = findings.map(|finding| finding["what"].as_str().expect("a text").to_owned());
    told.filter(|what| !what.contains(" expires on ") && !what.starts_with(CLOCK)).collect()
}

/// Depends on the machine.
const CLOCK: &str = "the clock is not synchronised";

/// Nothing.
const READY: [&str; 0] = [];

#[test]
fn a_host_without_other_firewalls_is_ready_and_stays_as_it_is() {
    let (world, authority) = (World::new(), Authority::new());
    let daemon = Daemon::stopped(&world.gateway, &config(&authority));
    for intake in ["socket", "nflog"] {
        daemon.configure(&config(&authority).set("intake", intake));
        assert_eq!(found(&daemon), READY, "{intake}");
    }
    assert_eq!(world.gateway.run("nft", &["list", "ruleset"]), "", "check changes nothing");
}

#[test]
fn a_tunnel_that_sends_from_any_udp_port_is_named() {
    let (world, authority) = (World::new(), Authority::new());
    let daemon = Daemon::stopped(&world.gateway, &config(&authority));
    world.gateway.ip("link add vx0 type vxlan id 7 dstport 4789");
    let told = found(&daemon);
    let [one] = &told[..] else { panic!("{told:?}") };
    assert!(one.starts_with("vx0 (vxlan): the kernel chooses the UDP source port"), "{one}");
    daemon.configure(&config(&authority).set("protectedPorts", "tcp/22"));
    assert_eq!(found(&daemon), READY);
}

#[test]
fn a_firewall_that_drops_what_a_knock_opens_is_named() {
    let (world, authority) = (World::new(), Authority::new());
    denying(&world);
    let daemon = Daemon::stopped(&world.gateway, &config(&authority));
    let before = world.gateway.other_tables();
    let asked = daemon.ask("check", &[]);
    let named = "warning: another firewall blocks: table ip filter, chain INPUT drops tcp/22 over IPv4, udp/53 over IPv4, udp/62344 over IPv4 (policy drop)";
    assert!(asked.answer.contains(named), "{}", asked.answer);
    assert_eq!(asked.code, Some(0), "the server would start: {}", asked.answer);
    assert_eq!(world.gateway.other_tables(), before);

    let opened = "add rule ip filter ufw-user-input meta l4proto { tcp, udp } \
                  th dport { 22, 53, 62344 } accept";
    world.gateway.nft(opened);
    let way = |what: &String| what.contains("another firewall blocks");
    assert!(!found(&daemon).iter().any(way), "{:?}", found(&daemon));
}

#[test]
fn a_port_that_another_firewall_drops_is_an_error_and_unreachable() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    world.gateway.nft(
        "table inet other {
    chain input {
        type filter hook input priority filter; policy drop;
        udp dport { 53, 62344 } accept
        meta l4proto ipv6-icmp accept
    }
}",
    );
    let mut daemon = Daemon::stopped(&world.gateway, &config(&authority));
    let everybody = "error: another firewall drops tcp/22 from all sources";
    let asked = daemon.ask("check", &[]);
    assert!(asked.answer.contains(everybody), "{}", asked.answer);
    assert_eq!(asked.code, Some(78));
    daemon.begin();
    daemon.wait_for(Daemon::ACCEPTING);
    let ran = Client::alice(&world.client, &authority).knock("10.77.1.1 tcp/22 --timeout 5");
    assert_eq!(ran.code, 1, "check would be wrong: {ran:?}");
    // Over one family it gets in: that may be meant.
    world.gateway.nft("add rule inet other input meta nfproto ipv6 tcp dport 22 accept");
    let asked = daemon.ask("check", &[]);
    assert!(!asked.answer.contains(everybody), "{}", asked.answer);
    assert!(asked.answer.contains("drops tcp/22 over IPv4"), "{}", asked.answer);
    assert_eq!(asked.code, Some(0));
    // A host that has no address of that family.
    world.gateway.ip("addr del fd77:1::1/64 dev cl\naddr del fd77:2::1/64 dev st");
    assert_eq!(daemon.ask("check", &[]).code, Some(78), "it has no IPv6 any more");
}

#[test]
fn what_a_running_server_denies_itself_is_no_conflict() {
    let (world, authority) = (World::new(), Authority::new());
    let daemon = Daemon::start(&world.gateway, &config(&authority));
    assert_eq!(found(&daemon), READY);
}

#[test]
fn what_can_only_be_seen_by_root_is_said_to_be_unseen() {
    let (world, authority) = (World::new(), Authority::new());
    denying(&world);
    let daemon = Daemon::stopped(&world.gateway, &config(&authority));
    let (sknockd, config) = (binaries::path("sknockd"), daemon.file("config.ini"));
    let [sknockd, config] = [&sknockd, &config].map(|path| path.to_str().expect("plain names"));
    // Still root, so that files can be read, but without any capability.
    let powerless =
        ["--bounding-set=-all", "--inh-caps=-all", sknockd, "check", "--config", config];
    let told = world.gateway.run("setpriv", &powerless);
    for unseen in ["not tested: other firewalls: ", "not tested: support by the kernel"] {
        assert!(told.contains(unseen), "{told}");
    }
    assert!(!told.contains("another firewall blocks"), "{told}");
}

#[test]
fn a_grant_for_the_ssh_session_is_recognised() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let mut daemon = Daemon::start(&world.gateway, &config(&authority));
    let alice = Client::alice(&world.client, &authority);
    for (host, from) in World::GATEWAY.into_iter().zip(World::CLIENT) {
        daemon.export("SSH_CONNECTION", &format!("{from} 50000 {host} 22"));
        let warned =
            || found(&daemon).iter().any(|what| what.contains("SSH connection uses tcp/22"));
        assert!(warned());
        alice.open(host, "tcp/22");
        assert!(!warned());
    }
}

/// By sudo, su and cron the variable is gone: what the processes above were given, and what the kernel
/// has, is still there.
#[test]
fn ssh_sessions_are_found_without_the_ssh_variable() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let mut daemon = Daemon::stopped(&world.gateway, &config(&authority));
    let (sknockd, file) = (binaries::path("sknockd"), daemon.file("config.ini"));
    let check = format!("{} check --config {}", sknockd.display(), file.display());
    for (host, from) in World::GATEWAY.into_iter().zip(World::CLIENT) {
        assert_eq!(found(&daemon), READY);
        let session = reach::connect(&world.client, (host, 22).into()).expect("it listens");
        let known = format!("SSH_CONNECTION={from} 50000 {host} 22");
        for command in [
            format!("env -i PATH=/usr/bin:/bin {check}"),
            format!("su - root -c '{check}'"),
            format!("env -u SSH_CONNECTION setsid --wait {check}"),
        ] {
            let shell = format!("{command}; true");
            let told = world.gateway.run("env", &[&known, "sh", "-c", &shell]);
            assert!(told.contains("your SSH connection uses tcp/22"), "{command}: {told}");
        }
        // A session that was somewhere else, or is over.
        let told = world.gateway.run(
            "env",
            &[
                "SSH_CONNECTION=192.0.2.7 50000 192.0.2.1 22",
                "sh",
                "-c",
                &format!("env -i {check}; true"),
            ],
        );
        assert!(!told.contains("your SSH connection uses"), "{told}");
        let what = format!("there are connections to tcp/22 (from {from})");
        assert!(told.contains(&format!("warning: {what}")), "{told}");
        assert!(found(&daemon)[0].contains(&what), "nothing is known of whose it is");
        drop(session);
        until("it is over", || found(&daemon) == READY);
    }
    // Where a knock is what lets in, that somebody is in is no surprise.
    daemon.begin();
    daemon.wait_for(Daemon::ACCEPTING);
    Client::alice(&world.client, &authority).open(World::GATEWAY[0], "tcp/22");
    let _session =
        reach::connect(&world.client, (World::GATEWAY[0], 22).into()).expect("it is open");
    assert_eq!(found(&daemon), READY);
}

/// The old clients knock at random ports: a service may be among them, and that is told, not refused.
#[test]
fn check_and_start_report_knock_ports_with_another_use() {
    let (world, authority) = (World::new(), Authority::new());
    let _service = Echo::udp(&world.gateway, 40500);
    let config = config(&authority).set("intake", "nflog");
    let wide =
        config.set("knockPort", "62344, 40000-41000").set("protectedPorts", "tcp/22, udp/40800");
    let mut daemon = Daemon::stopped(&world.gateway, &wide);
    let [protected, chosen, listening] = &*found(&daemon) else { panic!("{:?}", found(&daemon)) };
    assert!(protected.contains("contains protected ports (udp/40800)"), "{protected}");
    assert!(chosen.contains("the kernel may choose udp/40800 for any program"), "{chosen}");
    assert!(listening.contains("programs listen at udp/40500"), "{listening}");
    world.gateway.set("ipv4/ip_local_reserved_ports", "40800");
    assert!(!found(&daemon).contains(chosen), "it is reserved");
    daemon.begin();
    daemon.wait_for("contains protected ports (udp/40800)");
    daemon.wait_for("programs listen at udp/40500");
    daemon.wait_for(Daemon::ACCEPTING);
}

#[test]
fn a_strict_output_policy_is_named_and_it_does_drop_answers() {
    let (world, authority) = (World::new(), Authority::new());
    world.gateway.nft(
        "table inet strict {
    chain output {
        type filter hook output priority filter; policy drop;
        ct state established,related accept
        meta l4proto ipv6-icmp accept
    }
}",
    );
    let daemon = Daemon::start(&world.gateway, &config(&authority).set("intake", "nflog"));
    let [denied] = &*found(&daemon) else { panic!("{:?}", found(&daemon)) };
    assert!(
        denied.contains("table inet strict, chain output drops answers from udp/62344"),
        "{denied}"
    );
    let alice = Client::alice(&world.client, &authority);
    let host = World::GATEWAY[0];
    let silent = alice.seal(&["tcp/22"]).send(&world.client, host).answer(SILENCE);
    assert!(silent.is_none(), "the warning would be wrong");
    world.gateway.nft("add rule inet strict output udp sport 62344 accept");
    assert_eq!(found(&daemon), READY);
    alice.seal(&["tcp/22"]).send(&world.client, host).must_be_granted();
}

/// No answer comes later on one machine.
const SILENCE: std::time::Duration = std::time::Duration::from_secs(2);
