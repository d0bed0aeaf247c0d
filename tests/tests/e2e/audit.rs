//! Who was let in, to what, from where and for how long, as people and as programs read it.

use std::net::UdpSocket;
use std::thread;
use std::time::Duration;

use rcgen::SerialNumber;
use serde_json::{Value, json};
use sknock_tests::forge::Forge;
use sknock_tests::{Authority, Client, Config, Daemon, World, openssl};

/// The certificate's SHA-256, as openssl counts it.
fn fingerprint(certificate: &[u8]) -> String {
    let hash = openssl::run(&["dgst", "-sha256", "-r"], certificate);
    String::from_utf8(hash[..64].to_vec()).unwrap()
}

fn serial(authority: &Authority, name: &str) -> String {
    let entries = authority.ca().list().unwrap();
    let entry = entries.iter().find(|entry| entry.name.as_str() == name).unwrap();
    entry.serial.to_string()
}

#[test]
fn a_grant_is_logged_in_json_with_all_fields() {
    let (world, authority) = (World::new(), Authority::new());
    let daemon = Daemon::start(&world.gateway, &Config::new(&authority).set("logFormat", "json"));
    let alice = Client::alice(&world.client, &authority);
    for gateway in World::GATEWAY {
        let knock = alice.seal_for(&["tcp/22", "udp/60000-60003"], 7);
        let sent = knock.send(&world.client, gateway);
        sent.must_be_granted();
        let verdict = daemon.verdict(&sent);
        let listed = daemon.tell("grants --json").answer;
        let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
        let issuer = listed[0]["issuer"].as_str().unwrap();
        assert_eq!(issuer.len(), 24, "the same name as in `grants`, for `close --issuer`");
        let expected = json!({
            "level": "INFO", "target": "audit", "message": "granted", "issuer": issuer,
            "knock": knock.id, "subject": "alice", "serial": serial(&authority, "alice"),
            "fingerprint": fingerprint(authority.identity("alice").certificate()),
            "services": "tcp/22,udp/60000-60003", "addresses": sent.source().ip(),
            "address": "unsigned", "source": sent.source(),
            "seconds": 7, "clipped": false, "once": false,
        });
        assert_eq!(without_time(verdict), expected);
    }
}

/// RFC 5280 allows no such number, but certificates with it exist.
#[test]
fn the_serial_number_0_is_shown_and_found() {
    let (world, authority) = (World::new(), Authority::new());
    let daemon = Daemon::start(&world.gateway, &Config::new(&authority).set("logFormat", "json"));
    let made = Forge::with_key_of(&authority).client("nought", |params| {
        params.serial_number = Some(SerialNumber::from_slice(&[0]));
    });
    let nought = Client::alice(&world.client, &authority).posing_as(made.identity());
    for digits in ["0", "00", "00:00"] {
        let sent = nought.seal_for(&["tcp/22"], 60).send(&world.client, World::GATEWAY[0]);
        sent.must_be_granted();
        assert_eq!(daemon.verdict(&sent)["serial"], "00");
        let listed = daemon.tell("grants");
        assert!(listed.answer.contains(" serial=00 "), "{listed:?}");
        let other = daemon.tell("close --serial 1");
        assert_ne!(other.code, Some(0), "{other:?}");
        let closed = daemon.tell(&format!("close --serial {digits}"));
        assert_eq!(closed.code, Some(0), "{digits}: {closed:?}");
        assert!(closed.answer.contains(" serial=00 "), "{closed:?}");
        assert!(world.gateway.doors().is_empty(), "{digits}");
    }
}

fn without_time(mut line: Value) -> Value {
    line.as_object_mut().unwrap().remove("timestamp").expect("it says when");
    line
}

/// A line that an attacker would like to see, in the name of a certificate.
const FORGED: &str = "bob\n2026-01-01T00:00:00Z INFO audit: granted subject=\"root\" \u{1b}[2J";

fn posing_as_forged<'w>(world: &'w World, authority: &'w Authority) -> Client<'w> {
    let forged = Forge::with_key_of(authority).client(FORGED, |_| ());
    Client::alice(&world.client, authority).posing_as(forged.identity())
}

#[test]
fn the_text_log_has_one_line_for_each_knock_whatever_the_name_is() {
    let (world, authority) = (World::new(), Authority::new());
    let daemon = Daemon::start(&world.gateway, &Config::new(&authority));
    let client = posing_as_forged(&world, &authority);
    let (mine, foreign) = (client.seal_for(&["tcp/22"], 7), client.seal(&["tcp/23"]));
    mine.send(&world.client, World::GATEWAY[0]).must_be_granted();
    let granted = daemon.wait_for("granted knock=");
    for part in ["INFO", &mine.id, "tcp/22", "seconds=7", "10.77.1.2:", "serial=", "fingerprint="] {
        assert!(granted.contains(part), "{part}: {granted}");
    }
    foreign.send(&world.client, World::GATEWAY[0]);
    let refused = daemon.wait_for(&foreign.id);
    for part in ["refused", "service-not-allowed", "bob", "tcp/23", "10.77.1.2:"] {
        assert!(refused.contains(part), "{part}: {refused}");
    }
    for line in [granted, refused] {
        assert!(!line.trim_end().contains(char::is_control), "{line:?}");
    }
    assert_eq!(daemon.times_said("audit: granted knock="), 1);
    let listed = world.gateway.run("nft", &["list", "set", "inet", "sknock", "grant4"]);
    let comment = listed.split('"').find(|part| part.contains(&mine.id)).expect("it is open");
    let (_, name) = comment.split_once(" n=").expect("its name");
    assert!(name.starts_with("bob"), "{comment}");
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-_@+:,".contains(c);
    assert!(name.chars().all(plain), "{comment}");
}

#[test]
fn the_json_log_has_the_exact_name_in_one_line() {
    let (world, authority) = (World::new(), Authority::new());
    let daemon = Daemon::start(&world.gateway, &Config::new(&authority).set("logFormat", "json"));
    let client = posing_as_forged(&world, &authority);
    let foreign = client.seal(&["tcp/23"]);
    let verdict = daemon.verdict(&foreign.send(&world.client, World::GATEWAY[0]));
    assert_eq!(verdict["message"], "refused");
    assert_eq!(verdict["reason"], "service-not-allowed");
    assert_eq!(verdict["subject"], FORGED);
    assert_eq!((&verdict["knock"], &verdict["services"]), (&json!(foreign.id), &json!("tcp/23")));
}

/// What a terminal or a reader of lines would act on, or shows from right to left.
const HIDDEN: [char; 7] =
    ['\u{7f}', '\u{85}', '\u{9b}', '\u{2028}', '\u{2029}', '\u{202e}', '\u{2066}'];

/// The longest name makes no much longer line than others do, in both formats, and hides nothing.
#[test]
fn a_very_long_name_is_truncated_and_hidden_characters_are_escaped() {
    for format in ["text", "json"] {
        let (world, authority) = (World::new(), Authority::new());
        let config = Config::new(&authority).set("logFormat", format);
        let daemon = Daemon::start(&world.gateway, &config);
        let names = [("\u{1}".repeat(400), true), (HIDDEN.into_iter().collect(), false)];
        for (name, cut) in names {
            let forged = Forge::with_key_of(&authority).client(&name, |_| ());
            let client = Client::alice(&world.client, &authority).posing_as(forged.identity());
            let knock = client.seal(&["tcp/23"]);
            knock.send(&world.client, World::GATEWAY[0]);
            let line = daemon.wait_for(&knock.id);
            assert!(line.contains("service-not-allowed"), "{line}");
            assert!(line.len() < 700, "{} bytes: {line}", line.len());
            assert!(!line.trim_end().contains(|c: char| c.is_control()), "{line:?}");
            assert!(!line.contains(HIDDEN), "{line:?}");
            assert_eq!(line.contains('\u{2026}'), cut, "what is cut is told: {line}");
            if format == "json" && !cut {
                let read: Value = serde_json::from_str(&line).unwrap();
                assert_eq!(read["subject"], name, "programs get it as it is");
            }
        }
    }
}

/// More refusals in a moment than a thread logs in a second.
const NOISE: usize = 200;

/// The lines on one certificate's refused knocks do not suppress those on another's.
#[test]
fn a_noisy_client_does_not_keep_refusals_of_others_out_of_the_log() {
    let (world, authority) = (World::new(), Authority::new());
    // The knocks are made before the first one is sent.
    let config =
        Config::new(&authority).set("workers", "1").set("TIMESTAMP_THRESHOLD_IN_SECONDS", "60");
    let daemon = Daemon::start_settled(&world.gateway, &config);
    let alice = Client::alice(&world.client, &authority);
    let made = Forge::with_key_of(&authority).client("carol", |_| ());
    let carol = Client::alice(&world.client, &authority).posing_as(made.identity());
    let mut knocks: Vec<_> = (0..NOISE).map(|_| alice.seal(&["tcp/23"])).collect();
    let others: Vec<_> = (0..8).map(|_| carol.seal(&["tcp/23"])).collect();
    let mut missing: Vec<String> = others.iter().map(|knock| knock.id.clone()).collect();
    knocks.extend(others);
    world.client.inside(|| {
        let socket = UdpSocket::bind((World::CLIENT[0], 0)).unwrap();
        for knock in &knocks {
            socket.send_to(&knock.bytes, (World::GATEWAY[0], 62344)).unwrap();
            thread::sleep(Duration::from_millis(1));
        }
    });
    thread::sleep(Duration::from_secs(2));
    missing.retain(|id| daemon.times_said(id) == 0);
    assert!(missing.is_empty(), "{} of 8 lines are missing", missing.len());
    let lines = daemon.times_said("subject=\"alice\"");
    assert!((1..NOISE / 2).contains(&lines), "{lines} lines on the noisy client");
}
