//! What lies on the disk: modes, whole files, two at once, and what failures leave behind.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;
use std::thread;

use sknock_certs::{Authority, AuthorityError, Reason};

use crate::support::{House, NOW, PASSWORD, openssl, services};

fn mode(path: &str) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn secrets_are_private_and_the_crl_is_public_whatever_the_umask() {
    for umask in ["000", "022", "077"] {
        let folder = tempfile::tempdir().unwrap();
        let script = "umask $0; \
                      \"$1\" --dir ca init && \"$1\" --dir ca server gate && \
                      \"$1\" --dir ca client alice --allow tcp/22 && \"$1\" --dir ca revoke alice";
        let status = Command::new("sh")
            .args(["-c", script, umask, env!("CARGO_BIN_EXE_sknock-ca")])
            .env("SKNOCK_PFX_PASSWORD", PASSWORD)
            .current_dir(folder.path())
            .output()
            .unwrap()
            .status;
        assert!(status.success());
        let file = |name: &str| folder.path().join("ca").join(name).to_str().unwrap().to_owned();
        for private in ["ca.key", "register.json", "gate.pfx", "alice.pfx"] {
            assert_eq!(mode(&file(private)), 0o600, "{private}, umask {umask}");
        }
        for public in ["ca.cer", "ca.pem", "crl.der", "gate.cer"] {
            assert_eq!(mode(&file(public)), 0o644, "{public}, umask {umask}");
        }
        assert_eq!(mode(&file("")), 0o711, "umask {umask}");
    }
}

#[test]
fn nothing_but_the_named_files_is_left_in_the_folder() {
    let house = House::new();
    house.server("gate");
    house.client("alice", "tcp/22");
    house.authority.revoke("alice", Reason::Unspecified, NOW).unwrap();
    let expected = [
        "alice.pfx",
        "ca.cer",
        "ca.key",
        "ca.pem",
        "crl.der",
        "gate.cer",
        "gate.pfx",
        "register.json",
    ];
    assert_eq!(house.files(), expected);
    openssl(&["pkey", "-in", &house.file("ca.key"), "-noout", "-check"]);
    assert!(
        fs::read_to_string(house.file("ca.key"))
            .unwrap()
            .starts_with("-----BEGIN PRIVATE KEY-----\n")
    );
}

#[test]
fn parallel_commands_lose_nothing_and_never_reuse_a_crl_number() {
    let house = House::new();
    let dir = &house.dir;
    let numbers = thread::scope(|scope| {
        let work = |worker: usize| {
            let authority = Authority::open(dir).unwrap();
            let round = |turn: usize| {
                let name = format!("client-{worker}-{turn}");
                authority.client(&name, &services("tcp/22"), 1, PASSWORD, NOW).unwrap();
                authority.revoke(&name, Reason::Unspecified, NOW).unwrap().crl.number
            };
            (0..3).map(round).collect::<Vec<_>>()
        };
        let workers: Vec<_> = (0..4).map(|worker| scope.spawn(move || work(worker))).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect::<BTreeSet<u64>>()
    });
    assert_eq!(numbers, (2..=13).collect());
    let entries = house.authority.list().unwrap();
    assert_eq!(entries.len(), 12);
    assert!(entries.iter().all(|entry| entry.revoked.is_some()));
    let list =
        openssl(&["crl", "-in", &house.file("crl.der"), "-inform", "DER", "-noout", "-text"]);
    assert_eq!(list.matches("Serial Number").count(), 12);
}

#[test]
fn a_crl_that_cannot_be_published_is_an_error_and_the_next_is_complete() {
    let house = House::new();
    house.client("alice", "tcp/22");
    let list = house.file("crl.der");
    fs::remove_file(&list).unwrap();
    fs::create_dir(&list).unwrap();
    let failed = house.authority.revoke("alice", Reason::Unspecified, NOW).unwrap_err();
    assert!(matches!(failed, AuthorityError::NotPublished { .. }), "{failed}");
    assert!(failed.to_string().contains("then run crl"), "{failed}");
    fs::remove_dir(&list).unwrap();
    assert_eq!(house.authority.crl(30, NOW).unwrap().number, 2);
    let text = openssl(&["crl", "-in", &list, "-inform", "DER", "-noout", "-text"]);
    assert_eq!(text.matches("Serial Number").count(), 1);
}

#[test]
fn where_a_file_cannot_be_written_no_certificate_is_made() {
    let house = House::new();
    house.client("alice", "tcp/22");
    house.authority.revoke("alice", Reason::Unspecified, NOW).unwrap();
    fs::remove_file(house.file("alice.pfx")).unwrap();
    fs::create_dir(house.file("alice.pfx")).unwrap();
    let failed =
        house.authority.client("alice", &services("tcp/22"), 1, PASSWORD, NOW).unwrap_err();
    assert!(
        matches!(&failed, AuthorityError::NoFile { path } if path.ends_with("alice.pfx")),
        "{failed}"
    );
    assert_eq!(house.authority.list().unwrap().len(), 1);
    assert!(house.files().iter().all(|name| !name.contains(".new")), "{:?}", house.files());
}

/// A number that a published list has is not used once more, and a revocation is recorded all the same.
#[test]
fn an_outdated_register_is_detected_by_the_published_crl() {
    let house = House::new();
    for name in ["alice", "bob"] {
        house.client(name, "tcp/22");
    }
    let backup = fs::read(house.file("register.json")).unwrap();
    house.authority.revoke("alice", Reason::Unspecified, NOW).unwrap();
    let list = fs::read(house.file("crl.der")).unwrap();
    fs::write(house.file("register.json"), backup).unwrap();
    let failures = [
        house.authority.crl(30, NOW).unwrap_err(),
        house.authority.settle(NOW).unwrap_err(),
        house.authority.client("eve", &services("tcp/22"), 1, PASSWORD, NOW).unwrap_err(),
        house.authority.revoke("bob", Reason::Unspecified, NOW).unwrap_err(),
    ];
    for failed in failures {
        assert!(matches!(failed, AuthorityError::NotPublished { .. }), "{failed}");
        assert!(failed.to_string().contains("is outdated"), "{failed}");
    }
    assert_eq!(fs::read(house.file("crl.der")).unwrap(), list);
    let entries = house.authority.list().unwrap();
    assert!(entries[0].revoked.is_none() && entries[1].revoked.is_some() && entries.len() == 2);
}

#[test]
fn a_link_is_not_replaced_behind_the_web_server_s_back() {
    let house = House::new();
    let elsewhere = house.beside("published.der");
    fs::rename(house.file("crl.der"), &elsewhere).unwrap();
    symlink(&elsewhere, house.file("crl.der")).unwrap();
    let before = fs::read(&elsewhere).unwrap();
    let failed = house.authority.crl(30, NOW).unwrap_err();
    assert!(failed.to_string().contains("symbolic link"), "{failed}");
    assert_eq!(fs::read(&elsewhere).unwrap(), before);
}

#[test]
fn init_changes_nothing_where_any_file_of_an_authority_lies() {
    for name in ["ca.key", "ca.cer", "ca.pem", "crl.der", "register.json"] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(name), "someone's").unwrap();
        let refused = Authority::init(folder.path(), None, 1, NOW).err().unwrap();
        assert!(
            matches!(&refused, AuthorityError::Exists { path } if path.ends_with(name)),
            "{refused}"
        );
        assert_eq!(fs::read(folder.path().join(name)).unwrap(), b"someone's");
        let left = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        assert_eq!(left.filter(|left| left != name).count(), 0);
    }
    let house = House::new();
    let key = fs::read(house.file("ca.key")).unwrap();
    assert!(Authority::init(&house.dir, None, 1, NOW).is_err());
    assert_eq!(fs::read(house.file("ca.key")).unwrap(), key);
}

/// Whatever lies in place of the published list, the next command puts the right one there, under the same
/// number.
#[test]
fn a_published_crl_that_is_not_the_latest_is_replaced() {
    let house = House::new();
    house.client("alice", "tcp/22");
    let list = house.file("crl.der");
    let older = fs::read(&list).unwrap();
    house.authority.revoke("alice", Reason::Unspecified, NOW).unwrap();
    let right = fs::read(&list).unwrap();
    let mut signature = right.clone();
    *signature.last_mut().unwrap() ^= 1;
    let half = right[..right.len() / 2].to_vec();
    let of_other = fs::read(House::new().file("crl.der")).unwrap();
    for wrong in [Vec::new(), b"junk".to_vec(), half, older, signature, of_other] {
        fs::write(&list, &wrong).unwrap();
        house.authority.settle(NOW).unwrap();
        let ca = house.file("ca.pem");
        let args = ["crl", "-in", &list, "-inform", "DER", "-noout", "-text", "-CAfile", &ca];
        let text = openssl(&args);
        assert!(text.contains("verify OK") && text.contains("Serial Number"), "{text}");
        assert_eq!(house.authority.latest_crl().unwrap().number, 2);
    }
    fs::remove_file(&list).unwrap();
    house.authority.settle(NOW).unwrap();
    let before = fs::read(&list).unwrap();
    house.authority.settle(NOW).unwrap();
    assert_eq!(fs::read(&list).unwrap(), before, "what is right stays as it is");
}
