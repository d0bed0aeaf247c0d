//! What a captured network process, or anybody else who could write there, may have left in `stateDir`
//! under the names of our files: no start fails for it.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use sknock_tests::{Authority, Client, Config, Daemon, Echo, Page, Reply, Web, World};

const NAMES: [&str; 4] = ["journal.0", "journal.1", "horizon", "crl.der"];

/// `nobody`, whose `stateDir` it is.
const USER: u32 = 65534;

/// Everything is as at a first start: protected at once, and a knock gets in when a window is over; and
/// as usual after the next one. Whoever is revoked is refused.
#[track_caller]
fn is_no_obstacle(obstruct: impl Fn(&Path), is_renamed: impl Fn(&str) -> bool) {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    authority.client("mallory", &Authority::ALLOWED);
    authority.revoke("mallory");
    let page = Reply::Page(Page::plain(authority.crl()));
    let web = Web::start(&world.stranger, 8000, page);
    let config = Config::new(&authority).set("crlUrl", &web.url(World::STRANGER[0], "/crl.der"));
    let mut daemon = Daemon::stopped(&world.gateway, &config);
    let state = daemon.file("state");
    fs::create_dir(&state).unwrap();
    chown(&state, Some(USER), Some(USER)).unwrap();
    for name in NAMES {
        obstruct(&state.join(name));
    }
    daemon.begin();
    daemon.wait_for(Daemon::ACCEPTING);
    for name in NAMES.into_iter().filter(|name| is_renamed(name)) {
        daemon.wait_for(&format!("{name}.unusable-1;"));
        assert!(state.join(format!("{name}.unusable-1")).symlink_metadata().is_ok(), "{name}");
    }
    let mallory = Client::named("mallory", &world.client, &authority);
    for _ in 0..2 {
        let alice = Client::alice(&world.client, &authority).seal(&["tcp/22"]);
        alice.send(&world.client, World::GATEWAY[0]).must_be_granted();
        let sent = mallory.seal(&["tcp/22"]).send(&world.client, World::GATEWAY[0]);
        let line = daemon.wait_for(&format!("source={}", sent.source()));
        assert!(line.contains("reason=\"revoked\""), "{line}");
        daemon.crash();
        daemon.begin();
        daemon.wait_for(Daemon::ACCEPTING);
        assert_eq!(daemon.times_said("cannot use"), 0);
    }
    assert_eq!(fs::read(state.join("crl.der")).unwrap(), authority.crl());
}

fn always(_: &str) -> bool {
    true
}

/// A list of another user is as good as any: only what is signed counts.
fn but_the_list(name: &str) -> bool {
    name != "crl.der"
}

#[test]
fn folders_are_no_obstacle() {
    is_no_obstacle(
        |path| {
            fs::create_dir(path).unwrap();
            fs::write(path.join("inside"), "").unwrap();
        },
        always,
    );
}

#[test]
fn links_to_secrets_are_no_obstacle() {
    is_no_obstacle(|path| symlink("/etc/shadow", path).unwrap(), always);
}

#[test]
fn links_that_lead_nowhere_are_no_obstacle() {
    is_no_obstacle(|path| symlink("/nowhere/at/all", path).unwrap(), always);
}

#[test]
fn fifos_are_no_obstacle() {
    is_no_obstacle(
        |path| {
            mkfifo(path, Mode::S_IRWXU).unwrap();
            chown(path, Some(USER), None).unwrap();
        },
        always,
    );
}

#[test]
fn sockets_are_no_obstacle() {
    is_no_obstacle(|path| drop(UnixListener::bind(path).unwrap()), always);
}

#[test]
fn files_of_somebody_else_are_no_obstacle() {
    is_no_obstacle(
        |path| {
            fs::write(path, "theirs").unwrap();
            fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
        },
        but_the_list,
    );
}

#[test]
fn files_that_nobody_may_read_are_no_obstacle() {
    is_no_obstacle(
        |path| {
            fs::write(path, "ours").unwrap();
            chown(path, Some(USER), None).unwrap();
            fs::set_permissions(path, Permissions::from_mode(0o0)).unwrap();
        },
        but_the_list,
    );
}

#[test]
fn huge_files_are_no_obstacle() {
    is_no_obstacle(
        |path| {
            File::create(path).unwrap().set_len(1 << 40).unwrap();
            chown(path, Some(USER), None).unwrap();
        },
        always,
    );
}

#[test]
fn garbage_is_no_obstacle() {
    is_no_obstacle(
        |path| {
            fs::write(path, vec![0x55; 10_000]).unwrap();
            chown(path, Some(USER), None).unwrap();
        },
        |_| false,
    );
}

#[test]
fn a_state_folder_whose_mode_was_taken_away_is_no_obstacle() {
    is_no_obstacle(
        |path| {
            fs::set_permissions(path.parent().unwrap(), Permissions::from_mode(0o0)).unwrap();
        },
        |_| false,
    );
}

/// Trying again may help, as a list may be there by then: so systemd does.
#[test]
fn without_any_other_crl_the_start_exits_with_69_so_that_it_is_retried() {
    let (world, authority) = (World::new(), Authority::new());
    let config = Config::new(&authority).set("crlFile", "state/crl.der");
    let obstacles: [fn(&Path); 4] = [
        |path| fs::create_dir(path).unwrap(),
        |path| symlink("/etc/shadow", path).unwrap(),
        |path| mkfifo(path, Mode::S_IRWXU).unwrap(),
        |path| File::create(path).unwrap().set_len(1 << 40).unwrap(),
    ];
    for obstruct in obstacles {
        let mut daemon = Daemon::stopped(&world.gateway, &config);
        let state = daemon.file("state");
        fs::create_dir(&state).unwrap();
        chown(&state, Some(USER), Some(USER)).unwrap();
        obstruct(&state.join("crl.der"));
        daemon.begin();
        let ended = daemon.wait_for_end();
        assert_eq!(ended.code, Some(69), "{}", ended.said);
        assert!(!ended.said.contains("root:"), "{}", ended.said);
        assert_eq!(world.gateway.table(), None);
    }
}
