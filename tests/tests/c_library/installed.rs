//! libsknock as `make install` puts it in place, and C programs compiled and linked against it.

use std::collections::BTreeSet;
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, OnceLock, PoisonError};

use sknock_tests::binaries;

/// How a program gets the library.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Linked {
    /// `-lsknock`, from the shared library.
    Shared,
    /// The static library.
    Static,
    /// `-lknock`, as programs that were written for the original.
    AsOriginal,
}

/// Two tests may want the same program, and none may find it half written.
static COMPILED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

const PREFIX: &str = "/opt/sknock";

/// The folder below which everything is installed.
fn root() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("libsknock");
        install(&root);
        root
    })
}

fn install(root: &Path) {
    let built = binaries::folder();
    let mut make = Command::new("make");
    // The program that runs us may be make, too.
    make.env_remove("MAKEFLAGS").env_remove("MAKELEVEL");
    make.env("CARGO_TARGET_DIR", built.parent().expect("target/PROFILE"));
    make.args(["--silent", "install-c-library"]).current_dir(house());
    let profile = if built.ends_with("release") { "release" } else { "dev" };
    make.arg(format!("PROFILE={profile}")).arg(format!("PREFIX={PREFIX}"));
    make.arg(format!("DESTDIR={}", root.display()));
    if let Some(cargo) = env::var_os("CARGO") {
        make.env("CARGO", cargo);
    }
    finished(&mut make);
}

/// The folder of the workspace.
pub(crate) fn house() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this crate lies in the workspace")
}

/// A file below the prefix.
pub(crate) fn file(path: &str) -> PathBuf {
    root().join(PREFIX.trim_start_matches('/')).join(path)
}

/// What `pkg-config` says of the library that is installed here.
pub(crate) fn pkg_config(arguments: &[&str]) -> String {
    let mut pkg_config = Command::new("pkg-config");
    pkg_config.env("PKG_CONFIG_PATH", file("lib/pkgconfig"));
    pkg_config.env("PKG_CONFIG_SYSROOT_DIR", root());
    finished(pkg_config.args(arguments).arg("sknock"))
}

/// Compiles a source of the house, and links it: once.
pub(crate) fn compiled(source: &str, linked: Linked) -> PathBuf {
    let flags = match linked {
        Linked::Shared => pkg_config(&["--cflags", "--libs"]),
        Linked::Static => {
            pkg_config(&["--cflags", "--libs", "--static"]).replace("-lsknock", "-l:libsknock.a")
        }
        Linked::AsOriginal => pkg_config(&["--cflags", "--libs"]).replace("-lsknock", "-lknock"),
    };
    let name = Path::new(source).file_stem().expect("a file").to_str().expect("a plain name");
    let program = root().join(format!("{name}-{linked:?}"));
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    if !compiled.contains(&program) {
        compile(source, &program, &flags);
        compiled.insert(program.clone());
    }
    program
}

/// Compiles a source of the house into this program or library.
pub(crate) fn compile(source: &str, into: &Path, flags: &str) {
    let mut cc = Command::new("cc");
    cc.args(["-Wall", "-Wextra", "-Werror", "-g", "-pthread"]).arg(house().join(source));
    finished(cc.arg("-o").arg(into).args(flags.split_whitespace()));
}

/// Runs a program of the machine, which must work; what it printed.
pub(crate) fn finished(command: &mut Command) -> String {
    let output = command.output();
    let Output { status, stdout, stderr } =
        output.unwrap_or_else(|error| panic!("{command:?}: {error} (make setup-test)"));
    let said = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{command:?}: {status}\n{said}");
    String::from_utf8(stdout).expect("it prints text")
}
