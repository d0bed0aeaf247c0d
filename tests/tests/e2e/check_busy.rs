//! `sknockd check` ends, however often sets of the ruleset change while it looks.

use std::fmt::Write;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use sknock_tests::{Asked, Authority, Config, Daemon, World};

/// So large that a listing takes much longer than there is between two changes.
const ELEMENTS: u32 = 60_000;

fn elements(text: impl Fn(u32) -> String) -> String {
    let all: Vec<String> = (0..ELEMENTS).map(text).collect();
    all.join(", ")
}

/// A table as sknockd has it, and one of a program that bans addresses.
fn ruleset() -> String {
    let address = |place: u32| format!("10.{}.{}.7", place / 250, place % 250);
    let grants = elements(|place| format!("{} . tcp . 22 timeout 1h", address(place)));
    let bans = elements(|place| format!("{} timeout 1h", address(place)));
    let mut script = String::new();
    let kind = "ipv4_addr . inet_proto . inet_service";
    writeln!(
        script,
        "table inet sknock {{
            set grant4 {{ type {kind}; flags timeout; elements = {{ {grants} }}; }}
        }}"
    )
    .unwrap();
    write!(
        script,
        "table inet bans {{
            set banned {{ type ipv4_addr; flags timeout; elements = {{ {bans} }}; }}
            set closed {{ type inet_service; elements = {{ 62344 }}; }}
            chain input {{
                type filter hook input priority filter; policy accept;
                ip saddr @banned drop
                udp dport @closed drop
            }}
        }}"
    )
    .unwrap();
    script
}

fn check_through(daemon: &Daemon<'_>, starter: &str) -> Asked {
    let config = daemon.file("config.ini");
    daemon.tell_through(starter, &format!("check --config {}", config.display()))
}

#[test]
fn check_ends_while_large_sets_change_all_the_time() {
    let (world, authority) = (World::new(), Authority::new());
    let daemon = Daemon::stopped(&world.gateway, &Config::new(&authority).set("intake", "socket"));
    let path = daemon.file("large.nft");
    fs::write(&path, ruleset()).unwrap();
    world.gateway.run("nft", &["-f", path.to_str().unwrap()]);
    let done = AtomicBool::new(false);
    let asked = thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                world.gateway.nft("add element inet sknock grant4 { 10.0.0.1 . tcp . 22 }");
                world.gateway.nft("delete element inet sknock grant4 { 10.0.0.1 . tcp . 22 }");
            }
        });
        let asked = check_through(&daemon, "timeout 30");
        done.store(true, Ordering::Relaxed);
        asked
    });
    assert_eq!(asked.code, Some(78), "{asked:?}");
    assert!(asked.answer.contains("drops udp/62344"), "{asked:?}");
    assert!(!asked.answer.contains("not known"), "{asked:?}");
}

#[test]
fn a_listing_without_end_is_ended_and_reported() {
    let (world, authority) = (World::new(), Authority::new());
    let daemon = Daemon::stopped(&world.gateway, &Config::new(&authority).set("intake", "socket"));
    let folder = daemon.file("bin");
    fs::create_dir(&folder).unwrap();
    let nft = folder.join("nft");
    sknock_tests::binaries::executable(&nft, b"#!/bin/sh\nexec sleep 1000\n");
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let asked = check_through(&daemon, &format!("env PATH={path} timeout 60"));
    assert_eq!(asked.code, Some(0), "{asked:?}");
    let told = "warning: not known: the rules of other firewalls. nft did not finish";
    assert!(asked.answer.contains(told), "{asked:?}");
    assert!(asked.answer.contains("ready, with"), "{asked:?}");
}
