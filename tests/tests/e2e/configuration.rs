//! `config.ini` from end to end: the original's file, everything that can be wrong with one, and the
//! environment over it.

use std::fs;
use std::path::Path;

use rcgen::ExtendedKeyUsagePurpose;
use serde_json::Value;
use sknock_tests::Found::{Open, Refused, Silent};
use sknock_tests::forge::Forge;
use sknock_tests::{Authority, Client, Config, Daemon, Echo, Seen, World, openssl};

/// As the original ships it, but for the place of the list: that was below /tmp, which all tests
/// share. Its web server is gone.
const ORIGINAL: &str = "\
[DEFAULT]
KNOCKPACKET_MIN_LENGTH = 800
PORT_OPEN_DURATION_IN_SECONDS = 15
TIMESTAMP_THRESHOLD_IN_SECONDS = 7
CRL_UPDATE_INTERVAL_IN_MINUTES = 30
SIGNATURE_SIZE = 72
RECV_BUFFER = 1600

crlFile = certificates/devca.crl
crlUrl = https://home.in.tum.de/~sel/BA/CA/devca.crl

serverPFXFile = certificates/devserver.pfx
PFXPasswd = portknocking

firewallPolicy = none
";

/// The original's folder: its configuration, and a server's files as its authority wrote them. What
/// the original did not know comes from the environment.
fn original<'w>(world: &'w World, authority: &Authority) -> Daemon<'w> {
    let ours = Forge::with_key_of(authority);
    let made = ours.client("devserver", |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    let mut daemon = Daemon::stopped(&world.gateway, &Config::new(authority));
    daemon.configure_as(ORIGINAL);
    daemon.export("SKNOCK_USER", "nobody");
    daemon.export("SKNOCK_STATEDIR", "state");
    fs::create_dir(daemon.file("certificates")).unwrap();
    let pfx = openssl::pkcs12(&(made.pem() + ours.pem()), "portknocking", &["-legacy"]);
    fs::write(daemon.file("certificates/devserver.pfx"), pfx).unwrap();
    fs::write(daemon.file("devserver.cer"), made.certificate.der()).unwrap();
    daemon
}

#[test]
fn a_configuration_of_the_original_starts_with_its_own_crl() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let mut daemon = original(&world, &authority);
    fs::write(daemon.file("certificates/devca.crl"), authority.crl()).unwrap();
    daemon.begin();
    daemon.wait_for("rules loaded");
    daemon.wait_for("firewallPolicy = none");
    let fetched = daemon.wait_for("CRL fetch failed");
    assert!(fetched.contains("home.in.tum.de"), "{fetched}");
    assert_eq!(world.tcp(22), Seen::each(Open, Open), "its policy hides nothing");
}

#[test]
fn a_configuration_of_the_original_without_any_crl_does_not_start() {
    let (world, authority) = (World::new(), Authority::new());
    let mut daemon = original(&world, &authority);
    daemon.begin();
    let ended = daemon.wait_for_end();
    assert_eq!(ended.code, Some(69), "{}", ended.said);
    assert!(ended.said.contains("no valid CRL is available"), "{}", ended.said);
    assert_eq!(world.gateway.table(), None);
}

#[test]
fn with_two_more_lines_a_configuration_of_the_original_accepts_v1() {
    let (world, authority) = (World::new(), Authority::new());
    let _web = Echo::tcp(&world.gateway, 8080);
    let mut daemon = original(&world, &authority);
    fs::write(daemon.file("certificates/devca.crl"), authority.crl()).unwrap();
    daemon.configure_as(&format!("{ORIGINAL}protocols = v2, v1\n"));
    let random = "clients of sKnock 1.0 send knocks to a random port";
    let asked = daemon.ask("check", &[]);
    assert_eq!(asked.code, Some(0), "{asked:?}");
    assert!(asked.answer.contains(random), "the second line is missing: {asked:?}");

    let complete = format!("{ORIGINAL}protocols = v2, v1\nknockPort = 10000-60000, 62344\n");
    daemon.configure_as(&complete.replace("firewallPolicy = none", "firewallPolicy = drop"));
    let asked = daemon.ask("check", &[]);
    assert!(asked.code == Some(0) && !asked.answer.contains(random), "{asked:?}");
    daemon.begin();
    daemon.wait_for(Daemon::ACCEPTING);
    assert_eq!(world.tcp(8080), Seen::each(Silent, Silent));

    let alice = Client::alice(&world.client, &authority);
    let server = daemon.file("devserver.cer");
    for host in World::GATEWAY {
        let words = format!("knock {host} tcp/8080 --protocol v1");
        let mut command = alice.command(&words);
        let ran = world.client.inside(|| command.env("SKNOCK_SERVER_CERT", &server).output());
        assert!(ran.as_ref().is_ok_and(|ran| ran.status.success()), "{ran:?}");
    }
    assert_eq!(world.tcp(8080), Seen::each(Open, Silent));
}

const ALL_WRONG: &str = "\
[DEFAULT]
serverPFXFile = gate.pfx
PFXPasswdFile = no-such-file
user = nobody
stateDir = state
knockPrt = 62344
protectedPorts = tcp/22
TIMESTAMP_THRESHOLD_IN_SECONDS = soon
firewallPolicy = rejct
";

/// What is wrong with it, with the line where it stands, and what to do.
const WRONG: [(&str, &str, &str); 3] = [
    ("config.ini:6", "unknown key", "Did you mean knockPort?"),
    ("config.ini:8", "TIMESTAMP_THRESHOLD_IN_SECONDS cannot be \"soon\"", "Write 1 to 3600"),
    ("config.ini:9", "firewallPolicy cannot be \"rejct\"", "Write none, reject or drop"),
];

/// The files that it names: one is missing, one is none of ours.
const FILES: [(&str, &str); 2] =
    [("PFXPasswdFile", "No such file"), ("serverPFXFile", "not a PKCS#12 file")];

fn all_wrong<'w>(world: &'w World, authority: &Authority) -> Daemon<'w> {
    let daemon = Daemon::stopped(&world.gateway, &Config::new(authority));
    daemon.configure_as(ALL_WRONG);
    fs::write(daemon.file("gate.pfx"), "not a key").unwrap();
    daemon
}

#[test]
fn check_reports_all_errors_at_once_with_line_and_remedy() {
    let (world, authority) = (World::new(), Authority::new());
    let daemon = all_wrong(&world, &authority);
    let asked = daemon.ask("check", &[]);
    assert_eq!(asked.code, Some(78), "{asked:?}");
    for (line, what, remedy) in WRONG {
        let told = asked
            .answer
            .find(&format!("{line}: {what}"))
            .unwrap_or_else(|| panic!("{line}: {asked:?}"));
        assert!(asked.answer[told..].contains(remedy), "{remedy}: {asked:?}");
    }
    for (key, what) in FILES {
        let told = asked.answer.lines().any(|line| line.contains(key) && line.contains(what));
        assert!(told, "{key}: {what}: {asked:?}");
    }
}

#[test]
fn check_reports_the_same_errors_in_json() {
    let (world, authority) = (World::new(), Authority::new());
    let daemon = all_wrong(&world, &authority);
    let asked = daemon.ask("check", &["--json"]);
    assert_eq!(asked.code, Some(78), "{asked:?}");
    let report: Value = serde_json::from_str(&asked.answer).unwrap();
    let findings = report["findings"].as_array().unwrap();
    let text = |finding: &Value, field: &str| finding[field].as_str().unwrap().to_owned();
    let errors: Vec<(String, String)> = findings
        .iter()
        .filter(|finding| finding["severity"] == "error")
        .map(|finding| (text(finding, "what"), text(finding, "remedy")))
        .collect();
    for (line, what, remedy) in WRONG {
        let told = |(said, help): &(String, String)| {
            said.contains(line) && said.contains(what) && help.contains(remedy)
        };
        assert!(errors.iter().any(told), "{line}: {errors:?}");
    }
    for (key, what) in FILES {
        let told = |(said, help): &(String, String)| {
            said.contains(key) && said.contains(what) && !help.is_empty()
        };
        assert!(errors.iter().any(told), "{key}: {errors:?}");
    }
    assert_eq!(errors.len(), WRONG.len() + FILES.len(), "{errors:?}");
}

#[test]
fn run_refuses_it_with_everything_that_it_can_know_and_changes_nothing() {
    let (world, authority) = (World::new(), Authority::new());
    let mut daemon = all_wrong(&world, &authority);
    daemon.begin();
    let ended = daemon.wait_for_end();
    assert_eq!(ended.code, Some(78), "{}", ended.said);
    for (line, what, remedy) in WRONG {
        let told = |said: &str| said.contains(line) && said.contains(what) && said.contains(remedy);
        assert!(ended.said.lines().any(told), "{line}: {}", ended.said);
    }
    let (key, what) = FILES[0];
    assert!(
        ended.said.lines().any(|line| line.contains(key) && line.contains(what)),
        "{}",
        ended.said
    );
    assert!(ended.said.contains("sknockd check --config"), "{}", ended.said);
    assert_eq!(world.gateway.table(), None);
    assert!(!daemon.file("state").exists());
}

#[test]
fn a_reload_of_a_wrong_configuration_keeps_the_last_good_one() {
    let (world, authority) = (World::new(), Authority::new());
    let daemon = Daemon::start(&world.gateway, &Config::new(&authority));
    daemon.configure_as(ALL_WRONG);
    daemon.signal(nix::sys::signal::Signal::SIGHUP);
    daemon.wait_for("reload failed. The previous configuration stays in force");
    for (_, what, _) in WRONG {
        daemon.wait_for(what);
    }
    let knock = Client::alice(&world.client, &authority).seal(&["tcp/22"]);
    knock.send(&world.client, World::GATEWAY[0]).must_be_granted();
}

/// To open one waits for another process, for ever.
#[test]
fn a_fifo_in_place_of_a_file_is_refused_at_once() {
    let (world, authority) = (World::new(), Authority::new());
    let url = Config::new(&authority).set("crlUrl", "http://192.0.2.1/crl.der");
    let url = url.set("crlFile", authority.file("crl.der").to_str().unwrap());
    let daemon = Daemon::start(&world.gateway, &url);
    nix::unistd::mkfifo(&daemon.file("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let alice = Client::alice(&world.client, &authority);
    let keys = ["PFXPasswdFile", "caFile", "serverPFXFile", "crlTlsCaFile"];
    for key in keys.map(Some).into_iter().chain([None]) {
        let config = daemon.file("config.ini");
        if let Some(key) = key {
            daemon.configure(&url.clone().set(key, "fifo"));
        } else {
            fs::remove_file(&config).unwrap();
            nix::unistd::mkfifo(&config, nix::sys::stat::Mode::S_IRWXU).unwrap();
        }
        let mark = daemon.mark();
        let asked = daemon.tell_through("timeout 60", "reload");
        assert_eq!(asked.code, Some(1), "{key:?}: {asked:?}");
        daemon.wait_since(mark, "it is not a regular file");
        let check = format!("check --config {}", config.display());
        let asked = daemon.tell_through("timeout 60", &check);
        assert_eq!(asked.code, Some(78), "{key:?}: {asked:?}");
        assert!(asked.answer.contains("it is not a regular file"), "{key:?}: {asked:?}");
        alice.seal(&["tcp/22"]).send(&world.client, World::GATEWAY[0]).must_be_granted();
    }
}

/// As a start would do, which changes neither its owner nor its files.
#[test]
fn a_state_dir_with_files_of_others_is_an_error_for_check() {
    let (world, authority) = (World::new(), Authority::new());
    let mut daemon = Daemon::stopped(&world.gateway, &Config::new(&authority));
    fs::create_dir(daemon.file("state")).unwrap();
    fs::write(daemon.file("state/passwd"), "").unwrap();
    let asked = daemon.ask("check", &[]);
    assert_eq!(asked.code, Some(78), "{asked:?}");
    assert!(asked.answer.contains("holds files that are not from sknockd"), "{asked:?}");
    daemon.begin();
    let ended = daemon.wait_for_end();
    assert!(ended.said.contains("holds files that are not from sknockd"), "{}", ended.said);
}

#[test]
fn the_environment_overrides_the_file() {
    let (world, authority) = (World::new(), Authority::new());
    let _services = [22, 2222].map(|port| Echo::tcp(&world.gateway, port));
    let mut daemon =
        Daemon::stopped(&world.gateway, &Config::new(&authority).set("knockPort", "7"));
    daemon.export("SKNOCK_KNOCKPORT", "7777");
    daemon.export("SKNOCK_protectedPorts", "tcp/2222");
    daemon.begin();
    daemon.wait_for(Daemon::ACCEPTING);
    let open = [world.tcp(22), world.tcp(2222)];
    assert_eq!(open, [Seen::each(Open, Open), Seen::each(Refused, Refused)]);
    let alice = Client::alice(&world.client, &authority);
    alice.open(World::GATEWAY[0], "tcp/2222 --knock-port 7777");

    daemon.export("SKNOCK_KNOCKPORT", "seven");
    let asked = daemon.ask("check", &[]);
    assert_eq!(asked.code, Some(78), "{asked:?}");
    assert!(asked.answer.contains("environment variable SKNOCK_KNOCKPORT"), "{asked:?}");
}

#[test]
fn a_good_configuration_is_checked_without_changing_anything() {
    let (world, authority) = (World::new(), Authority::new());
    let daemon = Daemon::stopped(&world.gateway, &Config::new(&authority));
    let asked = daemon.ask("check", &[]);
    assert_eq!(asked.code, Some(0), "{asked:?}");
    assert!(asked.answer.lines().last().unwrap().starts_with("ready"), "{asked:?}");
    assert_eq!(world.gateway.table(), None);
    assert!(!Path::new(&daemon.file("state")).exists());
}
