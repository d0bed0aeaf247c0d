//! What administrators may write in `config.ini`, and what they are told when it is wrong.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;
use sknock_manual::{KeyEntry, compare, config_page};
use sknock_protocol::Service;
use sknock_server::config::{
    ConfigKey, FirewallPolicy, OnExit, PasswordSource, Problems, Settings, ValueKind, parse, schema,
};

/// The file that the original ships.
const ORIGINAL: &str = "\
[DEFAULT]
KNOCKPACKET_MIN_LENGTH = 800
PORT_OPEN_DURATION_IN_SECONDS = 15
TIMESTAMP_THRESHOLD_IN_SECONDS = 7
CRL_UPDATE_INTERVAL_IN_MINUTES = 30
SIGNATURE_SIZE = 72
RECV_BUFFER = 1600

crlFile = /tmp/sknock/devca.crl
crlUrl = https://home.in.tum.de/~sel/BA/CA/devca.crl
serverPFXFile = certificates/devserver.pfx
PFXPasswd = portknocking
firewallPolicy = none
";

fn read(text: &str) -> Result<Settings, Problems> {
    parse(text, Path::new("/etc/sknock/config.ini"), [])
}

fn read_with(text: &str, variables: &[(&str, &str)]) -> Result<Settings, Problems> {
    let variables = variables.iter().map(|(name, value)| (OsStr::new(*name), OsStr::new(*value)));
    parse(text, Path::new("/etc/sknock/config.ini"), variables)
}

fn problems(text: &str) -> Vec<String> {
    let problems = read(text).expect_err("a configuration with problems");
    problems.iter().map(ToString::to_string).collect()
}

fn inline(settings: &Settings) -> &str {
    match &settings.keys.password {
        PasswordSource::Inline(password) => password.as_str(),
        other => panic!("{other:?}"),
    }
}

fn services(texts: &[&str]) -> Vec<Service> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn a_file_of_the_original_loads_with_its_meaning() {
    let settings = read(ORIGINAL).unwrap();
    assert_eq!(settings.grants.lasts, 15);
    assert_eq!(settings.knocks.window, Duration::from_secs(7));
    assert_eq!(settings.revocation.interval, Duration::from_secs(30 * 60));
    assert_eq!(settings.revocation.file, Some(PathBuf::from("/tmp/sknock/devca.crl")));
    assert_eq!(settings.revocation.urls, ["https://home.in.tum.de/~sel/BA/CA/devca.crl"]);
    assert_eq!(settings.keys.pfx, Path::new("/etc/sknock/certificates/devserver.pfx"));
    assert_eq!(inline(&settings), "portknocking");
    assert_eq!(settings.firewall.policy, FirewallPolicy::None);
    let noted: Vec<&str> = settings.notes.iter().map(|note| note.place.as_str()).collect();
    assert_eq!(noted, ["/etc/sknock/config.ini:6", "/etc/sknock/config.ini:7"]);
}

#[test]
fn an_original_file_that_opens_for_longer_than_our_maximum_still_loads() {
    let settings = read("PORT_OPEN_DURATION_IN_SECONDS = 7200").unwrap();
    assert_eq!((settings.grants.lasts, settings.grants.longest), (7200, 7200));
}

#[test]
fn the_example_names_every_key_with_its_default_and_its_why() {
    let example =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../config.ini.example")).unwrap();
    for key in schema::ALL.iter().filter(|key| key.kind != ValueKind::Ignored) {
        let value = format!("{} = {}", key.name, key.default);
        let why = key.why.replace('\n', "\n# ");
        let block = format!("\n# {why} ({})\n{}\n", key.values(), value.trim_end());
        assert!(example.contains(&block), "config.ini.example lacks:{block}");
    }
    let mut names = example.lines().filter(|line| !line.starts_with(['#', '[']));
    assert!(
        names
            .all(|line| line.is_empty()
                || ConfigKey::find(line.split_once(" =").unwrap().0).is_some())
    );
    let mut settings = read(&example).unwrap();
    settings.places.clear();
    assert_eq!(settings, read("").unwrap());
}

#[test]
fn the_manual_page_has_every_key() {
    let example =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../config.ini.example")).unwrap();
    let preface = example.split("\n\n").next().unwrap();
    let preface = preface.lines().map(|line| line.trim_start_matches('#').trim());
    let preface = preface.skip(1).collect::<Vec<_>>().join("\n");
    let known = schema::ALL.iter().filter(|key| key.kind != ValueKind::Ignored);
    let entry = |key: &ConfigKey| KeyEntry {
        name: key.name.to_owned(),
        default: key.default.to_owned(),
        values: key.values(),
        text: key.why.to_owned(),
    };
    let keys: Vec<KeyEntry> = known.copied().map(entry).collect();
    compare(&[config_page(preface.trim(), &keys)]);
}

/// Fuzzing begins with every key that there is: `fuzz/seeds.py` writes them.
#[test]
fn the_fuzzers_seeds_are_the_example() {
    let read = |name: &str| {
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)).unwrap()
    };
    let example = read("config.ini.example");
    assert!(read("fuzz/seeds/configuration/example") == example, "run fuzz/seeds.py");
    let uncommented = example.replace("\n#", "\n");
    assert!(
        read("fuzz/seeds/configuration/example-uncommented") == uncommented,
        "run fuzz/seeds.py"
    );
}

#[test]
fn defaults_are_the_safe_ones() {
    let settings = read("").unwrap();
    assert_eq!(settings.firewall.policy, FirewallPolicy::Reject);
    assert_eq!(settings.firewall.always_open, services(&["tcp/22"]));
    assert_eq!(settings.firewall.on_exit, OnExit::Closed);
    assert!(!settings.knocks.second_address);
    assert_eq!(settings.keys.password, PasswordSource::None);
    assert_eq!(settings.revocation.file, None);
    assert!(settings.notes.is_empty());
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_the_nearest_key() {
    assert_eq!(
        problems("[DEFAULT]\n\nknockprot = 5\nfoo = 1"),
        [
            "/etc/sknock/config.ini:3: unknown key. Did you mean knockPort?",
            "/etc/sknock/config.ini:4: unknown key. Write KEY = VALUE. config.ini.example lists every key",
        ]
    );
}

#[test]
fn all_problems_come_at_once_each_with_its_line() {
    let found = problems(
        "[DEFAULT]\n\
         knockPort = 0\n\
         workers = many\n\
         TIMESTAMP_THRESHOLD_IN_SECONDS = 7 ; seconds\n\
         firewallPolicy = deny\n\
         crlUrl = ftp://example.org/a.crl\n\
         protocols = v3\n\
         protectedPorts = 22\n\
         user = root\n\
         nonsense\n\
         \x20 indented = 1\n\
         [other]\n\
         ignored = 1\n",
    );
    for (line, part) in [
        (2, "knockPort cannot be \"0\". Write 1 to 65535"),
        (3, "Write 0 to 64"),
        (4, "A comment needs a line of its own"),
        (5, "none, reject or drop"),
        (6, "http or https"),
        (7, "this version does not support protocol \"v3\". Write v2, or v2, v1"),
        (8, "write tcp/22 or udp/22"),
        (9, "must not run as root"),
        (10, "not of the form KEY = VALUE"),
        (11, "indented"),
        (12, "a section other than [DEFAULT]"),
    ] {
        let place = format!("/etc/sknock/config.ini:{line}: ");
        assert!(
            found.iter().any(|text| text.starts_with(&place) && text.contains(part)),
            "{place}{part} in {found:#?}"
        );
    }
    assert_eq!(found.len(), 11, "{found:#?}");
}

#[test]
fn numbers_out_of_range_are_refused_with_the_range() {
    for key in schema::ALL {
        let ValueKind::Number { min, max } = key.kind else { continue };
        let write = |value: &str| read(&format!("{} = {value}", key.name));
        assert!(
            write(&min.to_string()).is_ok() || key.name.starts_with("MAX_PORT"),
            "{}",
            key.name
        );
        assert!(write(&max.to_string()).is_ok(), "{}", key.name);
        let beyond = (max + 1).to_string();
        for bad in [beyond.as_str(), "-1", "+5", "1.5", "", "0x10", "99999999999999999999"] {
            let problems = write(bad).unwrap_err().to_string();
            assert!(problems.contains(&format!("Write {min} to {max}")), "{problems}");
        }
    }
}

#[test]
fn a_list_can_be_fetched_as_often_as_every_six_seconds() {
    let write = |value: &str| read(&format!("CRL_UPDATE_INTERVAL_IN_MINUTES = {value}"));
    for (value, seconds) in [("0.1", 6), ("0.5", 30), ("30", 1800), ("1.0", 60), ("10080", 604_800)]
    {
        let interval = write(value).unwrap().revocation.interval;
        assert_eq!(interval, Duration::from_secs(seconds), "{value}");
    }
    for bad in ["0", "0.0", ".5", "1.", "0.05", "1.5.5", "10080.1", "-1", "1e3", "", "1,5"] {
        let problems = write(bad).unwrap_err().to_string();
        assert!(problems.contains("Write 0.1 to 10080"), "{problems}");
    }
}

#[test]
fn a_key_that_stands_twice_is_refused_with_both_lines() {
    assert_eq!(
        problems("knockPort = 5\nworkers = 1\nKNOCKPORT = 6"),
        [
            "/etc/sknock/config.ini:3: duplicate key knockPort, also in line 1. Remove one of the two lines"
        ]
    );
}

#[test]
fn a_password_stays_what_it_is() {
    for password in [
        r#"back\slash"quote';semi%per=cent"#,
        "ends in a backslash\\",
        "# not a comment",
        "; neither",
        "\"quoted\"",
        "Grüße, 鍵 🔑",
        "%(interpolation)s %% a:b=c",
        "$HOME `id`",
    ] {
        let settings = read(&format!("PFXPasswd = {password}\nworkers = 3\n")).unwrap();
        assert_eq!(inline(&settings), password);
        assert_eq!(settings.process.workers, 3);
        let crlf = read(&format!("PFXPasswd={password}\r\nworkers = 3\r\n")).unwrap();
        assert_eq!(inline(&crlf), password);
    }
    let outer = read_with("", &[("SKNOCK_PFXPASSWD", " outer space ")]).unwrap();
    assert_eq!(inline(&outer), " outer space ");
}

#[test]
fn a_password_is_in_no_output() {
    let secret = "correct-horse";
    let settings = read(&format!("PFXPasswd = {secret}")).unwrap();
    assert!(!format!("{settings:?}").contains(secret));
    assert!(!serde_json::to_string(&settings).unwrap().contains(secret));
    let found =
        problems(&format!("PFXPasswd = {secret}\nPFXPasswd = {secret}\n  {secret}\n{secret}"));
    assert_eq!(found.len(), 3);
    assert!(!found.concat().contains(secret), "{found:?}");
}

#[test]
fn keys_are_known_in_any_case_and_with_either_separator() {
    let settings = read("KNOCKPORT: 5\nfirewallpolicy=DROP\n# c\n; c\n\u{20} # c\n").unwrap();
    assert_eq!(settings.knocks.ports, services(&["udp/5"]));
    assert_eq!(settings.firewall.policy, FirewallPolicy::Drop);
    assert_eq!(
        read("\u{feff}[default]\nknockPort = 5").unwrap().knocks.ports,
        services(&["udp/5"])
    );
}

#[test]
fn the_environment_overrides_the_file() {
    let file = "knockPort = 5\nPFXPasswd = inside\ncrlFile = a.crl";
    let settings = read_with(
        file,
        &[("SKNOCK_KNOCKPORT", "6"), ("SKNOCK_PfxPasswd", "outside"), ("SKNOCK_CRLFILE", "")],
    )
    .unwrap();
    assert_eq!(settings.knocks.ports, services(&["udp/6"]));
    assert_eq!(inline(&settings), "outside");
    assert_eq!(settings.revocation.file, None);
    let none = read_with(file, &[("SKNOCK_PFXPASSWD", "")]).unwrap();
    assert_eq!(none.keys.password, PasswordSource::None);
}

#[test]
fn variables_of_other_programs_are_left_alone() {
    let others = [("SKNOCK_PFX_PASSWORD", "x"), ("SKNOCK_IDENTITY", "x"), ("KNOCKPORT", "x")];
    assert_eq!(read_with("", &others).unwrap(), read("").unwrap());
}

#[test]
fn a_bad_variable_is_named() {
    let problems = read_with("", &[("SKNOCK_WORKERS", "99")]).unwrap_err().to_string();
    assert!(problems.starts_with("environment variable SKNOCK_WORKERS: "), "{problems}");
    let twice = [("SKNOCK_WORKERS", "1"), ("SKNOCK_workers", "2")];
    assert!(read_with("", &twice).unwrap_err().to_string().contains("sets the same key"));
}

#[test]
fn ssh_stays_open_only_where_everything_is_denied() {
    let open = |text: &str| read(text).unwrap().firewall.always_open;
    assert_eq!(open("firewallPolicy = drop"), services(&["tcp/22"]));
    assert_eq!(open("firewallPolicy = none"), []);
    assert_eq!(open("protectedPorts = tcp/22"), []);
    assert_eq!(open("alwaysOpenPorts = tcp/2222, UDP/53"), services(&["tcp/2222", "udp/53"]));
    let bare = read("alwaysOpenPorts =").unwrap();
    assert_eq!(bare.firewall.always_open, []);
    assert!(bare.notes[0].warning && bare.notes[0].what.contains("SSH"));
}

#[test]
fn contradictions_between_keys_are_refused() {
    for (text, part) in [
        ("protectedPorts = tcp/20-30\nalwaysOpenPorts = tcp/22", "tcp/22 is in alwaysOpenPorts"),
        ("protectedPorts = tcp/22\nfirewallPolicy = none", "protectedPorts has no effect"),
        ("PFXPasswd = a\nPFXPasswdFile = b", "Keep one of the two"),
        ("MAX_PORT_OPEN_DURATION_IN_SECONDS = 5", "less than PORT_OPEN_DURATION_IN_SECONDS (15)"),
        ("serverPFXFile =", "serverPFXFile cannot be"),
        ("stateDir = /etc", "this configuration is in stateDir"),
        ("stateDir = /k\nserverPFXFile = /k/s.pfx", "serverPFXFile is in stateDir"),
        ("crlUrl = https://me:pw@example.org/a.crl", "contains a user or password"),
    ] {
        let found = problems(text);
        assert!(found[0].contains(part), "{found:?}");
    }
    assert!(!problems("crlUrl = https://me:hush@example.org/")[0].contains("hush"));
}

#[test]
fn offering_what_is_not_protected_is_noted() {
    let settings = read("protectedPorts = tcp/22-24\nallowedServices = tcp/23, tcp/80").unwrap();
    assert_eq!(settings.notes.len(), 1);
    assert!(settings.notes[0].what.contains(" tcp/80,"));
}

#[test]
fn lists_take_commas_and_white_space() {
    let settings = read(
        "crlUrl = http://a/1, https://b/2\thttp://c/3\nprotectedPorts = tcp/22,tcp/23 udp/5-9",
    )
    .unwrap();
    assert_eq!(settings.revocation.urls, ["http://a/1", "https://b/2", "http://c/3"]);
    assert_eq!(settings.firewall.protected, services(&["tcp/22-23", "udp/5-9"]));
    assert_eq!(settings.revocation.file, None);
    assert_eq!(settings.revocation.saved, Some(PathBuf::from("/var/lib/sknock/crl.der")));
}

#[test]
fn settings_reach_the_network_process_whole_but_for_password_notes_and_places() {
    let mut settings = read(&format!("{ORIGINAL}allowedServices = tcp/22, udp/5-9")).unwrap();
    let json = serde_json::to_string(&settings).unwrap();
    settings.keys.password = PasswordSource::None;
    settings.notes.clear();
    settings.places.clear();
    assert_eq!(serde_json::from_str::<Settings>(&json).unwrap(), settings);
}

proptest! {
    #[test]
    fn any_text_is_settings_or_problems(text in any::<String>()) {
        let _either = read(&text);
    }

    #[test]
    fn any_value_of_any_key_is_settings_or_problems(
        index in 0..schema::ALL.len(),
        value in "\\PC*",
    ) {
        let _either = read(&format!("{} = {value}", schema::ALL[index].name));
    }

    #[test]
    fn any_password_of_one_line_without_outer_space_survives(password in "[^\\p{C}\\s]([^\\p{C}]*[^\\p{C}\\s])?") {
        let settings = read(&format!("PFXPasswd = {password}")).unwrap();
        prop_assert_eq!(inline(&settings), password);
    }
}
