//! sknock-ca is killed before each of its steps. The next command of whatever kind finishes what was
//! begun, or nothing of it is there.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;
use sknock_protocol::Bundle;

use crate::program::WorkFolder;
use crate::support::{PASSWORD, openssl, text};

/// Does this for copies of an authority, one for each step before which `args` are killed.
fn at_each_step(folder: &WorkFolder, args: &str, mut judge: impl FnMut(&WorkFolder)) {
    let mut step = 1;
    loop {
        let copy = folder.copy();
        let killed = copy.run(args).killed_before(step);
        judge(&copy);
        assert!(copy.names().iter().all(|name| !name.contains(".new")), "{:?}", copy.names());
        if !killed {
            break;
        }
        step += 1;
    }
    assert!(step > 8, "{args} was killed {} times only", step - 1);
}

fn serial(entry: &Value) -> String {
    entry["serial"].as_str().unwrap().to_uppercase()
}

/// The serial number of what is in `NAME.pfx`, which opens, and whether `NAME.cer` is the same.
fn pair(folder: &WorkFolder, name: &str) -> (String, bool) {
    let pfx = fs::read(folder.file(&format!("{name}.pfx"))).unwrap();
    let bundle = Bundle::open(&pfx, PASSWORD).unwrap();
    let file = folder.beside("pair.cer");
    fs::write(&file, bundle.certificate()).unwrap();
    let printed = openssl(&["x509", "-inform", "DER", "-in", &text(&file), "-noout", "-serial"]);
    let other = fs::read(folder.file(&format!("{name}.cer"))).ok();
    let fits = other.is_none_or(|other| other == bundle.certificate());
    (printed.trim().trim_start_matches("serial=").to_owned(), fits)
}

#[test]
fn revoked_entries_are_on_the_published_crl_wherever_revoke_was_killed() {
    at_each_step(&WorkFolder::with_authority(), "revoke alice", |folder| {
        for entry in folder.list() {
            let listed = folder.published().contains(&serial(&entry));
            assert_eq!(listed, entry["state"] == "revoked", "{entry}");
        }
        assert_eq!(folder.register()["crl"]["number"], folder.number());
        folder.run("revoke alice").done();
        assert!(folder.published().contains(&serial(&folder.list()[1])));
    });
}

#[test]
fn no_crl_number_has_two_contents_wherever_crl_was_killed() {
    let folder = WorkFolder::with_authority();
    folder.run("revoke alice").done();
    at_each_step(&folder, "crl --days 7", |folder| {
        let mut contents = BTreeMap::new();
        let mut look = |folder: &WorkFolder| {
            // without the signature, which is another one each time
            let text = folder.published();
            let content = text.split(" Signature Value: ").next().unwrap().to_owned();
            let before = contents.insert(folder.number(), content.clone());
            assert!(before.is_none_or(|before| before == content), "{content}");
        };
        look(folder);
        folder.list();
        look(folder);
        folder.run("crl").done();
        look(folder);
        assert_eq!(folder.register()["crl"]["number"], folder.number());
    });
}

#[test]
fn a_reissued_key_and_certificate_match_wherever_server_was_killed() {
    let folder = WorkFolder::with_authority();
    folder.run("revoke gate").done();
    at_each_step(&folder, "server gate", |folder| {
        let entries = folder.list();
        let latest = entries.iter().rfind(|entry| entry["name"] == "gate").unwrap();
        assert_eq!(pair(folder, "gate"), (serial(latest), true));
    });
}

#[test]
fn a_certificate_in_the_register_has_its_file_wherever_client_was_killed() {
    let seen = [Cell::new(0), Cell::new(0)];
    at_each_step(&WorkFolder::with_authority(), "client bob --allow tcp/22", |folder| {
        let entries = folder.list();
        let is_known = entries.iter().any(|entry| entry["name"] == "bob");
        seen[usize::from(is_known)].update(|times| times + 1);
        if let Some(entry) = entries.iter().find(|entry| entry["name"] == "bob") {
            assert_eq!(pair(folder, "bob"), (serial(entry), true));
        } else {
            assert!(folder.names().iter().all(|name| !name.contains("bob")));
            folder.run("client bob --allow tcp/22").done();
        }
        folder.run("revoke bob").done();
    });
    assert!(seen.iter().all(|times| times.get() > 2), "killed before and after: {seen:?}");
}

/// After init was killed either there is an authority, or the next init makes one; it never is one for
/// `list` and none for `init`, or neither for both.
#[test]
fn an_interrupted_init_is_finished_by_the_next_and_leaves_no_key() {
    let mut steps = 0;
    for step in 1.. {
        let folder = WorkFolder::empty();
        let killed = folder.run("init").killed_before(step);
        for name in if folder.dir().exists() { folder.names() } else { Vec::new() } {
            let path = folder.file(&name);
            let secret = fs::read_to_string(&path).is_ok_and(|text| text.contains("PRIVATE"));
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert!(!secret || mode.trailing_zeros() >= 6, "{name}, step {step}");
        }
        let lists = folder.run("list").output().status.success();
        if lists {
            let refused = folder.run("init").refused();
            assert!(refused.contains("holds a CA"), "{refused}");
        } else {
            let refused = folder.run("list").refused();
            assert!(refused.contains("init"), "{refused}");
            folder.run("init").done();
        }
        let names = folder.names();
        assert!(names.iter().all(|name| !name.contains(".new")), "{names:?}, step {step}");
        let expected = ["ca.cer", "ca.key", "ca.pem", "crl.der", "register.json"];
        assert_eq!(names, expected, "step {step}");
        folder.run("server gate").done();
        folder.published();
        if !killed {
            break;
        }
        steps = step;
    }
    assert!(steps > 15, "{steps}");
}

/// What stands in the way of a file that a killed run had not delivered is told by `list` and what issues;
/// it keeps no list from being published, and once it is gone the file is there.
#[test]
fn an_unfinished_file_is_reported_and_does_not_delay_revocations() {
    let original = WorkFolder::with_authority();
    let undelivered = |folder: &WorkFolder| folder.register()["undelivered"] != Value::Null;
    let attempt = |step| {
        let folder = original.copy();
        folder.run("client bob --allow tcp/22").killed_before(step);
        undelivered(&folder).then_some(folder)
    };
    let folder = (1..50).find_map(attempt).expect("one kill lies between register and file");
    fs::create_dir(folder.file("bob.pfx")).unwrap();
    for command in ["list", "client eve --allow tcp/22"] {
        let refused = folder.run(command).refused();
        assert!(refused.contains("bob.pfx") && refused.contains("is in the register"), "{refused}");
    }
    folder.run("revoke alice").done();
    folder.run("crl").done();
    let alice = folder.register()["certificates"][1]["serial"].as_str().unwrap().to_uppercase();
    assert!(folder.published().contains(&alice));
    fs::remove_dir(folder.file("bob.pfx")).unwrap();
    let entries = folder.list();
    assert_eq!(pair(&folder, "bob"), (serial(&entries[2]), true));
}
