//! What a user in a hurry writes: each error says what happened, and what to write instead.

use std::process::Command;

use crate::program::{alice, outcome, port, sknock};
use crate::support::{Server, World};

/// Exit code and standard error.
fn told(command: &mut Command) -> (i32, String) {
    let (code, out, err) = outcome(command);
    assert_eq!(out, "", "{err}");
    (code, err)
}

#[track_caller]
fn wrong_use(world: &World, words: &[&str], expected: &[&str]) {
    let mut command = alice(world, "");
    let (code, err) = told(command.args(words));
    assert_eq!(code, 2, "{words:?}: {err}");
    for expected in expected {
        assert!(err.contains(expected), "{words:?}: no {expected:?} in: {err}");
    }
}

#[test]
fn a_host_with_more_than_a_name_gets_an_error_with_the_correct_form() {
    let world = World::new();
    for (host, instead) in [
        ("gw.example:22", &["Write gw.example", "tcp/22"][..]),
        ("[2001:db8::1]:22", &["Write 2001:db8::1", "tcp/22"]),
        ("192.0.2.7:2222", &["Write 192.0.2.7", "tcp/2222"]),
        ("alice@gw.example", &["Write gw.example", "No user"]),
        ("alice@gw.example:22", &["Write gw.example", "tcp/22", "No user"]),
        ("ssh://gw.example", &["Write gw.example", "No URL"]),
        ("ssh://alice@gw.example:2222/", &["Write gw.example", "tcp/2222"]),
        ("https://[2001:db8::1]/x", &["Write 2001:db8::1"]),
        ("gw.example/", &["Write gw.example"]),
        ("gw.example ", &["Write gw.example"]),
        ("gw example", &["white space"]),
        ("", &["empty"]),
        ("tcp/22", &["Write the host first"]),
        ("22", &["Write the host first"]),
    ] {
        wrong_use(&world, &["knock", host, "tcp/22"], instead);
        wrong_use(&world, &["connect", host, "22"], &instead[..1]);
        wrong_use(&world, &["-p", "22", host], &instead[..1]);
    }
}

#[test]
fn a_misspelt_service_gets_an_error_with_the_correct_form() {
    let world = World::new();
    for (service, instead) in [
        ("22", "write tcp/22 or udp/22"),
        ("22/tcp", "write tcp/22"),
        ("tcp:22", "write tcp/22"),
        ("UDP:53", "write udp/53"),
        ("tcp22", "tcp/PORT"),
        ("ssh", "SSH is tcp/22"),
        ("tcp/ssh", "SSH is tcp/22"),
        ("tcp/22,tcp/80", "each service separately: tcp/22 tcp/80"),
        ("tcp/22 tcp/80", "each service separately: tcp/22 tcp/80"),
        ("tcp/22-10", "write tcp/10-22"),
        ("tcp/0", "1 to 65535"),
        ("tcp/65536", "1 to 65535"),
        ("icmp", "tcp/PORT"),
        ("", "tcp/PORT"),
        ("gw.example", "tcp/PORT"),
    ] {
        wrong_use(&world, &["knock", "127.0.0.1", service], &[instead]);
    }
}

#[test]
fn transports_are_known_in_upper_case() {
    let world = World::new();
    let server = Server::granting(&world, "127.0.0.1:0");
    let words = format!("knock --knock-port {} 127.0.0.1 UDP/53", port(&server));
    let (code, out, err) = outcome(&mut alice(&world, &words));
    assert_eq!(code, 0, "{err}");
    assert!(out.starts_with("udp/53 "), "{out}");
}

#[test]
fn misplaced_words_and_units_get_an_error_with_the_correct_form() {
    let world = World::new();
    for (words, instead) in [
        (&["connect", "127.0.0.1", "ssh"][..], "SSH is 22"),
        (&["connect", "127.0.0.1", "tcp/22"], "write 22"),
        (&["connect", "127.0.0.1", "0"], "1 to 65535"),
        (&["connect", "127.0.0.1"], "PORT"),
        (&["-p", "tcp/22", "127.0.0.1"], "write 22"),
        (&["-p", "ssh", "127.0.0.1"], "SSH is 22"),
        (&["127.0.0.1"], "sknock knock 127.0.0.1"),
        (&["127.0.0.1", "tcp/22"], "sknock knock 127.0.0.1"),
        (&["konck", "127.0.0.1", "tcp/22"], "sknock knock"),
        (&["knock", "-p", "22", "127.0.0.1"], "sknock knock HOST tcp/22"),
        (&["knock", "--lifetime", "10m", "127.0.0.1"], "whole seconds"),
        (&["knock", "--timeout", "1s", "127.0.0.1"], "whole seconds"),
        (&["knock", "--timeout", "0", "127.0.0.1"], "whole seconds"),
        (&["knock", "--knock-port", "0", "127.0.0.1"], "1 to 65535"),
        (&["knock", "--attempts", "many", "127.0.0.1"], "1 to 255"),
        (&["knock", "--address", "10.0.0.300", "127.0.0.1"], "'source'"),
    ] {
        wrong_use(&world, words, &[instead]);
    }
}

#[test]
fn an_invalid_environment_variable_is_named() {
    let world = World::new();
    for (name, value) in [
        ("SKNOCK_KNOCK_PORT", ""),
        ("SKNOCK_KNOCK_PORT", "0"),
        ("SKNOCK_PROTOCOL", "v9"),
        ("SKNOCK_IDENTITY", ""),
        ("SKNOCK_PASSWORD_FILE", ""),
    ] {
        let (code, err) = told(alice(&world, "knock 127.0.0.1 udp/53").env(name, value));
        assert_eq!(code, 2, "{err}");
        assert!(err.contains(name), "{name}={value}: {err}");
    }
}

#[test]
fn a_file_of_the_wrong_kind_is_reported_as_what_it_is() {
    let world = World::new();
    let file = |name: &str, content: &[u8]| {
        let path = world.file(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let (empty, folder) = (file("empty", b""), world.folder.path().to_owned());
    let pem = file("key.pem", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    let (pfx, cer) = (world.file("alice.pfx"), world.file("gate.cer"));
    for (variable, path, expected) in [
        ("SKNOCK_IDENTITY", empty.as_path(), "is empty"),
        ("SKNOCK_IDENTITY", folder.as_path(), "is a directory"),
        ("SKNOCK_IDENTITY", pem.as_path(), "PEM"),
        ("SKNOCK_IDENTITY", cer.as_path(), "a certificate without its key"),
        ("SKNOCK_SERVER_CERT", empty.as_path(), "is empty"),
        ("SKNOCK_SERVER_CERT", folder.as_path(), "is a directory"),
        ("SKNOCK_SERVER_CERT", pfx.as_path(), "PKCS#12"),
        ("SKNOCK_PASSWORD_FILE", folder.as_path(), "is a directory"),
        ("SKNOCK_IDENTITY", "~/alice.pfx".as_ref(), "the shell"),
    ] {
        let (code, err) = told(alice(&world, "knock 127.0.0.1 udp/53").env(variable, path));
        assert_eq!(code, 3, "{err}");
        assert!(err.contains(expected), "{variable}={}: {err}", path.display());
    }
}

#[test]
fn without_a_home_and_without_a_terminal_it_says_which_file_to_name() {
    let world = World::new();
    let mut command = sknock(&world, "knock 127.0.0.1 udp/53");
    let (code, err) = told(command.env_remove("XDG_CONFIG_HOME"));
    assert!(code == 3 && err.contains("--identity") && err.contains("home"), "{err}");
}
