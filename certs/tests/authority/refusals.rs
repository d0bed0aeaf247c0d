//! Every refusal: which it is, what it says to do, and that it changes nothing.

use std::fs;

use serde_json::Value;
use sknock_certs::{Authority, AuthorityError, CertificateKind, Issued, MAX_DAYS, Reason};
use sknock_protocol::Timestamp;

use crate::support::{House, NOW, PASSWORD, days, later, services};

/// Runs `attempt`, which must fail and change nothing.
#[track_caller]
fn refused<T>(
    house: &House,
    attempt: impl FnOnce(&Authority) -> Result<T, AuthorityError>,
) -> AuthorityError {
    let register = || fs::read(house.file("register.json")).unwrap();
    let list = || fs::read(house.file("crl.der")).unwrap();
    let before = (house.files(), register(), list());
    let Err(error) = attempt(&house.authority) else { panic!("was not refused") };
    assert_eq!((house.files(), register(), list()), before, "{error}");
    error
}

fn issue(
    authority: &Authority,
    kind: CertificateKind,
    name: &str,
    now: Timestamp,
) -> Result<Issued, AuthorityError> {
    match kind {
        CertificateKind::Server => authority.server(name, 30, PASSWORD, now),
        CertificateKind::Client => authority.client(name, &services("tcp/22"), 30, PASSWORD, now),
    }
}

#[test]
fn names_that_could_leave_the_folder_or_hit_its_files() {
    let house = House::new();
    for name in ["../x", "a/b", "", ".x", "-x", "ca", "CRL", "register", "a b", "ä", "a\0"] {
        for kind in [CertificateKind::Server, CertificateKind::Client] {
            let error = refused(&house, |authority| issue(authority, kind, name, NOW));
            assert!(matches!(error, AuthorityError::Name { .. }), "{error}");
        }
    }
}

/// `revoke` would take it for another certificate's.
#[test]
fn names_that_look_like_a_serial_number() {
    let house = House::new();
    let issued = issue(&house.authority, CertificateKind::Client, "alice", NOW).unwrap();
    let serial = issued.entry.serial.to_string();
    for name in [serial.clone(), serial.to_uppercase(), "0".repeat(32)] {
        for kind in [CertificateKind::Server, CertificateKind::Client] {
            let error = refused(&house, |authority| issue(authority, kind, &name, NOW));
            assert!(matches!(error, AuthorityError::NameLikeSerial { .. }), "{error}");
        }
    }
}

#[test]
fn names_in_use_until_revoked_or_expired() {
    let house = House::new();
    for (kind, other, name) in [
        (CertificateKind::Server, CertificateKind::Client, "gate"),
        (CertificateKind::Client, CertificateKind::Server, "alice"),
    ] {
        let serial = issue(&house.authority, kind, name, NOW).unwrap().entry.serial;
        let error = refused(&house, |authority| issue(authority, kind, name, later(days(30))));
        assert!(
            matches!(&error, AuthorityError::NameTaken { serial: taken, .. } if *taken == serial),
            "{error}"
        );
        assert!(error.to_string().contains("Revoke it first, or choose another name"), "{error}");
        let error = refused(&house, |authority| issue(authority, other, name, later(days(31))));
        assert!(
            matches!(&error, AuthorityError::NameOfOtherKind { kind: was, .. } if *was == kind),
            "{error}"
        );
        issue(&house.authority, kind, name, later(days(30) + 1)).unwrap();
    }
}

#[test]
fn files_that_the_register_does_not_know() {
    for name in ["alice.pfx", "alice.cer"] {
        let house = House::new();
        fs::write(house.file(name), "someone's").unwrap();
        let error =
            refused(&house, |authority| issue(authority, CertificateKind::Client, "alice", NOW));
        assert!(
            matches!(&error, AuthorityError::StrayFile { path } if path.ends_with(name)),
            "{error}"
        );
        assert_eq!(fs::read(house.file(name)).unwrap(), b"someone's");
    }
}

#[test]
fn clients_that_may_open_nothing() {
    let house = House::new();
    let error = refused(&house, |authority| authority.client("alice", &[], 1, PASSWORD, NOW));
    assert!(matches!(error, AuthorityError::NoServices), "{error}");
}

#[test]
fn days_that_are_none_or_too_many() {
    let house = House::new();
    for days in [0, MAX_DAYS + 1, u32::MAX] {
        let error = refused(&house, |authority| authority.server("gate", days, PASSWORD, NOW));
        assert!(matches!(error, AuthorityError::Days { .. }), "{error}");
        let error = refused(&house, |authority| authority.crl(days, NOW));
        assert!(matches!(error, AuthorityError::Days { .. }), "{error}");
        let empty = tempfile::tempdir().unwrap();
        assert!(matches!(
            Authority::init(empty.path(), None, days, NOW),
            Err(AuthorityError::Days { .. })
        ));
        assert_eq!(fs::read_dir(empty.path()).unwrap().count(), 0);
    }
}

#[test]
fn clocks_beyond_the_calendar() {
    let house = House::new();
    for seconds in [253_402_300_800, u64::MAX / 1000] {
        let error = refused(&house, |authority| authority.crl(1, Timestamp::from_secs(seconds)));
        assert!(matches!(error, AuthorityError::Clock), "{error}");
    }
}

#[test]
fn clocks_far_behind_the_last_list() {
    let house = House::new();
    house.client("alice", "tcp/22");
    house.authority.crl(30, later(days(1))).unwrap();
    let tries = [
        refused(&house, |authority| authority.crl(30, NOW)),
        refused(&house, |authority| issue(authority, CertificateKind::Client, "bob", NOW)),
        refused(&house, |authority| authority.settle(NOW)),
    ];
    for error in tries {
        assert!(matches!(error, AuthorityError::ClockBehind { .. }), "{error}");
        assert!(error.to_string().contains("2027-01-16T08:00:00Z. Set the clock"), "{error}");
    }
}

#[test]
fn authorities_without_a_printable_name() {
    let empty = tempfile::tempdir().unwrap();
    for name in ["", "  ", "a\nb", &"x".repeat(65)] {
        let error = Authority::init(empty.path(), Some(name), 1, NOW).err().unwrap();
        assert!(matches!(error, AuthorityError::AuthorityName { .. }), "{error}");
        assert_eq!(fs::read_dir(empty.path()).unwrap().count(), 0);
    }
}

#[test]
fn certificates_of_an_authority_that_has_ended() {
    let house = House::new();
    let end = house.authority.not_after();
    let error = refused(&house, |authority| issue(authority, CertificateKind::Server, "gate", end));
    assert!(matches!(error, AuthorityError::AuthorityExpired { at, .. } if at == end), "{error}");
}

#[test]
fn revoking_what_is_not_there_or_not_one() {
    let house = House::new();
    let revoke = |which: &str, now| {
        refused(&house, |authority| authority.revoke(which, Reason::Unspecified, now))
    };
    for which in ["alice", "", "7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f", "\u{1b}[31m"] {
        let error = revoke(which, NOW);
        assert!(matches!(error, AuthorityError::Unknown { .. }), "{error}");
        assert!(!error.to_string().contains('\u{1b}'));
    }
    let first =
        issue(&house.authority, CertificateKind::Client, "alice", NOW).unwrap().entry.serial;

    // one was issued while the clock ran ahead
    let second = issue(&house.authority, CertificateKind::Client, "alice", later(days(31)))
        .unwrap()
        .entry
        .serial;
    let error = revoke("alice", NOW);
    assert!(
        matches!(&error, AuthorityError::Ambiguous { serials, .. } if *serials == [first, second]),
        "{error}"
    );
    assert!(error.to_string().contains(&format!("{first}, {second}")), "{error}");
}

#[test]
fn folders_that_hold_no_whole_authority() {
    let empty = tempfile::tempdir().unwrap();
    for dir in [empty.path().to_owned(), empty.path().join("missing")] {
        let error = Authority::open(&dir).err().unwrap();
        assert!(matches!(error, AuthorityError::NoAuthority { .. }), "{error}");
        assert!(error.to_string().contains("Create one with init"), "{error}");
    }
    for file in ["ca.key", "ca.cer", "register.json"] {
        let house = House::new();
        fs::remove_file(house.file(file)).unwrap();
        let error = Authority::open(&house.dir).err().unwrap();
        assert!(
            matches!(&error, AuthorityError::NoAuthority { path } if path.ends_with(file)),
            "{error}"
        );
    }
}

#[test]
fn files_of_the_authority_that_are_damaged_or_not_of_one_another() {
    let other = House::new();
    let client = House::new();
    client.server("gate");
    let leaf = fs::read(client.file("gate.cer")).unwrap();
    let not_ours = fs::read(other.file("ca.cer")).unwrap();
    let newer = br#"{"version": 2, "crl": {"number": 1, "thisUpdate": "2027-01-15T08:00:00Z",
        "nextUpdate": "2027-01-15T08:00:00Z", "days": 1}, "certificates": []}"#;
    for (file, content) in [
        ("ca.key", &b"junk"[..]),
        ("ca.key", &[0xff, 0xfe]),
        ("ca.cer", b"junk"),
        ("ca.cer", &leaf),
        ("ca.cer", &not_ours),
        ("register.json", b""),
        ("register.json", b"{}"),
        ("register.json", newer),
    ] {
        let house = House::new();
        fs::write(house.file(file), content).unwrap();
        let error = Authority::open(&house.dir).err().unwrap();
        assert!(
            matches!(&error, AuthorityError::Damaged { path, .. } if path.ends_with(file)),
            "{error}"
        );
        assert!(error.to_string().contains("Restore it from a backup"), "{error}");
    }
}

#[test]
fn a_damaged_register_stops_every_command() {
    let house = House::new();
    house.client("alice", "tcp/22");
    let register = fs::read(house.file("register.json")).unwrap();
    fs::write(house.file("register.json"), &register[..register.len() / 2]).unwrap();
    let authority = &house.authority;
    for error in [
        refused(&house, |authority| authority.crl(1, NOW)),
        refused(&house, |authority| authority.revoke("alice", Reason::Unspecified, NOW)),
        refused(&house, |authority| issue(authority, CertificateKind::Client, "bob", NOW)),
        authority.list().unwrap_err(),
    ] {
        assert!(matches!(error, AuthorityError::Damaged { .. }), "{error}");
    }
}

#[test]
fn a_register_with_one_serial_number_twice_is_damaged() {
    let house = House::new();
    house.client("alice", "tcp/22");
    house.client("bob", "tcp/22");
    let mut register: Value =
        serde_json::from_slice(&fs::read(house.file("register.json")).unwrap()).unwrap();
    let all = register["certificates"].as_array_mut().unwrap();
    let serial = all[0]["serial"].clone();
    all[1]["serial"] = serial;
    fs::write(house.file("register.json"), register.to_string()).unwrap();
    let error = refused(&house, |authority| authority.revoke("alice", Reason::Unspecified, NOW));
    assert!(error.to_string().contains("twice"), "{error}");
}

#[test]
fn folders_that_cannot_be_made() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    for dir in [file.clone(), file.join("below")] {
        let error = Authority::init(&dir, None, 1, NOW).err().unwrap();
        assert!(error.to_string().starts_with("cannot create the directory "), "{error}");
    }
    assert!(Authority::init(&folder.path().join("several/levels/deep"), None, 1, NOW).is_ok());
}
