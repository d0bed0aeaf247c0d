//! `sknock connect`, as a part of a pipe.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::process::{Output, Stdio};
use std::thread;
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};

use crate::program::{alice, echo_service, json, outcome, port};
use crate::support::{Server, World};

#[test]
fn connect_joins_a_connection_to_stdin_and_stdout() {
    let world = World::new();
    let server = Server::granting(&world, "127.0.0.1:0");
    let words = format!("connect --knock-port {} 127.0.0.1 {}", port(&server), echo_service());
    let mut child = alice(&world, &words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    // What does not end a line comes through at once, or an ssh handshake would never begin.
    input.write_all(b"no line end").unwrap();
    let mut first = [0; 11];
    output.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"no line end");
    let sent: Vec<u8> =
        (0..16u32 << 20).map(|at| at.wrapping_mul(0x9e37_79b9).to_be_bytes()[0]).collect();
    let to_send = sent.clone();
    let sender = thread::spawn(move || input.write_all(&to_send));
    let mut received = Vec::new();
    output.read_to_end(&mut received).unwrap();
    sender.join().unwrap().unwrap();
    assert!(received == sent, "{} bytes came back, or others", received.len());
    let Output { status, stderr, .. } = child.wait_with_output().unwrap();
    assert_eq!((status.code(), stderr.as_slice()), (Some(0), &b""[..]));
}

/// As ssh finds them in a program with an event loop. The flag belongs to the pipe, not to the descriptor.
#[test]
fn connect_waits_at_a_stdin_and_stdout_that_do_not_block() {
    let world = World::new();
    let server = Server::granting(&world, "127.0.0.1:0");
    let words = format!("connect --knock-port {} 127.0.0.1 {}", port(&server), echo_service());
    let ((stdin, mut input), (mut output, stdout)) = (io::pipe().unwrap(), io::pipe().unwrap());
    for descriptor in [stdin.as_fd(), stdout.as_fd()] {
        fcntl(descriptor, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    }
    let mut command = alice(&world, &words);
    let mut child = command.stdin(stdin).stdout(stdout).stderr(Stdio::piped()).spawn().unwrap();
    drop(command); // its copies of the pipes' ends
    thread::sleep(Duration::from_millis(300)); // nothing to read yet
    let sent: Vec<u8> =
        (0..4u32 << 20).map(|at| at.wrapping_mul(0x9e37_79b9).to_be_bytes()[0]).collect();
    let to_send = sent.clone();
    let sender = thread::spawn(move || input.write_all(&to_send));
    thread::sleep(Duration::from_millis(300)); // no room in the pipe
    let mut received = Vec::new();
    output.read_to_end(&mut received).unwrap();
    assert!(received == sent, "{} bytes came back, or others", received.len());
    sender.join().unwrap().unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!((child.wait().unwrap().code(), said.as_str()), (Some(0), ""));
}

/// A service for one connection that says "bye", ends its own direction, and then does this.
fn service_that_ends_first(
    then: impl FnOnce(TcpStream) -> Vec<u8> + Send + 'static,
) -> (u16, thread::JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let work = move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"bye").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        then(stream)
    };
    (port, thread::spawn(work))
}

/// Longer than anybody would wait who ends by a clock.
const LATE: Duration = Duration::from_millis(1500);

#[test]
fn connect_passes_input_on_that_comes_long_after_the_servers_end() {
    let world = World::new();
    let server = Server::granting(&world, "127.0.0.1:0");
    let (service, heard) = service_that_ends_first(|mut stream| {
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).unwrap();
        heard
    });
    let words = format!("connect --knock-port {} 127.0.0.1 {service}", port(&server));
    let mut command = alice(&world, &words);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut said = String::new();
    // Its end is passed on at once: a reader may depend on it.
    output.read_to_string(&mut said).unwrap();
    assert_eq!(said, "bye");
    thread::sleep(LATE);
    input.write_all(b"all the same").unwrap();
    drop(input);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(heard.join().unwrap(), b"all the same");
}

#[test]
fn connect_ends_with_1_when_something_was_not_delivered() {
    let world = World::new();
    let server = Server::granting(&world, "127.0.0.1:0");
    let (service, gone) = service_that_ends_first(|stream| {
        // Closed with something unread: the connection is reset.
        while stream.peek(&mut [0]).unwrap() == 0 {}
        Vec::new()
    });
    let words = format!("connect --knock-port {} 127.0.0.1 {service}", port(&server));
    let mut command = alice(&world, &words);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"nobody reads this").unwrap();
    gone.join().unwrap();
    // The input stays open: the reset alone ends it.
    let status = child.wait().unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("connection lost"), "{said}");
    drop(input);
}

#[test]
fn connect_reports_on_stderr_for_stdout_is_the_connection() {
    let world = World::new();
    let server = Server::granting(&world, "127.0.0.1:0");
    let service = echo_service();
    let words = format!("connect --json --knock-port {} 127.0.0.1 {service}", port(&server));
    let (code, out, err) = outcome(&mut alice(&world, &words));
    assert_eq!((code, out.as_str()), (0, ""));
    assert_eq!(json(&err)["result"], "open");
    let words = "connect --json --attempts 1 --timeout 1 --knock-port 2 127.66.4.4 2222";
    let (code, out, err) = outcome(&mut alice(&world, words));
    assert_eq!((code, out.as_str()), (1, ""));
    assert_eq!(json(&err)["error"], "not-confirmed");
}
