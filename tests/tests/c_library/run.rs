//! Programs that use libsknock, run as the client in a namespace.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use sknock_tests::{Authority, Config, Daemon, Echo, PASSWORD, World};

use crate::installed;

/// A gateway that hides tcp/22 and udp/53, and the client `alice`.
pub(crate) struct Scene<'w> {
    pub(crate) world: &'w World,
    pub(crate) authority: Authority,
    pub(crate) daemon: Daemon<'w>,
    _services: [Echo; 2],
}

/// A program that has run.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) printed: String,
    pub(crate) errors: String,
}

impl<'w> Scene<'w> {
    pub(crate) fn new(world: &'w World) -> Self {
        let authority = Authority::new();
        let services = [Echo::tcp(&world.gateway, 22), Echo::udp(&world.gateway, 53)];
        let config = Config::new(&authority);
        let daemon = Daemon::start(&world.gateway, &config);
        // A knock is stamped before it is sealed, and under valgrind that takes long. A first start
        // would wait as long before it listens; a reload does not.
        daemon.configure(&config.set("TIMESTAMP_THRESHOLD_IN_SECONDS", "60"));
        daemon.reload();
        Self { world, authority, daemon, _services: services }
    }

    pub(crate) fn identity(&self) -> PathBuf {
        self.authority.file("alice.pfx")
    }

    pub(crate) fn server(&self) -> PathBuf {
        self.authority.file("gate.cer")
    }

    /// Runs it in the client's namespace.
    pub(crate) fn run(&self, command: &mut Command) -> Ran {
        let output = self.world.client.inside(|| command.stdin(Stdio::null()).output());
        let Output { status, stdout, stderr } =
            output.unwrap_or_else(|error| panic!("{command:?}: {error} (make setup-test)"));
        let text = |bytes| String::from_utf8(bytes).expect("it prints text");
        Ran { code: status.code(), printed: text(stdout), errors: text(stderr) }
    }
}

impl Ran {
    /// A program that worked, printed this, and complained of nothing.
    pub(crate) fn printing(text: &str) -> Self {
        Self { code: Some(0), printed: text.to_owned(), errors: String::new() }
    }
}

/// The program, with the password, and with nothing from the tester's own environment.
pub(crate) fn plain(program: &Path) -> Command {
    let mut command = Command::new(program);
    surround(&mut command);
    command
}

/// The same under valgrind, which fails for each invalid access, and for each leak.
///
/// valgrind hides what it cannot do (AVX-512) from a program that asks the processor, as aws-lc does.
pub(crate) fn checked(program: &Path) -> Command {
    let mut command = Command::new("valgrind");
    command.args(["--quiet", "--leak-check=full", "--error-exitcode=99", "--fair-sched=yes"]);
    // What a static variable still points into is "possibly" lost; nobody could have freed it.
    command.args(["--show-leak-kinds=definite", "--errors-for-leak-kinds=definite"]);
    command.arg(program);
    surround(&mut command);
    command
}

fn surround(command: &mut Command) {
    let ours = std::env::vars_os().map(|(name, _)| name);
    for name in ours.filter(|name| name.to_string_lossy().starts_with("SKNOCK_")) {
        command.env_remove(name);
    }
    command.env_remove("HOME").env_remove("XDG_CONFIG_HOME").env_remove("KNOCKPATH");
    command.env("LD_LIBRARY_PATH", installed::file("lib"));
    command.env("PASSWORD", PASSWORD).env("SKNOCK_PFX_PASSWORD", PASSWORD);
}
