//! A TCP connection to a port whose grant may not be effective yet.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use crate::clock::Timer;

/// How long one attempt waits, and the pause after it. Both double with each attempt, up to a limit: the
/// caller's timeout may be hours.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Backoff {
    wait: Duration,
    pause: Duration,
}

impl Backoff {
    /// The kernel repeats a SYN that was dropped only after a second.
    const FIRST: Self = Self { wait: Duration::from_millis(250), pause: Duration::from_millis(20) };
    /// For slow links; the kernel repeats a SYN within this time.
    const LONGEST: Self = Self { wait: Duration::from_secs(16), pause: Duration::from_millis(500) };

    fn next(self) -> Self {
        Self {
            wait: (self.wait * 2).min(Self::LONGEST.wait),
            pause: (self.pause * 2).min(Self::LONGEST.pause),
        }
    }
}

/// Connects once, within `timeout`: for a grant that one connection ends, or that is certainly in force.
pub(crate) fn once(to: SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
    // std refuses a timeout of zero
    TcpStream::connect_timeout(&to, timeout.max(Duration::from_millis(1)))
}

/// Connects repeatedly until it works or `timeout` has passed, at least once.
pub(crate) fn until_deadline(to: SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
    unless_refused(to, timeout, timeout)
}

/// Same as `until_deadline`; but a refusal after `enough` is final: access was not granted.
pub(crate) fn unless_refused(
    to: SocketAddr,
    timeout: Duration,
    enough: Duration,
) -> io::Result<TcpStream> {
    let (timer, refusals) = (Timer::of(timeout), Timer::of(enough));
    let mut backoff = Backoff::FIRST;
    loop {
        let error = match once(to, backoff.wait.min(timer.left())) {
            Ok(stream) => return Ok(stream),
            Err(error) => error,
        };
        if error.kind() == io::ErrorKind::ConnectionRefused && refusals.is_over() {
            return Err(error);
        }
        // A refused connection fails at once: without a pause the loop would only send SYNs.
        thread::sleep(backoff.pause.min(timer.left()));
        if timer.is_over() {
            return Err(error);
        }
        backoff = backoff.next();
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::network;

    #[test]
    fn the_backoff_never_exceeds_its_maximum() {
        let day = Duration::from_secs(86_400);
        let (mut backoff, mut spent) = (Backoff::FIRST, Duration::ZERO);
        while spent < day {
            backoff = backoff.next();
            // Refused at once: only the pause passes.
            spent += backoff.pause;
            assert!(backoff.wait <= Backoff::LONGEST.wait);
        }
        assert_eq!(backoff, Backoff::LONGEST);
    }

    #[test]
    fn a_port_that_opens_late_is_reached() {
        network::of_its_own();
        let reserved = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = reserved.local_addr().unwrap();
        drop(reserved);
        assert!(once(address, Duration::from_secs(5)).is_err());
        let opener = thread::spawn(move || {
            thread::sleep(Duration::from_millis(100));
            let listener = TcpListener::bind(address).unwrap();
            listener.accept().unwrap();
        });
        until_deadline(address, Duration::from_secs(30)).unwrap();
        opener.join().unwrap();
    }

    #[test]
    fn enough_refused_connections_end_the_attempts() {
        network::of_its_own();
        let reserved = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = reserved.local_addr().unwrap();
        drop(reserved);
        // Without the limit this would never end.
        let error = unless_refused(address, Duration::MAX, Duration::from_millis(50)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn a_closed_port_is_an_error_at_the_deadline() {
        network::of_its_own();
        let reserved = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = reserved.local_addr().unwrap();
        drop(reserved);
        for timeout in [Duration::ZERO, Duration::from_millis(50)] {
            let error = until_deadline(address, timeout).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        }
    }
}
