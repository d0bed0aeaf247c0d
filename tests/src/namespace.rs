//! Network namespaces, and doing things inside them without forking.

use std::fs::{File, Permissions};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::panic;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};
use tempfile::NamedTempFile;

/// A named network namespace with `lo` up. Removed when dropped.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    file: File,
    hosts: OnceLock<NamedTempFile>,
}

/// `ip` prepares /run/netns at its first use, and interfaces that go to another namespace need a
/// number there: neither may happen twice at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

impl Namespace {
    /// Makes it.
    pub(crate) fn new(name: String) -> Self {
        let guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let made = finished(Command::new("ip").args(["netns", "add", &name]));
        drop(guard);
        made.unwrap_or_else(|error| panic!("no network namespace: {error}"));
        let file = File::open(format!("/run/netns/{name}")).expect("ip has just made it");
        let namespace = Self { name, file, hosts: OnceLock::new() };
        // A router that still checks its link-local address, for a second, asks for no neighbour.
        namespace.set("ipv6/conf/default/accept_dad", "0");
        namespace.ip("link set lo up");
        // No rate limit for ICMP errors: the tests probe more often than the default allows.
        namespace.set("ipv4/icmp_ratelimit", "0");
        namespace.set("ipv6/icmp/ratelimit", "0");
        namespace
    }

    /// Its name, as `ip netns` has it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Has everything in there that looks up names find this instead of the machine's /etc/hosts.
    pub fn know_hosts(&self, hosts: &str) {
        let mut file = NamedTempFile::new().expect("a place for temporary files");
        file.write_all(hosts.as_bytes()).expect("our file");
        file.as_file().set_permissions(Permissions::from_mode(0o644)).expect("our file");
        self.hosts.set(file).expect("told once");
    }

    /// Does `work` in a thread that lives in there: its sockets and programs belong there.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let entered = || {
            setns(&self.file, CloneFlags::CLONE_NEWNET).expect("entering takes root");
            if let Some(hosts) = self.hosts.get() {
                replace_hosts(hosts.path()).expect("mounting takes root");
            }
            work()
        };
        let result = thread::scope(|scope| scope.spawn(entered).join());
        result.unwrap_or_else(|panicked| panic::resume_unwind(panicked))
    }

    /// Runs a program in there to its end; what it printed.
    #[track_caller]
    pub fn run(&self, program: &str, arguments: &[&str]) -> String {
        self.inside(|| finished(Command::new(program).args(arguments)))
            .unwrap_or_else(|error| panic!("{program} {arguments:?}: {error}"))
    }

    /// The same for a program that may fail; returns its output then.
    pub fn try_run(&self, program: &str, arguments: &[&str]) -> Result<String, String> {
        self.inside(|| finished(Command::new(program).args(arguments)))
    }

    /// Feeds a script to `nft`.
    #[track_caller]
    pub fn nft(&self, script: &str) -> String {
        let fed = self.inside(|| fed(Command::new("nft").args(["-f", "-"]), script));
        fed.unwrap_or_else(|error| panic!("nft: {error}\n{script}"))
    }

    /// The table of sknockd as nft lists it, if it exists, without the sets of recent sources and of tags.
    pub fn table(&self) -> Option<String> {
        let mut nft = Command::new("nft");
        let listed =
            self.inside(|| finished(nft.args(["list", "table", "inet", "sknock"]))).ok()?;
        let passing = ["set knock_rate", "set knock_tags", "set tags_loaded"];
        let lasts = |set: &&str| !passing.iter().any(|name| set.contains(name));
        let sets = listed.split("\n\n").filter(lasts);
        Some(sets.collect::<Vec<_>>().join("\n\n"))
    }

    /// Every table but that of sknockd, with all handles, without counters.
    pub fn other_tables(&self) -> String {
        let tables = self.run("nft", &["list", "tables"]);
        let names = tables.lines().filter_map(|line| line.strip_prefix("table "));
        let others = names.filter(|name| *name != "inet sknock").map(|name| {
            let (family, table) = name.split_once(' ').expect("family and name");
            self.run("nft", &["-s", "-a", "list", "table", family, table])
        });
        others.collect()
    }

    /// Runs several `ip` commands, one on each line.
    #[track_caller]
    pub fn ip(&self, commands: &str) {
        let guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let fed = self.inside(|| fed(Command::new("ip").args(["-batch", "-"]), commands));
        drop(guard);
        fed.unwrap_or_else(|error| panic!("ip: {error}\n{commands}"));
    }

    /// Has conntrack forget everything, as `conntrack -F` does.
    #[track_caller]
    pub fn forget_connections(&self) {
        // struct nlmsghdr and struct nfgenmsg: IPCTNL_MSG_CT_DELETE, of all, with an acknowledgement.
        let (length, kind, flags) = (20_u32.to_ne_bytes(), 0x0102_u16.to_ne_bytes(), [5, 0]);
        let request = [&length[..], &kind, &flags, &[1, 0, 0, 0], &[0; 8]].concat();
        let answer = self.inside(|| {
            let protocol = SockProtocol::NetlinkNetFilter;
            let flags = SockFlag::SOCK_CLOEXEC;
            let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, protocol)?;
            send(socket.as_raw_fd(), &request, MsgFlags::empty())?;
            let mut answer = [0; 64];
            recv(socket.as_raw_fd(), &mut answer, MsgFlags::empty())?;
            Ok::<_, nix::Error>(answer)
        });
        let error = &answer.expect("root may")[16..20];
        assert_eq!(error, [0; 4], "conntrack forgets nothing");
    }

    /// Sets a switch below /proc/sys/net.
    pub fn set(&self, switch: &str, value: &str) {
        let path = format!("/proc/sys/net/{switch}");
        let written = self.inside(|| std::fs::write(&path, value));
        written.unwrap_or_else(|error| panic!("{path}: {error}"));
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if let Err(error) = finished(Command::new("ip").args(["netns", "del", &self.name])) {
            eprintln!("the namespace {} stays: {error}", self.name);
        }
    }
}

/// For this thread and the programs that it starts.
fn replace_hosts(file: &Path) -> nix::Result<()> {
    let nothing = None::<&str>;
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_PRIVATE, nothing)?;
    mount(Some(file), "/etc/hosts", nothing, MsFlags::MS_BIND, nothing)
}

fn finished(command: &mut Command) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    told(&output)
}

fn fed(command: &mut Command, input: &str) -> Result<String, String> {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().map_err(|error| error.to_string())?;
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(input.as_bytes()).map_err(|error| error.to_string())?;
    drop(stdin);
    told(&child.wait_with_output().map_err(|error| error.to_string())?)
}

fn told(output: &Output) -> Result<String, String> {
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr)))
    }
}
