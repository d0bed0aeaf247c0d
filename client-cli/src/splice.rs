//! Joins a connection to stdin and stdout, byte for byte, each direction in its own thread.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::failure::Failure;

/// Bytes moved at a time: few system calls at gigabytes, nothing beside a key press.
const BUFFER: usize = 256 * 1024;

/// How long stdin may be silent after the server's end before we leave, too. The server may have
/// closed one direction only, and what is on its way to it must still arrive.
const GRACE: Duration = Duration::from_millis(250);

/// Moves bytes until the server closes the connection.
pub(crate) fn with_stdio(stream: &TcpStream) -> Result<(), Failure> {
    splice(stream, io::stdin(), io::stdout()).map_err(Failure::Stream)
}

fn splice(
    stream: &TcpStream,
    input: impl Read + Send + 'static,
    output: impl Write,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let upload = Upload::start(stream.try_clone()?, input)?;
    pump(stream, output, || ())?;
    upload.finish()
}

/// Input on its way to the server.
struct Upload {
    /// Even while waiting for input, odd while passing it on.
    turns: Arc<AtomicU64>,
    end: Receiver<io::Result<()>>,
}

impl Upload {
    /// Passes input on in a thread; its end becomes the end of our direction of the connection.
    fn start(stream: TcpStream, input: impl Read + Send + 'static) -> io::Result<Self> {
        let (ended, end) = mpsc::channel();
        let turns = Arc::new(AtomicU64::new(0));
        let turn = Arc::clone(&turns);
        thread::Builder::new().name("upload".into()).spawn(move || {
            let moved = pump(input, &stream, || {
                turn.fetch_add(1, Ordering::Relaxed);
            });
            let shut = moved.and_then(|()| close_our_direction(&stream));
            ended.send(shut).ok(); // the program is leaving
        })?;
        Ok(Self { turns, end })
    }

    /// Waits for the end of the input, or until it is silent.
    fn finish(self) -> io::Result<()> {
        let mut before = self.turns.load(Ordering::Relaxed);
        loop {
            match self.end.recv_timeout(GRACE) {
                Ok(result) => return result,
                Err(RecvTimeoutError::Disconnected) => return Err(io::Error::other("input lost")),
                Err(RecvTimeoutError::Timeout) => {}
            }
            let now = self.turns.load(Ordering::Relaxed);
            let waiting_for_input = now.is_multiple_of(2);
            if now == before && waiting_for_input {
                return Ok(());
            }
            before = now;
        }
    }
}

/// The server may have closed everything before us: that is no error.
fn close_our_direction(stream: &TcpStream) -> io::Result<()> {
    match stream.shutdown(Shutdown::Write) {
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
        other => other,
    }
}

/// Moves everything from one to the other, flushing each time: stdout would hold back what does not
/// end a line. Calls `turn` before and after each passing on.
fn pump(mut from: impl Read, mut to: impl Write, turn: impl Fn()) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let length = match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        turn();
        to.write_all(buffer.get(..length).unwrap_or_default())?;
        to.flush()?;
        turn();
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// Bytes that show a loss, a doubling or a swap, wherever it happens.
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
        splice(&ours, io::Cursor::new(up.clone()), &mut output).unwrap();
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
        splice(&ours, &b"question"[..], &mut output).unwrap();
        answering.join().unwrap();
        assert_eq!(output, b"QUESTION");
    }

    #[test]
    fn the_servers_end_is_ours_though_input_stays_open() {
        let (ours, mut server) = connection();
        let (silent, _kept_open) = io::pipe().unwrap();
        server.write_all(b"bye").unwrap();
        drop(server);
        let mut output = Vec::new();
        splice(&ours, silent, &mut output).unwrap();
        assert_eq!(output, b"bye");
    }

    #[test]
    fn a_server_that_only_listens_gets_everything() {
        let (ours, mut server) = connection();
        server.shutdown(Shutdown::Write).unwrap();
        let up = pattern(8 << 20);
        let sent = up.clone();
        let receiver = thread::spawn(move || {
            let mut received = Vec::new();
            server.read_to_end(&mut received).unwrap();
            received
        });
        splice(&ours, io::Cursor::new(sent), io::sink()).unwrap();
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
        splice(&ours, silent, writer).unwrap_err();
    }
}
