//! Entries and files, whole, torn, and of elsewhere.

use std::fs;
use std::path::Path;

use super::*;
use crate::live::Claim as Grant;
use crate::{Door, Holder, Label, Name, Serial, Transport, Uptime, Way};

fn way(port: u16) -> Way {
    let address = if port.is_multiple_of(2) { "192.0.2.7" } else { "2001:db8::7" };
    Way { address: address.parse().unwrap(), transport: Transport::Udp, port }
}

fn label(serial: &[u8], name: &str) -> Label {
    let holder = Holder { issuer: Holder::NOBODY.issuer, serial: Serial::new(serial).unwrap() };
    Label { knock: *b"knock-id", holder, name: Name::cut(name) }
}

fn grant(port: u16) -> Entry {
    let Way { address, transport, port } = way(port);
    let door = Door { address, transport, port, single_use: port > 9 };
    let until = Uptime::from_millis(u64::MAX / 3_000_000);
    Entry::Granted(Grant { door, until, label: label(&[7; 16], "alice") })
}

fn open(folder: &Path) -> (GrantFile, Option<Recalled>) {
    let open = |name| {
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        options.open(folder.join(name)).unwrap()
    };
    GrantFile::of(["0", "1"].map(open), Origin::here(Path::new("/")).unwrap()).unwrap()
}

fn ports(folder: &Path) -> Option<Vec<u16>> {
    let (_, recalled) = open(folder);
    recalled.map(|recalled| recalled.live.claims().map(|claim| claim.door.port).collect())
}

#[test]
fn every_entry_is_read_back_and_nothing_else_is_one() {
    let most = label(&[0xff; 20], &"n".repeat(64));
    let entries = [
        grant(2),
        grant(11),
        Entry::Ended(most, way(3)),
        Entry::Ended(label(&[], ""), way(2)),
        Entry::Closed(most.holder),
        Entry::ClosedWay(most.holder, way(5)),
        Entry::ClosedDoor(way(8).doors()[1]),
        Entry::Cut(way(1)),
        Entry::Uncut(way(4)),
        Entry::Trial(Uptime::from_millis(5)),
    ];
    for entry in entries {
        let mut bytes = Vec::new();
        entry.write(&mut bytes);
        let (read, rest) = Entry::read(&bytes).unwrap_or_else(|| panic!("{entry:?}"));
        assert_eq!((format!("{read:?}"), rest), (format!("{entry:?}"), &[][..]));
        for length in 0..bytes.len() {
            assert!(Entry::read(&bytes[..length]).is_none(), "{entry:?}, {length} bytes of it");
        }
        bytes[1] = 99;
        assert!(Entry::read(&bytes).is_none(), "an unknown kind");
    }
}

#[test]
fn a_file_that_is_being_written_whole_does_not_count_before_it_is() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(ports(folder.path()), None);
    let (mut file, _) = open(folder.path());
    file.rewrite([grant(2)].into_iter()).unwrap();
    file.note(&grant(4));
    file.append().unwrap();
    let current = fs::read(folder.path().join("1")).unwrap();
    file.rewrite([grant(6)].into_iter()).unwrap();
    assert_eq!(ports(folder.path()), Some(vec![6]));
    let next = fs::read(folder.path().join("0")).unwrap();
    // As a kill may leave it: so much of the body without a header, and then with it.
    fs::write(folder.path().join("1"), &current).unwrap();
    let mut headless = next.clone();
    headless[..HEADER].fill(0);
    for length in 0..=next.len() {
        fs::write(folder.path().join("0"), &headless[..length]).unwrap();
        assert_eq!(ports(folder.path()), Some(vec![2, 4]), "{length} bytes");
    }
    for length in 0..HEADER {
        let written = [&next[..length], &headless[length..]].concat();
        fs::write(folder.path().join("0"), written).unwrap();
        assert_eq!(ports(folder.path()), Some(vec![2, 4]), "{length} bytes of the header");
    }
    fs::write(folder.path().join("0"), next).unwrap();
    assert_eq!(ports(folder.path()), Some(vec![6]));
}

#[test]
fn a_file_of_another_boot_does_not_count() {
    let folder = tempfile::tempdir().unwrap();
    let (mut file, _) = open(folder.path());
    file.rewrite([grant(2)].into_iter()).unwrap();
    let path = folder.path().join("1");
    let good = fs::read(&path).unwrap();
    for at in MAGIC.len() + size_of::<u64>()..HEADER {
        let mut other = good.clone();
        other[at] ^= 1;
        fs::write(&path, other).unwrap();
        assert_eq!(ports(folder.path()), None, "byte {at}");
    }
    fs::write(&path, good).unwrap();
    assert_eq!(ports(folder.path()), Some(vec![2]));
}
