//! A daemon's standard error, line by line.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use crate::wait::{LIMIT, Limit};

/// All lines until now, shared with the thread that reads more.
#[derive(Clone, Debug, Default)]
pub(super) struct Log(Arc<(Mutex<Vec<String>>, Condvar)>);

impl Log {
    /// Reads `from` to its end, in a thread.
    pub(super) fn follow(&self, from: impl Read + Send + 'static) -> JoinHandle<()> {
        let log = self.clone();
        thread::spawn(move || {
            for line in BufReader::new(from).lines().map_while(Result::ok) {
                log.lines().push(line + "\n");
                log.0.1.notify_all();
            }
        })
    }

    /// The first line from number `since` on that contains `text`, when it is there.
    #[track_caller]
    pub(super) fn wait_for(&self, text: &str, since: usize) -> String {
        let limit = Limit::new(LIMIT);
        let mut lines = self.lines();
        loop {
            if let Some(line) = lines.iter().skip(since).find(|line| line.contains(text)) {
                return line.clone();
            }
            assert!(!limit.is_over(), "sknockd never said {text:?}, but:\n{}", lines.concat());
            let waited = self.0.1.wait_timeout(lines, limit.left());
            lines = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    pub(super) fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
