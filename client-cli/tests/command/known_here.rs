//! What the client knows by itself, and tells: ends of certificates, what they allow, for whom a door is open, and
//! that nothing may protect a port.

use std::io::ErrorKind;
use std::net::{TcpListener, UdpSocket};
use std::process::Command;
use std::time::Duration;

use sknock_certs::Authority;
use sknock_protocol::{Service, Timestamp};

use crate::program::{alice, echo_service, json, outcome, port};
use crate::support::{PASSWORD, Server, World, now};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// An authority of forty days ago; its folder is inside the world's.
fn old_authority(world: &World) -> (Authority, Timestamp) {
    let then = now().before(40 * DAY);
    (Authority::init(&world.folder.path().join("old"), None, 365, then).unwrap(), then)
}

fn old_file(world: &World, name: &str) -> std::path::PathBuf {
    world.folder.path().join("old").join(name)
}

/// Nobody answers there.
const IN_VAIN: &str = "knock --attempts 1 --timeout 1 --knock-port 2 127.66.5.1";

#[test]
fn an_expired_server_certificate_is_noted() {
    let world = World::new();
    let (authority, then) = old_authority(&world);
    authority.server("gate", 10, PASSWORD, then).unwrap();
    let ended = old_file(&world, "gate.cer");
    let (code, _, err) =
        outcome(alice(&world, &format!("{IN_VAIN} udp/53")).env("SKNOCK_SERVER_CERT", &ended));
    assert_eq!(code, 1);
    assert!(err.contains("the server certificate expired on 20"), "{err}");
    let mut sent = alice(&world, "knock --no-verify --knock-port 2 127.66.5.1 udp/53");
    let (code, _, err) = outcome(sent.env("SKNOCK_SERVER_CERT", &ended));
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("note: the server certificate expired on 20"), "{err}");
    let mut sent = alice(&world, "knock --json --no-verify --knock-port 2 127.66.5.1 udp/53");
    let (_, out, err) = outcome(sent.env("SKNOCK_SERVER_CERT", &ended));
    assert_eq!(err, "");
    assert!(json(&out)["notes"][0].as_str().unwrap().contains("expired on 20"), "{out}");
}

/// Alice as the old authority made her at its beginning.
fn as_old_alice(world: &World, words: &str, allowed: &str, days: u32) -> Command {
    let (authority, then) = old_authority(world);
    let allowed = [allowed.parse::<Service>().unwrap()];
    authority.client("alice", &allowed, days, PASSWORD, then).unwrap();
    let mut command = alice(world, words);
    command.env("SKNOCK_IDENTITY", old_file(world, "alice.pfx"));
    command
}

/// Runs what must send nothing: a datagram to this socket would have been its knock.
#[track_caller]
fn refused_unsent(world: &World, command: &str, run: impl Fn(&str) -> Command) -> (i32, String) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let at = format!("--knock-port {} 127.0.0.1", socket.local_addr().unwrap().port());
    let words = command.replace("HOST", &at);
    let (code, _, err) = outcome(&mut run(&words));
    let heard = socket.recv(&mut [0; 2048]);
    assert_eq!(heard.unwrap_err().kind(), ErrorKind::WouldBlock, "a knock was sent: {err}");
    assert!(world.folder.path().exists());
    (code, err)
}

#[test]
fn with_a_certificate_that_is_not_valid_now_nothing_is_sent() {
    for (days, early, expected) in
        [(10, false, "your certificate expired on 20"), (90, true, "is valid only from 20")]
    {
        for command in ["knock HOST udp/53", "connect HOST 2222", "knock --no-verify HOST"] {
            let world = World::new();
            let (code, err) = refused_unsent(&world, command, |words| {
                if early {
                    as_early_alice(&world, words)
                } else {
                    as_old_alice(&world, words, "udp/53", days)
                }
            });
            assert_eq!(code, 3, "{command}: {err}");
            assert!(err.contains(expected) && err.contains("no knock was sent"), "{err}");
            assert!(err.contains("clock of this machine"), "{err}");
        }
    }
}

/// Alice with a certificate that begins tomorrow.
fn as_early_alice(world: &World, words: &str) -> Command {
    let then = now().after(DAY);
    let authority = Authority::init(&world.folder.path().join("old"), None, 365, then).unwrap();
    authority.client("alice", &["udp/53".parse().unwrap()], 90, PASSWORD, then).unwrap();
    let mut command = alice(world, words);
    command.env("SKNOCK_IDENTITY", old_file(world, "alice.pfx"));
    command
}

#[test]
fn our_certificate_that_ends_soon_is_noted() {
    let world = World::new();
    let words = "knock --no-verify --knock-port 2 127.66.5.1 udp/53";
    let (code, _, err) = outcome(&mut as_old_alice(&world, words, "udp/53", 42));
    assert_eq!(code, 0);
    assert!(err.contains("note: your certificate expires on 20"), "{err}");
    let world = World::new();
    let (_, _, err) = outcome(&mut as_old_alice(&world, words, "udp/53", 80));
    assert_eq!(err, "", "forty days are left");
}

#[test]
fn what_our_certificate_does_not_allow_is_refused_before_anything_is_sent() {
    let world = World::new();
    let allowed = "your certificate allows only tcp/22, tcp/2222, tcp/32768-60999, udp/53, not ";
    for (command, refused) in [
        ("knock HOST tcp/2223", "tcp/2223"),
        ("knock HOST tcp/22 udp/53-54", "udp/53-54"),
        ("knock --protocol v1 HOST tcp/2223", "tcp/2223"),
        ("connect HOST 23", "tcp/23"),
    ] {
        let (code, err) = refused_unsent(&world, command, |words| alice(&world, words));
        assert_eq!(code, 2, "{err}");
        assert!(err.contains(&format!("{allowed}{refused}")), "{err}");
        assert!(err.contains("no knock was sent"), "{err}");
    }
    let words = "knock --json --knock-port 2 127.0.0.1 tcp/23";
    let report = json(&outcome(&mut alice(&world, words)).1);
    assert_eq!((&report["exit"], &report["error"]), (&2.into(), &"usage".into()), "{report}");
    let (_, _, err) = outcome(&mut alice(&world, &format!("{IN_VAIN} udp/53")));
    assert!(!err.contains("allows only"), "{err}");
}

#[test]
fn a_server_key_is_refused_as_identity() {
    let world = World::new();
    let mut command = alice(&world, &format!("{IN_VAIN} udp/53"));
    let (code, _, err) = outcome(command.env("SKNOCK_IDENTITY", world.file("gate.pfx")));
    assert_eq!(code, 1);
    assert!(err.contains("not for client authentication"), "{err}");
}

#[test]
fn more_ports_than_a_knock_can_open_are_refused_at_once() {
    let world = World::new();
    for services in ["tcp/32768-60999", "tcp/40000-40063 udp/53"] {
        let (code, _, err) = outcome(&mut alice(&world, &format!("{IN_VAIN} {services}")));
        assert_eq!(code, 2, "{err}");
        assert!(err.contains("at most 64"), "{err}");
    }
    let (code, _, _) = outcome(&mut alice(&world, &format!("{IN_VAIN} tcp/40000-40063")));
    assert_eq!(code, 1, "64 can be asked for");
}

#[test]
fn too_many_allowed_ports_without_named_services_is_an_error() {
    let world = World::new();
    let (code, _, err) = outcome(&mut as_old_alice(&world, IN_VAIN, "tcp/1-65535", 80));
    assert_eq!(code, 1);
    assert!(
        err.contains("allows 65535 ports") && err.contains("Name the services to open"),
        "{err}"
    );
}

#[test]
fn an_unreachable_port_is_reported_with_the_address_of_its_grant() {
    let world = World::new();
    let server = Server::granting(&world, "127.0.0.1:0");
    for command in ["knock", "connect"] {
        let service = if command == "knock" { "tcp/2222" } else { "2222" };
        let words = format!("{command} --knock-port {} 127.0.0.1 {service}", port(&server));
        let (code, _, err) = outcome(&mut alice(&world, &words));
        assert_eq!(code, 1, "{err}");
        assert!(err.contains("for 127.0.0.1"), "{err}");
        assert!(err.contains("connects from the same address"), "{err}");
        let words = format!("{command} --json --knock-port {} 127.0.0.1 {service}", port(&server));
        let (_, out, err) = outcome(&mut alice(&world, &words));
        let report = json(if command == "knock" { &out } else { &err });
        assert!(report["observed"].as_str().unwrap().starts_with("127.0.0.1:"), "{report}");
    }
}

#[test]
fn the_granted_address_is_reported() {
    let world = World::new();
    let server = Server::granting(&world, "127.0.0.1:0");
    let words = format!("knock --knock-port {} 127.0.0.1 udp/53", port(&server));
    let (_, out, _) = outcome(&mut alice(&world, &words));
    assert!(out.starts_with("udp/53 on 127.0.0.1 is open to 127.0.0.1 for 15 s (answer"), "{out}");
}

#[test]
fn a_port_that_may_not_be_protected_at_all_is_not_called_open() {
    let world = World::new();
    let service = echo_service();
    let words = format!("knock --knock-port 2 --attempts 1 127.0.0.1 tcp/{service}");
    let (code, out, err) = outcome(&mut alice(&world, &words));
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(!out.contains("is open"), "{out}");
    assert!(
        out.contains("is reachable, but no answer arrived") && out.contains("is not protected"),
        "{out}"
    );
    let words = format!("knock --json --knock-port 2 --attempts 1 127.0.0.1 tcp/{service}");
    let report = json(&outcome(&mut alice(&world, &words)).1);
    assert_eq!(
        (&report["result"], &report["verified"]),
        (&"reachable".into(), &"connection".into())
    );
    assert!(report["notes"][0].as_str().unwrap().contains("is not protected"), "{report}");

    // The other side ends at once, and so does connect.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let bound = listener.local_addr().unwrap().port();
    std::thread::spawn(move || listener.incoming().for_each(drop));
    let words = format!("connect --knock-port 2 --attempts 1 127.0.0.1 {bound}");
    let (_, _, err) = outcome(&mut alice(&world, &words));
    assert!(err.contains("note: ") && err.contains("is not protected"), "{err}");
}
