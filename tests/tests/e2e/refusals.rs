//! Knocks that must open nothing: the running server's log gives the reason, `sknockd explain` gives
//! the same for what was captured, and the firewall is as before.

use std::fs;
use std::time::Duration;

use rcgen::{ExtendedKeyUsagePurpose, SanType};
use serde_json::Value;
use sknock_protocol::Timestamp;
use sknock_protocol::v2::ClaimedAddress;
use sknock_tests::forge::{Forge, HOUR, allows, calendar};
use sknock_tests::wait::now;
use sknock_tests::{Authority, Client, Config, Daemon, Datagram, World};

/// A captured datagram, and what is to become of it.
type Case = (&'static str, Datagram);

/// The first IPv4 address is enough: nothing here depends on the family.
const GATEWAY: std::net::IpAddr = World::GATEWAY[0];

fn config(authority: &Authority) -> Config {
    Config::new(authority).set("logFormat", "json").set("allowedServices", "tcp/22, udp/53")
}

/// Sends each of them; then asks for an explanation.
fn are_refused(cases: impl FnOnce(&World, &Authority, Timestamp) -> Vec<Case>) {
    let (world, authority) = (World::new(), Authority::new());
    authority.server("another");
    let daemon = Daemon::start(&world.gateway, &config(&authority));
    let at = now();
    let cases = cases(&world, &authority, at);
    for (reason, datagram) in &cases {
        let verdict = daemon.verdict(&datagram.send(&world.client, GATEWAY));
        assert_eq!(verdict["message"], "refused", "{verdict}");
        assert_eq!(verdict["reason"], *reason, "{verdict}");
    }
    assert_eq!(grants(&world), 0);
    let explained = explain(&daemon, at, cases.iter().map(|(_, datagram)| datagram));
    for ((reason, _), line) in cases.iter().zip(&explained) {
        assert_eq!(line["verdict"], "refused", "{line}");
        assert_eq!(line["reason"], *reason, "{line}");
    }
    assert_eq!(explained.len(), cases.len());
}

/// Grants in the kernel: each carries the knock's name.
fn grants(world: &World) -> usize {
    world.gateway.table().expect("it protects").matches("comment \"k=").count()
}

/// What `sknockd explain` says of datagrams that arrived `at` that time from the client.
fn explain<'d>(
    daemon: &Daemon<'_>,
    at: Timestamp,
    datagrams: impl Iterator<Item = &'d Datagram>,
) -> Vec<Value> {
    let files: Vec<String> = datagrams
        .enumerate()
        .map(|(index, datagram)| {
            let file = daemon.file(&format!("captured-{index}"));
            fs::write(&file, datagram.bytes).unwrap();
            file.to_str().unwrap().to_owned()
        })
        .collect();
    let at = format!("{}.{:03}", at.as_secs(), at.as_millis() % 1000);
    let from = World::CLIENT[0].to_string();
    let mut words = vec!["--at", &at, "--from", &from];
    words.extend(files.iter().map(String::as_str));
    let asked = daemon.ask("explain", &words);
    assert_eq!(asked.code, Some(0), "{asked:?}");
    asked.answer.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn certificates_without_a_valid_identity_are_refused() {
    are_refused(|world, authority, now| {
        let posing = |by: &Forge, edit: &dyn Fn(&mut rcgen::CertificateParams)| {
            let made = by.client("mallory", edit);
            Client::alice(&world.client, authority).posing_as(made.identity()).seal(&["tcp/22"])
        };
        let ours = Forge::with_key_of(authority);
        let usual = |_: &mut rcgen::CertificateParams| ();
        vec![
            ("unknown-authority", posing(&Forge::root("another authority"), &usual)),
            ("unknown-authority", posing(&Forge::impostor(authority), &usual)),
            (
                "certificate-expired",
                posing(&ours, &|params| {
                    params.not_after = calendar(now.before(Duration::from_secs(5)));
                }),
            ),
            (
                "certificate-not-yet-valid",
                posing(&ours, &|params| {
                    params.not_before = calendar(now.after(HOUR));
                    params.not_after = calendar(now.after(2 * HOUR));
                }),
            ),
            (
                "not-a-client-certificate",
                posing(&ours, &|params| {
                    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
                }),
            ),
        ]
    });
}

#[test]
fn wrong_clocks_and_addresses_are_refused() {
    are_refused(|world, authority, now| {
        let alice = Client::alice(&world.client, authority);
        let stamped = |stamp| alice.seal_with(&["tcp/22"], |wish| wish.stamp = stamp);
        let from = |address| {
            alice.seal_with(&["tcp/22"], |wish| wish.address = ClaimedAddress::Ip(address))
        };
        let minute = Duration::from_secs(60);
        vec![
            ("stamp-too-old", stamped(now.before(minute))),
            ("stamp-in-future", stamped(now.after(minute))),
            ("address-mismatch", from(World::STRANGER[0])),
            ("address-mismatch", from(World::CLIENT[1])),
            (
                "second-address",
                alice.seal_with(&["tcp/22"], |wish| wish.second = Some(World::CLIENT[1])),
            ),
        ]
    });
}

/// With a tag of this client's server, for whatever server it is.
fn retagged(client: &Client<'_>, mut knock: Datagram) -> Datagram {
    knock.bytes = client.tagged(knock.bytes);
    knock
}

#[test]
fn requests_that_client_or_server_do_not_permit_are_refused() {
    are_refused(|world, authority, _| {
        let alice = || Client::alice(&world.client, authority);
        let another = authority.server_certificate("another");
        let ours = Forge::with_key_of(authority);
        let without = ours.client("nobody", |params| params.subject_alt_names.clear());
        let everything = ours.client("greedy", |params| {
            params.subject_alt_names = vec![allows("tcp/1-65535"), allows("udp/53")];
        });
        vec![
            ("not-veiled", retagged(&alice(), alice().knocking_on(another).seal(&["tcp/22"]))),
            ("nothing-allowed", alice().posing_as(without.identity()).seal(&["tcp/22"])),
            ("service-not-allowed", alice().seal(&["tcp/23"])),
            ("service-not-allowed", alice().seal(&["tcp/22", "udp/54"])),
            ("service-not-offered", alice().seal(&["tcp/2222"])),
            ("service-not-offered", alice().posing_as(everything.identity()).seal(&["tcp/22-23"])),
        ]
    });
}

#[test]
fn a_refused_client_is_logged_with_the_requested_services() {
    let (world, authority) = (World::new(), Authority::new());
    let daemon = Daemon::start(&world.gateway, &config(&authority));
    let alice = Client::alice(&world.client, &authority);
    let verdict = daemon.verdict(&alice.seal(&["tcp/22", "tcp/23"]).send(&world.client, GATEWAY));
    assert_eq!(verdict["reason"], "service-not-allowed");
    assert_eq!(
        (&verdict["subject"], &verdict["services"]),
        (&"alice".into(), &"tcp/22,tcp/23".into())
    );
}

/// Name and serial number of the one whose knock this is, as the log has them; that of the fingerprint, too.
fn named(verdict: &Value) -> Option<(String, String)> {
    let text = |field: &str| verdict[field].as_str().map(ToOwned::to_owned);
    assert_eq!(verdict["fingerprint"].is_string(), verdict["subject"].is_string(), "{verdict}");
    text("subject").zip(text("serial"))
}

/// The certificate is from our CA and the signature is the client's: only that is proven, and enough for a name.
#[test]
fn a_refusal_after_verification_names_client_and_certificate() {
    let (world, authority) = (World::new(), Authority::new());
    authority.client("mallory", &Authority::ALLOWED);
    let mallory = Client::named("mallory", &world.client, &authority);
    let list = authority.file("crl.der");
    let config = config(&authority).set("crlFile", list.to_str().expect("plain names"));
    let config = config.set("sourceAddress", "deny").set("secondAddress", "deny");
    authority.revoke("mallory");
    let daemon = Daemon::start(&world.gateway, &config);
    let ours = Forge::with_key_of(&authority);
    let dated = |from: Timestamp, until: Timestamp| {
        let made = ours.client("eve", |params| {
            params.serial_number = Some(rcgen::SerialNumber::from_slice(&[0x12, 0x34]));
            params.not_before = calendar(from);
            params.not_after = calendar(until);
        });
        Client::alice(&world.client, &authority).posing_as(made.identity())
    };
    let (begin, end) = (now().before(2 * HOUR), now().before(HOUR));
    let (expired, early) = (dated(begin, end), dated(now().after(HOUR), now().after(2 * HOUR)));
    let alice = || Client::alice(&world.client, &authority);
    let entries = authority.ca().list().expect("our authority");
    let serial = |name: &str| {
        let entry = entries.iter().find(|entry| entry.name.as_str() == name);
        entry.expect("it was issued").serial.to_string()
    };
    let second = |wish: &mut sknock_protocol::v2::KnockRequest| {
        wish.address = ClaimedAddress::Ip(World::CLIENT[0]);
        wish.second = Some(World::CLIENT[1]);
    };
    let elsewhere = |wish: &mut sknock_protocol::v2::KnockRequest| {
        wish.address = ClaimedAddress::Ip(World::STRANGER[0]);
    };
    let eve = || Some(("eve".to_owned(), "1234".to_owned()));
    let of_ca = |name: &str| Some((name.to_owned(), serial(name)));
    for (reason, knock, expected) in [
        ("revoked", mallory.seal(&["tcp/22"]), of_ca("mallory")),
        ("certificate-expired", expired.seal(&["tcp/22"]), eve()),
        ("certificate-not-yet-valid", early.seal(&["tcp/22"]), eve()),
        ("address-unsigned", alice().seal(&["tcp/22"]), of_ca("alice")),
        ("address-mismatch", alice().seal_with(&["tcp/22"], elsewhere), of_ca("alice")),
        ("second-address", alice().seal_with(&["tcp/22"], second), of_ca("alice")),
        // Compared before anything is proven.
        (
            "stamp-too-old",
            alice().seal_with(&["tcp/22"], |wish| wish.stamp = end.after(HOUR / 2)),
            None,
        ),
    ] {
        let sent = knock.send(&world.client, GATEWAY);
        let verdict = daemon.verdict(&sent);
        assert_eq!(verdict["reason"], reason, "{verdict}");
        assert_eq!(named(&verdict), expected, "{verdict}");
        if expected.is_some() {
            assert_eq!(
                (&verdict["knock"], &verdict["services"]),
                (&knock.id.into(), &"tcp/22".into())
            );
        }
    }
    assert_eq!(grants(&world), 0);
}

#[test]
fn the_log_says_which_entry_of_a_certificate_is_malformed() {
    let (world, authority) = (World::new(), Authority::new());
    let daemon = Daemon::start(&world.gateway, &config(&authority));
    let forge = Forge::with_key_of(&authority);
    let verdict = |entries: &[&str]| {
        let uris = entries.iter().map(|entry| SanType::URI((*entry).try_into().unwrap()));
        let made = forge.client("alice", |params| params.subject_alt_names = uris.collect());
        let alice = Client::alice(&world.client, &authority).posing_as(made.identity());
        daemon.verdict(&alice.seal(&["tcp/22"]).send(&world.client, GATEWAY))
    };
    for entry in ["sknock:TCP/22", "SKNOCK:tcp/22", "sknock://tcp/22", "sknock:tcp/22, tcp/53"] {
        let verdict = verdict(&[entry]);
        assert_eq!(verdict["reason"], "nothing-allowed");
        assert_eq!(verdict["malformed"], entry);
    }
    let verdict_of_some = verdict(&["sknock:tcp/53", "sknock: tcp/22", "sknock:\u{1b}[2J"]);
    assert_eq!(verdict_of_some["reason"], "service-not-allowed");
    assert_eq!(verdict_of_some["malformed"], "sknock: tcp/22, sknock:\u{1b}[2J");
    let granted = verdict(&["sknock:tcp/22", "sknock:tcp/022", "https://example.org/"]);
    assert_eq!(
        (&granted["message"], &granted["malformed"]),
        (&"granted".into(), &"sknock:tcp/022".into())
    );
    assert!(verdict(&["sknock:tcp/22"]).get("malformed").is_none());
}

#[test]
fn what_was_granted_is_explained_as_granted_and_only_once() {
    let (world, authority) = (World::new(), Authority::new());
    let daemon = Daemon::start(&world.gateway, &config(&authority));
    let alice = Client::alice(&world.client, &authority);
    let (at, knock) = (now(), alice.seal(&["tcp/22", "udp/53"]));
    knock.send(&world.client, GATEWAY).must_be_granted();
    assert_eq!(grants(&world), 2);
    let mut junk = alice.seal(&[]);
    junk.bytes = [7; _];
    let explained = explain(&daemon, at, [&knock, &knock, &junk].into_iter());
    let [granted, again, junk] = &explained[..] else { panic!("{explained:?}") };
    let expected = serde_json::json!({
        "file": daemon.file("captured-0"),
        "verdict": "grant",
        "reason": null,
        "services": ["tcp/22", "udp/53"],
        "address": World::CLIENT[0],
        "subject": "alice",
    });
    assert_eq!(*granted, expected);
    assert_eq!((&again["verdict"], &again["reason"]), (&"refused".into(), &"repeated".into()));
    assert_eq!((&junk["verdict"], &junk["reason"]), (&"refused".into(), &"not-tagged".into()));

    // explaining uses nothing up, and a minute later it would have been too late
    let later = explain(&daemon, at.after(Duration::from_secs(60)), [&knock].into_iter());
    assert_eq!(later[0]["reason"], "stamp-too-old");
}
