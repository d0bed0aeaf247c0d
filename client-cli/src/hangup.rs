//! What std cannot do with a connection, with stdout and with signals, and Unix can.

use std::io;
use std::net::TcpStream;
use std::sync::mpsc::Receiver;

/// Waits until both directions of a connection have ended, or it was reset; then how `input`, our
/// direction, has ended.
#[cfg(unix)]
pub(crate) fn result(stream: &TcpStream, input: &Receiver<io::Result<()>>) -> io::Result<()> {
    wait(stream)?;
    input.try_recv().unwrap_or_else(|_| {
        // Reset while we waited for input.
        let reset = || io::ErrorKind::ConnectionReset.into();
        Err(stream.take_error()?.unwrap_or_else(reset))
    })
}

#[cfg(unix)]
fn wait(stream: &TcpStream) -> io::Result<()> {
    use std::os::fd::AsFd;

    use nix::errno::Errno;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    // Nothing is asked for: an end and an error are told all the same.
    let mut polled = [PollFd::new(stream.as_fd(), PollFlags::empty())];
    loop {
        match poll(&mut polled, PollTimeout::NONE) {
            Err(Errno::EINTR) => {}
            ended => return ended.map(|_| ()).map_err(io::Error::from),
        }
    }
}

/// A file that may grow no more (`ulimit -f`) is an error of the write, as a full disk is, and no signal that
/// ends us.
#[cfg(unix)]
pub(crate) fn heed_no_file_size() {
    use nix::sys::signal::{SigSet, Signal};
    // It is a signal that can be blocked.
    SigSet::from(Signal::SIGXFSZ).thread_block().ok();
}

/// Closes stdout, so that whoever reads it finds its end. What is written to it later is lost.
#[cfg(unix)]
pub(crate) fn close_stdout() -> io::Result<()> {
    let nowhere = std::fs::File::options().write(true).open("/dev/null")?;
    Ok(nix::unistd::dup2_stdout(nowhere)?)
}

/// Waits for the end of the input: a reset is noticed with the next that is sent.
#[cfg(not(unix))]
pub(crate) fn result(_: &TcpStream, input: &Receiver<io::Result<()>>) -> io::Result<()> {
    input.recv().unwrap_or_else(|_| Err(io::ErrorKind::ConnectionReset.into()))
}

/// There is no such signal.
#[cfg(not(unix))]
pub(crate) fn heed_no_file_size() {}

/// It stays open until we end.
#[cfg(not(unix))]
pub(crate) fn close_stdout() -> io::Result<()> {
    Ok(())
}
