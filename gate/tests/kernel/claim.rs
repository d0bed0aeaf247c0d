//! One gate for each network namespace.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use sknock_gate::Claim;

use crate::netns::Net;

#[test]
fn a_second_claim_says_who_has_the_first() {
    let net = Net::new();
    let folder = tempfile::tempdir().unwrap();
    let locks = folder.path().join("sknock");
    let claim = net.inside(|| Claim::take(&locks)).unwrap();
    assert_eq!(fs::metadata(&locks).unwrap().permissions().mode() & 0o7777, 0o755);
    let error = net.inside(|| Claim::take(&locks)).unwrap_err().to_string();
    let process = format!("another sknockd (process {})", std::process::id());
    assert!(error.contains(&process) && error.contains("stop it first"), "{error}");
    drop(claim);
    net.inside(|| Claim::take(&locks)).unwrap();
}

#[test]
fn who_has_the_claim_is_found_as_long_as_they_have_it() {
    let (net, other) = (Net::new(), Net::new());
    let folder = tempfile::tempdir().unwrap();
    let locks = folder.path().join("sknock");
    let holder = |net: &Net| net.inside(|| Claim::holder(&locks)).unwrap();
    assert_eq!(holder(&net), None);
    let claim = net.inside(|| Claim::take(&locks)).unwrap();
    assert_eq!(holder(&net), Some(std::process::id()));
    assert_eq!(holder(&other), None);
    assert_eq!(claim.beside("before").parent(), Some(locks.as_path()));
    drop(claim);
    assert_eq!(holder(&net), None, "the file stays, and its signature with it");
}

#[test]
fn another_namespace_is_another_claim() {
    let (one, other) = (Net::new(), Net::new());
    let folder = tempfile::tempdir().unwrap();
    let _first = one.inside(|| Claim::take(folder.path())).unwrap();
    let _second = other.inside(|| Claim::take(folder.path())).unwrap();
}

#[test]
fn a_program_that_is_started_does_not_inherit_it() {
    let net = Net::new();
    let folder = tempfile::tempdir().unwrap();
    let claim = net.inside(|| Claim::take(folder.path())).unwrap();
    let mut program = Command::new("sleep").arg("60").spawn().unwrap();
    drop(claim);
    let again = net.inside(|| Claim::take(folder.path()));
    program.kill().unwrap();
    program.wait().unwrap();
    again.unwrap();
}

#[test]
fn a_folder_that_others_can_write_to_is_refused() {
    let net = Net::new();
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let error = net.inside(|| Claim::take(folder.path())).unwrap_err().to_string();
    assert!(error.contains("chmod 755"), "{error}");

    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let link = folder.path().join("link");
    symlink("/", &link).unwrap();
    assert!(net.inside(|| Claim::take(&link)).is_err());
    net.inside(|| Claim::take(folder.path())).unwrap();
}
