//! sknock-ca as typed: what it says, in text and JSON, its exit codes, and where passwords come from.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use sknock_protocol::Bundle;
use tempfile::TempDir;

use crate::support::PASSWORD;

const SKNOCK_CA: &str = env!("CARGO_BIN_EXE_sknock-ca");

/// A folder to work in, with an authority in `ca`.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    succeed(folder.path(), "--dir ca init");
    folder
}

/// Runs sknock-ca in `folder`, without a terminal, with a password in the environment.
fn run(folder: &Path, args: &str) -> Output {
    prepare(folder, args).env("SKNOCK_PFX_PASSWORD", PASSWORD).output().unwrap()
}

fn prepare(folder: &Path, args: &str) -> Command {
    let mut command = Command::new(SKNOCK_CA);
    command.args(args.split_whitespace()).current_dir(folder).stdin(Stdio::null());
    command.env_remove("SKNOCK_PFX_PASSWORD");
    command
}

#[track_caller]
fn succeed(folder: &Path, args: &str) -> String {
    let Output { status, stdout, stderr } = run(folder, args);
    assert_eq!(status.code(), Some(0), "{args}: {}", String::from_utf8_lossy(&stderr));
    assert!(stderr.is_empty(), "{args}");
    String::from_utf8(stdout).unwrap()
}

#[track_caller]
fn json(folder: &Path, args: &str) -> Value {
    serde_json::from_str(&succeed(folder, args)).unwrap()
}

/// What it complains about, with this exit code.
#[track_caller]
fn fail(output: &Output, code: i32) -> String {
    let complaint = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{complaint}");
    complaint
}

#[test]
fn a_certificate_with_more_ports_than_a_knock_opens_is_noted() {
    let folder = folder();
    let told = "note: one knock opens at most 64 ports; wide must name services\n";
    let fits = succeed(folder.path(), "--dir ca client narrow --allow tcp/1-64");
    assert!(!fits.contains("at most 64"), "{fits}");
    let wide = succeed(folder.path(), "--dir ca client wide --allow tcp/1-64 --allow udp/1");
    assert!(wide.contains(told), "{wide}");
}

#[test]
fn all_ca_commands_report_in_text() {
    let folder = folder();
    let run = |args| succeed(folder.path(), args);
    let server = run("--dir ca server gate.example.org");
    assert!(
        server.contains("wrote ca/gate.example.org.pfx: keep it on the server only\n"),
        "{server}"
    );
    assert!(
        server.contains("wrote ca/gate.example.org.cer: for the clients of the server\n"),
        "{server}"
    );
    let client = run("--dir ca client alice --allow tcp/22 --allow udp/60000-60010 --days 30");
    assert!(client.contains("wrote ca/alice.pfx: for alice only\n"), "{client}");
    assert!(client.contains("opens tcp/22 udp/60000-60010\n"), "{client}");
    let revoked = run("revoke alice --reason key-compromise --dir ca");
    assert!(revoked.starts_with("revoked alice (serial "), "{revoked}");
    assert!(revoked.contains("wrote ca/crl.der: number 2, valid until "), "{revoked}");
    assert!(run("--dir ca revoke alice").contains("was revoked already, on "));
    assert!(run("--dir ca crl --days 7").contains("wrote ca/crl.der: number 4, "));
    let list = run("--dir ca list");
    let rows: Vec<Vec<&str>> = list.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["NAME", "KIND", "STATE", "UNTIL", "SERIAL", "OPENS"]);
    assert_eq!(rows[1][..3], ["gate.example.org", "server", "valid"]);
    assert_eq!(rows[2][..3], ["alice", "client", "revoked"]);
    assert_eq!(rows[2][5..], ["tcp/22", "udp/60000-60010"]);
}

#[test]
fn all_ca_commands_report_in_json() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args| json(folder.path(), args);
    let init = run("--json --dir ca init --name Test --days 100");
    assert_eq!((&init["name"], &init["crl"]["number"]), (&"Test".into(), &1.into()));
    assert_eq!(init["crl"]["file"], "ca/crl.der");
    let server = run("--json --dir ca server gate --days 3650");
    assert_eq!((&server["kind"], &server["clipped"]), (&"server".into(), &true.into()));
    assert_eq!(
        (&server["pfx"], &server["certificate"]),
        (&"ca/gate.pfx".into(), &"ca/gate.cer".into())
    );
    assert_eq!(server["notAfter"], init["notAfter"]);
    let client = run("--json --dir ca client alice --allow tcp/22 --days 30");
    assert_eq!((&client["clipped"], &client["services"][0]), (&false.into(), &"tcp/22".into()));
    assert_eq!(client["certificate"], Value::Null);
    let revoked = run("--json --dir ca revoke alice --reason superseded");
    assert_eq!(
        (&revoked["already"], &revoked["revoked"]["reason"]),
        (&false.into(), &"superseded".into())
    );
    assert_eq!((&revoked["serial"], &revoked["crl"]["number"]), (&client["serial"], &2.into()));
    assert_eq!(run("--json --dir ca crl --days 7")["number"], 3);
    assert_eq!(run("--json --dir ca crl")["days"], 7);
    let list = run("--json --dir ca list");
    let states: Vec<_> =
        list["certificates"].as_array().unwrap().iter().map(|entry| &entry["state"]).collect();
    assert_eq!(states, ["valid", "revoked"]);
}

#[test]
fn what_fails_exits_with_1_and_says_so_in_both_forms() {
    let folder = folder();
    let output = run(folder.path(), "--json --dir ca revoke alice");
    let complaint = fail(&output, 1);
    assert!(complaint.starts_with("sknock-ca: no certificate has the name"), "{complaint}");
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(format!("sknock-ca: {}\n", told["error"].as_str().unwrap()), complaint);
    assert!(run(folder.path(), "--dir ca revoke alice").stdout.is_empty());
    fail(&run(folder.path(), "--dir ca init"), 1);
    fail(&run(folder.path(), "--dir elsewhere list"), 1);
}

#[test]
fn wrong_usage_exits_with_2() {
    let folder = folder();
    for args in [
        "",
        "list",
        "--dir ca",
        "--dir ca frobnicate",
        "--dir ca init --days 0",
        "--dir ca server",
        "--dir ca server ../gate",
        "--dir ca client alice",
        "--dir ca client alice --allow 22",
        "--dir ca client alice --allow tcp/0",
        "--dir ca client alice --allow tcp/22 --days 36501",
        "--dir ca client alice --allow tcp/22 --password secret",
        "--dir ca revoke alice --reason boredom",
        "--dir ca crl --days x",
    ] {
        let complaint = fail(&run(folder.path(), args), 2);
        assert!(complaint.contains("Usage") || complaint.contains("--help"), "{args}: {complaint}");
    }
    assert!(fail(&run(folder.path(), "list"), 2).contains("--dir DIR"));
}

/// Whether `alice.pfx` opens with this password.
fn opens(folder: &Path, password: &str) -> bool {
    Bundle::open(&fs::read(folder.join("ca/alice.pfx")).unwrap(), password).is_ok()
}

const CLIENT: &str = "--dir ca client alice --allow tcp/22 --password-file pw";

#[test]
fn a_password_file_counts_more_than_the_environment_and_its_line_end_not_at_all() {
    for content in [&b"from file"[..], b"from file\n", b"from file\r\n"] {
        let folder = folder();
        fs::write(folder.path().join("pw"), content).unwrap();
        succeed(folder.path(), CLIENT);
        assert!(opens(folder.path(), "from file"));
    }
}

#[test]
fn password_files_that_hold_something_else_are_refused() {
    let folder = folder();
    let missing = fail(&run(folder.path(), CLIENT), 1);
    assert!(missing.contains("cannot read the password from pw"), "{missing}");
    let long = vec![b'x'; 4097];
    for (content, why) in [
        (&b"two\nlines\n"[..], "more than one line"),
        (b"one\n\n", "more than one line"),
        (&[0xff], "not UTF-8"),
        (&long, "longer than 4096 bytes"),
        (b"", "it is empty"),
        (b"\n", "it is empty"),
    ] {
        fs::write(folder.path().join("pw"), content).unwrap();
        let complaint = fail(&run(folder.path(), CLIENT), 1);
        assert!(complaint.contains(why), "{complaint}");
    }
    assert!(!folder.path().join("ca/alice.pfx").exists());
}

#[test]
fn without_password_and_terminal_both_ways_are_named() {
    let folder = folder();
    let output = prepare(folder.path(), "--dir ca server gate").output().unwrap();
    let complaint = fail(&output, 1);
    assert!(complaint.contains("--password-file") && complaint.contains("SKNOCK_PFX_PASSWORD"));
    let empty =
        prepare(folder.path(), "--dir ca server gate").env("SKNOCK_PFX_PASSWORD", "").output();
    assert!(fail(&empty.unwrap(), 1).contains("it is empty"));
    // and where there is no authority, nobody is asked for a password at all
    let elsewhere = prepare(folder.path(), "--dir elsewhere server gate").output().unwrap();
    assert!(fail(&elsewhere, 1).contains("holds no CA"));
}

#[test]
fn a_person_at_a_terminal_types_the_password_twice() {
    for (typed, code) in [("secret\nsecret\n", 0), ("secret\nother\n", 1)] {
        let folder = folder();
        let command = format!("{SKNOCK_CA} --dir ca client alice --allow tcp/22");
        // util-linux' script gives it a terminal
        let mut script = Command::new("script")
            .args(["-qec", &command, "/dev/null"])
            .env_remove("SKNOCK_PFX_PASSWORD")
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("script, of util-linux, must be installed");
        // kept open until the end: a terminal that closes would end the question too
        let mut keyboard = script.stdin.take().unwrap();
        keyboard.write_all(typed.as_bytes()).unwrap();
        let mut screen = String::new();
        script.stdout.take().unwrap().read_to_string(&mut screen).unwrap();
        assert_eq!(script.wait().unwrap().code(), Some(code), "{screen}");
        assert!(
            screen.contains("Password for alice.pfx: ") && screen.contains("Again: "),
            "{screen}"
        );
        if code == 0 {
            assert!(opens(folder.path(), "secret"));
        } else {
            assert!(screen.contains("the two passwords differ"), "{screen}");
            assert!(!folder.path().join("ca/alice.pfx").exists());
        }
    }
}
