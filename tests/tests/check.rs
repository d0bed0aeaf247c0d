//! `sknockd check` on real files: what is right passes, and each thing that is wrong is found,
//! together with all others, with its remedy.

#[path = "check/lists.rs"]
mod lists;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sknock_certs::Authority;
use sknock_protocol::Timestamp;
use sknock_server::commands::check::{CheckReport, Host, Severity, check};
use sknock_server::config::Settings;
use sknock_server::crl::Attempt;
use tempfile::TempDir;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const PASSWORD: &str = r#"back\slash"quote';semi%per=cent ü"#;

/// A folder with an authority, a server's key for 100 days, and a configuration that is right.
struct Installation {
    folder: TempDir,
    authority: Authority,
}

impl Installation {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority =
            Authority::init(&folder.path().join("ca"), Some("Test"), 3650, NOW).unwrap();
        authority.server("host", 100, PASSWORD, NOW).unwrap();
        let installation = Self { folder, authority };
        installation.configure("");
        installation
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn configure(&self, more: &str) {
        let text = format!(
            "[DEFAULT]\n\
             serverPFXFile = ca/host.pfx\n\
             PFXPasswd = {PASSWORD}\n\
             crlFile = ca/crl.der\n\
             stateDir = state\n\
             user = nobody\n\
             protectedPorts = tcp/22\n\
             {more}"
        );
        self.write("config.ini", &text);
    }

    /// The configuration, with these lines in place of those of the same key.
    fn reconfigure(&self, lines: &[&str]) {
        self.configure("");
        let config = self.path("config.ini");
        let text = fs::read_to_string(&config).unwrap();
        let mut kept: Vec<&str> = text.lines().collect();
        for line in lines {
            let key = line.split_once('=').unwrap().0;
            kept.retain(|old| !old.starts_with(&format!("{key}=")));
            kept.push(line);
        }
        self.write("config.ini", kept.join("\n"));
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn check_at(&self, now: Timestamp, host: &Host) -> CheckReport {
        let none = std::iter::empty::<(String, String)>();
        check(&Settings::load(&self.path("config.ini"), none), host, now)
    }

    fn check(&self) -> CheckReport {
        self.check_at(NOW, &Host::default())
    }
}

fn days(number: u64) -> Timestamp {
    NOW.after(Duration::from_secs(number * 24 * 3600))
}

/// Asserts that there is one finding of this severity that contains both texts.
#[track_caller]
fn assert_found(report: &CheckReport, severity: Severity, what: &str, remedy: &str) {
    let found = report.findings().iter().any(|finding| {
        finding.severity == severity
            && finding.what.contains(what)
            && finding.remedy.contains(remedy)
    });
    assert!(found, "no {severity} {what:?} ({remedy:?}) in:\n{report}");
}

#[test]
fn a_right_installation_is_ready() {
    let report = Installation::new().check();
    assert_eq!(report.findings(), []);
    assert_eq!(report.exit_code(), 0);
    let [way, limit, list] = report.facts() else { panic!("{report:?}") };
    assert!(list.starts_with("CRL of CN=Test: number 01, valid until 20"), "{list}");
    assert!(way.starts_with("knocks: at udp/62344, the kernel copies them to NFLOG group 5344"));
    assert!(
        limit.contains("1000 per second for each IPv4 address") && limit.ends_with("burst 5000")
    );
    assert_eq!(report.to_string(), format!("{way}\n{limit}\n{list}\nready"));
    assert!(report.json().unwrap().ends_with(r#""findings":[]}"#));
}

#[test]
fn check_reports_how_knocks_are_received() {
    let here = Installation::new();
    let facts = |lines: &str| {
        here.configure(lines);
        here.check().facts().concat()
    };
    let copied = facts("knockPort = 10000-60000, 62344\nnflogGroup = 7\nknocksPerSource = 20");
    assert!(copied.contains("at udp/10000-60000, udp/62344, the kernel copies"), "{copied}");
    assert!(copied.contains("NFLOG group 7") && copied.contains("20 per second"), "{copied}");
    let bound = facts("intake = socket\nknocksPerSource = 0");
    assert!(bound.contains("can detect it"), "{bound}");
    assert!(bound.contains("limit per source: none"), "{bound}");
}

#[test]
fn everything_wrong_is_found_at_once_with_exit_78() {
    let here = Installation::new();
    here.configure(
        "knockprot = 5\nworkers = many\ncaFile = none.pem\ncrlTlsCaFile = ca/crl.der\n\
         PFXPasswdFile = none.txt\n",
    );
    let report = here.check();
    assert_eq!(report.exit_code(), 78);
    assert_found(&report, Severity::Error, "config.ini:8: unknown key", "Did you mean knockPort?");
    assert_found(&report, Severity::Error, "config.ini:9: workers", "Write 0 to 64");
    assert_found(&report, Severity::Error, "PFXPasswdFile beside PFXPasswd", "Keep one");
    assert_found(&report, Severity::Error, "caFile: cannot read the file", "Put the file there");
    assert_found(&report, Severity::Error, "crlTlsCaFile: ", "");
    assert!(report.to_string().ends_with("not ready: 5 error(s), 0 warning(s)"), "{report}");
}

/// Clients look at no list: only here it can be noticed.
#[test]
fn a_revoked_server_certificate_is_reported() {
    let here = Installation::new();
    assert_eq!(here.check().findings(), []);
    here.authority.revoke("host", sknock_certs::Reason::KeyCompromise, days(1)).unwrap();
    let report = here.check_at(days(1), &Host::default());
    let what = "serverPFXFile: the server certificate is on the CRL in crlFile";
    assert_found(&report, Severity::Warning, what, "Replace the server key");
    assert_eq!((report.findings().len(), report.exit_code()), (1, 0), "{report}");
}

/// A stand-in for such a value is no setting of the administrator: nothing is told of it.
#[test]
fn of_an_invalid_value_only_the_error_is_reported() {
    let here = Installation::new();
    let told = |lines: &[&str]| {
        here.reconfigure(lines);
        let report = here.check();
        assert_eq!(report.exit_code(), 78);
        let found: Vec<String> =
            report.findings().iter().map(|finding| finding.what.clone()).collect();
        assert_eq!(found.len(), 1, "{report}");
        (report.facts().concat(), found.concat())
    };
    for (line, ports) in
        [("knockPort = 0", false), ("intake = both", false), ("knocksPerSource = -1", false)]
    {
        let (facts, _) = told(&[line]);
        assert_eq!(facts.contains("knocks: at"), ports, "{facts}");
    }
    let (facts, what) = told(&["protectedPorts = 22"]);
    assert!(facts.contains("knocks: at udp/62344,") && what.contains("\"22\""), "{facts} {what}");
    told(&["firewallPolicy = accept"]);
    told(&["stateDir ="]);
    told(&["user = root"]);
    told(&["crlFile =", "crlUrl = ftp://gw/list"]);
    told(&["serverPFXFile ="]);
    let text = fs::read_to_string(here.path("config.ini")).unwrap();
    here.write(
        "config.ini",
        text.replace("serverPFXFile =", "serverPFXFile = ca/host.pfx")
            .replace("[DEFAULT]", "[sknock]"),
    );
    let report = here.check();
    assert_found(&report, Severity::Error, "a section other than [DEFAULT]", "rename the section");
    assert_eq!(report.findings().len(), 1, "{report}");
}

#[test]
fn an_unusable_file_is_distinguished_from_a_wrong_password() {
    let here = Installation::new();
    let error = |lines: &[&str], what: &str, remedy: &str| {
        here.reconfigure(lines);
        let report = here.check();
        assert_found(&report, Severity::Error, what, remedy);
        assert_eq!(report.exit_code(), 78);
    };
    error(&["PFXPasswd = wrong"], "the password does not open it", "used literally");
    error(&["PFXPasswd ="], "the password does not open it", "No password is configured");
    error(&["serverPFXFile = nowhere.pfx"], "serverPFXFile: cannot read the file", "correct");
    error(&["serverPFXFile = ca/crl.der"], "serverPFXFile: not a PKCS#12 file", "Create a new one");
    here.write("empty", "");
    error(&["serverPFXFile = empty"], "serverPFXFile: the file is empty", "Copy");
    error(&["serverPFXFile = ca/ca.pem"], "serverPFXFile: this is a PEM file", "openssl pkcs12");
    error(&["serverPFXFile = ca/host.cer"], "a certificate without its key", "Use the PKCS#12");
}

#[test]
fn the_password_may_come_from_a_file_that_only_its_owner_reads() {
    let here = Installation::new();
    let lines = ["PFXPasswd =", "PFXPasswdFile = secret"];
    here.reconfigure(&lines);
    for end in ["", "\n", "\r\n"] {
        here.write("secret", format!("{PASSWORD}{end}"));
        assert_eq!(here.check().findings(), [], "{end:?}");
    }
    fs::set_permissions(here.path("secret"), fs::Permissions::from_mode(0o644)).unwrap();
    assert_found(&here.check(), Severity::Warning, "PFXPasswdFile: its permissions", "chmod 640");
    here.write("secret", b"\xff");
    assert_found(&here.check(), Severity::Error, "is not UTF-8", "Save the password");
    here.write("secret", format!("{PASSWORD}\n\n"));
    assert_found(&here.check(), Severity::Error, "the password does not open it", "one line end");
}

#[test]
fn a_key_of_another_curve_without_an_authority_is_no_servers() {
    let here = Installation::new();
    let openssl = |arguments: &str| {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let mut openssl = std::process::Command::new("openssl");
        let output = openssl.args(&arguments).current_dir(here.folder.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    openssl(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-384 -nodes -keyout k.pem -out c.pem \
         -subj /CN=big",
    );
    openssl("pkcs12 -export -inkey k.pem -in c.pem -out big.pfx -passout pass:x");
    here.reconfigure(&["serverPFXFile = big.pfx", "PFXPasswd = x"]);
    let report = here.check();
    assert_found(&report, Severity::Error, "serverPFXFile: the server key is not P-256", "Issue");
    assert_found(&report, Severity::Error, "none of the 0 certificates", "");
}

#[test]
fn certificates_near_their_end_are_warnings() {
    let here = Installation::new();
    here.authority.crl(365, NOW).unwrap();
    let at = |now| here.check_at(now, &Host::default());
    assert_eq!(at(days(85)).findings(), []);
    assert_found(
        &at(days(90)),
        Severity::Warning,
        "the server certificate (CN=host) expires on",
        "",
    );
    let anchor = at(days(3640));
    assert_found(&anchor, Severity::Warning, "CA certificate (CN=Test) expires on", "Renew");
    let after = at(days(101));
    assert_found(&after, Severity::Warning, "the server certificate (CN=host) expired on", "Renew");
    assert_eq!(after.exit_code(), 0);
    let before = at(Timestamp::from_secs(1_000_000_000));
    assert_found(&before, Severity::Warning, "is valid only from", "Check the clock of this host");
}

#[test]
fn users_and_folders_that_cannot_serve_are_found() {
    let here = Installation::new();
    here.reconfigure(&["user = no-such-user-here"]);
    assert_found(&here.check(), Severity::Error, "user: there is no", "useradd");
    here.reconfigure(&["stateDir = ca/crl.der"]);
    assert_found(&here.check(), Severity::Error, "is not a directory", "correct stateDir");
    here.reconfigure(&["stateDir = ca/crl.der/below"]);
    assert_found(&here.check(), Severity::Error, "is not a directory", "correct stateDir");
    fs::create_dir(here.path("state")).unwrap();
    fs::set_permissions(here.path("state"), fs::Permissions::from_mode(0o777)).unwrap();
    here.configure("");
    assert_found(&here.check(), Severity::Warning, "stateDir: other users can write", "chmod 700");
}

#[test]
fn an_ssh_session_that_would_be_locked_out_is_reported() {
    let here = Installation::new();
    let connected = |port: u16| {
        let connection = format!("198.51.100.7 50000 192.0.2.1 {port}");
        here.check_at(NOW, &Host::default().with_ssh_connection(Some(&connection)))
    };
    assert_found(
        &connected(22),
        Severity::Warning,
        "SSH connection uses tcp/22",
        "keep this connection",
    );
    assert_eq!(connected(2222).findings(), []);
    here.reconfigure(&["protectedPorts ="]);
    assert_found(
        &connected(2222),
        Severity::Warning,
        "SSH connection uses tcp/2222",
        "alwaysOpenPorts",
    );
    assert_found(&connected(22), Severity::Note, "deny-all mode: only alwaysOpenPorts", "");
    assert!(connected(22).findings().len() == 1, "tcp/22 is always open here");
}

#[test]
fn an_ssh_session_with_a_grant_causes_no_warning() {
    let here = Installation::new();
    let (from, port) = ("198.51.100.7".parse().unwrap(), 22);
    let connected = |doors| {
        let host = Host { doors, ..Host::default() };
        here.check_at(NOW, &host.with_ssh_connection(Some("198.51.100.7 50000 192.0.2.1 22")))
    };
    assert_eq!(connected(vec![(from, port)]).findings(), []);
    for elsewhere in [vec![], vec![(from, 2222)], vec![("198.51.100.8".parse().unwrap(), port)]] {
        let report = connected(elsewhere);
        assert_found(&report, Severity::Warning, "you have none", "keep this");
    }
}

#[test]
fn protected_ports_that_no_knock_can_open_are_reported() {
    let here = Installation::new();
    here.configure("allowedServices = tcp/22");
    assert_eq!(here.check().findings(), []);
    here.configure("allowedServices = tcp/2222");
    assert_found(
        &here.check(),
        Severity::Warning,
        "not every port of tcp/22 can be granted",
        "Add it",
    );
}

#[test]
fn an_unsynchronised_clock_and_a_failed_crl_fetch_are_reported() {
    let url = "http://ca.example.org/crl.der".to_owned();
    let attempts = vec![Attempt { url, outcome: Err("refused".to_owned()) }];
    let host = Host { unsynchronised: true, attempts, ..Host::default() };
    let here = Installation::new();
    here.configure("crlUrl = http://ca.example.org/crl.der\n");
    let report = here.check_at(NOW, &host);
    assert_found(&report, Severity::Warning, "not synchronised: if it is more than 7 s", "NTP");
    assert_found(&report, Severity::Warning, "cannot get a CRL from http://ca.", "web server");
    assert_eq!(report.exit_code(), 0, "it would start");
}

#[test]
fn what_the_gate_reports_is_passed_on() {
    let host = Host {
        denied_elsewhere: vec!["table inet filter, chain input drops tcp/22".into()],
        unclear: vec!["table ip raw, chain PREROUTING".into()],
        unlooked: vec!["all else".into()],
        unsupported: vec!["no nf_tables".into()],
        ..Host::default()
    };
    let report = Installation::new().check_at(NOW, &host);
    assert_found(
        &report,
        Severity::Warning,
        "blocks: table inet filter, chain input",
        "Accept these ports",
    );
    assert_found(
        &report,
        Severity::Note,
        "table ip raw, chain PREROUTING",
        "Check the rules yourself",
    );
    assert_found(&report, Severity::Note, "not tested: all else", "as root");
    assert_found(&report, Severity::Error, "no nf_tables", "");
}

#[test]
fn a_missing_configuration_is_one_error() {
    let none = std::iter::empty::<(String, String)>();
    let loaded = Settings::load(Path::new("/nonexistent/config.ini"), none);
    let report = check(&loaded, &Host::default(), NOW);
    assert_eq!(report.findings().len(), 1);
    assert_found(&report, Severity::Error, "/nonexistent/config.ini", "config.ini.example");
    assert_eq!(report.exit_code(), 78);
}
