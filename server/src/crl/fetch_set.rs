//! All web servers are asked at the same time, each in its own rhythm: one that is slow, or means to
//! be, holds up no other.

use std::time::Duration;

use tokio::task::JoinSet;

use super::fetch::{FetchError, Fetched, Fetcher};

/// Requests that are under way or wait for their time.
#[derive(Debug, Default)]
pub(super) struct FetchSet(JoinSet<FetchResult>);

/// What came of one.
#[derive(Debug)]
pub(super) struct FetchResult {
    /// Which of the sources it was.
    pub(super) place: usize,
    pub(super) source: Fetcher,
    pub(super) fetched: Result<Fetched, FetchError>,
}

impl FetchSet {
    /// Asks all at once.
    pub(super) fn begin(sources: &[Fetcher]) -> Self {
        let mut fetches = Self::default();
        for (place, source) in sources.iter().enumerate() {
            fetches.add(place, source.clone(), Duration::ZERO);
        }
        fetches
    }

    /// Asks `source` after a while.
    pub(super) fn add(&mut self, place: usize, mut source: Fetcher, wait: Duration) {
        self.0.spawn(async move {
            tokio::time::sleep(wait).await;
            let fetched = source.fetch().await;
            FetchResult { place, source, fetched }
        });
    }

    /// The next that comes to its end; `None` if there is none left. A panic is none: it ends the process.
    pub(super) async fn next(&mut self) -> Option<FetchResult> {
        self.0.join_next().await?.ok()
    }
}
