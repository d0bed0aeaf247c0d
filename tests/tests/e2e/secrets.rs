//! A password that stands where it should not is in no output of `check`, `run`, a reload and `explain`.

use std::fs;

use nix::sys::signal::Signal;
use sknock_tests::wait::until;
use sknock_tests::{Authority, Config, Daemon, World};

/// Looks like nothing else in any output.
const MARK: &str = "wOhlbehUetet";

/// A line that is wrong, with a password in it.
const SLIPS: [&str; 8] = [
    "PFXPasswd wOhlbehUetet=x",
    "wOhlbehUetet:x",
    "PFXPaswd = wOhlbehUetet",
    "[PFXPasswd = wOhlbehUetet]",
    "[wOhlbehUetet",
    " wOhlbehUetet",
    "PFXPasswd = \0wOhlbehUetet",
    "crlUrl = me:wOhlbehUetet@example.org/a.crl",
];

/// What `check`, `explain` and a start say, which must all refuse.
fn refused(daemon: &mut Daemon<'_>) -> [String; 4] {
    let asked = |word: &str, more: &[&str]| {
        let asked = daemon.ask(word, more);
        assert_eq!(asked.code, Some(78), "{asked:?}");
        asked.answer + &asked.errors
    };
    let told = [
        asked("check", &[]),
        asked("check", &["--json"]),
        asked("explain", &["--from", "192.0.2.7", "datagram"]),
    ];
    daemon.begin();
    let ended = daemon.wait_for_end();
    assert_eq!(ended.code, Some(78), "{}", ended.said);
    let [check, json, explain] = told;
    [check, json, explain, ended.said]
}

#[test]
fn no_output_shows_a_password_that_stands_where_it_should_not() {
    let (world, authority) = (World::new(), Authority::new());
    let mut daemon = Daemon::stopped(&world.gateway, &Config::new(&authority));
    let config = Config::new(&authority).text();
    for slip in SLIPS {
        daemon.configure_as(&format!("{config}{slip}\n"));
        for said in refused(&mut daemon) {
            assert!(said.contains("config.ini:"), "{slip}: no line is named: {said}");
            assert!(!said.contains(MARK), "{slip}: {said}");
        }
    }
}

#[test]
fn a_reload_shows_no_password_that_stands_where_it_should_not() {
    let (world, authority) = (World::new(), Authority::new());
    let daemon = Daemon::start(&world.gateway, &Config::new(&authority));
    let mark = daemon.mark();
    daemon.configure_as(&SLIPS.join("\n"));
    daemon.signal(Signal::SIGHUP);
    daemon.wait_for("reload failed. The previous configuration stays in force");
    daemon.wait_for("unknown key");
    let said = daemon.said_since(mark).concat();
    assert!(!said.contains(MARK), "{said}");
}

/// A password's file that is taken for another, or is no password.
#[test]
fn no_output_shows_what_is_in_the_file_of_a_password() {
    let (world, authority) = (World::new(), Authority::new());
    let mut daemon = Daemon::stopped(&world.gateway, &Config::new(&authority));
    let secret = daemon.file("secret");
    let named = secret.display().to_string();
    for content in [
        &b"wOhlbehUetet\n"[..],
        b"wOhlbehUetet:wOhlbehUetet\nwOhlbehUetet = 1\n",
        b"\xff wOhlbehUetet",
        b"-----BEGIN CERTIFICATE-----\nwOhlbehUetet\n-----END CERTIFICATE-----\n",
    ] {
        fs::write(&secret, content).unwrap();
        let asked = daemon.tell(&format!("check --config {named}"));
        assert!(asked.code == Some(78) && !format!("{asked:?}").contains(MARK), "{asked:?}");
        for key in ["serverPFXFile", "PFXPasswdFile", "caFile", "crlFile", "crlTlsCaFile"] {
            daemon.configure(&Config::new(&authority).set(key, &named));
            let asked = daemon.ask("check", &[]);
            assert!(!format!("{asked:?}").contains(MARK), "{key}: {asked:?}");
            let asked = daemon.ask("explain", &["--from", "192.0.2.7", "config.ini"]);
            assert!(!format!("{asked:?}").contains(MARK), "{key}: {asked:?}");
            let mark = daemon.mark();
            daemon.begin();
            until("it has ended or accepts knocks", || {
                daemon.has_ended() || daemon.times_said(Daemon::ACCEPTING) > 0
            });
            if daemon.has_ended() {
                daemon.wait_for_end();
            } else {
                daemon.stop();
            }
            let said = daemon.said_since(mark).concat();
            assert!(!said.is_empty() && !said.contains(MARK), "{key}: {said}");
        }
    }
}
