//! What a start finds in `stateDir`. Whatever is there, no knock that it names is accepted again.
//!
//! The first byte says whether the rest is a journal file itself or describes records; the second, in
//! which boot, whether there is a horizon, and in which of the two files it is. The other one has the
//! generation before, the one after, or is empty or not there.

#![no_main]

use std::fs;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use sknock_protocol::{KnockId, Timestamp};
use sknock_server::knock::replay::{
    BootId, Journal, OneTimeKey, Recorded, ReplayEntry, ReplayStore,
};
use tempfile::TempDir;

const WINDOW: Duration = Duration::from_secs(30);
const NOW: u64 = 1_800_000_000_000;
const RECORD: usize = 64;

/// In memory where there is such a file system, as every run syncs.
static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
    let memory = Path::new("/dev/shm");
    let found = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    found.expect("a folder")
});

fuzz_target!(|input: &[u8]| {
    let [kind, scene, rest @ ..] = input else { return };
    let journal = if kind % 2 == 0 { rest.to_vec() } else { described(rest) };
    let horizon = match scene & 6 {
        0 => None,
        2 => Some(slot(NOW)),
        4 => Some(slot(NOW + 60_000)),
        _ => Some(journal.iter().copied().take(RECORD).collect()),
    };
    let other = match scene & 0x30 {
        0 => Some(head(&[0; 16], &[0; 8], 1)),
        0x10 => Some(head(&[0; 16], &[0; 8], 3)),
        0x20 => Some(Vec::new()),
        _ => None,
    };
    let folder = FOLDER.path();
    let place = usize::from(scene & 8 > 0);
    let names = ["journal.0", "journal.1"];
    for (name, content) in
        [(names[place], Some(journal.clone())), (names[1 - place], other), ("horizon", horizon)]
    {
        match content {
            Some(bytes) => fs::write(folder.join(name), bytes).expect("a file"),
            None => drop(fs::remove_file(folder.join(name))),
        }
    }
    let boot: BootId = format!("{:032x}", scene & 1).parse().expect("a boot id");

    // What is in a former file is in the one that counts, or below its floor.
    let is_former = scene & 0x30 == 0x10 && journal.first_chunk().and_then(begins) == Some(2);
    let named: Vec<ReplayEntry> = if is_former {
        Vec::new()
    } else {
        journal.as_chunks().0.iter().filter_map(used).collect()
    };
    // Twice, as after a crash at once.
    for _ in 0..2 {
        let store = open(folder, &boot);
        for trace in &named {
            let used = store.record(trace, Timestamp::from_millis(NOW));
            assert_ne!(used, Recorded::New, "a used knock counts again: {trace:?}");
        }
    }
});

fn open(folder: &Path, boot: &BootId) -> Journal {
    let (store, _) = Journal::open(folder, boot, Timestamp::from_millis(NOW), WINDOW, 100_000)
        .expect("nothing in the files may keep the server from starting");
    store
}

/// Records with right checksums, each from eight bytes; what is left over follows as it is.
fn described(input: &[u8]) -> Vec<u8> {
    let (chunks, rest) = input.as_chunks::<8>();
    let records = chunks.iter().flat_map(|[kind, a, b, c, d, e, f, g]| {
        let stamp = NOW - 40_000 + u64::from(u16::from_be_bytes([*a, *b]));
        let stamp = stamp.to_be_bytes();
        match kind % 5 {
            0 => head(&u128::from(c & 1).to_be_bytes(), &stamp, 2),
            1..4 => record(*b"used", &[&[*c; 16], &[*d; 16], &[*e; 16], &stamp]),
            _ if *f == *g => record(*b"done", &[&2_u64.to_be_bytes()]),
            _ => record(*b"used", &[&[*c; 32], &[*d; 16], &[*a, *b, *c, *d, *e, *f, *g, 0]]),
        }
    });
    records.chain(rest.iter().copied()).collect()
}

/// As `server/src/knock/replay/record.rs` says it lies on disk.
fn record(tag: [u8; 4], body: &[&[u8]]) -> Vec<u8> {
    let mut bytes = body.concat();
    bytes.resize(RECORD - 8, 0);
    bytes.extend(tag);
    bytes.extend(crc32fast::hash(&bytes).to_be_bytes());
    bytes
}

fn head(boot: &[u8; 16], floor: &[u8; 8], generation: u64) -> Vec<u8> {
    record(*b"head", &[b"sknock journal 2", boot, floor, &generation.to_be_bytes()])
}

/// The generation of a journal that begins so.
fn begins(bytes: &[u8; RECORD]) -> Option<u64> {
    let generation = u64::from_be_bytes(*bytes[40..].first_chunk()?);
    let whole = head(bytes[16..].first_chunk()?, bytes[32..].first_chunk()?, generation);
    (whole == bytes).then_some(generation)
}

/// As `storage/src/slots.rs` says it lies on disk.
fn slot(horizon: u64) -> Vec<u8> {
    let value = horizon.to_be_bytes();
    let head = [&b"sknslot1"[..], &1_u64.to_be_bytes(), &8_u32.to_be_bytes()].concat();
    let sum = crc32fast::hash(&[&head[..], &value].concat());
    [&head[..], &sum.to_be_bytes(), &value].concat()
}

fn used(bytes: &[u8; RECORD]) -> Option<ReplayEntry> {
    let (body, sum) = bytes.split_last_chunk::<4>()?;
    let genuine = crc32fast::hash(body).to_be_bytes() == *sum && body.ends_with(b"used");
    let stamp = Timestamp::from_millis(u64::from_be_bytes(*body[48..].first_chunk()?));
    let id = KnockId(*body.first_chunk()?);
    genuine.then_some(ReplayEntry { stamp, id, key: OneTimeKey(*body[32..].first_chunk()?) })
}
