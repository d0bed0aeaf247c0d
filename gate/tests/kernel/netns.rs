//! Network namespaces without names: an open descriptor is all that keeps one alive.

use std::fs::File;
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns, unshare};
use tempfile::TempDir;

/// A network namespace with `lo` up.
pub(crate) struct Net {
    namespace: File,
    folder: TempDir,
}

/// Goes back when dropped, also on panic.
struct Home(File);

impl Home {
    fn remember() -> Self {
        Self(File::open("/proc/thread-self/ns/net").unwrap())
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        setns(&self.0, CloneFlags::CLONE_NEWNET).unwrap();
    }
}

impl Net {
    /// A new one; the calling thread stays where it is.
    pub(crate) fn new() -> Self {
        let home = Home::remember();
        unshare(CloneFlags::CLONE_NEWNET).expect("these tests run as root");
        let namespace = File::open("/proc/thread-self/ns/net").unwrap();
        let net = Self { namespace, folder: tempfile::tempdir().unwrap() };
        drop(home);
        net.run("ip", &["link", "set", "lo", "up"]);
        // Nobody else can have our IPv6 addresses; without a doubt they are usable at once.
        net.sysctl("ipv6/conf/default/accept_dad", "0");
        net
    }

    /// A file that goes with it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Does something in there, in this thread: sockets and processes made by it belong there.
    pub(crate) fn inside<T>(&self, work: impl FnOnce() -> T) -> T {
        let _home = Home::remember();
        setns(&self.namespace, CloneFlags::CLONE_NEWNET).unwrap();
        work()
    }

    /// Runs a program in there; what it printed.
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> String {
        let output = self.inside(|| Command::new(program).args(arguments).output().unwrap());
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// `nft` with one command, or several lines of them; `}` ends a line.
    pub(crate) fn nft(&self, commands: &str) -> String {
        self.run("nft", &[&commands.replace('}', "}\n")])
    }

    /// Loads what nft has listed.
    pub(crate) fn load(&self, listing: &str) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        std::io::Write::write_all(&mut file, listing.as_bytes()).unwrap();
        self.run("nft", &["-f", file.path().to_str().unwrap()]);
    }

    /// The gate's table, as nft lists it.
    pub(crate) fn table(&self) -> String {
        self.nft("list table inet sknock")
    }

    /// A cable to `other`, with an address on each side and a name for both ends.
    pub(crate) fn cable(&self, name: &str, ours: &[&str], other: &Self, theirs: &[&str]) {
        // Two at a time can want the same number for an interface that is still on its way.
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let guard = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let there = format!("/proc/{}/fd/{}", std::process::id(), other.namespace.as_raw_fd());
        self.run(
            "ip",
            &["link", "add", name, "type", "veth", "peer", "name", name, "netns", &there],
        );
        drop(guard);
        for (net, addresses) in [(self, ours), (other, theirs)] {
            for address in addresses {
                net.run("ip", &["addr", "add", address, "dev", name]);
            }
            net.run("ip", &["link", "set", name, "up"]);
        }
        // The kernel uses a link and its addresses some time after it was set up.
        for net in [self, other] {
            until("the link is up", || {
                net.run("ip", &["-o", "link", "show", name]).contains("state UP")
            });
            until("addresses are usable", || {
                net.run("ip", &["-o", "addr", "show", name, "tentative"]).is_empty()
            });
        }
    }

    /// Sends everything without a route of its own to `gateway`.
    pub(crate) fn route_by(&self, gateway: &str) {
        gateway.parse::<IpAddr>().unwrap();
        self.run("ip", &["route", "add", "default", "via", gateway]);
    }

    /// Forwards packets, as a host with containers does.
    pub(crate) fn forward(&self) {
        self.sysctl("ipv4/ip_forward", "1");
        self.sysctl("ipv6/conf/all/forwarding", "1");
    }

    fn sysctl(&self, switch: &str, value: &str) {
        self.inside(|| std::fs::write(format!("/proc/sys/net/{switch}"), value).unwrap());
    }
}

/// What `bind` makes, once its port is free. A socket that was closed just now is open for a moment longer
/// in a program that another test is starting: until that program runs, it has all that we had.
pub(crate) fn once_free<T>(bind: impl Fn() -> std::io::Result<T>) -> T {
    let mut bound = None;
    until("the port is free", || match bind() {
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => false,
        result => {
            bound = Some(result.unwrap());
            true
        }
    });
    bound.expect("until says so")
}

/// Waits until something holds; fails if it does not in ten seconds.
#[expect(clippy::disallowed_methods, reason = "a limit for a test that would wait for ever")]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(10), "not in ten seconds: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
