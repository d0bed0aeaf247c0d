//! Tags of knocks in memory: which the kernel is to have, for how long, and what is reported.

use std::time::Duration;

use sknock_gate::{BootInstant, KnockTag, KnockTags, TagElements, TagReport, TagsRefused};

const MINUTE: Duration = Duration::from_secs(60);

fn at(seconds: u64) -> BootInstant {
    BootInstant::from_millis(1_000_000 + seconds * 1000)
}

fn tag(number: u32) -> KnockTag {
    number.to_be_bytes()
}

/// Stages these and loads them; what the kernel is told.
fn load(
    tags: &mut KnockTags,
    groups: &[(&[KnockTag], u64)],
    replace: bool,
    now: BootInstant,
) -> Result<(Vec<KnockTag>, TagElements), TagsRefused> {
    let mut count = 0;
    for (group, seconds) in groups {
        tags.stage(group, Duration::from_secs(*seconds), now)?;
        count += group.len();
    }
    let change = tags.plan(count, replace, MINUTE, now)?;
    tags.apply(&change, now);
    Ok((change.again, change.new))
}

fn lasting(elements: &TagElements) -> Vec<(KnockTag, u64)> {
    elements.tags.iter().map(|(tag, span)| (*tag, span.as_secs())).collect()
}

#[test]
fn tags_are_there_again_with_the_time_that_they_have_left() {
    let mut tags = KnockTags::default();
    let groups = [(&[tag(1), tag(2)][..], 100), (&[tag(3)], 20)];
    let (again, new) = load(&mut tags, &groups, false, at(0)).unwrap();
    assert!(again.is_empty());
    assert_eq!(lasting(&new), [(tag(1), 100), (tag(2), 100), (tag(3), 20)]);
    let left = tags.elements(at(15));
    assert_eq!(lasting(&left), [(tag(1), 85), (tag(2), 85), (tag(3), 5)]);
    assert_eq!(left.complete_for, Duration::from_secs(45));
    let left = tags.elements(at(60));
    assert_eq!(lasting(&left), [(tag(1), 40), (tag(2), 40)]);
    assert_eq!(left.complete_for, Duration::ZERO);
}

/// Two epochs may have a tag in common, by chance.
#[test]
fn of_two_expiries_of_one_tag_the_later_one_applies() {
    let mut tags = KnockTags::default();
    let groups = [(&[tag(1)][..], 50), (&[tag(1)], 100), (&[tag(1)], 70)];
    let (_, new) = load(&mut tags, &groups, false, at(0)).unwrap();
    assert_eq!(lasting(&new), [(tag(1), 100)]);
    // Earlier than what the kernel has: nothing to do.
    let (again, new) = load(&mut tags, &[(&[tag(1)], 90)], false, at(0)).unwrap();
    assert_eq!((again, lasting(&new)), (vec![], vec![]));
    // Later: the kernel would keep the end that it has, so it is removed first.
    let (again, new) = load(&mut tags, &[(&[tag(1), tag(2)], 110)], false, at(0)).unwrap();
    assert_eq!((again, lasting(&new)), (vec![tag(1)], vec![(tag(1), 110), (tag(2), 110)]));
    // Just ended by our clock, and perhaps not by the kernel's.
    let (again, _) = load(&mut tags, &[(&[tag(1)], 10)], false, at(115)).unwrap();
    assert_eq!(again, [tag(1)]);
    let (again, _) = load(&mut tags, &[(&[tag(2)], 10)], false, at(125)).unwrap();
    assert!(again.is_empty());
}

#[test]
fn others_are_replaced_only_if_asked_for() {
    let mut tags = KnockTags::default();
    load(&mut tags, &[(&[tag(1)], 100)], false, at(0)).unwrap();
    load(&mut tags, &[(&[tag(2)], 100)], false, at(0)).unwrap();
    assert_eq!(lasting(&tags.elements(at(0))), [(tag(1), 100), (tag(2), 100)]);
    let (again, new) = load(&mut tags, &[(&[tag(2), tag(3)], 50)], true, at(0)).unwrap();
    assert_eq!((again, lasting(&new)), (vec![], vec![(tag(2), 50), (tag(3), 50)]));
    assert_eq!(lasting(&tags.elements(at(0))), [(tag(2), 50), (tag(3), 50)]);
}

#[test]
fn what_the_kernel_refused_is_not_remembered() {
    let mut tags = KnockTags::default();
    tags.stage(&[tag(1)], MINUTE, at(0)).unwrap();
    let change = tags.plan(1, false, MINUTE, at(0)).unwrap();
    assert_eq!(change.new.tags.len(), 1);
    assert_eq!(tags.elements(at(0)), TagElements::default());
    // And is not there twice the next time.
    assert_eq!(tags.plan(1, false, MINUTE, at(0)), Err(TagsRefused));
}

#[test]
fn number_and_lifetime_of_tags_are_limited() {
    let mut tags = KnockTags::default();
    let all: Vec<KnockTag> = (0..=u32::try_from(KnockTags::MAX).unwrap()).map(tag).collect();
    let (full, one) = all.split_at(KnockTags::MAX);
    assert_eq!(tags.stage(full, MINUTE, at(0)), Ok(()));
    assert_eq!(tags.stage(one, MINUTE, at(0)), Err(TagsRefused));
    assert_eq!(tags.plan(KnockTags::MAX, false, MINUTE, at(0)), Err(TagsRefused), "none is left");
    load(&mut tags, &[(full, 60)], false, at(0)).unwrap();
    assert_eq!(load(&mut tags, &[(one, 60)], false, at(0)), Err(TagsRefused));
    assert_eq!(tags.elements(at(0)).tags.len(), KnockTags::MAX);
    load(&mut tags, &[(one, 60)], true, at(0)).unwrap();
    assert_eq!(tags.elements(at(0)).tags.len(), 1);
    let second = Duration::from_secs(1);
    assert_eq!(tags.stage(one, KnockTags::LONGEST + second, at(0)), Err(TagsRefused));
    assert_eq!(tags.plan(0, false, KnockTags::COMPLETE + second, at(0)), Err(TagsRefused));
    assert_eq!(tags.stage(one, KnockTags::LONGEST, at(0)), Ok(()));
    assert!(tags.plan(1, false, KnockTags::COMPLETE, at(0)).is_ok());
}

/// A loader that was replaced has left some.
#[test]
fn more_or_fewer_than_were_staged_are_not_loaded() {
    let mut tags = KnockTags::default();
    for count in [0, 1, 3] {
        tags.stage(&[tag(1), tag(2)], MINUTE, at(0)).unwrap();
        assert_eq!(tags.plan(count, false, MINUTE, at(0)), Err(TagsRefused), "{count}");
    }
    assert_eq!(tags.elements(at(0)), TagElements::default());
}

#[test]
fn that_tags_are_out_of_date_is_reported_once_and_so_is_their_return() {
    let mut tags = KnockTags::default();
    load(&mut tags, &[(&[tag(1)], 600)], false, at(0)).unwrap();
    let reports = |tags: &mut KnockTags, seconds: std::ops::Range<u64>| {
        seconds
            .filter_map(|second| Some((second, tags.report(true, at(second))?)))
            .collect::<Vec<_>>()
    };
    // They are complete for a minute, and late for three seconds after that.
    assert_eq!(reports(&mut tags, 0..100), [(63, TagReport::OutOfDate)]);
    load(&mut tags, &[], false, at(100)).unwrap();
    assert_eq!(reports(&mut tags, 100..150), [(100, TagReport::Renewed)]);
    load(&mut tags, &[], false, at(162)).unwrap();
    assert_eq!(reports(&mut tags, 162..200), [], "only a little late");
    assert_eq!(tags.report(false, at(300)), None, "these rules do not ask for tags");
    assert_eq!(tags.report(true, at(300)), Some(TagReport::OutOfDate));
}
