//! What one certificate, or one network, can take of the replay memory, and what is left for others.

use std::net::IpAddr;
use std::time::Duration;

use sknock_gate::Shares;
use sknock_protocol::{CertificateId, IssuerId, KnockId, Timestamp};
use sknock_server::knock::replay::{
    BootId, Journal, KnockOwner, Memory, OneTimeKey, Recorded, ReplayEntry, ReplayStore,
};

const WINDOW: Duration = Duration::from_secs(30);
const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const SIZE: u64 = 1000;
const SHARES: Shares = Shares { certificate: 20, network: 50 };

fn trace(number: u64, stamp: Timestamp) -> ReplayEntry {
    let (mut id, mut key) = ([0; 32], [0; 16]);
    id[..8].copy_from_slice(&number.to_le_bytes());
    key[..8].copy_from_slice(&number.to_le_bytes());
    ReplayEntry { stamp, id: KnockId(id), key: OneTimeKey(key) }
}

fn certificate(serial: u8) -> CertificateId {
    CertificateId { issuer: IssuerId { name: [7; 32], key: [7; 32] }, serial: vec![serial] }
}

fn address(network: u8) -> IpAddr {
    [192, 0, 2, network].into()
}

/// A store, and how many different knocks it was shown.
struct Scene<R> {
    store: R,
    shown: u64,
}

impl<R: ReplayStore> Scene<R> {
    fn knock(&mut self, serial: u8, network: u8, now: Timestamp) -> Recorded {
        self.shown += 1;
        let (certificate, address) = (certificate(serial), address(network));
        let sender = KnockOwner { certificate: &certificate, address };
        self.store.record_of(&trace(self.shown, now), &sender, now)
    }

    /// Until one is refused; how many were not, and why that one is.
    fn fill(&mut self, serial: u8, network: u8, now: Timestamp) -> (u64, Recorded) {
        let mut count = 0;
        loop {
            match self.knock(serial, network, now) {
                Recorded::New => count += 1,
                refused => return (count, refused),
            }
        }
    }
}

fn memory(capacity: u64) -> Scene<Memory> {
    let capacity = usize::try_from(capacity).unwrap();
    Scene { store: Memory::new(WINDOW, capacity).sharing(SHARES), shown: 0 }
}

#[test]
fn one_certificate_gets_its_share_of_the_memory_and_others_get_in() {
    let mut scene = memory(SIZE);
    assert_eq!(scene.fill(1, 1, NOW), (200, Recorded::ShareOfCertificate));
    assert_eq!(scene.knock(1, 9, NOW), Recorded::ShareOfCertificate, "wherever it is");
    assert_eq!(scene.fill(2, 1, NOW), (200, Recorded::ShareOfCertificate));
    assert_eq!(scene.knock(3, 1, NOW), Recorded::New, "beside two in its own network");
    assert_eq!(scene.fill(4, 1, NOW), (99, Recorded::ShareOfNetwork));
    assert_eq!(scene.knock(4, 2, NOW), Recorded::New);
}

#[test]
fn the_last_tenth_of_the_memory_goes_to_certificates_with_fewest_knocks() {
    let mut scene = memory(SIZE);
    for who in 1..=4 {
        assert_eq!(scene.fill(who, who, NOW), (200, Recorded::ShareOfCertificate));
    }
    assert_eq!(scene.fill(5, 5, NOW), (100, Recorded::Reserved));
    for who in 6..=30 {
        let (count, why) = scene.fill(who, who, NOW);
        assert!(count > 0 && matches!(why, Recorded::Reserved), "{who}: {count}, {why:?}");
    }
    assert_eq!(scene.knock(31, 31, NOW), Recorded::New);
}

#[test]
fn a_forgotten_knock_is_charged_to_no_share() {
    // A sixteenth stays whatever its age, and a certificate that is alone gets in all the same.
    let mut scene = memory(SIZE);
    let few = Shares { certificate: 1, network: 1 };
    scene.store = Memory::new(WINDOW, 1000).sharing(few);
    for round in 0..50 {
        let now = NOW.after(Duration::from_secs(round * 31));
        let (count, why) = scene.fill(1, 1, now);
        assert!(count >= 64 && why == Recorded::ShareOfCertificate, "{round}: {count}, {why:?}");
    }
}

#[test]
fn a_refused_knock_takes_no_place_and_is_good_later() {
    let mut scene = memory(SIZE);
    let _ = scene.fill(1, 1, NOW);
    let refused = trace(scene.shown, NOW);
    for _ in 0..2000 {
        assert_eq!(scene.knock(1, 1, NOW), Recorded::ShareOfCertificate);
    }
    let certificate = certificate(9);
    let sender = KnockOwner { certificate: &certificate, address: address(9) };
    assert_eq!(scene.store.record_of(&refused, &sender, NOW), Recorded::New);
}

#[test]
fn a_journal_shares_its_room_and_after_a_restart_nobody_is_kept_out_by_what_it_reads() {
    let dir = tempfile::tempdir().unwrap();
    let boot: BootId = "00000000-0000-0000-0000-000000000001".parse().unwrap();
    let open = |now| {
        let (journal, _) = Journal::open(dir.path(), &boot, now, WINDOW, 1000).unwrap();
        journal.sharing(SHARES)
    };
    drop(open(NOW.before(Duration::from_secs(3600))));
    let mut scene = Scene { store: open(NOW), shown: 0 };
    assert_eq!(scene.fill(1, 1, NOW), (200, Recorded::ShareOfCertificate));
    let shown = scene.shown;
    drop(scene);
    let mut scene = Scene { store: open(NOW), shown };
    assert_eq!(scene.knock(2, 1, NOW), Recorded::New);
    assert_eq!(scene.fill(1, 2, NOW), (200, Recorded::ShareOfCertificate));
}
