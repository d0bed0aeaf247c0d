//! The programs under test, built before they are used, and what the tests need of the machine.

use std::env;
use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use nix::unistd::geteuid;

/// `sknockd`, `sknock` or `sknock-ca`.
pub fn path(program: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = folder();
        build(&folder);
        folder
    });
    let path = folder.join(program);
    assert!(path.exists(), "cargo built everything, but {} is not there", path.display());
    // The unprivileged network process must be able to run it, whatever the umask of the build.
    let all = Permissions::from_mode(0o755);
    fs::set_permissions(&path, all).expect("who built it may run these tests");
    path
}

/// Makes a file that all users may execute.
///
/// Another process writes it. If this one did, a child that another thread starts at that moment would have the
/// descriptor until it executes its own program, and the kernel would refuse to execute the file (ETXTBSY).
pub fn executable(path: &Path, content: &[u8]) {
    let mut command = Command::new("install");
    command.args(["-m", "755", "/dev/stdin"]).arg(path).stdin(Stdio::piped());
    let mut child = command.spawn().expect("install: coreutils");
    let mut pipe = child.stdin.take().expect("it is piped");
    pipe.write_all(content).expect("install reads");
    drop(pipe);
    assert!(child.wait().expect("our child").success(), "cannot write {}", path.display());
}

/// Makes an executable copy of this program.
pub fn copy(program: &Path, to: &Path) {
    executable(to, &fs::read(program).expect("it was just built"));
}

/// Where cargo puts programs: `target/PROFILE`, where we are, or above a test's own `deps`.
pub fn folder() -> PathBuf {
    let own = env::current_exe().expect("Linux knows it");
    let folders = own.ancestors().skip(1).find(|folder| !folder.ends_with("deps"));
    folders.expect("a program lies in a folder").to_owned()
}

/// As the Makefile builds it, so that nothing is left to do after `make`.
fn build(folder: &Path) {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--locked", "--bins"]);
    for package in ["sknock-server", "sknock-cli", "sknock-certs"] {
        command.args(["--package", package]);
    }
    if folder.ends_with("release") {
        command.arg("--release");
    }
    let built = command
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("cannot run cargo: {error}"));
    let errors = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "the programs under test do not build:\n{errors}");
}

/// Fails with what to do if the machine cannot run these tests.
pub fn require_root_and_tools() {
    assert!(
        geteuid().is_root(),
        "these tests make network namespaces: run them as root (make test)"
    );
    for tool in ["ip", "nft"] {
        let found = Command::new(tool).arg("-V").stdout(Stdio::null()).status().is_ok();
        assert!(found, "`{tool}` is missing: apt-get install iproute2 nftables (make setup-test)");
    }
}
