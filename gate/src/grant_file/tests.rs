//! Entries and files, whole, torn, and of elsewhere.

use std::fs;
use std::path::Path;

use super::*;
use crate::cert_id::{CertId, OwnerName};
use crate::grant_key::GrantKey;
use crate::grants::index::GrantEntry as Grant;
use crate::label::GrantLabel;
use crate::uptime::BootInstant;
use sknock_netfilter::flow::FlowKey;
use sknock_types::{Serial, Transport};

fn flow(port: u16) -> FlowKey {
    let address = if port.is_multiple_of(2) { "192.0.2.7" } else { "2001:db8::7" };
    FlowKey { address: address.parse().unwrap(), transport: Transport::Udp, port }
}

fn label(serial: &[u8], name: &str) -> GrantLabel {
    let cert = CertId { issuer: CertId::UNKNOWN.issuer, serial: Serial::new(serial).unwrap() };
    GrantLabel { knock: *b"knock-id", cert, name: OwnerName::truncated(name) }
}

fn grant(port: u16) -> SavedEvent {
    let FlowKey { address, transport, port } = flow(port);
    let grant_key = GrantKey { address, transport, port, single_use: port > 9 };
    let until = BootInstant::from_millis(u64::MAX / 3_000_000);
    SavedEvent::Granted(Grant { grant_key, until, label: label(&[7; 16], "alice") })
}

fn open(folder: &Path) -> (GrantFile, Option<SavedGrants>) {
    let open = |name| {
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        options.open(folder.join(name)).unwrap()
    };
    GrantFile::of(["0", "1"].map(open), Origin::here(Path::new("/")).unwrap()).unwrap()
}

fn ports(folder: &Path) -> Option<Vec<u16>> {
    let (_, saved) = open(folder);
    saved.map(|saved| saved.live.index().map(|entry| entry.grant_key.port).collect())
}

#[test]
fn every_entry_is_read_back_and_nothing_else_is_one() {
    let max = label(&[0xff; 20], &"n".repeat(64));
    let entries = [
        grant(2),
        grant(11),
        SavedEvent::Ended(max, flow(3)),
        SavedEvent::Ended(label(&[], ""), flow(2)),
        SavedEvent::Closed(max.cert),
        SavedEvent::ClosedFlow(max.cert, flow(5)),
        SavedEvent::ClosedKey(GrantKey::both_of(&flow(8))[1]),
        SavedEvent::Blocked(flow(1)),
        SavedEvent::Unblocked(flow(4)),
        SavedEvent::Trial(BootInstant::from_millis(5)),
    ];
    for entry in entries {
        let mut bytes = Vec::new();
        entry.write(&mut bytes);
        let (read, rest) = SavedEvent::read(&bytes).unwrap_or_else(|| panic!("{entry:?}"));
        assert_eq!((format!("{read:?}"), rest), (format!("{entry:?}"), &[][..]));
        for length in 0..bytes.len() {
            assert!(
                SavedEvent::read(&bytes[..length]).is_none(),
                "{entry:?}, {length} bytes of it"
            );
        }
        bytes[1] = 99;
        assert!(SavedEvent::read(&bytes).is_none(), "an unknown kind");
    }
}

#[test]
fn a_file_that_is_being_written_whole_does_not_count_before_it_is() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(ports(folder.path()), None);
    let (mut file, _) = open(folder.path());
    file.compact([grant(2)].into_iter()).unwrap();
    file.note(&grant(4));
    file.append().unwrap();
    let current = fs::read(folder.path().join("1")).unwrap();
    file.compact([grant(6)].into_iter()).unwrap();
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
    file.compact([grant(2)].into_iter()).unwrap();
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
