//! Connects a TCP connection to stdin and stdout, each direction in its own thread.
//!
//! It ends when both directions have ended, or with an error; an idle connection never ends it. The server
//! may close its direction and still read, so our remaining data must arrive.

use std::io::{self, IsTerminal, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use crate::failure::Failure;
use crate::stdio;

/// Bytes per read: few system calls at gigabytes, negligible memory for interactive use.
const BUFFER: usize = 256 * 1024;

/// Copies bytes until both directions have ended.
pub(crate) fn with_stdio(stream: &TcpStream) -> Result<(), Failure> {
    let server_has_ended = || {
        if io::stdin().is_terminal() {
            // Otherwise an interactive user would not notice.
            let message = "the server closed the connection. Press Ctrl-D";
            writeln!(io::stderr(), "{message}").ok(); // ignored if stderr is closed
        }
        stdio::close_stdout()
    };
    let splice = || splice(stream, stdio::stdin()?, stdio::stdout()?, server_has_ended);
    splice().map_err(Failure::Stream)
}

/// Calls `end_output` when the server has ended its direction, so that a reader of the output learns of it
/// and may end the input.
fn splice(
    stream: &TcpStream,
    input: impl Read + Send + 'static,
    output: impl Write,
    end_output: impl FnOnce() -> io::Result<()>,
) -> io::Result<()> {
    // Typed bytes are small, and would wait for the acknowledgement of those before them (Nagle's algorithm).
    stream.set_nodelay(true)?;
    let upload = upload(stream.try_clone()?, input)?;
    pump(stream, output)?;
    end_output()?;
    result(stream, &upload)
}

/// Copies input in a thread; at its end it shuts down our direction of the connection. The result arrives in
/// the channel.
fn upload(
    stream: TcpStream,
    input: impl Read + Send + 'static,
) -> io::Result<Receiver<io::Result<()>>> {
    let (ended, end) = mpsc::channel();
    // Never joined: nothing interrupts its read of stdin. It ends with the program.
    thread::Builder::new().name("upload".into()).spawn(move || {
        let moved = pump(input, &stream);
        // Sent before the shutdown: after the connection has closed, the result is available.
        ended.send(moved).ok(); // fails if the program is exiting
        // The server may have closed the connection already: no error.
        stream.shutdown(Shutdown::Write).ok();
    })?;
    Ok(end)
}

/// Copies everything. Flushes after each write: on some systems stdout is line-buffered.
fn pump(mut from: impl Read, mut to: impl Write) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let length = match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        to.write_all(buffer.get(..length).unwrap_or_default())?;
        to.flush()?;
    }
}

/// Waits until both directions of a connection have ended, or it was reset; then returns the result of
/// `input`, our direction.
#[cfg(unix)]
fn result(stream: &TcpStream, input: &Receiver<io::Result<()>>) -> io::Result<()> {
    wait(stream)?;
    input.try_recv().unwrap_or_else(|_| {
        // The connection was reset while we waited for input.
        let reset = || io::ErrorKind::ConnectionReset.into();
        Err(stream.take_error()?.unwrap_or_else(reset))
    })
}

#[cfg(unix)]
fn wait(stream: &TcpStream) -> io::Result<()> {
    use std::os::fd::AsFd;

    use nix::errno::Errno;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    // No events requested: poll reports POLLHUP and POLLERR always.
    // POLLHUP comes when both directions are shut down, not after the server's FIN alone.
    let mut polled = [PollFd::new(stream.as_fd(), PollFlags::empty())];
    loop {
        match poll(&mut polled, PollTimeout::NONE) {
            Err(Errno::EINTR) => {}
            ended => return ended.map(|_| ()).map_err(io::Error::from),
        }
    }
}

/// With SIGXFSZ blocked, a write beyond `ulimit -f` fails with an error, like a full disk, instead of a
/// signal that ends the program.
#[cfg(unix)]
pub(crate) fn block_sigxfsz() {
    use nix::sys::signal::{SigSet, Signal};
    SigSet::from(Signal::SIGXFSZ).thread_block().ok();
}

/// Waits for the end of the input: without poll, a reset is noticed at the next write.
#[cfg(not(unix))]
fn result(_: &TcpStream, input: &Receiver<io::Result<()>>) -> io::Result<()> {
    input.recv().unwrap_or_else(|_| Err(io::ErrorKind::ConnectionReset.into()))
}

/// This system has no such signal.
#[cfg(not(unix))]
pub(crate) fn block_sigxfsz() {}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::time::Duration;

    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "as what can fail")]
    fn ignored() -> io::Result<()> {
        Ok(())
    }

    /// Bytes in which a loss, duplication or swap is visible at any position.
    fn pattern(length: usize) -> Vec<u8> {
        let mut state = 1u32;
        let next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        };
        std::iter::repeat_with(next).take(length).collect()
    }

    fn connection() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (ours, listener.accept().unwrap().0)
    }

    #[test]
    fn sixty_four_megabytes_pass_unharmed_both_ways_at_once() {
        let (ours, server) = connection();
        let (up, down) = (pattern(64 << 20), pattern((64 << 20) + 7));
        let (mut reader, mut writer) = (server.try_clone().unwrap(), server);
        let to_send = down.clone();
        let sender = thread::spawn(move || {
            writer.write_all(&to_send).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        let receiver = thread::spawn(move || {
            let mut received = Vec::new();
            reader.read_to_end(&mut received).unwrap();
            received
        });
        let mut output = Vec::new();
        splice(&ours, io::Cursor::new(up.clone()), &mut output, ignored).unwrap();
        drop(ours);
        sender.join().unwrap();
        assert!(output == down, "what came down differs");
        assert!(receiver.join().unwrap() == up, "what went up differs");
    }

    #[test]
    fn the_end_of_input_is_passed_on_and_the_reply_still_read() {
        let (ours, mut server) = connection();
        let answering = thread::spawn(move || {
            let mut request = String::new();
            server.read_to_string(&mut request).unwrap(); // returns at the end only
            server.write_all(request.to_uppercase().as_bytes()).unwrap();
        });
        let mut output = Vec::new();
        splice(&ours, &b"question"[..], &mut output, ignored).unwrap();
        answering.join().unwrap();
        assert_eq!(output, b"QUESTION");
    }

    /// Like a user who ends the input after the end of the output.
    #[test]
    fn the_servers_end_is_passed_on_while_input_stays_open() {
        let (ours, mut server) = connection();
        let (silent, kept_open) = io::pipe().unwrap();
        server.write_all(b"bye").unwrap();
        drop(server);
        let mut output = Vec::new();
        let reader = move || {
            drop(kept_open);
            Ok(())
        };
        splice(&ours, silent, &mut output, reader).unwrap();
        assert_eq!(output, b"bye");
    }

    /// Longer than any timeout in the code.
    #[test]
    fn input_that_comes_late_reaches_a_server_that_has_ended_its_own_direction() {
        let (ours, mut server) = connection();
        let (slow, mut writer) = io::pipe().unwrap();
        server.shutdown(Shutdown::Write).unwrap();
        let writing = thread::spawn(move || {
            for piece in [b"first ", b"second"] {
                thread::sleep(Duration::from_secs(1));
                writer.write_all(piece).unwrap();
            }
        });
        let receiver = thread::spawn(move || {
            let mut received = String::new();
            server.read_to_string(&mut received).unwrap();
            received
        });
        splice(&ours, slow, io::sink(), ignored).unwrap();
        writing.join().unwrap();
        assert_eq!(receiver.join().unwrap(), "first second");
    }

    #[test]
    fn a_reset_ends_it_with_an_error_while_input_stays_open() {
        let (ours, server) = connection();
        let (silent, mut kept_open) = io::pipe().unwrap();
        server.shutdown(Shutdown::Write).unwrap();
        kept_open.write_all(b"nobody reads this").unwrap();
        let resetting = move || {
            // A close with unread data makes the kernel send a reset.
            server.peek(&mut [0]).unwrap();
            drop(server);
            Ok(())
        };
        let error = splice(&ours, silent, io::sink(), resetting).unwrap_err();
        // The reset arrives after the server's end of data.
        let lost = [io::ErrorKind::ConnectionReset, io::ErrorKind::BrokenPipe];
        assert!(lost.contains(&error.kind()), "{error}");
        drop(kept_open);
    }

    #[test]
    fn a_server_that_closed_its_direction_receives_everything() {
        let (ours, mut server) = connection();
        server.shutdown(Shutdown::Write).unwrap();
        let up = pattern(8 << 20);
        let sent = up.clone();
        let receiver = thread::spawn(move || {
            let mut received = Vec::new();
            server.read_to_end(&mut received).unwrap();
            received
        });
        splice(&ours, io::Cursor::new(sent), io::sink(), ignored).unwrap();
        drop(ours);
        assert!(receiver.join().unwrap() == up);
    }

    #[test]
    fn a_reader_that_went_away_is_an_error() {
        let (ours, mut server) = connection();
        let (silent, _kept_open) = io::pipe().unwrap();
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        server.write_all(b"lost").unwrap();
        splice(&ours, silent, writer, ignored).unwrap_err();
    }
}
