//! stdin and stdout as `connect` uses them: unbuffered, and also if they do not block.

#[cfg(unix)]
pub(crate) use unix::{close_stdout, stdin, stdout};

#[cfg(not(unix))]
pub(crate) use other::{close_stdout, stdin, stdout};

#[cfg(unix)]
mod unix {
    use std::fs::File;
    use std::io::{self, Read, Write};
    use std::os::fd::AsFd;

    use nix::errno::Errno;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    /// stdin or stdout, by a descriptor of its own. Another program may have made it non-blocking. The flag
    /// belongs to the open file, which others use too, so it is not changed.
    #[derive(Debug)]
    pub(crate) struct Stdio(File);

    pub(crate) fn stdin() -> io::Result<Stdio> {
        Ok(Stdio(io::stdin().as_fd().try_clone_to_owned()?.into()))
    }

    pub(crate) fn stdout() -> io::Result<Stdio> {
        Ok(Stdio(io::stdout().as_fd().try_clone_to_owned()?.into()))
    }

    impl Stdio {
        /// Calls `act` until it does not fail for want of data or room; waits for these.
        fn blocking<T>(
            &mut self,
            events: PollFlags,
            mut act: impl FnMut(&mut File) -> io::Result<T>,
        ) -> io::Result<T> {
            loop {
                match act(&mut self.0) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    result => return result,
                }
                match poll(&mut [PollFd::new(self.0.as_fd(), events)], PollTimeout::NONE) {
                    Ok(_) | Err(Errno::EINTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
    }

    impl Read for Stdio {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.blocking(PollFlags::POLLIN, |file| file.read(buffer))
        }
    }

    impl Write for Stdio {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.blocking(PollFlags::POLLOUT, |file| file.write(bytes))
        }

        fn flush(&mut self) -> io::Result<()> {
            self.0.flush()
        }
    }

    /// Closes stdout, so that its reader gets the end of file. Later output is discarded.
    pub(crate) fn close_stdout() -> io::Result<()> {
        // Not closed: the next file that is opened would be stdout.
        let nowhere = File::options().write(true).open("/dev/null")?;
        Ok(nix::unistd::dup2_stdout(nowhere)?)
    }
}

/// Systems whose stdin and stdout always block.
#[cfg(not(unix))]
mod other {
    use std::io;

    #[expect(clippy::unnecessary_wraps, reason = "as on systems where it can fail")]
    pub(crate) fn stdin() -> io::Result<io::Stdin> {
        Ok(io::stdin())
    }

    #[expect(clippy::unnecessary_wraps, reason = "as on systems where it can fail")]
    pub(crate) fn stdout() -> io::Result<io::Stdout> {
        Ok(io::stdout())
    }

    /// stdout stays open until the program exits.
    #[expect(clippy::unnecessary_wraps, reason = "as on systems where it can fail")]
    pub(crate) fn close_stdout() -> io::Result<()> {
        Ok(())
    }
}
