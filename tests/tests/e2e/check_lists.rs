//! `sknockd check` fetches the lists of `crlUrl` and judges them as a start does: where a start would
//! end, check ends with 78.

use std::thread;

use nix::unistd::Pid;
use serde_json::Value;
use sknock_tests::{Authority, Config, Daemon, Page, Reply, Web, World, openssl, process, wait};

/// Findings as (severity, text), but for what depends on the machine or is so of every test.
#[track_caller]
fn found(daemon: &Daemon<'_>) -> (Option<i32>, Vec<(String, String)>) {
    let asked = daemon.ask("check", &["--json"]);
    let report: Value = serde_json::from_str(&asked.answer)
        .unwrap_or_else(|error| panic!("{error}: {}{}", asked.answer, asked.errors));
    assert_eq!(asked.errors, "");
    let findings = report["findings"].as_array().expect("a list").iter();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let told = findings.map(|finding| (text(&finding["severity"]), text(&finding["what"])));
    let ours =
        told.filter(|(_, what)| !what.contains(" expires on ") && !what.contains("the clock"));
    (asked.code, ours.collect())
}

fn config(authority: &Authority, url: &str) -> Config {
    Config::new(authority).set("intake", "socket").set("crlUrl", url)
}

fn page(bytes: impl Into<Vec<u8>>) -> Reply {
    Reply::Page(Page::plain(bytes))
}

fn pem(der: &[u8]) -> Vec<u8> {
    openssl::run(&["crl", "-inform", "DER"], der)
}

/// What a web server may say instead of a list, and what is told of it.
fn wrong(authority: &Authority) -> Vec<(&'static str, Reply, &'static str)> {
    let html = "<!DOCTYPE html><html><body>It works!</body></html>";
    vec![
        ("PEM", page(pem(&authority.crl())), "PEM"),
        ("HTML", page(html), "not a CRL in DER"),
        ("404", Reply::Status(404), "the web server answered 404"),
        ("another CA's", page(Authority::new().crl()), "is not a trusted CA"),
        ("nothing", page(""), "the web server sent nothing"),
        ("no HTTP", Reply::Raw(b"SSH-2.0-OpenSSH\r\n".to_vec()), "error"),
    ]
}

#[test]
fn a_crl_that_would_fail_a_start_is_an_error() {
    let (world, authority) = (World::new(), Authority::new());
    let web = Web::start(&world.stranger, 8000, page(authority.crl()));
    let url = web.url(World::STRANGER[0], "/crl.der");
    let daemon = Daemon::stopped(&world.gateway, &config(&authority, &url));
    assert_eq!(found(&daemon), (Some(0), vec![]), "a good list");
    for (what, reply, why) in wrong(&authority) {
        web.reply(reply);
        let (code, findings) = found(&daemon);
        assert_eq!(code, Some(78), "{what}: {findings:?}");
        let named = findings.iter().any(|(severity, text)| {
            severity == "error" && text.contains(&url) && text.contains(why)
        });
        assert!(named, "{what}: {findings:?}");
        let mut start = Daemon::stopped(&world.gateway, &config(&authority, &url));
        start.begin();
        let ended = start.wait_for_end();
        assert_eq!(ended.code, Some(69), "{what}: check would be wrong: {}", ended.said);
    }
}

#[test]
fn a_failed_fetch_is_an_error_without_a_crl_and_a_warning_with_one() {
    let (world, authority) = (World::new(), Authority::new());
    let url = "http://10.77.2.2:8001/crl.der";
    let daemon = Daemon::stopped(&world.gateway, &config(&authority, url));
    world.gateway.know_hosts("127.0.0.1 localhost\n");
    let (code, findings) = found(&daemon);
    let [(severity, what), (_, none)] = &*findings else { panic!("{findings:?}") };
    assert!(what.contains(url) && what.contains("refused"), "{what}");
    assert!(none.contains("no CRL is available"), "{none}");
    assert_eq!((code, &**severity), (Some(78), "error"));
    let list = authority.file("crl.der");
    let list = list.to_str().expect("plain names");
    daemon.configure(&config(&authority, url).set("crlFile", list));
    let (code, findings) = found(&daemon);
    let [(severity, what)] = &*findings else { panic!("{findings:?}") };
    assert!(what.contains(url) && what.contains("refused"), "{what}");
    assert_eq!((code, &**severity), (Some(0), "warning"), "a start works");
    daemon.configure(&config(&authority, "http://lists.invalid/crl.der"));
    let (code, findings) = found(&daemon);
    assert_eq!(code, Some(78), "{findings:?}");
    assert!(findings[0].1.contains("http://lists.invalid/crl.der: "), "{findings:?}");
}

/// Whose lists a start would go by, which, and until when: from the web as from a file.
#[test]
fn each_crl_is_reported_with_issuer_number_and_expiry() {
    let (world, authority) = (World::new(), Authority::new());
    let web = Web::start(&world.stranger, 8000, page(authority.crl()));
    let url = web.url(World::STRANGER[0], "/crl.der");
    let daemon = Daemon::stopped(&world.gateway, &config(&authority, &url));
    let crl = |option: &str| {
        let told = openssl::run(&["crl", "-inform", "DER", "-noout", option], &authority.crl());
        String::from_utf8(told).expect("text").trim().split_once('=').expect("a value").1.to_owned()
    };
    let number = crl("-crlnumber").trim_start_matches("0x").to_lowercase();
    let date = crl("-nextupdate");
    let [month, day, time, year, _] = date.split_whitespace().collect::<Vec<_>>()[..] else {
        panic!("{date}");
    };
    let months =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = 1 + months.iter().position(|name| *name == month).expect("a month");
    let day: u8 = day.parse().expect("a day");
    let end = format!("{year}-{month:02}-{day:02}T{time}Z");
    let file = authority.file("crl.der");
    let in_file = Config::new(&authority).set("intake", "socket");
    let in_file = in_file.set("crlFile", file.to_str().expect("plain names"));
    for (place, config) in [(&*url, config(&authority, &url)), ("crlFile", in_file)] {
        daemon.configure(&config);
        let asked = daemon.ask("check", &[]).answer;
        let line = asked.lines().find(|line| line.starts_with("CRL of ")).unwrap_or_default();
        assert!(line.contains("CN=") && line.ends_with(place), "{line}: {asked}");
        assert!(line.contains(&format!("number {number}, valid until {end}")), "{line}: {asked}");
    }
}

#[test]
fn a_server_certificate_on_a_fetched_crl_is_reported() {
    let (world, authority) = (World::new(), Authority::new());
    authority.revoke("gate");
    let web = Web::start(&world.stranger, 8000, page(authority.crl()));
    let url = web.url(World::STRANGER[0], "/crl.der");
    let daemon = Daemon::stopped(&world.gateway, &config(&authority, &url));
    let (code, findings) = found(&daemon);
    let [(severity, what)] = &*findings else { panic!("{findings:?}") };
    assert_eq!((code, &**severity), (Some(0), "warning"));
    assert!(what.contains("the server certificate is on the CRL from http"), "{what}");
}

/// What a web server sends is read where it can do no harm: as the user of the network process, behind
/// its walls.
#[test]
fn crls_are_fetched_in_the_sandbox_of_the_network_process() {
    let (world, authority) = (World::new(), Authority::new());
    let web = Web::start(&world.stranger, 8000, Reply::Hang);
    let url = web.url(World::STRANGER[0], "/crl.der");
    let daemon = Daemon::stopped(&world.gateway, &config(&authority, &url));
    thread::scope(|scope| {
        let asking = scope.spawn(|| found(&daemon));
        web.request(0);
        let config = daemon.file("config.ini");
        let check = wait::some("check", || checking(config.to_str().expect("plain names")));
        let fetching = *process::children(check).first().expect("it does not fetch itself");
        let status = |line| process::status(fetching, line).unwrap_or_default();
        assert!(status("Uid").starts_with("65534"), "{}", status("Uid"));
        assert_eq!(status("CapEff").trim_start_matches('0'), "");
        assert_eq!((&*status("NoNewPrivs"), &*status("Seccomp")), ("1", "2"));
        // The limit of a piece is ten seconds, as for a start.
        let (code, findings) = asking.join().expect("it says why");
        assert_eq!(code, Some(78), "{findings:?}");
        assert!(findings[0].1.contains("timed out"), "{findings:?}");
    });
}

/// The process that checks this configuration.
fn checking(config: &str) -> Option<Pid> {
    let processes = std::fs::read_dir("/proc").expect("Linux has it");
    let mut numbers = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let is_check = |number: &i32| {
        let line = std::fs::read_to_string(format!("/proc/{number}/cmdline")).unwrap_or_default();
        let words: Vec<&str> = line.split('\0').collect();
        words.contains(&"check") && words.contains(&config)
    };
    numbers.find(is_check).map(Pid::from_raw)
}

#[test]
fn a_file_larger_than_a_start_reads_is_not_ready() {
    let (world, authority) = (World::new(), Authority::new());
    let daemon = Daemon::stopped(&world.gateway, &Config::new(&authority).set("intake", "socket"));
    // One byte more than each limit: zeros behind a good file.
    for (key, name, from, size) in [
        ("crlFile", "long.der", authority.file("crl.der"), 64 << 20),
        ("serverPFXFile", "long.pfx", authority.file("gate.pfx"), 1 << 20),
        ("caFile", "long.pem", authority.file("ca.pem"), 1 << 20),
    ] {
        let long = daemon.file(name);
        std::fs::copy(from, &long).expect("our folder");
        let file = std::fs::OpenOptions::new().write(true).open(&long).expect("our file");
        file.set_len(size + 1).expect("our file");
        let path = long.to_str().expect("plain names");
        daemon.configure(&Config::new(&authority).set("intake", "socket").set(key, path));
        let (code, findings) = found(&daemon);
        assert_eq!(code, Some(78), "{key}: {findings:?}");
        assert!(
            findings.iter().any(|(_, what)| what.contains(key) && what.contains("larger than")),
            "{findings:?}"
        );
        let mut start = Daemon::stopped(&world.gateway, &Config::new(&authority).set(key, path));
        start.begin();
        let ended = start.wait_for_end();
        assert_ne!(ended.code, Some(0), "{key}: check would be wrong: {}", ended.said);
    }
}
