//! A write that fails admits nobody and leaves no torn record. Alone in its process, because the
//! limit on file sizes that stands for a disk that takes nothing is the process's.

use std::time::Duration;

use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use sknock_protocol::{KnockId, Timestamp};
use sknock_server::knock::replay::{
    BootId, Journal, OneTimeKey, Recorded, ReplayEntry, ReplayStore,
};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const WINDOW: Duration = Duration::from_secs(30);

fn knock(number: u8) -> ReplayEntry {
    ReplayEntry { stamp: NOW, id: KnockId([number; 32]), key: OneTimeKey([number; 16]) }
}

fn files_end_at(bytes: u64) {
    setrlimit(Resource::RLIMIT_FSIZE, bytes, RLIM_INFINITY).unwrap();
}

#[test]
fn a_failed_write_admits_no_knock_and_leaves_no_partial_record() {
    // Without this the kernel ends the process instead of failing the write.
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGXFSZ);
    signals.thread_block().unwrap();

    let dir = tempfile::tempdir().unwrap();
    let boot: BootId = "00000000-0000-0000-0000-000000000001".parse().unwrap();
    let start = NOW.before(Duration::from_secs(3600));
    let open = || Journal::open(dir.path(), &boot, start, WINDOW, 1000).unwrap().0;
    let journal = open();
    assert_eq!(journal.record(&knock(1), NOW), Recorded::New);

    // Head, one record, and 20 bytes of the next: a short write, then none at all.
    let whole = 2 * 64;
    files_end_at(whole + 20);
    assert_eq!(journal.record(&knock(2), NOW), Recorded::WriteFailed);
    files_end_at(whole);
    assert_eq!(journal.record(&knock(2), NOW), Recorded::WriteFailed);
    assert!(!journal.has_admitted(&{
        let mut point = [4; 65];
        point[1..17].copy_from_slice(&[2; 16]);
        point
    }));

    files_end_at(RLIM_INFINITY);
    assert_eq!(journal.record(&knock(1), NOW), Recorded::Replayed);
    assert_eq!(journal.record(&knock(2), NOW), Recorded::New);
    drop(journal);
    let journal = open();
    assert_eq!(journal.record(&knock(1), NOW), Recorded::Replayed);
    assert_eq!(journal.record(&knock(2), NOW), Recorded::Replayed);
    assert_eq!(journal.record(&knock(3), NOW), Recorded::New);
}
