//! `packaging/setup.sh` on machines that lack this and that: what it asks Debian for, and what it says.
//! Whole machines are in `tests/bare.sh`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A folder of programs that is all of a machine's PATH.
struct Machine {
    folder: TempDir,
}

impl Machine {
    /// What every Debian has, a recent Rust, and an apt-get that only writes down what it is asked for.
    fn new() -> Self {
        let machine = Self { folder: tempfile::tempdir().unwrap() };
        for program in
            ["bash", "cat", "dirname", "env", "flock", "head", "id", "sed", "sh", "sort", "touch"]
        {
            symlink(found(program), machine.path(program)).unwrap();
        }
        machine.rust("1.99.0");
        let asked = machine.path("asked");
        machine.program("apt-get", &format!("echo \"$@\" >> {}", asked.display()));
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn program(&self, name: &str, script: &str) {
        sknock_tests::binaries::executable(
            &self.path(name),
            format!("#!/bin/sh\n{script}\n").as_bytes(),
        );
    }

    fn rust(&self, version: &str) {
        for program in ["cargo", "rustc"] {
            self.program(program, &format!("echo '{program} {version} (0123456 2026-01-01)'"));
        }
    }

    fn without(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    fn setup(&self, purpose: &str) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/setup.sh");
        Command::new(script)
            .arg(purpose)
            .env_clear()
            .env("PATH", self.folder.path())
            .output()
            .expect("bash is there")
    }

    /// The packages that `apt-get install` was asked for.
    fn asked(&self) -> Vec<String> {
        let asked = fs::read_to_string(self.path("asked")).unwrap_or_default();
        let lines = asked.lines().filter_map(|line| line.split_once(" install "));
        let words = lines.flat_map(|(_, words)| words.split(' '));
        words.filter(|word| !word.starts_with('-')).map(str::to_owned).collect()
    }

    fn has_asked_for(&self, package: &str) -> bool {
        self.asked().iter().any(|asked| asked == package)
    }
}

fn found(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").expect("there is a PATH");
    let mut places = std::env::split_paths(&path).map(|folder| folder.join(program));
    places.find(|path| path.exists()).unwrap_or_else(|| panic!("{program} is missing"))
}

fn failed(output: &Output) -> String {
    assert!(!output.status.success());
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn without_rust_nothing_is_installed_and_it_is_said_where_rust_comes_from() {
    for purpose in
        ["build", "install", "c-library", "demo", "test", "bench", "fuzz", "lint", "dist", "bare"]
    {
        for missing in ["cargo", "rustc"] {
            let machine = Machine::new();
            machine.without(missing);
            let said = failed(&machine.setup(purpose));
            assert!(said.contains("https://rustup.rs") && said.contains(missing), "{said}");
            assert!(!machine.path("asked").exists(), "{purpose}: apt-get was run");
        }
    }
}

#[test]
fn debians_own_rust_is_too_old_and_the_least_that_is_enough_is_enough() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    let manifest = fs::read_to_string(workspace).unwrap();
    let least = manifest.split("rust-version = \"").nth(1).and_then(|rest| rest.split('"').next());
    for (version, enough) in [
        ("1.63.0", false),
        ("1.85.0", false),
        (&*format!("{}.0", least.unwrap()), true),
        ("1.100.0-nightly", true),
        ("2.0.0", true),
    ] {
        let machine = Machine::new();
        machine.rust(version);
        let said = failed(&machine.setup("build"));
        assert_eq!(!machine.asked().is_empty(), enough, "{version}: {said}");
        assert_eq!(said.contains("https://rustup.rs"), !enough, "{version}: {said}");
    }
}

#[test]
fn a_server_gets_what_building_needs_and_no_tools_of_attackers() {
    let machine = Machine::new();
    machine.setup("build");
    for package in ["gcc", "pkg-config", "libnftnl-dev", "libmnl-dev"] {
        assert!(machine.has_asked_for(package), "{:?}", machine.asked());
    }
    let known = ["gcc", "libc6-dev", "pkg-config", "libnftnl-dev", "libmnl-dev"];
    assert!(machine.asked().iter().all(|asked| known.contains(&&**asked)), "{:?}", machine.asked());
    let machine = Machine::new();
    machine.setup("test");
    for package in ["gcc", "nmap", "valgrind", "python3", "procps"] {
        assert!(machine.has_asked_for(package), "{:?}", machine.asked());
    }
}

#[test]
fn what_is_there_is_not_asked_for() {
    let machine = Machine::new();
    machine.program("nmap", "");
    machine.setup("test");
    assert!(machine.has_asked_for("valgrind") && !machine.has_asked_for("nmap"));

    let machine = Machine::new();
    machine.program("cc", "");
    assert!(machine.setup("c-library").status.success());
    assert!(!machine.path("asked").exists(), "all is there, and apt-get was run");
}

#[test]
fn what_apt_did_not_bring_is_named() {
    let machine = Machine::new();
    let said = failed(&machine.setup("c-library"));
    assert!(said.contains("still missing") && said.contains("cc"), "{said}");
    let brought = machine.path("cc");
    machine
        .program("apt-get", &format!("echo '#!/bin/sh' > {0}; chmod 755 {0}", brought.display()));
    symlink(found("chmod"), machine.path("chmod")).unwrap();
    assert!(machine.setup("c-library").status.success());
}

#[test]
fn without_root_or_debian_the_missing_packages_are_printed() {
    let machine = Machine::new();
    machine.without("id");
    machine.program("id", "echo 1000");
    let said = failed(&machine.setup("build"));
    assert!(said.contains("As root: apt-get install") && said.contains("libmnl-dev"), "{said}");
    assert!(machine.asked().is_empty());

    // Before minutes of building, even if nothing is missing.
    machine.program("cc", "");
    machine.program("pkg-config", "");
    for purpose in ["install", "demo", "test", "bench", "bare"] {
        let said = failed(&machine.setup(purpose));
        assert!(said.contains("run it as root"), "{purpose}: {said}");
    }
    assert!(machine.asked().is_empty());
    machine.without("cc");
    machine.without("pkg-config");

    machine.program("sudo", "exec \"$@\"");
    machine.setup("build");
    assert!(machine.has_asked_for("libmnl-dev"));

    let machine = Machine::new();
    machine.without("apt-get");
    let said = failed(&machine.setup("build"));
    assert!(said.contains("not Debian") && said.contains("libmnl.pc"), "{said}");
}
