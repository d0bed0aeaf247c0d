//! Behind another firewall a protected port should look like the ports beside it: `sknockd check` says
//! which `firewallPolicy` does that, and real packets tell that it is so.

use std::io::ErrorKind;
use std::time::Duration;

use sknock_tests::Found::{self, Refused, Silent};
use sknock_tests::{Authority, Config, Daemon, Seen, World, reach};

/// Lets through what sknock needs, and does `last` with all else.
fn closing(world: &World, last: &str) {
    world.gateway.nft(&format!(
        "table inet other {{
    chain input {{
        type filter hook input priority filter; policy drop;
        ct state established,related accept
        meta l4proto ipv6-icmp accept
        tcp dport 22 accept
        udp dport {{ 53, 62344 }} accept
        {last}
    }}
}}"
    ));
}

/// What check says of the policy, without its severity.
fn told(daemon: &Daemon<'_>) -> Vec<String> {
    let asked = daemon.ask("check", &[]);
    assert_eq!(asked.code, Some(0), "{}", asked.answer);
    let lines: Vec<&str> = asked.answer.lines().collect();
    let pairs = lines.windows(2).filter(|pair| pair[0].contains("firewallPolicy: "));
    pairs.map(|pair| format!("{}: {}", pair[0], pair[1].trim())).collect()
}

/// Starts with this policy, and compares what a stranger finds at 22 and at 23.
fn compared(world: &World, authority: &Authority, policy: &str) -> (Vec<String>, [Found; 2]) {
    let config = Config::new(authority).set("firewallPolicy", policy).set("intake", "socket");
    let config = config.set("crlFile", authority.file("crl.der").to_str().expect("plain names"));
    let daemon = Daemon::start(&world.gateway, &config);
    let told = told(&daemon);
    let found = [22, 23].map(|port| {
        let Seen { stranger: [v4, v6], .. } = world.tcp(port);
        assert_eq!(v4, v6, "{port}");
        v4
    });
    (told, found)
}

#[test]
fn behind_a_firewall_that_is_silent_a_port_should_be_silent() {
    let (world, authority) = (World::new(), Authority::new());
    closing(&world, "counter drop");
    let (told, found) = compared(&world, &authority, "reject");
    let [tcp, udp] = &*told else { panic!("{told:?}") };
    assert!(tcp.starts_with("warning: ") && tcp.contains("tcp/22 can be distinguished"), "{tcp}");
    assert!(udp.starts_with("warning: ") && udp.contains("udp/53 can be distinguished"), "{udp}");
    assert!(tcp.ends_with("Set firewallPolicy = drop"), "{tcp}");
    assert_eq!(found, [Refused, Silent], "the protected port is the only one that answers");
    let (told, found) = compared(&world, &authority, "drop");
    assert_eq!((told, found), (vec![], [Silent; 2]));
}

#[test]
fn behind_a_firewall_that_resets_a_port_should_answer() {
    let (world, authority) = (World::new(), Authority::new());
    closing(&world, "meta l4proto tcp reject with tcp reset\n        meta l4proto udp reject");
    let (told, found) = compared(&world, &authority, "drop");
    assert!(told.len() == 2 && told[0].ends_with("Set firewallPolicy = reject"), "{told:?}");
    assert_eq!(found, [Silent, Refused], "the protected port is the only one that does not answer");
    let (told, found) = compared(&world, &authority, "reject");
    assert_eq!((told, found), (vec![], [Refused; 2]));
}

/// With `intake = nflog` nothing listens at the knock port, and nobody needs to open it in the other firewall.
#[test]
fn behind_a_silent_firewall_the_knock_port_is_silent() {
    for policy in ["drop", "reject", "none"] {
        let (world, authority) = (World::new(), Authority::new());
        world.gateway.nft(
            "table inet other {
                chain input {
                    type filter hook input priority filter; policy drop;
                    ct state established,related accept
                    meta l4proto ipv6-icmp accept
                    udp dport 62340 accept
                }
            }",
        );
        let config = Config::new(&authority).set("firewallPolicy", policy);
        let config = if policy == "none" { config.without("protectedPorts") } else { config };
        let _daemon = Daemon::start_settled(&world.gateway, &config);
        for own in World::GATEWAY_TO_STRANGER {
            let answers = [62_344, 62_343, 62_340].map(|port| {
                let socket = reach::udp_socket(&world.stranger, (own, port).into()).unwrap();
                socket.send(&[7; 1200]).unwrap();
                socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
                socket.recv(&mut [0; 8]).unwrap_err().kind()
            });
            let [silent, refused] = [ErrorKind::WouldBlock, ErrorKind::ConnectionRefused];
            assert_eq!(answers, [silent, silent, refused], "{policy}: {own}");
        }
    }
}

/// As firewalld answers.
#[test]
fn answers_that_no_policy_imitates_are_reported() {
    let (world, authority) = (World::new(), Authority::new());
    closing(&world, "reject with icmpx type admin-prohibited");
    for policy in ["reject", "drop"] {
        let config = Config::new(&authority).set("firewallPolicy", policy).set("intake", "socket");
        let daemon = Daemon::stopped(&world.gateway, &config);
        let told = told(&daemon);
        let [tcp, _] = &*told else { panic!("{told:?}") };
        assert!(tcp.starts_with("note: ") && tcp.contains("admin-prohibited"), "{tcp}");
        assert!(tcp.contains("No firewallPolicy answers like this"), "{tcp}");
    }
    let answer = reach::connect(&world.stranger, (World::GATEWAY_TO_STRANGER[0], 23).into());
    assert_eq!(answer.map_err(|error| error.kind()).err(), Some(ErrorKind::HostUnreachable));
}
