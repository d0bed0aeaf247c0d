//! The confinement of the network process, tried from inside: this program confines itself by the same
//! code, as the same kind of user, and tries to get out.

mod attempts;
mod needs;

use std::env;
use std::fs::{self, Permissions};
use std::io;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::{SocketAddr, UnixListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};

use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

/// `nobody`.
const USER: u32 = 65534;

/// What there is around the confined process. All of it is open to its user, as far as owners and
/// permissions are concerned: if something is denied, the walls deny it.
#[derive(Debug, Deserialize, Serialize)]
struct Around {
    /// May be written.
    state: PathBuf,
    /// May not be touched.
    other: PathBuf,
    /// Who started it.
    parent: i32,
    /// A process of the same user.
    neighbour: i32,
    /// The name of an abstract socket that somebody listens at.
    socket: String,
    /// A port of this host that somebody listens at, as the configuration says.
    port: u16,
    /// Another one.
    other_port: u16,
}

/// What is tried.
type Attempt = (&'static str, fn(&Around) -> io::Result<()>);

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("inside") => inside(&serde_json::from_str(&arguments[2]).expect("from outside")),
        _ => outside(),
    }
}

/// Everything that must fail fails for want of permission, and everything that must work works.
fn inside(around: &Around) -> ExitCode {
    let walls = sknock_server::network::confine(around.parent, &[&around.state], &[around.port]);
    assert!(
        walls.expect("it confines itself"),
        "this kernel has no Landlock: nothing can be shown"
    );
    let mut failed = 0;
    for (what, attempt) in attempts::ALL {
        let outcome = attempt(around);
        let denied =
            outcome.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied);
        failed += u32::from(!denied);
        println!("denied: {what} ... {}", if denied { "ok" } else { "FAILED" });
        if !denied {
            println!("    {outcome:?}");
        }
    }
    for (what, need) in needs::ALL {
        let outcome = need(around);
        failed += u32::from(outcome.is_err());
        println!("allowed: {what} ... {}", if outcome.is_ok() { "ok" } else { "FAILED" });
        if outcome.is_err() {
            println!("    {outcome:?}");
        }
    }
    ExitCode::from(u8::from(failed > 0))
}

fn outside() -> ExitCode {
    assert!(nix::unistd::geteuid().is_root(), "this test takes root (make test)");
    let folder = tempfile::tempdir().expect("a place for temporary files");
    let neighbour = neighbour();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is left");
    let another = TcpListener::bind("127.0.0.1:0").expect("a port is left");
    let name = format!("sknock-confined-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).expect("a short name");
    let _socket = UnixListener::bind_addr(&address).expect("a new name");
    let around = Around {
        state: open_to_user(&folder, "state"),
        other: open_to_user(&folder, "other"),
        parent: std::process::id().cast_signed(),
        neighbour: neighbour.0.id().cast_signed(),
        socket: name,
        port: listener.local_addr().expect("it is bound").port(),
        other_port: another.local_addr().expect("it is bound").port(),
    };
    fs::create_dir(around.state.join("folder")).expect("our folder");
    chown(around.state.join("folder"), Some(USER), Some(USER)).expect("we are root");
    fs::write(around.other.join("file"), "theirs").expect("our folder");
    chown(around.other.join("file"), Some(USER), Some(USER)).expect("we are root");
    let status = Command::new(copy_for_user(&folder))
        .arg("inside")
        .arg(serde_json::to_string(&around).expect("plain values"))
        .uid(USER)
        .gid(USER)
        .current_dir("/")
        .status()
        .expect("it is this program");
    let file = fs::read_to_string(around.other.join("file")).expect("it is still there");
    assert_eq!((file.as_str(), fs::read_dir(&around.other).expect("ours").count()), ("theirs", 1));
    println!("\ntest result: {}", if status.success() { "ok" } else { "FAILED" });
    ExitCode::from(u8::from(!status.success()))
}

/// This program, where that user may run it: a checkout may be root's alone, or its umask narrow.
fn copy_for_user(folder: &TempDir) -> PathBuf {
    let path = folder.path().join("program");
    fs::copy(env::current_exe().expect("Linux knows it"), &path).expect("there is room");
    fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("our file");
    path
}

fn open_to_user(folder: &TempDir, name: &str) -> PathBuf {
    fs::set_permissions(folder, Permissions::from_mode(0o711)).expect("our folder");
    let path = folder.path().join(name);
    fs::create_dir(&path).expect("our folder");
    chown(&path, Some(USER), Some(USER)).expect("we are root");
    path
}

/// Ends when dropped.
struct Neighbour(Child);

fn neighbour() -> Neighbour {
    let mut command = Command::new("sleep");
    command.arg("600").uid(USER).gid(USER).stdin(Stdio::null());
    Neighbour(command.spawn().expect("sleep is everywhere"))
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        // Signals from inside would have ended it.
        assert!(matches!(self.0.try_wait(), Ok(None)), "the neighbour was ended from inside");
        let _ = self.0.kill().and_then(|()| self.0.wait());
    }
}

impl Around {
    fn parent(&self) -> Pid {
        Pid::from_raw(self.parent)
    }

    fn neighbour(&self) -> Pid {
        Pid::from_raw(self.neighbour)
    }

    fn file(&self) -> PathBuf {
        self.other.join("file")
    }
}

/// Where programs are.
const PROGRAM: &str = "/bin/true";

fn exists(path: &str) -> bool {
    Path::new(path).exists()
}
