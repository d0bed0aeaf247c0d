//! The tags of knocks that the kernel lets pass, each until its end, and until when the kernel may trust them to be
//! complete. Pure.
//!
//! The network process stages tags in bounded records and then has all of them loaded at once. They are kept here,
//! so that the table has them again whenever it is loaded.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::uptime::BootInstant;

/// The first four bytes of a knock.
pub type KnockTag = [u8; 4];

/// Tags in the kernel, and those that are staged.
#[derive(Clone, Debug, Default)]
pub struct KnockTags {
    loaded: BTreeMap<KnockTag, BootInstant>,
    staged: BTreeMap<KnockTag, BootInstant>,
    /// How many were staged, also twice.
    count: usize,
    /// Until when the kernel refuses what has none of these tags.
    complete_until: BootInstant,
    /// Whether the last report said that tags are out of date.
    told: bool,
}

/// What is in the kernel's sets of tags.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TagElements {
    /// Each tag, and how long it lasts from now on.
    pub tags: Vec<(KnockTag, Duration)>,
    /// For how long the kernel refuses what has none of them.
    pub complete_for: Duration,
}

/// What is to be different in the kernel's sets of tags.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TagChange {
    /// Whether tags that are there and not in `new` are removed.
    pub replace: bool,
    /// Tags that are there, with another end: to be removed before they are added.
    pub again: Vec<KnockTag>,
    /// What is added.
    pub new: TagElements,
}

/// Why tags are not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TagsRefused;

/// Whether the tags in the kernel became out of date, or complete again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TagReport {
    /// They have not been renewed: the kernel does not filter by them any more.
    OutOfDate,
    /// They are renewed: the kernel filters by them again.
    Renewed,
}

impl KnockTags {
    /// The most tags, in memory and in the kernel's set: of nine epochs (windows of 128 s and more) with 4,096
    /// tags each and of two hours with 64 each there are 43,840.
    pub const MAX: usize = 65_536;
    /// The longest time that a tag lasts: twice the hour for which the rare tags are accepted, and more than
    /// any lead.
    pub const LONGEST: Duration = Duration::from_secs(3 * 3600);
    /// The longest time for which the kernel refuses what has none of the tags, without being told so again.
    pub const COMPLETE: Duration = Duration::from_secs(300);

    /// How long ended tags are remembered: the kernel may still have them.
    const UNCOLLECTED: Duration = Duration::from_secs(10);
    /// How long tags may be out of date without a report: after a suspend they are renewed within a second.
    const GRACE: Duration = Duration::from_secs(3);

    /// Keeps tags that last for `span` until [`KnockTags::plan`] is called.
    ///
    /// # Errors
    ///
    /// More tags than [`KnockTags::MAX`], or for longer than [`KnockTags::LONGEST`]. Then none is staged.
    pub fn stage(
        &mut self,
        tags: &[KnockTag],
        span: Duration,
        now: BootInstant,
    ) -> Result<(), TagsRefused> {
        if self.staged.len() + tags.len() > Self::MAX || span > Self::LONGEST {
            self.clear_staged();
            return Err(TagsRefused);
        }
        self.count += tags.len();
        extend(&mut self.staged, tags.iter().map(|tag| (*tag, now.after(span))));
        Ok(())
    }

    /// What loading the `count` staged tags means for the kernel: beside those that it has, or in their place. None is
    /// staged after that. To be followed by [`KnockTags::apply`] when the kernel has made the change.
    ///
    /// # Errors
    ///
    /// Another number was staged, more would be loaded than [`KnockTags::MAX`], or they are to be complete for
    /// longer than [`KnockTags::COMPLETE`].
    pub fn plan(
        &mut self,
        count: usize,
        replace: bool,
        complete_for: Duration,
        now: BootInstant,
    ) -> Result<TagChange, TagsRefused> {
        let (staged, staged_count) = (std::mem::take(&mut self.staged), self.count);
        self.clear_staged();
        let remembered = |end: &BootInstant| end.after(Self::UNCOLLECTED) > now;
        self.loaded.retain(|_, end| remembered(end));
        let known = |tag: &KnockTag| self.loaded.get(tag).filter(|_| !replace).copied();
        let is_later =
            |(tag, end): &(KnockTag, BootInstant)| known(tag).is_none_or(|old| old < *end);
        let new: Vec<(KnockTag, BootInstant)> = staged.into_iter().filter(is_later).collect();
        let again: Vec<KnockTag> =
            new.iter().map(|(tag, _)| *tag).filter(|tag| known(tag).is_some()).collect();
        let kept = if replace { 0 } else { self.loaded.len() - again.len() };
        if staged_count != count || kept + new.len() > Self::MAX || complete_for > Self::COMPLETE {
            return Err(TagsRefused);
        }
        let tags = new.into_iter().map(|(tag, end)| (tag, end.since(now))).collect();
        Ok(TagChange { replace, again, new: TagElements { tags, complete_for } })
    }

    /// Remembers what the kernel has now.
    pub fn apply(&mut self, change: &TagChange, now: BootInstant) {
        if change.replace {
            self.loaded.clear();
        }
        let TagElements { tags, complete_for } = &change.new;
        extend(&mut self.loaded, tags.iter().map(|(tag, span)| (*tag, now.after(*span))));
        self.complete_until = now.after(*complete_for);
    }

    /// What the kernel's sets are to have.
    pub fn elements(&self, now: BootInstant) -> TagElements {
        let last = |end: &BootInstant| end.since(now);
        let tags = self.loaded.iter().map(|(tag, end)| (*tag, last(end)));
        TagElements {
            tags: tags.filter(|(_, span)| !span.is_zero()).collect(),
            complete_for: last(&self.complete_until),
        }
    }

    /// Whether this has changed since the last call. `in_use`: the kernel has rules that ask for tags.
    pub fn report(&mut self, in_use: bool, now: BootInstant) -> Option<TagReport> {
        if !in_use {
            self.told = false;
            return None;
        }
        let out_of_date = match self.complete_until {
            until if until > now => false,
            until if until.after(Self::GRACE) <= now => true,
            _ => self.told,
        };
        if out_of_date == std::mem::replace(&mut self.told, out_of_date) {
            return None;
        }
        Some(if out_of_date { TagReport::OutOfDate } else { TagReport::Renewed })
    }

    fn clear_staged(&mut self) {
        self.staged.clear();
        self.count = 0;
    }
}

/// The same tag may belong to several epochs, by chance: its last end counts.
fn extend(
    tags: &mut BTreeMap<KnockTag, BootInstant>,
    more: impl Iterator<Item = (KnockTag, BootInstant)>,
) {
    for (tag, end) in more {
        let known = tags.entry(tag).or_insert(end);
        *known = end.max(*known);
    }
}
