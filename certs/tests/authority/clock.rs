//! A clock that is wrong, or was: what is refused, what is recorded all the same, and the way out.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::program::WorkFolder;
use crate::support::days;

fn now() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "the program lives by the same clock")]
    let clock = SystemTime::now();
    clock.duration_since(UNIX_EPOCH).unwrap().as_secs()
}

const COMMANDS: [&str; 4] = ["list", "crl", "server other", "client bob --allow tcp/22"];

fn is_recorded(folder: &WorkFolder, name: &str) -> bool {
    let register = folder.register();
    let entries = register["certificates"].as_array().unwrap();
    let entry = entries.iter().rfind(|entry| entry["name"] == name).unwrap();
    entry["revoked"] != Value::Null
}

#[test]
fn after_a_crl_400_days_ahead_a_revocation_is_recorded_and_publishable() {
    let folder = WorkFolder::with_authority();
    folder.run("crl").at(now() + days(400)).done();
    for command in COMMANDS {
        let refused = folder.run(command).refused();
        assert!(refused.contains("crl --clock-was-ahead"), "{command}: {refused}");
    }
    let refused = folder.run("revoke alice").refused();
    assert!(refused.contains("recorded") && refused.contains("--clock-was-ahead"), "{refused}");
    assert!(is_recorded(&folder, "alice"));
    let before = folder.number();
    folder.run("crl --clock-was-ahead").done();
    let serial = folder.list()[1]["serial"].as_str().unwrap().to_uppercase();
    assert!(folder.published().contains(&serial));
    assert!(folder.number() > before);
    folder.run("client bob --allow tcp/22").done();
    folder.run("crl").done();
}

#[test]
fn a_clock_in_the_past_makes_nothing_and_is_named() {
    let folder = WorkFolder::with_authority();
    for at in [0, 5, 1_500_000_000, now() - days(1)] {
        let register = fs::read(folder.file("register.json")).unwrap();
        for command in COMMANDS {
            let refused = folder.run(command).at(at).refused();
            assert!(refused.contains("clock"), "{at}, {command}: {refused}");
        }
        assert_eq!(fs::read(folder.file("register.json")).unwrap(), register, "{at}");
    }
    assert_eq!(folder.number(), 1);
    let other = WorkFolder::empty();
    for at in [0, 1_500_000_000] {
        let refused = other.run("init").at(at).refused();
        assert!(refused.contains("clock"), "{refused}");
        assert!(!other.dir().exists());
    }
}

#[test]
fn a_revocation_is_recorded_whatever_the_clock_says_and_published_by_the_next_command() {
    for at in [0, now() - days(1), now() + days(5000), 253_402_300_800, u64::MAX >> 12] {
        let folder = WorkFolder::with_authority();
        let refused = folder.run("revoke alice").at(at).refused();
        assert!(refused.contains("recorded") && refused.contains("clock"), "{at}: {refused}");
        assert!(is_recorded(&folder, "alice"), "{at}");
        let entry = folder.list()[1].clone();
        assert_eq!(entry["state"], "revoked", "{at}");
        let serial = entry["serial"].as_str().unwrap().to_uppercase();
        assert!(folder.published().contains(&serial), "{at}");
        assert_eq!(folder.number(), 2, "{at}");
    }
}

#[test]
fn no_crl_is_made_after_the_ca_has_expired() {
    let folder = WorkFolder::with_authority();
    let refused = folder.run("crl").at(now() + days(3651)).refused();
    assert!(refused.contains("expired"), "{refused}");
    assert_eq!(folder.number(), 1);
    folder.run("crl").done();
}

#[test]
fn the_last_crl_number_causes_no_crash_and_revocations_are_recorded() {
    for number in [u64::MAX, u64::MAX - 1] {
        let folder = WorkFolder::with_authority();
        let mut register = folder.register();
        register["crl"]["number"] = json!(number);
        fs::write(folder.file("register.json"), register.to_string()).unwrap();
        if number < u64::MAX {
            folder.run("crl").done();
            continue;
        }
        let refused = folder.run("crl").refused();
        assert!(refused.contains("number"), "{refused}");
        let refused = folder.run("revoke alice").refused();
        assert!(refused.contains("recorded") && refused.contains("number"), "{refused}");
        assert!(is_recorded(&folder, "alice"));
    }
}

#[test]
fn a_certificate_that_was_made_while_the_clock_was_ahead_is_called_so_and_can_be_replaced() {
    let folder = WorkFolder::with_authority();
    folder.run("client bob --allow tcp/22").at(now() + days(400)).done();
    assert_eq!(folder.list()[2]["state"], "not-yet");
    let refused = folder.run("client bob --allow tcp/22").refused();
    assert!(refused.contains("Revoke it first"), "{refused}");
    folder.run("revoke bob").done();
    folder.run("client bob --allow tcp/22").done();
    let states: Vec<_> = folder.list().iter().map(|entry| entry["state"].clone()).collect();
    assert_eq!(states, ["valid", "valid", "revoked", "valid"]);
}
