//! `sknockd check`, run by root, opens files as the user of the unit that is installed: what that user
//! cannot open is an error, as the unit would end by it.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use sknock_tests::{Authority, Config, Daemon, Mounts, World};

/// The user `nobody`, which has no groups but its own.
const NOBODY: u32 = 65534;

const UNITS: &str = "/etc/systemd/system";

/// As systemd would start it, as far as files are concerned.
const AS_THE_UNIT: &str = "setpriv --reuid=65534 --regid=65534 --clear-groups \
                           --inh-caps=+net_admin --ambient-caps=+net_admin";

/// A server whose files may be read by the unit's user, and no others.
fn installed<'w>(world: &'w World, authority: &Authority, unit: &str) -> Daemon<'w> {
    let mut daemon = Daemon::stopped(&world.gateway, &config(authority));
    for (name, from) in [
        ("gate.pfx", authority.file("gate.pfx")),
        ("password", authority.password_file()),
        ("crl.der", authority.file("crl.der")),
    ] {
        fs::copy(from, daemon.file(name)).expect("our folder");
        allow(&daemon.file(name), 0o640);
    }
    allow(&daemon.file("config.ini"), 0o640);
    let mounts = Mounts::new();
    mounts.empty(Path::new(UNITS));
    let config = daemon.file("config.ini");
    let text = format!(
        "[Service]\nUser=nobody\nExecStart=sknockd run --config {}\n{unit}\n",
        config.display()
    );
    mounts.inside(|| fs::write(format!("{UNITS}/sknockd.service"), text)).expect("our folder");
    let owned = [Path::new("/run/sknock").to_owned(), daemon.file("state")];
    fs::create_dir_all(&owned[0]).expect("tests run as root");
    mounts.empty(&owned[0]);
    fs::create_dir(&owned[1]).expect("our folder");
    let give = |path: &PathBuf| chown(path, Some(NOBODY), Some(NOBODY));
    mounts.inside(|| owned.iter().try_for_each(give)).expect("tests run as root");
    daemon.mount(mounts);
    daemon
}

fn config(authority: &Authority) -> Config {
    let config = Config::new(authority).set("serverPFXFile", "gate.pfx").set("crlFile", "crl.der");
    config.set("PFXPasswdFile", "password").set("intake", "socket")
}

/// Root's, of the group of the unit's user.
fn allow(path: &Path, mode: u32) {
    chown(path, Some(0), Some(NOBODY)).expect("tests run as root");
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("our file");
}

/// Exit code and errors.
fn errors(daemon: &Daemon<'_>) -> (Option<i32>, Vec<String>) {
    let asked = daemon.ask("check", &[]);
    let lines = asked.answer.lines().filter(|line| line.starts_with("error: "));
    (asked.code, lines.map(str::to_owned).collect())
}

/// Whether a start as the unit's user ends with 78, as it does for good.
fn ends_with_78(daemon: &mut Daemon<'_>) -> bool {
    daemon.start_by(AS_THE_UNIT);
    daemon.begin();
    let ended = daemon.wait_for_end();
    daemon.start_through(&[]);
    println!("{}", ended.said);
    ended.code == Some(78)
}

#[test]
fn files_and_folders_are_opened_as_the_units_user() {
    let (world, authority) = (World::new(), Authority::new());
    let mut daemon = installed(&world, &authority, "");
    assert_eq!(errors(&daemon), (Some(0), vec![]));
    daemon.start_by(AS_THE_UNIT);
    daemon.begin();
    daemon.wait_for(Daemon::ACCEPTING);
    daemon.stop();
    daemon.start_through(&[]);
    for name in ["config.ini", "gate.pfx", "password"] {
        let file = daemon.file(name);
        // Root's own groups are not the user's.
        for group in [NOBODY, 0] {
            allow(&file, if group == 0 { 0o640 } else { 0o600 });
            chown(&file, Some(0), Some(group)).expect("tests run as root");
            let (code, told) = errors(&daemon);
            let [told] = &*told else { panic!("{name}: {told:?}") };
            let what = format!("user nobody of the unit cannot read {}", file.display());
            assert!(told.ends_with(&what), "{told}");
            assert_eq!(code, Some(78), "{name}");
            assert!(ends_with_78(&mut daemon), "{name}: check would be wrong");
        }
        allow(&file, 0o640);
    }
    let folder = daemon.file("keys");
    fs::create_dir(&folder).expect("our folder");
    fs::set_permissions(&folder, Permissions::from_mode(0o700)).expect("our folder");
    fs::rename(daemon.file("gate.pfx"), folder.join("gate.pfx")).expect("our folder");
    fs::write(
        daemon.file("config.ini"),
        config(&authority).set("serverPFXFile", "keys/gate.pfx").text(),
    )
    .expect("our file");
    let (code, told) = errors(&daemon);
    let what = format!("has no search permission (x) on {} for", folder.display());
    assert!(code == Some(78) && told.len() == 1 && told[0].contains(&what), "{told:?}");
    assert!(ends_with_78(&mut daemon), "check would be wrong");
}

#[test]
fn paths_that_the_unit_cannot_see_or_write_are_reported() {
    let (world, authority) = (World::new(), Authority::new());
    let unit = "PrivateTmp=yes\nProtectSystem=strict\nStateDirectory=sknock";
    let daemon = installed(&world, &authority, unit);
    let (code, told) = errors(&daemon);
    let told = told.join("\n");
    assert_eq!(code, Some(78), "{told}");
    // The test's own folder.
    let unseen =
        daemon.file("gate.pfx").starts_with("/tmp") || daemon.file("x").starts_with("/var/tmp");
    assert_eq!(told.contains("PrivateTmp= in the unit"), unseen, "{told}");
    assert!(told.contains("stateDir: the unit cannot write to"), "{told}");
}

#[test]
fn a_state_folder_that_the_units_user_cannot_make_is_reported() {
    let (world, authority) = (World::new(), Authority::new());
    let mut daemon = installed(&world, &authority, "");
    fs::write(daemon.file("config.ini"), config(&authority).set("stateDir", "new/state").text())
        .expect("our file");
    let (code, told) = errors(&daemon);
    let what = "stateDir: user nobody of the unit cannot make ";
    assert!(code == Some(78) && told.len() == 1 && told[0].contains(what), "{told:?}");
    assert!(ends_with_78(&mut daemon), "check would be wrong");
    // As the advice says.
    fs::create_dir(daemon.file("new")).expect("our folder");
    fs::create_dir(daemon.file("new/state")).expect("our folder");
    chown(daemon.file("new/state"), Some(NOBODY), None).expect("tests run as root");
    assert_eq!(errors(&daemon), (Some(0), vec![]));
}

#[test]
fn a_configuration_that_the_unit_does_not_use_is_not_checked_for_it() {
    let (world, authority) = (World::new(), Authority::new());
    let mut daemon = installed(&world, &authority, "PrivateTmp=yes\nProtectSystem=strict");
    let mounts = Mounts::new();
    mounts.empty(Path::new(UNITS));
    let text = "[Service]\nUser=nobody\nExecStart=sknockd run\nPrivateTmp=yes\n";
    mounts.inside(|| fs::write(format!("{UNITS}/sknockd.service"), text)).expect("our folder");
    daemon.mount(mounts);
    chown(daemon.file("gate.pfx"), Some(0), Some(0)).expect("tests run as root");
    assert_eq!(errors(&daemon), (Some(0), vec![]));
}

/// The advice is followed, and then the unit can read it.
#[test]
fn the_advice_on_a_password_in_the_configuration_leaves_the_unit_its_file() {
    let (world, authority) = (World::new(), Authority::new());
    let daemon = installed(&world, &authority, "");
    let text = config(&authority).without("PFXPasswdFile").set("PFXPasswd", sknock_tests::PASSWORD);
    daemon.configure(&text);
    let file: PathBuf = daemon.file("config.ini");
    allow(&file, 0o644);
    let asked = daemon.ask("check", &[]);
    assert!(
        asked.answer.contains("contains a password, and all users can read it"),
        "{}",
        asked.answer
    );
    let advice =
        asked.answer.lines().find(|line| line.contains("chgrp")).expect("it says what to do");
    let advice = advice.trim().strip_prefix("Run: ").expect("a command to copy");
    let advice = advice.replace("chgrp sknock", "chgrp 65534");
    world.gateway.run("sh", &["-ec", &advice]);
    let asked = daemon.ask("check", &[]);
    assert_eq!(asked.code, Some(0), "{}", asked.answer);
    assert!(!asked.answer.contains("password"), "{}", asked.answer);
}

/// systemd opens the credential, so that its user need not be able to.
#[test]
fn the_password_that_only_the_unit_s_credential_has_is_found() {
    let (world, authority) = (World::new(), Authority::new());
    let daemon = installed(&world, &authority, "LoadCredential=sknock-pfx-password");
    daemon.configure(&config(&authority).without("PFXPasswdFile"));
    allow(&daemon.file("config.ini"), 0o640);
    let missing = errors(&daemon).1.join("\n");
    assert!(missing.contains("the password does not open it"), "{missing}");
    let asked = daemon.ask("check", &[]).answer;
    assert!(asked.contains("write the password to /etc/credstore/sknock-pfx-password"), "{asked}");

    let store = Path::new("/etc/credstore");
    daemon.mounts().copy(Path::new("/etc"));
    daemon.mounts().inside(|| fs::create_dir(store)).expect("a copy without it");
    let credential = store.join("sknock-pfx-password");
    let write = |path: &Path, text: &str, mode: u32| {
        daemon.mounts().inside(|| {
            fs::write(path, text).expect("our folder");
            fs::set_permissions(path, Permissions::from_mode(mode)).expect("our file");
        });
    };
    write(&credential, sknock_tests::PASSWORD, 0o600);
    assert_eq!(errors(&daemon), (Some(0), vec![]));
    let datagram = daemon.file("datagram");
    fs::write(&datagram, [0; 1200]).expect("our folder");
    let path = datagram.to_str().expect("plain names");
    let explained = daemon.ask("explain", &["--from", "192.0.2.1", path]);
    assert!(explained.answer.contains("not-tagged"), "{explained:?}");

    write(&credential, "another", 0o600);
    let wrong = errors(&daemon);
    assert_eq!(wrong.0, Some(78));
    let asked = daemon.ask("check", &[]).answer;
    assert!(
        asked.contains("Correct the systemd credential /etc/credstore/sknock-pfx-p"),
        "{asked}"
    );
    write(&credential, sknock_tests::PASSWORD, 0o644);
    let asked = daemon.ask("check", &[]).answer;
    assert!(asked.contains("Run: chmod 600 /etc/credstore/sknock-pfx-password"), "{asked}");
}

#[test]
fn a_credential_from_elsewhere_is_found_and_an_encrypted_one_is_said_to_be_untested() {
    let (world, authority) = (World::new(), Authority::new());
    let folder = tempfile::tempdir().expect("a folder");
    let secret = folder.path().join("secret");
    fs::write(&secret, sknock_tests::PASSWORD).expect("our folder");
    let unit = format!("LoadCredential=sknock-pfx-password:{}", secret.display());
    let daemon = installed(&world, &authority, &unit);
    daemon.configure(&config(&authority).without("PFXPasswdFile"));
    allow(&daemon.file("config.ini"), 0o640);
    assert_eq!(errors(&daemon), (Some(0), vec![]));
    fs::remove_file(&secret).expect("our file");
    let told = errors(&daemon).1.join("\n");
    assert!(told.contains("systemd credential") && told.contains("cannot read"), "{told}");

    let daemon = installed(&world, &authority, "LoadCredentialEncrypted=sknock-pfx-password");
    daemon.configure(&config(&authority).without("PFXPasswdFile"));
    allow(&daemon.file("config.ini"), 0o640);
    assert_eq!(errors(&daemon), (Some(0), vec![]));
    let asked = daemon.ask("check", &[]).answer;
    assert!(asked.contains("not tested: serverPFXFile: "), "{asked}");
}

/// As in a container of one user: root is nobody's superior there.
#[test]
fn a_user_namespace_without_the_user_is_not_ready() {
    let (world, authority) = (World::new(), Authority::new());
    let config = Config::new(&authority).set("intake", "socket");
    let mut daemon = Daemon::stopped(&world.gateway, &config);
    assert_eq!(daemon.ask("check", &[]).code, Some(0));
    daemon.start_by("unshare --user --map-root-user --net");
    let (code, told) = errors(&daemon);
    let named = told
        .iter()
        .any(|what| what.contains("this user namespace does not contain nobody (uid 65534"));
    assert!(code == Some(78) && named, "{told:?}");
    daemon.begin();
    let ended = daemon.wait_for_end();
    assert!(ended.code != Some(0), "check would be wrong: {}", ended.said);
}
