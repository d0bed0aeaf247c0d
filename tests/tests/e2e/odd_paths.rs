//! Paths that are odd: names that are not UTF-8, folders that are closed to who asks, a `stateDir` with `..`,
//! through a link, or with keys in it.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use sknock_tests::{Authority, Client, Config, Daemon, Mounts, World, binaries};

/// Exit code, standard output and standard error.
fn outcome(command: &mut Command) -> (Option<i32>, String, String) {
    let output = command.output().expect("it was just built");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn program(name: &str) -> Command {
    program_at(&binaries::path(name))
}

fn program_at(path: &Path) -> Command {
    let mut command = Command::new(path);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SKNOCK_") {
            command.env_remove(name);
        }
    }
    command
}

/// A file's name in Latin-1.
fn latin(folder: &Path, name: &[u8]) -> std::path::PathBuf {
    folder.join(OsStr::from_bytes(name))
}

#[test]
fn a_datagram_is_explained_whatever_its_file_is_called() {
    let (world, authority) = (World::new(), Authority::new());
    let daemon = Daemon::stopped(&world.gateway, &Config::new(&authority));
    let file = latin(daemon.file("").as_path(), b"knock-\xfc.bin");
    fs::write(&file, [7; 1200]).unwrap();
    let mut command = program("sknockd");
    command.args(["explain", "--from", "192.0.2.7", "--config"]).arg(daemon.file("config.ini"));
    let (code, out, err) = outcome(command.arg(&file).arg(&file));
    assert_eq!((code, out.lines().count()), (Some(0), 2), "{out} {err}");
    for line in out.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["verdict"], "refused");
        assert!(line["file"].as_str().unwrap().ends_with("knock-\u{fffd}.bin"), "{line}");
    }
}

#[test]
fn a_packet_capture_file_is_named_and_not_evaluated_as_a_knock() {
    let (world, authority) = (World::new(), Authority::new());
    let daemon = Daemon::stopped(&world.gateway, &Config::new(&authority));
    for magic in [[0xd4, 0xc3, 0xb2, 0xa1], [0x0a, 0x0d, 0x0d, 0x0a]] {
        let file = daemon.file("knock.pcap");
        fs::write(&file, [&magic[..], &[0; 1200]].concat()).unwrap();
        let mut command = program("sknockd");
        command.args(["explain", "--from", "192.0.2.7", "--config"]).arg(daemon.file("config.ini"));
        let (code, out, err) = outcome(command.arg(&file));
        assert_eq!((code, &*out), (Some(1), ""), "{err}");
        assert!(err.contains("is a packet capture") && err.contains("tshark"), "{err}");
    }
}

#[test]
fn a_file_without_an_end_is_no_datagram() {
    let (world, authority) = (World::new(), Authority::new());
    let daemon = Daemon::stopped(&world.gateway, &Config::new(&authority));
    let longest = daemon.file("longest");
    fs::write(&longest, vec![7; 65_527]).unwrap();
    for (file, expected) in [(longest.as_path(), 0), ("/dev/zero".as_ref(), 1)] {
        let mut command = program("sknockd");
        command.args(["explain", "--from", "192.0.2.7", "--config"]).arg(daemon.file("config.ini"));
        let (code, out, err) = outcome(command.arg(file));
        assert_eq!(code, Some(expected), "{out} {err}");
        assert_eq!(err.contains("more than 65527 bytes"), expected == 1, "{err}");
    }
}

#[test]
fn a_configuration_whose_name_is_not_utf_8_is_refused_with_what_to_do() {
    let (world, authority) = (World::new(), Authority::new());
    let daemon = Daemon::stopped(&world.gateway, &Config::new(&authority));
    let folder = latin(daemon.file("").as_path(), b"f\xfcr-sknock");
    fs::create_dir(&folder).unwrap();
    fs::copy(daemon.file("config.ini"), folder.join("config.ini")).unwrap();
    for words in [&["check"][..], &["run"], &["explain", "--from", "192.0.2.7", "x"]] {
        let mut command = program("sknockd");
        command.args(words).arg("--config").arg(folder.join("config.ini"));
        let (code, out, err) = world.gateway.inside(|| outcome(&mut command));
        assert_eq!(code, Some(78), "{words:?}: {out} {err}");
        let said = out + &err;
        assert!(said.contains("not UTF-8") && said.contains("in UTF-8"), "{words:?}: {said}");
    }
    assert_eq!(world.gateway.table(), None);
}

#[test]
fn keys_and_identities_are_opened_whatever_their_names_are() {
    let authority = Authority::new();
    let alice = latin(authority.file("").as_path(), b"alice-\xfc.pfx");
    fs::copy(authority.file("alice.pfx"), &alice).unwrap();
    let mut command = program("sknock");
    command.args(["knock", "--timeout", "1", "--attempts", "1", "192.0.2.1", "udp/53"]);
    command.arg("--identity").arg(&alice).arg("--server-cert").arg(authority.file("gate.cer"));
    command.arg("--password-file").arg(authority.password_file());
    let (code, _, err) = outcome(&mut command);
    assert_eq!(code, Some(1), "{err}");
    let ca = latin(authority.file("").as_path(), b"ca-\xfc");
    let (code, out, err) = outcome(program("sknock-ca").arg("--dir").arg(&ca).arg("init"));
    assert_eq!(code, Some(0), "{out} {err}");
    let mut list = program("sknock-ca");
    let (code, out, err) = outcome(list.args(["--json", "--dir"]).arg(&ca).arg("crl"));
    assert!(code == Some(0) && serde_json::from_str::<Value>(&out).is_ok(), "{out} {err}");
}

/// The folder is there, with all files in it; who asks may not enter it.
#[test]
fn a_folder_that_is_closed_is_not_said_to_be_missing() {
    let (world, authority) = (World::new(), Authority::new());
    let daemon = Daemon::stopped(&world.gateway, &Config::new(&authority));
    let closed = tempfile::tempdir().unwrap();
    let inside = |name: &str| closed.path().join(name);
    fs::create_dir_all(inside("sknock/servers")).unwrap();
    for name in ["alice.pfx", "gate.cer"] {
        fs::copy(authority.file(name), inside(name)).unwrap();
    }
    fs::copy(authority.file("alice.pfx"), inside("sknock/identity.pfx")).unwrap();
    fs::copy(authority.file("gate.cer"), inside("sknock/server.cer")).unwrap();
    fs::copy(daemon.file("config.ini"), inside("config.ini")).unwrap();
    fs::set_permissions(closed.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let state = Config::new(&authority).set("stateDir", &inside("state").display().to_string());
    daemon.configure(&state);
    fs::set_permissions(daemon.file("config.ini"), fs::Permissions::from_mode(0o644)).unwrap();
    let open = tempfile::tempdir().unwrap();
    fs::set_permissions(open.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let paths = |words: &[&str]| -> Vec<String> {
        words.iter().map(|word| word.replace('@', &closed.path().display().to_string())).collect()
    };
    for (name, words) in [
        ("sknockd", &["check", "--config", "@/config.ini"][..]),
        ("sknockd", &["explain", "--config", "@/config.ini", "--from", "192.0.2.7", "x"]),
        ("sknockd", &["check", "--config", daemon.file("config.ini").to_str().unwrap()]),
        (
            "sknock",
            &["knock", "--identity", "@/alice.pfx", "--server-cert", "@/gate.cer", "gw", "tcp/1"],
        ),
        ("sknock", &["knock", "gw", "tcp/1"]),
        ("sknock-ca", &["--dir", "@/ca", "list"]),
    ] {
        // What was built may be in a home folder that is closed to others.
        let copy = open.path().join(name);
        binaries::copy(&binaries::path(name), &copy);
        let mut command = program_at(&copy);
        command.args(paths(words)).uid(65534).gid(65534);
        command.env("XDG_CONFIG_HOME", closed.path()).current_dir("/");
        let (code, out, err) = world.gateway.inside(|| outcome(&mut command));
        let said = out + &err;
        assert!(![Some(0), Some(101)].contains(&code), "{name} {words:?}: {code:?} {said}");
        assert!(said.contains("Permission denied"), "{name} {words:?}: {said}");
        for untrue in ["does not exist", "is missing", "not a directory", "Copy config.ini.example"]
        {
            assert!(!said.contains(untrue), "{name} {words:?}: {said}");
        }
    }
}

/// `check` says so, and a start ends with it.
#[track_caller]
fn is_refused(daemon: &mut Daemon<'_>, config: &Config, why: &str) {
    daemon.configure(config);
    let asked = daemon.ask("check", &[]);
    assert_eq!(asked.code, Some(78), "{config:?}: {asked:?}");
    assert!(asked.answer.contains("stateDir") && asked.answer.contains(why), "{asked:?}");
    daemon.begin();
    let ended = daemon.wait_for_end();
    assert_eq!(ended.code, Some(78), "{config:?}: {}", ended.said);
    assert!(ended.said.contains("stateDir"), "{}", ended.said);
}

#[test]
fn a_state_folder_with_dots_a_link_or_keys_in_it_is_refused() {
    let (world, authority) = (World::new(), Authority::new());
    let mut daemon = Daemon::stopped(&world.gateway, &Config::new(&authority));
    let elsewhere = daemon.file("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, daemon.file("link")).unwrap();
    let with = |value: &str| Config::new(&authority).set("stateDir", value);
    for dots in ["../state", "state/..", "elsewhere/../state"] {
        is_refused(&mut daemon, &with(dots), "stateDir contains ..");
    }
    for link in ["link", "link/"] {
        is_refused(&mut daemon, &with(link), "not a directory, is a symbolic link");
    }
    for all in ["/", "./"] {
        is_refused(&mut daemon, &with(all), "is in stateDir");
    }
    let key = with("elsewhere").set("serverPFXFile", "x/../elsewhere/gate.pfx");
    is_refused(&mut daemon, &key, "serverPFXFile is in stateDir");
    assert!(fs::read_dir(&elsewhere).unwrap().next().is_none(), "nothing was written there");
    assert!(world.gateway.table().is_none() && !daemon.file("elsewhere-marks").exists());
}

#[test]
fn a_state_folder_below_others_with_a_slash_at_its_end_is_as_without() {
    let (world, authority) = (World::new(), Authority::new());
    let mut daemon = Daemon::stopped(
        &world.gateway,
        &Config::new(&authority).set("stateDir", "./deep//er/state/"),
    );
    let asked = daemon.ask("check", &[]);
    assert_eq!(asked.code, Some(0), "{asked:?}");
    fs::write(daemon.file("crl.der"), authority.crl()).unwrap();
    daemon.configure(
        &Config::new(&authority).set("stateDir", "./deep//er/state/").set("crlFile", "crl.der"),
    );
    daemon.begin();
    daemon.wait_for(Daemon::ACCEPTING);
    Client::alice(&world.client, &authority).open(World::GATEWAY[0], "udp/53");
    assert!(daemon.file("deep/er/state/journal.0").exists());
    assert!(daemon.file("deep/er/state-marks/marks").exists());
}

/// As after `chown sknock /srv/knock; chmod 711 /srv/knock`: root without its capabilities may not write there.
#[test]
fn a_state_folder_in_a_folder_of_its_user_is_made_as_check_says() {
    let (world, authority) = (World::new(), Authority::new());
    let mut daemon = Daemon::stopped(&world.gateway, &Config::new(&authority));
    let own = daemon.file("own");
    fs::create_dir(&own).unwrap();
    chown(&own, Some(65534), Some(65534)).unwrap();
    fs::set_permissions(&own, fs::Permissions::from_mode(0o711)).unwrap();
    daemon.configure(&Config::new(&authority).set("stateDir", "own/state"));
    let asked = daemon.ask("check", &[]);
    assert_eq!(asked.code, Some(0), "{}", asked.answer);
    daemon.begin();
    daemon.wait_for("protecting");
    // And at a reload.
    daemon.configure(&Config::new(&authority).set("stateDir", "own/deep/other"));
    let asked = daemon.tell("reload");
    assert_eq!(asked.code, Some(0), "{}", asked.errors);
    assert!(own.join("deep/other").is_dir());
}

#[test]
fn a_state_folder_that_no_start_can_make_is_refused() {
    let (world, authority) = (World::new(), Authority::new());
    let mut daemon = Daemon::stopped(&world.gateway, &Config::new(&authority));
    let with = |value: &str| Config::new(&authority).set("stateDir", value);
    // A directory of neither root nor the network process: root gives up the right to write there.
    let theirs = daemon.file("theirs");
    fs::create_dir(&theirs).unwrap();
    chown(&theirs, Some(4321), Some(4321)).unwrap();
    is_refused(&mut daemon, &with("theirs/state"), "could not make");
    symlink(daemon.file("nowhere"), daemon.file("dangling")).unwrap();
    is_refused(&mut daemon, &with("dangling/state"), "not a directory, is a symbolic link");
    let protected = daemon.file("protected");
    fs::create_dir(&protected).unwrap();
    let mounts = Mounts::new();
    mounts.empty(&protected);
    mounts.write_protect(&protected);
    daemon.mount(mounts);
    is_refused(&mut daemon, &with("protected/state"), "Read-only file system");
}

#[test]
fn a_start_that_fails_leaves_no_folder_of_marks() {
    let (world, authority) = (World::new(), Authority::new());
    let mut daemon = Daemon::stopped(&world.gateway, &Config::new(&authority));
    for (key, value) in [("serverPFXFile", "none.pfx"), ("caFile", "none.pem")] {
        daemon.configure(&Config::new(&authority).set(key, value).set("stateDir", "new"));
        daemon.begin();
        assert_eq!(daemon.wait_for_end().code, Some(78), "{key}");
        assert!(!daemon.file("new-marks").exists(), "{key}");
    }
    // One that was there stays, with what is in it.
    daemon.configure(&Config::new(&authority).set("stateDir", "new"));
    daemon.begin();
    daemon.wait_for("protecting");
    daemon.stop();
    daemon.configure(&Config::new(&authority).set("caFile", "none.pem").set("stateDir", "new"));
    daemon.begin();
    assert_eq!(daemon.wait_for_end().code, Some(78));
    assert!(daemon.file("new-marks/marks").exists());
}
