//! The control socket of a server, with arbitrary bytes, valid or not.

use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sknock_gate::NamespaceLock;

use crate::Namespace;
use crate::wait::LIMIT;

/// A connection as root.
#[derive(Debug)]
pub struct ControlLine(BufReader<UnixStream>);

impl ControlLine {
    /// Where the server of this namespace listens.
    pub fn path(namespace: &Namespace) -> PathBuf {
        let folder = Path::new(NamespaceLock::DIRECTORY);
        let path = namespace.inside(|| NamespaceLock::path(folder, "control"));
        path.expect("a namespace has a number")
    }

    /// Connects to the server of this namespace.
    #[track_caller]
    pub fn connect(namespace: &Namespace) -> Self {
        let stream = UnixStream::connect(Self::path(namespace)).expect("a server listens");
        stream.set_read_timeout(Some(LIMIT)).expect("a socket");
        stream.set_write_timeout(Some(LIMIT)).expect("a socket");
        Self(BufReader::new(stream))
    }

    /// Sends these bytes; whether the server has taken them.
    pub fn say(&mut self, bytes: &[u8]) -> bool {
        self.0.get_mut().write_all(bytes).is_ok()
    }

    /// The next answer; nothing if the server has ended the connection.
    pub fn answer(&mut self) -> Option<Value> {
        let mut line = String::new();
        match self.0.read_line(&mut line) {
            Ok(0) | Err(_) => None,
            Ok(_) => {
                let line: Value = serde_json::from_str(&line).expect("an answer is JSON");
                assert_eq!(line["version"], 1, "{line}");
                Some(line["answer"].clone())
            }
        }
    }

    /// Sends this line, and waits for its answer.
    #[track_caller]
    pub fn ask(&mut self, line: &str) -> Value {
        assert!(self.say(line.as_bytes()) && self.say(b"\n"), "{line}: not taken");
        self.answer().unwrap_or_else(|| panic!("{line}: no answer"))
    }

    /// The connection, for another process.
    pub fn stolen(&self) -> OwnedFd {
        self.0.get_ref().as_fd().try_clone_to_owned().expect("a descriptor is free")
    }
}
