//! Fetches from all web servers concurrently, each on its own schedule: a slow one does not delay the others.

use std::time::Duration;

use tokio::task::JoinSet;

use super::fetch::{FetchError, Fetcher};

/// Fetches that are running or scheduled.
#[derive(Debug, Default)]
pub(super) struct FetchSet(JoinSet<FetchResult>);

/// The result of one fetch.
#[derive(Debug)]
pub(super) struct FetchResult {
    /// The index of the source.
    pub(super) place: usize,
    pub(super) source: Fetcher,
    pub(super) fetched: Result<Vec<u8>, FetchError>,
}

impl FetchSet {
    /// Starts all fetches at once.
    pub(super) fn begin(sources: &[Fetcher]) -> Self {
        let mut fetches = Self::default();
        for (place, source) in sources.iter().enumerate() {
            fetches.add(place, source.clone(), Duration::ZERO);
        }
        fetches
    }

    /// Schedules a fetch after `wait`.
    pub(super) fn add(&mut self, place: usize, mut source: Fetcher, wait: Duration) {
        self.0.spawn(async move {
            tokio::time::sleep(wait).await;
            let fetched = source.fetch().await;
            FetchResult { place, source, fetched }
        });
    }

    /// The next finished fetch; `None` if there is none left. A panic in a task ends the process.
    pub(super) async fn next(&mut self) -> Option<FetchResult> {
        self.0.join_next().await?.ok()
    }
}
