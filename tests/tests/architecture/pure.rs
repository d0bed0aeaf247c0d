//! The protocol crate touches nothing of the machine: bytes and time in, values out.

use crate::house;

/// Words that its code must not have, and why.
const FORBIDDEN: &[(&[&str], &str)] = &[
    (
        &["UdpSocket", "TcpStream", "TcpListener", "UnixStream", "UnixDatagram"],
        "no sockets: intake and client own them, so that a test needs none",
    ),
    (&["std::fs", "std::os", "std::path", "File"], "no files: bytes are handed in"),
    (&["std::env", "std::process"], "no surroundings: what matters is an argument"),
    (&["std::thread", "tokio", "async"], "no threads and no async: whoever calls decides"),
    (
        &["SystemTime", "Instant", "std::time::UNIX_EPOCH"],
        "no clock: a knock is judged at the moment that the caller names",
    ),
    (
        &["tracing", "log::", "print!", "println!", "eprint!", "eprintln!", "dbg!"],
        "no log: reasons are returned, and only the server knows who may read them",
    ),
    (&["std::{"], "one module of std a line, or this test cannot see which"),
];

#[test]
fn the_protocol_touches_nothing() {
    let sources = house::product();
    let protocol: Vec<_> =
        sources.iter().filter(|source| source.path.starts_with("protocol/")).collect();
    assert!(protocol.len() > 20, "the protocol crate has moved: look where it is");
    for source in protocol {
        for (words, reason) in FORBIDDEN {
            for word in *words {
                let lines = source.lines_with(word);
                assert!(lines.is_empty(), "{} lines {lines:?}: `{word}`: {reason}", source.path);
            }
        }
    }
}
