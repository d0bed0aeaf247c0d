//! What the two processes may still do, as the kernel tells it.

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::unistd::Pid;
use sknock_tests::wait::until;
use sknock_tests::{Authority, Client, Config, Daemon, World, process};

const SETS: [&str; 5] = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];

/// `CAP_NET_ADMIN` is number 12.
const NET_ADMIN: &str = "0000000000001000";
const NONE: &str = "0000000000000000";

/// What it takes to start another network process, raised for that only: `CAP_CHOWN`,
/// `CAP_DAC_READ_SEARCH`, `CAP_KILL`, `CAP_SETGID`, `CAP_SETUID`, `CAP_NET_BIND_SERVICE`; and the
/// firewall's.
fn within_reach() -> String {
    let numbers = [0, 2, 5, 6, 7, 10, 12];
    format!("{:016x}", numbers.into_iter().fold(0u64, |set, number| set | 1 << number))
}

#[track_caller]
fn status(pid: Pid, line: &str) -> String {
    process::status(pid, line).expect("it runs")
}

#[test]
fn the_network_process_has_no_privilege_at_all() {
    let (world, authority) = (World::new(), Authority::new());
    let daemon = Daemon::start(&world.gateway, &Config::new(&authority));
    let check = || {
        let network = daemon.network();
        // Real, effective, saved and file system; 65534 is `nobody`.
        for line in ["Uid", "Gid"] {
            assert_eq!(status(network, line), "65534\t65534\t65534\t65534", "{line}");
        }
        assert_eq!(SETS.map(|set| status(network, set)), [NONE; 5]);
        assert_eq!(status(network, "NoNewPrivs"), "1");
        assert_eq!(status(network, "Seccomp"), "2", "a filter");
        assert_eq!(status(network, "Groups"), "", "no others");
    };
    check();
    daemon.reload();
    check();
}

#[test]
fn the_privileged_process_cannot_pass_its_capability_on() {
    let (world, authority) = (World::new(), Authority::new());
    let daemon = Daemon::start(&world.gateway, &Config::new(&authority));
    Client::alice(&world.client, &authority).open(World::GATEWAY[0], "udp/53");
    let parent = daemon.parent();
    let check = || {
        let [inheritable, permitted, effective, bounding, ambient] =
            SETS.map(|set| status(parent, set));
        assert_eq!((permitted, effective), (within_reach(), NET_ADMIN.to_owned()));
        assert_eq!([inheritable, bounding, ambient], [NONE; 3]);
        assert_eq!(status(parent, "Threads"), "1");
    };
    check();
    daemon.reload();
    check();
    assert_eq!(process::children(parent), [daemon.network()], "nothing else runs");
    until("no process of ours waits to be buried", || process::children(parent).len() == 1);
}

/// As `sknockd run 9</etc/shadow`, by hand or from a script.
#[test]
fn inherited_descriptors_do_not_reach_the_network_process() {
    let (world, authority) = (World::new(), Authority::new());
    let secret = tempfile::NamedTempFile::new().unwrap();
    fcntl(secret.as_file(), FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
    let daemon = Daemon::start(&world.gateway, &Config::new(&authority));
    let has_it = |pid: Pid| {
        let open = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
        let targets = open.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
        targets.into_iter().any(|target| target == secret.path())
    };
    assert!(has_it(daemon.parent()), "it was left open");
    assert!(!has_it(daemon.network()));
    daemon.reload();
    assert!(!has_it(daemon.network()));
}

#[test]
fn the_memory_of_the_network_process_cannot_be_read_by_its_user() {
    let (world, authority) = (World::new(), Authority::new());
    let daemon = Daemon::start(&world.gateway, &Config::new(&authority));
    let memory = std::fs::metadata(format!("/proc/{}/mem", daemon.network())).unwrap();
    let owner = std::os::unix::fs::MetadataExt::uid(&memory);
    assert_eq!(owner, 0, "not dumpable: its memory is not even its own user's to read");
}

/// Who is captured may ask for all memory there is: then it is the first to end, and neither the privileged
/// process nor a service.
#[test]
fn where_memory_is_short_the_network_process_is_killed_first() {
    let (world, authority) = (World::new(), Authority::new());
    let daemon = Daemon::start(&world.gateway, &Config::new(&authority));
    let score = |pid: Pid| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap();
        text.trim().parse::<i32>().unwrap()
    };
    let parent = score(daemon.parent());
    let expected = (parent + 500).min(1000);
    assert_eq!(score(daemon.network()), expected);
    daemon.reload();
    assert_eq!((score(daemon.parent()), score(daemon.network())), (parent, expected));
}
