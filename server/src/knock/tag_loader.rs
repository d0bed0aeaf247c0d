//! Keeps the kernel's tags of knocks complete, so that it captures only datagrams that can be knocks.
//!
//! The kernel has the tags that the verifier accepts at present, and those that it will accept soon. As long as this
//! process renews the mark that they are complete, the kernel captures no other datagrams of a knock's length.
//! Without the mark, it captures all of that length. The wall clock determines the tags; it is read every second, as
//! it may be set.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::time::Duration;

use sknock_gate::{BootInstant, Response};
use sknock_protocol::Timestamp;
use sknock_protocol::v2::tag::{EPOCH_MS, FAR, LOW_TAGS, TagKey, accepted, near};
use tracing::{info, warn};

use super::gate_client::{GateClient, TagGroup};

/// How long the mark that the tags are complete lasts in the kernel: two epochs.
const COMPLETE_FOR: Duration = Duration::from_secs(128);

/// Interval at which the mark is renewed.
const RENEWAL: Duration = Duration::from_secs(30);

/// How many epochs before they are accepted tags are loaded: one more than the mark lasts, so that the kernel has all
/// tags for that time, even if this process dies.
const EPOCHS_AHEAD: u32 = 3;

/// How long tags stay in the kernel after the verifier has ceased to accept them: more than [`STEP`].
const MARGIN: Duration = Duration::from_secs(10);

/// A wall clock that has moved by more than this against the time since boot was set: all tags are loaded again.
/// Less is covered by [`MARGIN`].
const STEP: Duration = Duration::from_secs(2);

/// Interval of attempts while the tags cannot be loaded.
const RETRY: Duration = Duration::from_secs(5);

/// One epoch.
const EPOCH: Duration = Duration::from_millis(EPOCH_MS);

/// Loads tags through its own link to the gate.
#[derive(Debug)]
pub struct TagLoader {
    key: TagKey,
    window: Duration,
    gate: GateClient,
    loaded: Option<LoadedTags>,
    /// When to try again after a failure.
    retry_at: Option<BootInstant>,
}

/// What the kernel has.
#[derive(Clone, Debug)]
struct LoadedTags {
    /// The number of tags of each epoch.
    counts: BTreeMap<u64, u16>,
    /// The milliseconds between boot and 1970, by the wall clock.
    boot_ms: i128,
    /// When the mark that they are complete was last renewed.
    renewed_at: BootInstant,
}

impl TagLoader {
    /// Interval of calls of [`TagLoader::look`].
    pub const LOOK: Duration = Duration::from_secs(1);

    /// Has loaded nothing yet. `window` is the timestamp window of the verifier.
    pub fn new(key: TagKey, window: Duration, gate: GateClient) -> Self {
        Self { key, window, gate, loaded: None, retry_at: None }
    }

    /// Loads what is missing at this moment, if anything is. All of it, if the clock was set.
    ///
    /// An error means that the gate has ended. If it cannot load tags, that is logged and tried again later.
    pub fn look(&mut self, now: Timestamp, uptime: BootInstant) -> io::Result<()> {
        if self.retry_at.is_some_and(|due| uptime < due) {
            return Ok(());
        }
        let boot_ms = boot_ms(now, uptime);
        let moved = self.loaded.as_ref().map_or(0, |loaded| boot_ms - loaded.boot_ms);
        let was_set = moved.unsigned_abs() > STEP.as_millis();
        let known = self.loaded.as_ref().filter(|_| !was_set);
        let counts = wanted(now, self.window);
        let groups = self.missing(known, &counts, now);
        let is_fresh = known.is_some_and(|known| uptime.since(known.renewed_at) < RENEWAL);
        if groups.is_empty() && is_fresh {
            return Ok(());
        }
        let (replace, boot_ms) = (known.is_none(), known.map_or(boot_ms, |known| known.boot_ms));
        let complete_for = u32::try_from(COMPLETE_FOR.as_secs()).unwrap_or(u32::MAX);
        let answer = self.gate.load_tags(&groups, replace, complete_for)?;
        if answer != Response::Tags {
            return self.failed(answer, uptime);
        }
        self.loaded = Some(LoadedTags { counts, boot_ms, renewed_at: uptime });
        if was_set {
            #[expect(clippy::cast_precision_loss, reason = "it is for people")]
            let seconds = moved as f64 / 1000.0;
            info!("the clock was set by {seconds:+.1} s: loaded the tags of knocks for its time");
        } else if self.retry_at.is_some() {
            info!("the tags of knocks could be loaded again");
        }
        self.retry_at = None;
        Ok(())
    }

    /// Removes the mark that the tags are complete: after a step of the clock they are not those of the present.
    fn failed(&mut self, answer: Response, uptime: BootInstant) -> io::Result<()> {
        let _ = self.gate.load_tags(&[], false, 0)?;
        if self.retry_at.is_none() {
            warn!(
                "cannot load the tags of knocks ({answer:?}). Trying again every {} s; until then the \
                 kernel also captures datagrams without a tag",
                RETRY.as_secs()
            );
        }
        // Which of them the kernel has is not known.
        self.loaded = None;
        self.retry_at = Some(uptime.after(RETRY));
        Ok(())
    }

    /// The tags of `counts` that the kernel does not have, in groups that end at the same time.
    fn missing(
        &self,
        known: Option<&LoadedTags>,
        counts: &BTreeMap<u64, u16>,
        now: Timestamp,
    ) -> Vec<TagGroup> {
        let mut groups = Vec::new();
        for (&epoch, &count) in counts {
            let first = known.and_then(|known| known.counts.get(&epoch)).copied().unwrap_or(0);
            for (indexes, span) in
                [(first..count.min(LOW_TAGS), FAR), (first.max(LOW_TAGS)..count, near(self.window))]
            {
                if !indexes.is_empty() {
                    groups.push(self.group(epoch, indexes, span, now));
                }
            }
        }
        groups
    }

    /// These tags of an epoch, which the verifier accepts until `span` after its end.
    fn group(&self, epoch: u64, indexes: Range<u16>, span: Duration, now: Timestamp) -> TagGroup {
        let end = Timestamp::from_millis((epoch + 1).saturating_mul(EPOCH_MS));
        let left = end.after(span).after(MARGIN).since(now);
        // Rounded up.
        let seconds = u32::try_from(left.as_secs() + 1).unwrap_or(u32::MAX);
        TagGroup { seconds, tags: indexes.map(|index| self.key.tag(epoch, index)).collect() }
    }
}

fn boot_ms(now: Timestamp, uptime: BootInstant) -> i128 {
    let up = uptime.since(BootInstant::default()).as_millis();
    i128::from(now.as_millis()) - i128::try_from(up).unwrap_or_default()
}

/// The epochs whose tags are accepted now or soon, each with the number of tags.
fn wanted(now: Timestamp, window: Duration) -> BTreeMap<u64, u16> {
    let mut counts = BTreeMap::new();
    for ahead in 0..=EPOCHS_AHEAD {
        for (epoch, count) in accepted(now.after(ahead * EPOCH), window) {
            let most = counts.entry(epoch).or_insert(count);
            *most = count.max(*most);
        }
    }
    counts
}

#[cfg(test)]
mod tests;
