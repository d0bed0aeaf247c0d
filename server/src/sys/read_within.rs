//! Reads what another process writes, for a bounded time: a process that never ends must not delay the reader for ever.

use std::io::{self, Read};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// What comes until the end of `source`, at most `max` bytes.
///
/// # Errors
/// Those of reading, and `TimedOut` if the end does not come within `limit`. Then a thread keeps reading until the
/// other process ends.
pub(crate) fn read_within(
    source: impl Read + Send + 'static,
    max: u64,
    limit: Duration,
) -> io::Result<Vec<u8>> {
    let (send, receive) = mpsc::channel();
    thread::Builder::new().spawn(move || {
        let mut bytes = Vec::new();
        let read = source.take(max).read_to_end(&mut bytes);
        // Nobody receives it after the limit.
        drop(send.send(read.map(|_| bytes)));
    })?;
    receive.recv_timeout(limit).unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn what_has_an_end_is_read_and_what_has_none_is_left() {
        let (source, mut end) = io::pipe().unwrap();
        end.write_all(b"all").unwrap();
        let copy = source.try_clone().unwrap();
        let error = read_within(copy, 9, Duration::from_millis(50)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let (source, mut end) = io::pipe().unwrap();
        end.write_all(b"all of it").unwrap();
        drop(end);
        assert_eq!(read_within(source, 3, Duration::from_secs(60)).unwrap(), b"all");
    }
}
