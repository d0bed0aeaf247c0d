//! docs/MIGRATING.md, followed word for word: its commands are run as they stand there, by an administrator
//! of the original, until the original's client and ours get in and a revoked one does not.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sknock_tests::Found::{Open, Refused};
use sknock_tests::wait::until;
use sknock_tests::{Authority, Config, Daemon, Echo, Mounts, Seen, World, binaries};
use tempfile::TempDir;

fn house() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this crate lies in the workspace")
}

/// The blocks of code of a section, from its heading to the next one.
fn blocks(heading: &str) -> Vec<String> {
    let text = fs::read_to_string(house().join("docs/MIGRATING.md")).expect("the guide");
    let section = text.split_once(&format!("\n{heading}\n")).expect(heading).1;
    let section = section.split("\n## ").next().expect("a part").split("\n### ").next();
    let parts = section.expect("a part").split("```").skip(1).step_by(2);
    parts.map(|block| block.trim_start().to_owned()).collect()
}

/// Not that of anybody here.
const UID: u32 = 64_999;

/// The server's machine, which is also that of the authority and of a client: with its own `/etc`.
struct Site<'w> {
    world: &'w World,
    folder: TempDir,
    daemon: Daemon<'w>,
}

impl<'w> Site<'w> {
    fn new(world: &'w World) -> Self {
        // Its configuration is not used: the guide makes one.
        let mut daemon = Daemon::stopped(&world.gateway, &Config::new(&Authority::new()));
        let mounts = Mounts::new();
        mounts.copy(Path::new("/etc"));
        daemon.mount(mounts);
        let site = Self { world, folder: tempfile::tempdir().unwrap(), daemon };
        let original = house().join("tests/original.sh");
        site.run(".", &format!("{} original 2>&1", original.display()));
        // As `make install` leaves it, whatever this machine has.
        let user = format!(
            "sed -i '/^sknock:/d' /etc/passwd /etc/group; rm -rf /etc/sknock
             echo sknock:x:{UID}:{UID}::/:/bin/false >> /etc/passwd
             echo sknock:x:{UID}: >> /etc/group
             echo 10.77.1.1 gateway.example >> /etc/hosts
             mkdir -m 755 /etc/sknock state home"
        );
        site.run(".", &user);
        chown(site.path("state"), Some(UID), Some(UID)).unwrap();
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn shell(&self, folder: &str, script: &str) -> Command {
        let mut shell = Command::new("bash");
        shell.args(["-euo", "pipefail", "-c", script]).current_dir(self.path(folder));
        let path = std::env::var("PATH").unwrap();
        shell.env("PATH", format!("{}:{path}", binaries::folder().display()));
        shell.env("HOME", self.path("home")).env("SKNOCK_STATEDIR", self.path("state"));
        shell
    }

    /// As root on the server or on the authority's machine; it must work.
    #[track_caller]
    fn run(&self, folder: &str, script: &str) -> String {
        let mut shell = self.shell(folder, script);
        let run = || self.world.gateway.inside(|| shell.output().expect("bash is there"));
        must_work(script, &self.daemon.mounts().inside(run))
    }

    /// On the client's own machine.
    #[track_caller]
    fn on_my_machine(&self, script: &str) {
        must_work(script, &self.try_on_my_machine(script));
    }

    fn try_on_my_machine(&self, script: &str) -> Output {
        let mut shell = self.shell("original", script);
        let run = || self.world.client.inside(|| shell.output().expect("bash is there"));
        self.daemon.mounts().inside(run)
    }

    /// `configs/crl_config`: the copy, with the lines that the guide has, and without what it names.
    fn make_crl_config(&self, lines: &str) {
        let text = fs::read_to_string(self.path("original/configs/ca_config")).unwrap();
        let text = text.split("[idp_section]").next().unwrap();
        let new: Vec<&str> = lines.lines().filter(|line| line.contains('=')).collect();
        let key = |line: &str| line.split('=').next().unwrap().trim().to_owned();
        let replaced = |line: &str| {
            let by = new.iter().find(|new| key(new) == key(line) && line.contains('='));
            (*by.unwrap_or(&line)).to_owned() + "\n"
        };
        let kept = text.lines().filter(|line| !line.starts_with("issuingDistributionPoint"));
        // The first of each key: the certificates' authorityKeyIdentifier stays as it was.
        fs::write(self.path("original/configs/crl_config"), kept.map(replaced).collect::<String>())
            .unwrap();
    }
}

#[track_caller]
fn must_work(script: &str, output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}\n{}\n{said}{errors}", output.status);
    said
}

/// Client certificates are issued again with both forms of names; the list is one that counts.
fn at_the_authority(site: &Site<'_>) {
    let [look, names, issue] = blocks("### Client certificates").try_into().unwrap();
    assert!(site.run("original", &look).contains("TLS Web Client Authentication"));
    let config = site.path("original/configs/client_config");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("{text}\n{names}")).unwrap();
    site.run("original", &issue);
    let said = site.run("original", &look);
    let large = said.lines().find_map(|line| line.parse::<u32>().ok()).unwrap();
    assert!((680..=690).contains(&large), "687 bytes or so: {said}");

    let [lines, list, _] = blocks("## 2. The revocation list").try_into().unwrap();
    site.make_crl_config(&lines);
    let said = site.run("original", &list);
    assert!(said.contains("Version 2") && said.contains("CRL Number"), "{said}");
    assert!(!said.contains("Issuing Distribution Point"), "{said}");
}

/// One datagram is caught and judged, as long as no server runs.
fn can_be_tried_before_the_start(site: &Site<'_>) {
    let [wait, knock, explain] = blocks("## 5. Does it work?").try_into().unwrap();
    site.on_my_machine("cp certs/server/devserver.crt devserver.cer");
    std::thread::scope(|scope| {
        let caught = scope.spawn(|| site.run("original", &wait));
        let listens = || site.run(".", "ss -Hlun sport = :40000").contains(":40000");
        until("the server waits", listens);
        site.on_my_machine(&knock);
        caught.join().expect("it caught a datagram");
    });
    let verdict = site.run("original", &explain);
    assert!(verdict.contains(r#""verdict":"grant""#), "{verdict}");
    assert!(verdict.contains("tcp/2000") && verdict.contains("10.77.1.2"), "{verdict}");
}

/// A knock as the original's client makes it.
const ORIGINAL: &str = "echo portknocking > password; sknock knock --protocol v1 --knock-port 40000 \
    --identity certs/client/alice.pfx --server-cert certs/server/devserver.crt \
    --password-file password --no-verify gateway.example tcp/2000";

#[test]
fn an_administrator_of_the_original_who_follows_the_guide_keeps_all_clients() {
    let world = World::new();
    let (mut site, _service) = (Site::new(&world), Echo::tcp(&world.gateway, 2000));
    let [files] = blocks("## 1. The files").try_into().unwrap();
    site.run("original", &files);
    at_the_authority(&site);
    let [check] = blocks("## 3. Check").try_into().unwrap();
    let said = site.run("original", &check);
    assert!(said.lines().last().is_some_and(|line| line.starts_with("ready")), "{said}");

    can_be_tried_before_the_start(&site);

    let state = site.path("state");
    site.daemon.export("SKNOCK_STATEDIR", state.to_str().unwrap());
    let run = "exec \"$1\" run --config /etc/sknock/config.ini";
    site.daemon.start_through(&["sh", "-c", run, "sh"]);
    site.daemon.begin();
    site.daemon.wait_for(Daemon::ACCEPTING);
    assert_eq!(world.tcp(2000), Seen::each(Refused, Refused));
    let seen = Seen { client: [Open, Refused], stranger: [Refused; 2] };
    // Its stamps are whole seconds, and the first may be of the one before the start.
    until("the original's client gets in", || {
        site.on_my_machine(ORIGINAL);
        world.tcp(2000) == seen
    });

    // Ours, with the certificate that was issued again.
    let [ours, _] = blocks("## 6. Clients and programs").try_into().unwrap();
    site.on_my_machine("cp certs/server/devserver.crt devserver.cer");
    site.on_my_machine(&ours);
    let [_, _, revoke] = blocks("## 2. The revocation list").try_into().unwrap();
    site.run("original", &revoke);
    site.run("original", "install -m 640 -g sknock devca.crl /etc/sknock/certificates/");
    site.daemon.reload();
    // The port is still open by the original's certificate, which is another.
    site.try_on_my_machine("sknock knock --no-verify gateway.example tcp/2000");
    site.daemon.wait_for("reason=\"revoked\"");
    site.run("original", "openssl ca -config configs/crl_config -revoke certs/02.pem 2>&1");

    let [off] = blocks("## 7. Without v1").try_into().unwrap();
    assert!(off.starts_with("sknockd check && systemctl reload sknockd"), "{off}");
}

/// The keys of the original, and what it had for them if its file had none.
const KEYS: [(&str, &str); 11] = [
    ("KNOCKPACKET_MIN_LENGTH", "800"),
    ("PORT_OPEN_DURATION_IN_SECONDS", "15"),
    ("TIMESTAMP_THRESHOLD_IN_SECONDS", "7"),
    ("CRL_UPDATE_INTERVAL_IN_MINUTES", "30"),
    ("SIGNATURE_SIZE", "73"),
    ("RECV_BUFFER", "1600"),
    ("crlFile", "certificates/devca.crl"),
    ("crlUrl", "https://home.in.tum.de/~sel/BA/CA/devca.crl"),
    ("serverPFXFile", "certificates/devserver.pfx"),
    ("PFXPasswd", "portknocking"),
    ("firewallPolicy", "reject"),
];

#[test]
fn the_guide_has_every_key_of_the_original_and_says_which_defaults_differ() {
    let guide = fs::read_to_string(house().join("docs/MIGRATING.md")).unwrap();
    let example = fs::read_to_string(house().join("config.ini.example")).unwrap();
    let table = guide.split_once("\n## Every key of the original\n").unwrap().1;
    let differ = table.split_once("Defaults are the same, but for ").unwrap().1;
    let differ = differ.split_once(". ").unwrap().0;
    for (key, default) in KEYS {
        assert!(table.contains(&format!("| `{key}` |")), "{key}");
        let ours = example.lines().find_map(|line| line.strip_prefix(&format!("{key} =")));
        // What has no effect has no default either.
        let Some(ours) = ours else { continue };
        assert_eq!(ours.trim() != default, differ.contains(&format!("`{key}`")), "{key}: {ours}");
    }
}

#[test]
fn what_the_original_read_otherwise_is_named() {
    let world = World::new();
    let site = Site::new(&world);
    let base = "serverPFXFile = certificates/devserver.pfx\nprotectedPorts = tcp/2000\n";
    for (line, said) in [
        ("PFXPasswd = portknocking ; the default", "the password does not open it"),
        ("# no password", "No password is configured. Set PFXPasswdFile or PFXPasswd"),
        ("PFXPasswd = port%%knocking", "the password does not open it"),
        ("PORT_OPEN_DURATION_IN_SECONDS = 0", "4: PORT_OPEN_DURATION_IN_SECONDS cannot be"),
        ("TIMESTAMP_THRESHOLD_IN_SECONDS = 0", "4: TIMESTAMP_THRESHOLD_IN_SECONDS cannot be"),
        ("TIMESTAMP_THRESHOLD_IN_SECONDS = 3601", "4: TIMESTAMP_THRESHOLD_IN_SECONDS cannot be"),
        ("CRL_UPDATE_INTERVAL_IN_MINUTES = 0", "4: CRL_UPDATE_INTERVAL_IN_MINUTES cannot be"),
        ("rem a comment", "4: not of the form"),
        ("  continued", "4: an indented line"),
        ("[other]", "4: a section other than"),
        ("other = 1", "4: unknown key"),
        ("firewallPolicy = none\nfirewallPolicy = reject", "5: duplicate key firewallPolicy"),
        ("crlFile = certificates/devca.crl\nPFXPasswd = portknocking", "4: crlFile:"),
    ] {
        let text = format!("[DEFAULT]\n{base}{line}\n");
        fs::write(site.path("original/server/tried.ini"), text).unwrap();
        let shown = site.run("original", "sknockd check --config server/tried.ini || [ $? = 78 ]");
        let errors = shown.split("\nerror: ").skip(1).any(|error| error.contains(said));
        assert!(errors, "{line}: {shown}");
    }
}
