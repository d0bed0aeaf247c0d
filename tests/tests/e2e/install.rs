//! What `make install` puts where, and `make uninstall` takes away: nothing else, and never while ports
//! would stay closed for good. Whole machines are in `tests/bare.sh`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sknock_tests::{Authority, Config, Daemon, Mounts, World, binaries};
use tempfile::TempDir;

fn house() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this crate lies in the workspace")
}

/// Runs a target of the Makefile with what is built; it must work.
fn make(target: &str, more: &[&str]) {
    let mut make = Command::new("make");
    // The program that runs us may be make, too.
    make.env_remove("MAKEFLAGS").env_remove("MAKELEVEL").current_dir(house());
    make.env("CARGO_TARGET_DIR", binaries::folder().parent().expect("target/PROFILE"));
    let profile = if binaries::folder().ends_with("release") { "release" } else { "dev" };
    make.args(["--silent", target]).arg(format!("PROFILE={profile}")).args(more);
    let output = make.output().expect("make is there");
    assert!(output.status.success(), "{make:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// All files and links below a folder, sorted.
fn files(folder: &Path) -> Vec<String> {
    let find =
        Command::new("find").arg(folder).args(["!", "-type", "d", "-printf", "/%P\n"]).output();
    let found = String::from_utf8(find.expect("every machine has it").stdout).expect("plain names");
    let mut found: Vec<String> = found.lines().map(str::to_owned).collect();
    found.sort();
    found
}

#[test]
fn uninstall_removes_what_install_has_put_there_and_nothing_else() {
    let root = tempfile::tempdir().unwrap();
    let destination = format!("DESTDIR={}", root.path().display());
    let own = |path: &str, text: &str| {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    own("opt/knock/lib/libknock.so.0.0.0", "the original's");
    own("opt/knock/lib/pkgconfig/other.pc", "of others");
    own("opt/knock/share/doc/sknock/notes", "somebody's");
    own("etc/sknock/config.ini", "[DEFAULT]\n");
    own("var/lib/sknock/journal", "knocks");
    own("etc/systemd/system/sknockd.service.d/override.conf", "[Service]\n");
    let before = files(root.path());
    for target in ["install-programs", "install-c-library"] {
        make(target, &["PREFIX=/opt/knock", &destination]);
    }
    let installed = files(root.path());
    let there = [
        "/opt/knock/sbin/sknockd",
        "/opt/knock/bin/sknock",
        "/opt/knock/bin/sknock-ca",
        "/opt/knock/share/man/man8/sknockd.8",
        "/opt/knock/share/man/man5/sknock-config.ini.5",
        "/opt/knock/share/man/man3/sknock.h.3",
        "/opt/knock/share/bash-completion/completions/sknock",
    ];
    for file in there {
        assert!(installed.contains(&file.to_owned()), "{installed:?}");
    }
    make("uninstall", &["PREFIX=/opt/knock", &destination]);
    assert_eq!(files(root.path()), before);
    // What is not there is no error; what the original has put there since is not ours.
    own("opt/knock/include/knock.h", "int knock_init();\n");
    std::os::unix::fs::symlink("libknock.so.0.0.0", root.path().join("opt/knock/lib/libknock.so"))
        .unwrap();
    let before = files(root.path());
    make("uninstall", &["PREFIX=/opt/knock", &destination]);
    assert_eq!(files(root.path()), before);
}

#[test]
fn the_unit_starts_the_program_that_was_installed_with_it() {
    let root = tempfile::tempdir().unwrap();
    let destination = format!("DESTDIR={}", root.path().display());
    let unit = root.path().join("etc/systemd/system/sknockd.service");
    for prefix in ["/usr/local", "/usr", "/opt/knock"] {
        make("install-programs", &[&destination, &format!("PREFIX={prefix}")]);
        let text = fs::read_to_string(&unit).unwrap();
        let line = |key: &str| text.lines().find(|line| line.starts_with(key)).unwrap().to_owned();
        let program = format!("{prefix}/sbin/sknockd");
        assert_eq!(
            line("ExecStart="),
            format!("ExecStart={program} run --config /etc/sknock/config.ini")
        );
        let example = format!("{prefix}/share/doc/sknock/config.ini.example");
        assert!(line("Documentation=").ends_with(&format!("file:{example}")));
        for file in [&program, &example] {
            assert!(root.path().join(file.trim_start_matches('/')).exists(), "{file}");
        }
    }
}

/// A machine whose programs are in a folder of their own, and whose `/etc` may be changed.
struct Machine {
    folder: TempDir,
    mounts: Mounts,
}

impl Machine {
    fn new() -> Self {
        let machine = Self { folder: tempfile::tempdir().unwrap(), mounts: Mounts::new() };
        machine.mounts.copy(Path::new("/etc"));
        fs::create_dir(machine.path("sbin")).unwrap();
        binaries::copy(&binaries::path("sknockd"), &machine.path("sbin/sknockd"));
        fs::create_dir(machine.path("tools")).unwrap();
        machine.tool("ldconfig", "true");
        machine.tool("systemctl", "exit 1");
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A program that would look at, or change, the machine that the test runs on.
    fn tool(&self, name: &str, script: &str) {
        let path = self.path("tools").join(name);
        binaries::executable(&path, format!("#!/bin/sh\n{script}\n").as_bytes());
    }

    fn uninstall(&self, world: &World) -> (bool, String) {
        let mut command = Command::new(house().join("packaging/uninstall.sh"));
        let path = std::env::var("PATH").unwrap();
        command.arg(self.folder.path());
        command.env("PATH", format!("{}:{path}", self.path("tools").display()));
        let run = || world.gateway.inside(|| command.output().expect("bash is there"));
        let Output { status, stdout, stderr } = self.mounts.inside(run);
        (status.success(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
    }

    #[track_caller]
    fn must_refuse(&self, world: &World, why: &str) {
        let before = world.gateway.table().is_some();
        let (done, said) = self.uninstall(world);
        assert!(!done && said.contains(why) && said.contains("nothing was removed"), "{said}");
        assert!(self.path("sbin/sknockd").exists());
        assert_eq!(world.gateway.table().is_some(), before, "it neither opens nor closes");
    }
}

#[test]
fn uninstall_refuses_as_long_as_ports_would_stay_closed_for_good() {
    let (world, authority, machine) = (World::new(), Authority::new(), Machine::new());
    let mut daemon = Daemon::stopped(&world.gateway, &Config::new(&authority));
    let program = machine.path("sbin/sknockd");
    let ours = format!("shift; exec {} \"$@\"", program.display());
    daemon.start_through(&["sh", "-c", &ours, "sh"]);
    daemon.begin();
    daemon.wait_for(Daemon::ACCEPTING);
    machine.must_refuse(&world, &format!("sknockd runs (process {}", daemon.parent()));
    // An upgrade has replaced the program.
    fs::remove_file(&program).unwrap();
    binaries::copy(&binaries::path("sknockd"), &program);
    machine.must_refuse(&world, &format!("sknockd runs (process {}", daemon.parent()));
    daemon.stop();
    let open = format!("{} open", program.display());
    machine.must_refuse(&world, &open);
    assert!(world.gateway.run(program.to_str().unwrap(), &["open"]).contains("blocks no port now"));
    machine.tool("systemctl", "[ \"$*\" = 'is-enabled --quiet sknockd' ]");
    machine.must_refuse(&world, "systemctl disable --now sknockd");
    machine.tool("systemctl", "exit 1");
    let boots = |text: &str| {
        machine.mounts.inside(|| fs::write("/etc/nftables.conf", text).unwrap());
    };
    boots("flush ruleset\ninclude \"/etc/sknock/closed.nft\"\n");
    machine.must_refuse(&world, "/etc/nftables.conf");
    boots("flush ruleset\n# include \"/etc/sknock/closed.nft\"\n");
    let (done, said) = machine.uninstall(&world);
    assert!(done && said.contains("removed ") && !program.exists(), "{said}");
    assert_eq!(world.gateway.table(), None);
}

/// The lines for a crontab that the documents have: five fields, then a command.
fn cron_lines() -> Vec<String> {
    let folder = fs::read_dir(house().join("docs")).expect("there is documentation");
    let mut paths: Vec<PathBuf> = folder.map(|entry| entry.expect("a file").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    paths.push(house().join("README.md"));
    let texts = paths.iter().map(|path| fs::read_to_string(path).expect("a document"));
    let field = |word: &str| word.chars().all(|c| c.is_ascii_digit() || "*/,-".contains(c));
    let is_one = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.len() > 5 && words[..5].iter().all(|word| field(word))
    };
    let lines = texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>());
    lines.filter(|line| is_one(line)).collect()
}

#[test]
fn what_the_documents_give_to_cron_runs_in_crons_environment() {
    let (folder, mounts) = (tempfile::tempdir().unwrap(), Mounts::new());
    let root = folder.path().join("root");
    mounts.whole_disk(&root, &folder.path().join("changes"), 256 << 20);
    let destination = format!("DESTDIR={}", root.display());
    mounts.inside(|| {
        make("install-programs", &["PREFIX=/usr/local", &destination]);
        // The other machine is this one.
        let scp = root.join("usr/bin/scp");
        let _ = fs::remove_file(&scp);
        binaries::executable(&scp, b"#!/bin/sh\n[ \"$1\" = -q ] && cp \"$2\" \"${3#*:}\"\n");
        fs::create_dir_all(root.join("var/www/html")).unwrap();
        let _ = fs::remove_dir_all(root.join("root/authority"));
    });
    let run = |line: &str| {
        let mut cron = Command::new("chroot");
        cron.arg(&root).args(["/usr/bin/env", "-i"]);
        cron.args(["HOME=/root", "LOGNAME=root", "SHELL=/bin/sh", "PATH=/usr/bin:/bin"]);
        cron.args(["/bin/sh", "-c", line]);
        let Output { status, stdout, stderr } = mounts.inside(|| cron.output().expect("chroot"));
        let said = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
        assert!(status.success(), "{line}: {status}\n{said}");
    };
    run("umask 077; /usr/local/bin/sknock-ca --dir /root/authority init");
    let published = root.join("var/www/html/crl.der");
    let mut former = Vec::new();
    let lines = cron_lines();
    assert!(!lines.is_empty(), "OPERATIONS renews the list by cron");
    for line in lines {
        // A newline, to cron.
        assert!(!line.contains('%'), "{line}");
        let command = line.split_whitespace().skip(5).collect::<Vec<_>>().join(" ");
        run(&command);
        let list = mounts.inside(|| fs::read(&published)).expect("it was published");
        assert_ne!(list, former);
        former = list;
    }
}
