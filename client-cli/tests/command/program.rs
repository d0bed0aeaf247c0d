//! The program, as the tests run it.

use std::net::TcpListener;
use std::process::{Command, Output, Stdio};
use std::thread;

use serde_json::Value;

use crate::support::{PASSWORD, Server, World};

/// `sknock WORDS` without anything from the tester's own environment.
pub(crate) fn sknock(world: &World, words: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sknock"));
    let ours = std::env::vars_os().map(|(name, _)| name);
    for name in ours.filter(|name| name.to_string_lossy().starts_with("SKNOCK_")) {
        command.env_remove(name);
    }
    command.env("XDG_CONFIG_HOME", world.folder.path()).env_remove("HOME");
    command.args(words.split_whitespace()).stdin(Stdio::null());
    command
}

/// The same, with an identity, its password and a server's certificate.
pub(crate) fn alice(world: &World, words: &str) -> Command {
    let mut command = sknock(world, words);
    command
        .env("SKNOCK_IDENTITY", world.file("alice.pfx"))
        .env("SKNOCK_SERVER_CERT", world.file("gate.cer"))
        .env("SKNOCK_PFX_PASSWORD", PASSWORD);
    command
}

/// Exit code, stdout, stderr.
pub(crate) fn outcome(command: &mut Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

pub(crate) fn json(line: &str) -> Value {
    assert_eq!(line.matches('\n').count(), 1, "one line: {line}");
    serde_json::from_str(line).unwrap()
}

pub(crate) fn port(server: &Server) -> u16 {
    server.address.port()
}

/// Answers every visitor with what they say, until they end.
pub(crate) fn echo_service() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            thread::spawn(move || std::io::copy(&mut &stream, &mut &stream));
        }
    });
    port
}
