//! The disk is full from one step on. What could not be done is told, and once there is room the next
//! command finishes what was begun, or nothing of it is there.

use serde_json::Value;

use crate::program::WorkFolder;

/// Does this for copies of an authority, one for each step from which the disk is full. `judge` is told
/// what `args` complained about.
fn from_each_step(args: &str, judge: impl Fn(&WorkFolder, Option<&str>)) {
    let folder = WorkFolder::with_authority();
    let mut step = 1;
    loop {
        let copy = folder.copy();
        let outcome = copy.run(args).without_room_from(step);
        judge(&copy, outcome.as_ref().err().map(String::as_str));
        assert!(copy.names().iter().all(|name| !name.contains(".new")), "{:?}", copy.names());
        if outcome.is_ok() {
            break;
        }
        step += 1;
    }
    assert!(step > 5, "{args} failed {} times only", step - 1);
}

fn find<'a>(entries: &'a [Value], name: &str) -> Option<&'a Value> {
    entries.iter().find(|entry| entry["name"] == name)
}

#[test]
fn a_certificate_is_made_or_not_as_the_outcome_says() {
    from_each_step("client bob --allow tcp/22", |folder, complaint| {
        let register = folder.register();
        let entries = register["certificates"].as_array().unwrap();
        let is_known = find(entries, "bob").is_some();
        if let Some(complaint) = complaint {
            assert!(complaint.contains("No space left"), "{complaint}");
            assert_eq!(complaint.contains("is in the register"), is_known, "{complaint}");
        }
        let has_file = |folder: &WorkFolder| folder.names().contains(&"bob.pfx".to_owned());
        assert!(complaint.is_some() || has_file(folder));
        assert_eq!(find(&folder.list(), "bob").is_some(), is_known);
        assert_eq!(has_file(folder), is_known);
    });
}

#[test]
fn a_revocation_is_recorded_or_not_as_the_outcome_says() {
    from_each_step("revoke alice", |folder, complaint| {
        let register = folder.register();
        let entries = register["certificates"].as_array().unwrap();
        let alice = find(entries, "alice").unwrap();
        let is_recorded = alice["revoked"] != Value::Null;
        if let Some(complaint) = complaint {
            assert!(complaint.contains("No space left"), "{complaint}");
            assert_eq!(complaint.contains("recorded"), is_recorded, "{complaint}");
        }
        assert!(complaint.is_some() || is_recorded);
        folder.list();
        let serial = alice["serial"].as_str().unwrap().to_uppercase();
        assert_eq!(folder.published().contains(&serial), is_recorded);
    });
}

#[test]
fn an_init_that_found_no_room_is_finished_by_the_next() {
    for step in 1.. {
        let folder = WorkFolder::empty();
        if folder.run("init").without_room_from(step).is_ok() {
            assert!(step > 10, "{step}");
            break;
        }
        if !folder.run("list").output().status.success() {
            folder.run("init").done();
        }
        let expected = ["ca.cer", "ca.key", "ca.pem", "crl.der", "register.json"];
        assert_eq!(folder.names(), expected, "step {step}");
    }
}
