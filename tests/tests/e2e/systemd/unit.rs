//! The unit itself: systemd understands it, finds it narrow, and what it leaves is enough to run.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sknock_server::config::CREDENTIAL;
use sknock_tests::Found::{Open, Refused};
use sknock_tests::wait::until;
use sknock_tests::{
    Authority, Client, Config, Daemon, Echo, Mounts, Seen, World, binaries, process,
};

/// The same as in the tests of the kernel's sets: `CAP_NET_ADMIN` alone, and none.
const NET_ADMIN: &str = "0000000000001000";
const NONE: &str = "0000000000000000";

/// `nobody`, in place of the unit's user.
const UID: u32 = 65_534;

pub(crate) fn unit() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/systemd/sknockd.service")
}

fn analyze(arguments: &[&str], unit: &Path) -> (Output, String) {
    let mut command = Command::new("systemd-analyze");
    let output = command.args(arguments).arg(unit).output();
    let output =
        output.expect("systemd-analyze is missing: apt-get install systemd (make setup-test)");
    let said = [&*output.stdout, &*output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    (output, said)
}

#[test]
fn systemd_understands_every_line() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("sknockd.service");
    // Installed it may not be yet.
    let sknockd = format!("ExecStart={} run", binaries::path("sknockd").display());
    let text = fs::read_to_string(unit()).unwrap();
    assert!(text.contains("ExecStart=/usr/local/sbin/sknockd run"));
    fs::write(&copy, text.replace("ExecStart=/usr/local/sbin/sknockd run", &sknockd)).unwrap();
    let (output, said) = analyze(&["verify", "--man=no"], &copy);
    assert!(output.status.success() && !said.contains("sknockd.service"), "{said}");
}

#[test]
fn systemd_finds_an_exposure_of_1_5_at_most() {
    let (output, said) = analyze(&["security", "--offline=true", "--threshold=15"], &unit());
    assert!(output.status.success() && said.contains("Overall exposure level"), "{said}");
}

/// With the user, the capabilities and the system calls of the unit, and the folders that systemd makes.
pub(crate) fn as_the_unit<'w>(
    world: &'w World,
    authority: &Authority,
    config: &Config,
) -> Daemon<'w> {
    let mut daemon = Daemon::stopped(&world.gateway, config);
    let ours = |path: &Path| chown(path, Some(UID), Some(UID)).unwrap();
    for file in [authority.file("gate.pfx"), authority.password_file()] {
        ours(&file);
    }
    for folder in ["state", "state-marks"] {
        fs::create_dir(daemon.file(folder)).unwrap();
        ours(&daemon.file(folder));
    }
    let (mounts, run) = (Mounts::new(), Path::new(sknock_gate::NamespaceLock::DIRECTORY));
    mounts.disk(run, 1 << 20);
    mounts.inside(|| {
        fs::set_permissions(run, fs::Permissions::from_mode(0o755)).unwrap();
        ours(run);
    });
    daemon.mount(mounts);
    // What `LoadCredential=` leaves there.
    let credentials = daemon.file("credentials");
    fs::create_dir(&credentials).unwrap();
    fs::copy(authority.password_file(), credentials.join(CREDENTIAL)).unwrap();
    ours(&credentials.join(CREDENTIAL));
    daemon.export("CREDENTIALS_DIRECTORY", credentials.to_str().unwrap());
    let (uid, unit) = (UID.to_string(), unit());
    let unit = unit.to_str().unwrap();
    daemon.start_through(&[env!("CARGO_BIN_EXE_as_the_unit"), unit, &uid]);
    daemon
}

#[test]
fn the_units_rights_are_enough_to_protect_open_reload_recover_and_stop() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let list = authority.file("crl.der");
    let open_list = fs::Permissions::from_mode(0o644);
    fs::set_permissions(&list, open_list).unwrap();
    for intake in ["nflog", "socket"] {
        let config = Config::new(&authority)
            .set("intake", intake)
            .set("crlFile", list.to_str().unwrap())
            .without("PFXPasswdFile");
        let mut daemon = as_the_unit(&world, &authority, &config);
        daemon.begin();
        daemon.wait_for(Daemon::ACCEPTING);
        let alice = Client::alice(&world.client, &authority);
        let opens = || {
            for host in World::GATEWAY {
                alice.open(host, "tcp/22");
            }
        };
        opens();
        assert_eq!(world.tcp(22), Seen::each(Open, Refused));

        let status = |pid, line: &str| process::status(pid, line).expect("it runs");
        let sets = |pid| ["CapPrm", "CapEff", "CapAmb"].map(|set| status(pid, set));
        assert_eq!(sets(daemon.parent()), [NET_ADMIN, NET_ADMIN, NONE]);
        assert_eq!(sets(daemon.network()), [NONE; 3]);
        assert_eq!(status(daemon.parent(), "CapBnd"), NET_ADMIN);
        for pid in [daemon.parent(), daemon.network()] {
            assert_eq!(
                (status(pid, "NoNewPrivs").as_str(), status(pid, "Seccomp").as_str()),
                ("1", "2")
            );
            assert_eq!(status(pid, "Uid").split('\t').next(), Some("65534"));
        }

        daemon.reload();
        opens();
        world.gateway.run("nft", &["flush", "ruleset"]);
        until("the table is back", || world.tcp(22) == Seen::each(Open, Refused));
        let mark = daemon.mark();
        nix::sys::signal::kill(daemon.network(), nix::sys::signal::Signal::SIGKILL).unwrap();
        daemon.wait_since(mark, Daemon::ACCEPTING);
        opens();
        let ended = daemon.stop();
        assert_eq!(ended.code, Some(0), "{}", ended.said);
        assert!(!ended.said.contains("annot"), "{}", ended.said);

        // By root, from the console.
        daemon.start_through(&[]);
        assert_eq!(daemon.run("open"), (Some(0), String::new()));
        assert_eq!(world.gateway.table(), None);
    }
}

/// While one network process takes over from another, both have all their threads.
#[test]
fn the_threads_that_the_unit_allows_are_enough_for_the_most_workers_twice() {
    let text = fs::read_to_string(unit()).unwrap();
    let most = text.lines().find_map(|line| line.strip_prefix("TasksMax=")).expect("a limit");
    let (world, authority) = (World::new(), Authority::new());
    let daemon = Daemon::start(&world.gateway, &Config::new(&authority).set("workers", "64"));
    let threads: usize = process::status(daemon.network(), "Threads").unwrap().parse().unwrap();
    assert!(threads > 64, "{threads}");
    // As many again for names that are looked up, and what reloads it.
    assert!(2 * (2 * threads) < most.parse::<usize>().unwrap(), "{threads} threads of {most}");
}
