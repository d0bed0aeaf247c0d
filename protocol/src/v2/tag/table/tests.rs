//! What is accepted when, and what is kept for it.

use std::collections::HashSet;

use super::*;
use crate::v2::tag::{FAR, TAGS, accepted};

const NOON: Timestamp = Timestamp::from_secs(1_750_000_000); // an epoch begins
const WINDOW: Duration = Duration::from_secs(7);

fn key() -> TagKey {
    TagKey::new(&[7; 32]).unwrap()
}

fn table(window: Duration) -> TagTable {
    TagTable::new(key(), window)
}

fn later(seconds: u64) -> Timestamp {
    NOON.after(Duration::from_secs(seconds))
}

fn before(ms: u64) -> Timestamp {
    NOON.before(Duration::from_millis(ms))
}

#[test]
fn only_1200_bytes_are_looked_at() {
    let table = table(WINDOW);
    let genuine = [&key().tag(epoch(NOON), 0)[..], &[0; 2396]].concat();
    for length in [0, 1, 3, 4, 1199, 1201, 2400] {
        let refusal = table.check(&genuine[..length], NOON).err();
        assert_eq!(refusal, Some(Refusal::WrongLength), "{length}");
    }
    assert_eq!(table.check(&genuine[..1200], NOON).unwrap().bytes()[..], genuine[..1200]);
    assert_eq!(table.check(&[0; 1200], NOON).err(), Some(Refusal::NotTagged));
}

/// The table against the definition: tags around all limits are accepted exactly if the definition lists them.
fn must_agree(table: &TagTable, received: Timestamp) {
    let key = key();
    let listed: HashSet<Tag> = accepted(received, table.window)
        .flat_map(|(epoch, count)| (0..count).map(move |index| (epoch, index)))
        .map(|(epoch, index)| key.tag(epoch, index))
        .collect();
    let now = epoch(received);
    let epochs = [0, now - 58, now - 57, now - 56, now - 3, now - 2, now - 1, now];
    let later = [now + 1, now + 2, now + 3, now + 56, now + 57, now + 58, u64::MAX];
    for epoch in epochs.into_iter().chain(later) {
        for index in [0, LOW_TAGS - 1, LOW_TAGS, TAGS - 1, TAGS] {
            let tag = key.tag(epoch, index);
            let (found, window) = (table.accepts(tag, received), table.window);
            assert_eq!(found, listed.contains(&tag), "{window:?} {received} {epoch} {index}");
        }
    }
}

/// At every moment of an epoch around which the answer changes.
#[test]
fn a_tag_is_accepted_exactly_if_the_definition_lists_it() {
    for window in [1, 7, 64, 100, 128, 3600].map(Duration::from_secs) {
        let table = table(window);
        for ms in [0, 6999, 7000, 7001, 16_000, 36_000, 47_999, 48_000, 56_999, 57_000, 63_999] {
            must_agree(&table, NOON.after(Duration::from_millis(ms)));
        }
    }
}

/// What is kept for one epoch is not used for one of which it lacks tags.
#[test]
fn so_it_is_after_each_step_of_the_clock() {
    for window in [7, 3600].map(Duration::from_secs) {
        for epochs in 0..4 {
            let table = table(window);
            let far = later(epochs * 64);
            for received in [NOON, far, NOON, far.after(Duration::from_millis(63_999)), before(1)] {
                must_agree(&table, received);
            }
        }
    }
}

#[test]
fn an_epoch_that_is_no_longer_near_keeps_only_its_low_tags() {
    let table = table(WINDOW);
    let [high, low] = [64, 63].map(|index| key().tag(epoch(NOON), index));
    assert!(!table.accepts(high, before(7001)), "more than the window before the epoch");
    assert!(table.accepts(high, before(7000)));
    assert!(table.accepts(high, later(63)));
    assert!(table.accepts(high, later(71).before(Duration::from_millis(1))));
    assert!(!table.accepts(high, later(71)), "the window after the end of the epoch");
    assert!(table.accepts(low, later(71)));
    assert!(table.accepts(low, later(64 + 3600).before(Duration::from_millis(1))));
    assert!(!table.accepts(low, later(64 + 3600)), "an hour after the end of the epoch");
    assert!(table.accepts(low, before(3_600_000)));
    assert!(!table.accepts(low, before(3_600_001)));
}

#[test]
fn a_clock_that_steps_changes_what_is_accepted() {
    let table = table(WINDOW);
    for received in [NOON, later(3600), later(10_000_000), NOON, Timestamp::EPOCH, later(63)] {
        assert!(table.accepts(key().tag(epoch(received), 4095), received), "{received}");
        assert!(table.accepts(key().tag(epoch(received.after(FAR)), 63), received), "{received}");
        let stale = key().tag(epoch(received.after(2 * FAR)), 0);
        assert!(!table.accepts(stale, received), "{received}");
    }
}

/// The memory of each epoch's tags.
fn memory(table: &TagTable) -> Vec<(u64, *const Tag, usize)> {
    let kept = table.kept.read().unwrap();
    assert_eq!(kept.sorted.len(), kept.tags.values().map(Vec::len).sum::<usize>());
    kept.tags.iter().map(|(epoch, tags)| (*epoch, tags.as_ptr(), tags.len())).collect()
}

#[test]
fn tags_are_computed_once() {
    let table = table(WINDOW);
    table.accepts([0; 4], NOON);
    let first = memory(&table);
    for received in [NOON, before(64_000), later(63), later(64).before(Duration::from_millis(1))] {
        table.accepts([0; 4], received);
        assert_eq!(memory(&table), first, "{received}");
    }
    // In the next epoch only the new ones are computed.
    table.accepts([0; 4], later(64));
    let second = memory(&table);
    let same = second.iter().filter(|tags| first.contains(tags)).count();
    let different = second.len() - same;
    assert_eq!((second.len(), different), (first.len(), 3), "new, near, no longer near");
}

#[test]
fn what_is_kept_stays_bounded() {
    for (window, most) in [(7, 4 * 4096 + 112 * 64), (3600, 6 * 4096 + 110 * 64)] {
        let table = table(Duration::from_secs(window));
        for epoch in 0..40 {
            table.accepts([0; 4], later(epoch * 64));
            let kept = memory(&table).iter().map(|(.., count)| count).sum::<usize>();
            assert!(kept <= most, "{kept} tags, epoch {epoch}");
        }
    }
}

/// Two epochs can have a tag in common: it is accepted if one of them is.
#[test]
fn equal_tags_of_two_epochs_do_not_hide_each_other() {
    let (now, then) = (Accepted::at(NOON, WINDOW), Accepted::at(later(1_000_000), WINDOW));
    let tag = [1, 2, 3, 4];
    let entry = |epoch| Entry { tag, is_low: false, epoch };
    let sorted = vec![entry(0), entry(epoch(NOON)), entry(epoch(later(1_000_000)))];
    let kept = Kept { sorted, ..Kept::default() };
    assert!(kept.has(tag, &now) && kept.has(tag, &then));
    assert!(!kept.has([1, 2, 3, 3], &now) && !kept.has([1, 2, 3, 5], &now));
}
