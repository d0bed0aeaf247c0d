//! `caFile` as people and their tools leave it: each certificate in it is used, or named with its line
//! and why not, by a start and by `sknockd check`.

use std::fs;

use sknock_tests::{Authority, Client, Config, Daemon, World, openssl};

/// Root and intermediate of one authority, then RSA, P-521 on line 69, Ed25519 and others.
const ZOO: &str = include_str!("authorities/zoo.pem");

fn text(authority: &Authority, name: &str) -> String {
    fs::read_to_string(authority.file(name)).expect("it is PEM")
}

fn started<'w>(world: &'w World, authority: &Authority, ca_file: &[u8]) -> Daemon<'w> {
    let config = Config::new(authority).set("caFile", "added.pem").set("intake", "socket");
    let mut daemon = Daemon::stopped(&world.gateway, &config);
    fs::write(daemon.file("added.pem"), ca_file).expect("our folder");
    daemon.settle();
    daemon.begin();
    daemon
}

#[test]
fn every_certificate_is_used_however_it_was_pasted() {
    let world = World::new();
    let (ours, theirs) = (Authority::new(), Authority::new());
    let (first, second) = (text(&ours, "ca.pem"), text(&theirs, "ca.pem"));
    let (first, second) = (first.trim_end(), second.trim_end());
    let indented = format!("    {}\n", second.replace('\n', "\n    "));
    for (how, ca_file) in [
        ("glued", format!("{first}{second}")),
        ("byte order mark", format!("\u{feff}{second}\n")),
        ("indented", format!("{first}\n{indented}")),
        ("no line end", format!("{first}\r\n{}", second.replace('\n', "\r\n"))),
        ("an old name", second.replace(" CERTIFICATE-", " X509 CERTIFICATE-")),
        ("beside others", format!("{ZOO}{first}\n{second}")),
    ] {
        let daemon = started(&world, &ours, ca_file.as_bytes());
        daemon.wait_for(Daemon::ACCEPTING);
        let alice = Client::alice(&world.client, &ours).posing_as(theirs.identity("alice"));
        println!("{how}");
        alice.seal(&["tcp/22"]).send(&world.client, World::GATEWAY[0]).must_be_granted();
    }
}

#[test]
fn what_nobody_can_use_is_named_with_its_line() {
    let (world, authority) = (World::new(), Authority::new());
    let x509 = |options: &[&str], certificate: &[u8]| {
        let made = openssl::run(&[&["x509"], options].concat(), certificate);
        String::from_utf8(made).expect("it is PEM")
    };
    let trusted = x509(&["-trustout"], ZOO.as_bytes());
    let server = fs::read(authority.file("gate.cer")).expect("it is there");
    let leaf = x509(&["-inform", "DER"], &server);
    let alone = ZOO.lines().skip(10).take(10).collect::<Vec<_>>().join("\n");
    let named = |ca_file: String, expected: &[&str]| {
        let daemon = started(&world, &authority, ca_file.as_bytes());
        daemon.wait_for(Daemon::ACCEPTING);
        let asked = daemon.ask("check", &[]);
        let found = asked.answer.lines().filter(|line| line.contains("caFile: line"));
        assert_eq!(found.count(), expected.len(), "{}", asked.answer);
        for what in expected {
            assert!(asked.answer.contains(what), "{what}: {}", asked.answer);
            daemon.wait_for(what);
        }
        assert_eq!(asked.code, Some(0), "the rest is used: {}", asked.answer);
    };
    let of = |line: usize, name: &str, why: &str| {
        format!("caFile: line {line}: the certificate of {name} is not used: {why}")
    };
    named(
        format!("{ZOO}{trusted}{leaf}"),
        &[
            &of(69, "CN=Zoo P521 CA", "nothing can be verified with its key"),
            "caFile: line 111: TRUSTED CERTIFICATE is a format of openssl's own",
            &of(121, "CN=gate", "it is no CA's"),
        ],
    );
    named(alone, &[&of(1, "CN=Zoo Intermediate", "it does not lead to a root")]);
}

#[test]
fn a_damaged_certificate_is_an_error_with_its_line() {
    let (world, authority) = (World::new(), Authority::new());
    let (whole, torn) = (text(&authority, "ca.pem"), ZOO.replacen("-----END", "", 1));
    let line = format!("caFile: line {}: ", whole.lines().count() + 1);
    let mut daemon = started(&world, &authority, format!("{whole}{torn}").as_bytes());
    let ended = daemon.wait_for_end();
    assert_eq!(ended.code, Some(78));
    assert!(ended.said.contains(&line), "{}", ended.said);
    let asked = daemon.ask("check", &[]);
    assert!(asked.code == Some(78) && asked.answer.contains(&line), "{}", asked.answer);
}
