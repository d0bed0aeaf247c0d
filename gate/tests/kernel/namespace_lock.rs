//! One gate for each network namespace.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::process::Command;

use sknock_gate::NamespaceLock;

use crate::netns::Net;

#[test]
fn a_second_lock_attempt_names_the_process_that_has_the_lock() {
    let net = Net::new();
    let folder = tempfile::tempdir().unwrap();
    let locks = folder.path().join("sknock");
    let lock = net.inside(|| NamespaceLock::acquire(&locks)).unwrap();
    assert_eq!(fs::metadata(&locks).unwrap().permissions().mode() & 0o7777, 0o755);
    let error = net.inside(|| NamespaceLock::acquire(&locks)).unwrap_err().to_string();
    let process = format!("another sknockd (process {})", std::process::id());
    assert!(error.contains(&process) && error.contains("Stop it first"), "{error}");
    drop(lock);
    net.inside(|| NamespaceLock::acquire(&locks)).unwrap();
}

#[test]
fn the_owner_of_the_lock_is_found_while_it_has_the_lock() {
    let (net, other) = (Net::new(), Net::new());
    let folder = tempfile::tempdir().unwrap();
    let locks = folder.path().join("sknock");
    let owner = |net: &Net| net.inside(|| NamespaceLock::owner_pid(&locks)).unwrap();
    assert_eq!(owner(&net), None);
    let lock = net.inside(|| NamespaceLock::acquire(&locks)).unwrap();
    assert_eq!(owner(&net), Some(std::process::id()));
    assert_eq!(owner(&other), None);
    assert_eq!(lock.sibling("before").parent(), Some(locks.as_path()));
    drop(lock);
    assert_eq!(owner(&net), None, "the file stays, and its signature with it");
}

#[test]
fn each_network_namespace_has_its_own_lock() {
    let (one, other) = (Net::new(), Net::new());
    let folder = tempfile::tempdir().unwrap();
    let _first = one.inside(|| NamespaceLock::acquire(folder.path())).unwrap();
    let _second = other.inside(|| NamespaceLock::acquire(folder.path())).unwrap();
}

#[test]
fn a_program_that_is_started_does_not_inherit_it() {
    let net = Net::new();
    let folder = tempfile::tempdir().unwrap();
    let lock = net.inside(|| NamespaceLock::acquire(folder.path())).unwrap();
    let mut program = Command::new("sleep").arg("60").spawn().unwrap();
    drop(lock);
    let again = net.inside(|| NamespaceLock::acquire(folder.path()));
    program.kill().unwrap();
    program.wait().unwrap();
    again.unwrap();
}

#[test]
fn a_folder_that_others_can_write_to_is_refused() {
    let net = Net::new();
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let error = net.inside(|| NamespaceLock::acquire(folder.path())).unwrap_err().to_string();
    assert!(error.contains("chmod 755"), "{error}");

    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let link = folder.path().join("link");
    symlink("/", &link).unwrap();
    assert!(net.inside(|| NamespaceLock::acquire(&link)).is_err());
    net.inside(|| NamespaceLock::acquire(folder.path())).unwrap();
}

/// As a unit starts it: the folder is its user's. Root can take the claim when the unit has stopped,
/// and leaves nothing behind that would keep the unit from starting again.
#[test]
fn root_can_take_the_lock_of_a_unit_and_leaves_it_to_the_units_user() {
    let net = Net::new();
    let folder = tempfile::tempdir().unwrap();
    let (uid, gid) = (65_534, 65_534);
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    chown(folder.path(), Some(uid), Some(gid)).unwrap();
    drop(net.inside(|| NamespaceLock::acquire(folder.path())).unwrap());
    let lock = fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
    assert_eq!(fs::metadata(&lock).unwrap().uid(), uid);
    net.inside(|| NamespaceLock::acquire(folder.path())).unwrap();

    // What that user could have root write to instead.
    let precious = folder.path().join("precious");
    fs::write(&precious, "precious").unwrap();
    fs::remove_file(&lock).unwrap();
    fs::hard_link(&precious, &lock).unwrap();
    let error = net.inside(|| NamespaceLock::acquire(folder.path())).unwrap_err().to_string();
    assert!(error.contains("second name"), "{error}");
    fs::remove_file(&lock).unwrap();
    symlink(&precious, &lock).unwrap();
    assert!(net.inside(|| NamespaceLock::acquire(folder.path())).is_err());
    assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
}
