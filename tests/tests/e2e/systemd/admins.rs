//! The group `sknock-admin` where the server runs as the unit, with what OPERATIONS has administrators add to it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use sknock_tests::{Authority, Config, Daemon, World};

use super::unit::{as_the_unit, unit};

const MEMBER: &str = "setpriv --reuid 7701 --regid 7701 --groups 7701,7717";

fn drop_in() -> String {
    let operations = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/OPERATIONS.md");
    let operations = fs::read_to_string(operations).unwrap();
    let (_, section) = operations.split_once("## The control socket").unwrap();
    let (_, drop_in) = section.split_once("```ini\n").expect("a drop-in");
    drop_in.split("```").next().unwrap_or_default().to_owned()
}

#[test]
fn members_may_ask_once_the_unit_is_extended_as_the_documents_say() {
    let (world, authority) = (World::new(), Authority::new());
    let mut daemon = as_the_unit(&world, &authority, &Config::new(&authority));
    let file = |name: &str, text: String| {
        let path = daemon.file(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        path
    };
    let groups = fs::read_to_string("/etc/group").unwrap();
    let groups = file("group", format!("{groups}sknock-admin:x:7717:\n"));
    let plain = fs::read_to_string(unit()).unwrap();
    let extended = file("extended.service", format!("{plain}\n{}", drop_in()));
    daemon.mounts().replace(Path::new("/etc/group"), &groups);
    daemon.begin();
    daemon.wait_for("members of the group sknock-admin cannot use the control socket");
    daemon.wait_for(Daemon::ACCEPTING);
    let asked = daemon.tell_through(MEMBER, "confirm");
    assert!(asked.errors.contains("not allowed"), "{}", asked.errors);
    assert_eq!(daemon.tell("reload").code, Some(0), "root may all the same");
    daemon.stop();

    daemon.start_through(&[env!("CARGO_BIN_EXE_as_the_unit"), extended.to_str().unwrap(), "65534"]);
    daemon.begin();
    daemon.wait_for(Daemon::ACCEPTING);
    for (words, code) in [("reload --confirm 600", 0), ("confirm", 0), ("grants", 0)] {
        let asked = daemon.tell_through(MEMBER, words);
        assert_eq!(asked.code, Some(code), "{words}: {}", asked.errors);
    }
    let stranger = "setpriv --reuid 7701 --regid 7701 --clear-groups";
    assert_eq!(daemon.tell_through(stranger, "confirm").code, Some(1));
}
