//! The program itself: exit codes, reports, passwords, and its part in a pipe.

#[path = "../../client-lib/tests/support/world.rs"]
mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use support::{PASSWORD, Server, World, answer};

/// `sknock WORDS` without anything from the tester's own environment.
fn sknock(world: &World, words: &str) -> Command {
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
fn alice(world: &World, words: &str) -> Command {
    let mut command = sknock(world, words);
    command
        .env("SKNOCK_IDENTITY", world.file("alice.pfx"))
        .env("SKNOCK_SERVER_CERT", world.file("gate.cer"))
        .env("SKNOCK_PFX_PASSWORD", PASSWORD);
    command
}

/// Exit code, stdout, stderr.
fn outcome(command: &mut Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

fn json(line: &str) -> Value {
    assert_eq!(line.matches('\n').count(), 1, "one line: {line}");
    serde_json::from_str(line).unwrap()
}

fn port(server: &Server) -> u16 {
    server.address.port()
}

/// Answers every visitor with what they say, until they end.
fn echo_service() -> u16 {
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

#[test]
fn an_opened_service_is_reported_with_exit_0() {
    let world = World::new();
    let server = Server::granting(&world, "127.0.0.1:0");
    let (knock_port, service) = (port(&server), echo_service());
    let words = format!("knock --knock-port {knock_port} 127.0.0.1 tcp/{service} udp/53");
    let (code, out, err) = outcome(&mut alice(&world, &words));
    assert_eq!((code, err.as_str()), (0, ""));
    let expected = format!("tcp/{service}, udp/53 on 127.0.0.1 are open for 15 s (answer in ");
    assert!(out.starts_with(&expected), "{out}");

    let short = format!("-p 53 -u -4 --knock-port {knock_port} localhost");
    let (code, out, _) = outcome(&mut alice(&world, &short));
    assert_eq!(code, 0);
    assert!(out.starts_with("udp/53 on localhost (127.0.0.1) is open for 15 s"), "{out}");
    let heard = server.heard();
    let asked = |at: usize| heard[at].knock.services().iter().map(ToString::to_string);
    assert_eq!(asked(0).collect::<Vec<_>>(), [format!("tcp/{service}"), "udp/53".into()]);
    assert_eq!(asked(1).collect::<Vec<_>>(), ["udp/53"]);
}

#[test]
fn json_is_one_line_for_success_and_failure() {
    let world = World::new();
    let server = Server::start(&world, "127.0.0.1:0", |_, heard| {
        vec![answer(heard, |answer| answer.clipped = true)]
    });
    let words = format!("knock --json --knock-port {} 127.0.0.1 udp/53", port(&server));
    let (code, out, err) = outcome(&mut alice(&world, &words));
    let report = json(&out);
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(report["result"], "open");
    assert_eq!(report["verified"], "answer");
    assert_eq!(report["destination"], "127.0.0.1");
    assert_eq!(report["services"], serde_json::json!(["udp/53"]));
    assert_eq!((&report["seconds"], &report["clipped"]), (&15.into(), &true.into()));
    assert!(report["observed"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert!(report["clock_skew_ms"].is_i64() && report["answer_ms"].is_u64());

    let words = "knock --json --attempts 1 --timeout 1 --knock-port 2 127.66.4.1 udp/53";
    let (code, out, _) = outcome(&mut alice(&world, words));
    let report = json(&out);
    assert_eq!(code, 1);
    assert_eq!((&report["result"], &report["error"]), (&"failed".into(), &"not-confirmed".into()));
    assert_eq!(report["exit"], 1);
}

#[test]
fn what_is_not_opened_is_exit_1() {
    let world = World::new();
    let words = "knock --attempts 1 --timeout 1 --knock-port 2 127.66.4.2 tcp/2222";
    let (code, out, err) = outcome(&mut alice(&world, words));
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("did not confirm") && err.contains("hint: "), "{err}");
    let server = Server::granting(&world, "127.66.4.2:0");
    let words = format!("knock --knock-port {} 127.66.4.2 tcp/2222", port(&server));
    let (code, _, err) = outcome(&mut alice(&world, &words));
    assert_eq!(code, 1);
    assert!(
        err.contains("the server opened tcp/2222") && err.contains("start the service"),
        "{err}"
    );
    let (code, _, err) = outcome(&mut alice(&world, "knock no.such.host.invalid tcp/22"));
    assert_eq!(code, 1);
    assert!(err.contains("no.such.host.invalid"), "{err}");
}

#[test]
fn wrong_use_is_exit_2() {
    let world = World::new();
    for words in ["", "knock", "-p 0 gw", "knock gw ssh", "knock --once 127.0.0.1 udp/53"] {
        assert_eq!(outcome(&mut alice(&world, words)).0, 2, "{words}");
    }
    let (code, _, err) = outcome(&mut alice(&world, "knock --address ::1 127.0.0.1 tcp/22"));
    assert_eq!(code, 2, "{err}");
    for words in ["--help", "knock --help", "connect -h", "-p 1 --help", "--version"] {
        let (code, out, _) = outcome(&mut sknock(&world, words));
        assert_eq!(code, 0, "{words}");
        assert!(out.contains("sknock"), "{words}: {out}");
    }
}

#[test]
fn a_clock_that_is_off_is_noted() {
    let world = World::new();
    let server = Server::start(&world, "127.0.0.1:0", |_, heard| {
        let hour = std::time::Duration::from_secs(3600);
        vec![answer(heard, |answer| answer.server_time = answer.server_time.before(hour))]
    });
    let words = format!("knock --knock-port {} 127.0.0.1 udp/53", port(&server));
    let (code, _, err) = outcome(&mut alice(&world, &words));
    assert_eq!(code, 0);
    assert!(err.contains("ahead of the server's"), "{err}");
}

#[test]
fn unverified_is_exit_0_and_says_so() {
    let world = World::new();
    let words = "knock --no-verify --knock-port 2 127.66.4.3 tcp/2222";
    let (code, out, _) = outcome(&mut alice(&world, words));
    assert_eq!(code, 0);
    assert_eq!(out, "tcp/2222 on 127.66.4.3: knocked, not verified\n");
}

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
    // Its end is passed on at once: whoever reads may go by it.
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
    assert!(said.contains("the connection broke"), "{said}");
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

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    std::fs::copy(from, to).unwrap();
}

#[test]
fn without_options_the_files_in_their_places_are_used() {
    let world = World::new();
    let server = Server::granting(&world, "127.0.0.1:0");
    let folder = world.folder.path().join("sknock");
    copy(&world.file("alice.pfx"), &folder.join("identity.pfx"));
    std::fs::write(folder.join("password"), format!("{PASSWORD}\n")).unwrap();
    std::fs::write(folder.join("server.cer"), "another server's").unwrap();
    let mut command = sknock(&world, "knock 127.0.0.1 udp/53");
    command.env("SKNOCK_KNOCK_PORT", port(&server).to_string());
    assert_eq!(outcome(&mut command).0, 3);
    copy(&world.file("gate.cer"), &folder.join("servers/127.0.0.1.cer"));
    let (code, out, err) = outcome(&mut command);
    assert_eq!(code, 0, "{err}");
    assert!(out.starts_with("udp/53 on 127.0.0.1 is open"), "{out}");
    assert!(err.contains("others can read the password"), "{err}");
}

#[test]
fn the_password_comes_from_the_first_source_there_is() {
    let world = World::new();
    let server = Server::granting(&world, "127.0.0.1:0");
    let words = format!("knock --knock-port {} 127.0.0.1 udp/53", port(&server));
    let right = world.folder.path().join("right");
    let wrong = world.folder.path().join("wrong");
    std::fs::write(&right, format!("{PASSWORD}\r\n")).unwrap();
    std::fs::write(&wrong, "wrong").unwrap();
    let run = |file: Option<&Path>, file_variable: Option<&Path>, variable: Option<&str>| {
        let mut command = alice(&world, &words);
        command.env_remove("SKNOCK_PFX_PASSWORD");
        file.map(|file| command.arg("--password-file").arg(file));
        file_variable.map(|file| command.env("SKNOCK_PASSWORD_FILE", file));
        variable.map(|text| command.env("SKNOCK_PFX_PASSWORD", text));
        outcome(&mut command)
    };
    assert_eq!(run(Some(&right), Some(&wrong), Some("wrong")).0, 0);
    assert_eq!(run(None, Some(&right), Some("wrong")).0, 0);
    assert_eq!(run(None, None, Some(PASSWORD)).0, 0);
    for (outcome, source) in [
        (run(Some(&wrong), Some(&right), Some(PASSWORD)), wrong.to_str().unwrap()),
        (run(None, Some(&wrong), Some(PASSWORD)), wrong.to_str().unwrap()),
        (run(None, None, Some("wrong")), "SKNOCK_PFX_PASSWORD"),
        (run(None, None, Some("")), "SKNOCK_PFX_PASSWORD"),
    ] {
        let (code, _, err) = outcome;
        assert_eq!(code, 3);
        assert!(err.contains(source) && !err.contains(PASSWORD), "{err}");
    }
}

#[test]
fn credentials_of_no_use_are_exit_3_with_the_remedy() {
    let world = World::new();
    let absent = world.file("absent");
    let junk = world.file("junk");
    std::fs::write(&junk, "junk").unwrap();
    let with = |name: &str, file: &Path| {
        let (code, _, err) = outcome(alice(&world, "knock 127.0.0.1 udp/53").env(name, file));
        assert_eq!(code, 3, "{err}");
        err
    };
    assert!(with("SKNOCK_IDENTITY", &absent).contains("--identity"));
    assert!(with("SKNOCK_SERVER_CERT", &absent).contains("--server-cert"));
    assert!(with("SKNOCK_PASSWORD_FILE", &absent).contains("cannot read the password"));
    assert!(with("SKNOCK_IDENTITY", &junk).contains("PKCS#12"));
    assert!(with("SKNOCK_SERVER_CERT", &junk).contains("X.509"));
}

/// What `openssl req -x509 OPTIONS` makes, as PKCS#12 with our password.
fn from_openssl(world: &World, options: &[&str]) -> std::path::PathBuf {
    let (key, certificate) = (world.file("other.key"), world.file("other.pem"));
    let pfx = world.file("other.pfx");
    let made = Command::new("openssl")
        .args(["req", "-x509", "-nodes", "-days", "9", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .args(options)
        .output()
        .expect("this test needs the openssl command");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let packed = Command::new("openssl")
        .args(["pkcs12", "-export", "-passout", "env:PFX_PASSWORD", "-inkey"])
        .arg(&key)
        .arg("-in")
        .arg(&certificate)
        .arg("-out")
        .arg(&pfx)
        .env("PFX_PASSWORD", PASSWORD)
        .status();
    assert!(packed.unwrap().success());
    pfx
}

#[test]
fn a_certificate_that_no_knock_can_carry_is_exit_3() {
    let world = World::new();
    let rsa = from_openssl(&world, &["-newkey", "rsa:2048", "-subj", "/CN=alice"]);
    let (code, _, err) = outcome(alice(&world, "knock 127.0.0.1").env("SKNOCK_IDENTITY", rsa));
    assert_eq!(code, 3);
    assert!(err.contains("P-256"), "{err}");
    let names = format!("subjectAltName=URI:{}", "x".repeat(900));
    let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
    let large =
        from_openssl(&world, &[&curve[..], &["-subj", "/CN=a", "-addext", &names]].concat());
    let mut command = alice(&world, "knock --json 127.0.0.1 tcp/22");
    let (code, out, _) = outcome(command.env("SKNOCK_IDENTITY", large));
    let report = json(&out);
    assert_eq!((code, &report["exit"], &report["error"]), (3, &3.into(), &"identity".into()));
    assert!(report["message"].as_str().unwrap().contains("bytes"), "{out}");
}

#[test]
fn a_pem_certificate_of_the_server_will_do() {
    let world = World::new();
    let server = Server::granting(&world, "127.0.0.1:0");
    let pem = world.file("gate.pem");
    let converted = Command::new("openssl")
        .args(["x509", "-inform", "DER", "-in"])
        .arg(world.file("gate.cer"))
        .arg("-out")
        .arg(&pem)
        .status();
    assert!(converted.expect("this test needs the openssl command").success());
    let words = format!("knock --knock-port {} 127.0.0.1 udp/53", port(&server));
    let (code, _, err) = outcome(alice(&world, &words).env("SKNOCK_SERVER_CERT", pem));
    assert_eq!(code, 0, "{err}");
}
