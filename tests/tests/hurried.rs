//! What an administrator in a hurry writes: `sknockd` and `sknock-ca` say what to write instead.

use std::path::Path;
use std::process::{Command, Stdio};

use sknock_tests::binaries;

/// Exit code and standard error of a program in an empty folder.
fn told(program: &str, folder: &Path, words: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(binaries::path(program));
    for (name, _) in
        std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SKNOCK_"))
    {
        command.env_remove(name);
    }
    let output = command.args(words).current_dir(folder).stdin(Stdio::null()).output();
    let output = output.expect("it was just built");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[track_caller]
fn wrong_use(program: &str, cases: &[(&[&str], &str)]) {
    let folder = tempfile::tempdir().expect("a place for temporary files");
    for (words, instead) in cases {
        let (code, said) = told(program, folder.path(), words);
        assert_eq!(code, Some(2), "{words:?}: {said}");
        assert!(said.contains(instead), "{words:?}: no {instead:?} in: {said}");
    }
}

#[test]
fn sknockd_says_what_to_write_instead() {
    wrong_use(
        "sknockd",
        &[
            (&["check", "config.ini"], "sknockd check --config config.ini"),
            (&["run", "/etc/sknock/config.ini"], "sknockd run --config /etc/sknock/config.ini"),
            (&["check", "-c", "config.ini"], "--config FILE after the command"),
            (&["-c", "config.ini", "check"], "--config FILE after the command"),
            (&["--config", "config.ini", "check"], "--config FILE after the command"),
            (&["status"], "systemctl status sknockd"),
            (&["start"], "systemctl start sknockd"),
            (&["stop"], "systemctl stop sknockd"),
            (&["restart"], "systemctl restart sknockd"),
            (&["test"], "sknockd check"),
            (&["close", "alice"], "--name alice"),
            (&["close", "192.0.2.7"], "--address 192.0.2.7"),
            (&["close", "--address", "gw"], "write an IP address"),
            (&["reload", "--confirm", "2m"], "whole seconds"),
            (&["explain", "--from", "192.0.2.7", "--at", "18:25", "x"], "as in the log"),
        ],
    );
}

#[test]
fn sknock_ca_says_how_a_service_is_written() {
    let allow = |service: &'static str| ["--dir", "ca", "client", "bob", "--allow", service];
    wrong_use(
        "sknock-ca",
        &[
            (&allow("22"), "write tcp/22 or udp/22"),
            (&allow("ssh"), "SSH is tcp/22"),
            (&allow("22/tcp"), "write tcp/22"),
            (&allow("tcp/22-10"), "write tcp/10-22"),
            (&allow("tcp/22,udp/53"), "each service separately: tcp/22 udp/53"),
            (&["--dir", "ca", "client", "bob", "--allow", "tcp/22", "udp/53"], "--allow udp/53"),
        ],
    );
}
