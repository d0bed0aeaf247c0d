//! `caFile` as people and their tools leave it: each certificate in it is used, or named with its line
//! and why not, by a start and by `sknockd check`.

use std::fs;

use rcgen::{CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, KeyUsagePurpose};
use sknock_tests::forge::Forge;
use sknock_tests::{Authority, Client, Config, Daemon, PASSWORD, World, openssl};

/// Root and intermediate of one authority, then RSA, P-521 on line 69, Ed25519 and others.
const ZOO: &str = include_str!("../authorities/zoo.pem");

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

fn of(line: usize, name: &str, why: &str) -> String {
    format!("caFile: line {line}: the certificate of {name} is not used: {why}")
}

/// The start and `check` name these, and `check` no others; the rest is used.
#[track_caller]
fn named(daemon: &Daemon<'_>, expected: &[String]) {
    daemon.wait_for(Daemon::ACCEPTING);
    let asked = daemon.ask("check", &[]);
    for what in expected {
        assert!(asked.answer.contains(what), "{what}: {}", asked.answer);
        daemon.wait_for(what);
    }
    let told = |line: &&str| line.contains("caFile: line") || line.contains("is not used");
    assert_eq!(asked.answer.lines().filter(told).count(), expected.len(), "{}", asked.answer);
    assert_eq!(asked.code, Some(0), "the rest is used: {}", asked.answer);
}

/// These one behind the other, and the line that each begins on.
fn joined(certificates: &[&str]) -> (String, Vec<usize>) {
    let mut text = String::new();
    let mut begin = |certificate: &&str| {
        let line = 1 + text.lines().count();
        text.push_str(certificate.trim_end());
        text.push('\n');
        line
    };
    let lines = certificates.iter().map(&mut begin).collect();
    (text, lines)
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
fn unusable_certificates_are_named_with_their_line() {
    let (world, authority) = (World::new(), Authority::new());
    let x509 = |options: &[&str], certificate: &[u8]| {
        let made = openssl::run(&[&["x509"], options].concat(), certificate);
        String::from_utf8(made).expect("it is PEM")
    };
    let trusted = x509(&["-trustout"], ZOO.as_bytes());
    let server = fs::read(authority.file("gate.cer")).expect("it is there");
    let leaf = x509(&["-inform", "DER"], &server);
    let alone = ZOO.lines().skip(10).take(10).collect::<Vec<_>>().join("\n");
    named(
        &started(&world, &authority, format!("{ZOO}{trusted}{leaf}").as_bytes()),
        &[
            of(69, "CN=Zoo P521 CA", "its key type is not supported"),
            "caFile: line 111: TRUSTED CERTIFICATE is a format of openssl only".to_owned(),
            of(121, "CN=gate", "not a CA certificate"),
        ],
    );
    named(
        &started(&world, &authority, alone.as_bytes()),
        &[of(1, "CN=Zoo Intermediate", "no chain to a root")],
    );
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

/// Root certificates whose key looks like one of ours: as long, or on the same curve.
#[test]
fn a_key_that_nothing_can_be_verified_with_is_named_with_its_line() {
    let (world, authority) = (World::new(), Authority::new());
    let root = |name: &str, key: &[&str]| {
        let fixed = ["req", "-x509", "-noenc", "-keyout", "/dev/null", "-days", "9", "-subj", name];
        let usage = ["-addext", "keyUsage=critical,keyCertSign,cRLSign", "-newkey"];
        let made = openssl::run(&[&fixed[..], &usage, key].concat(), b"");
        String::from_utf8(made).expect("it is PEM")
    };
    let curve =
        |name: &str| root("/CN=odd", &["ec", "-pkeyopt", &format!("ec_paramgen_curve:{name}")]);
    let explicit =
        ["-pkeyopt", "ec_paramgen_curve:prime256v1", "-pkeyopt", "ec_param_enc:explicit"];
    let odd = [
        curve("brainpoolP256r1"),
        curve("brainpoolP384r1"),
        curve("secp256k1"),
        root("/CN=odd", &[&["ec"], &explicit[..]].concat()),
        root("/CN=odd", &["rsa:2047"]),
        root("/CN=odd", &["ed448"]),
    ];
    let good = [curve("prime256v1"), curve("secp384r1"), root("/CN=good", &["rsa:2048"])];
    let (ca_file, lines) = joined(&odd.iter().chain(&good).map(String::as_str).collect::<Vec<_>>());
    let lines = lines[..odd.len()].iter();
    let expected: Vec<_> =
        lines.map(|line| of(*line, "CN=odd", "its key type is not supported")).collect();
    named(&started(&world, &authority, ca_file.as_bytes()), &expected);
}

/// requireExplicitPolicy of RFC 5280 (4.2.1.11), which no path here would be held to.
fn needs_a_policy(params: &mut CertificateParams) {
    critical(params, &[2, 5, 29, 36], &[0x30, 3, 0x80, 1, 0]);
}

fn critical(params: &mut CertificateParams, oid: &[u64], content: &[u8]) {
    let mut extension = CustomExtension::from_oid_content(oid, content.to_vec());
    extension.set_criticality(true);
    params.custom_extensions.push(extension);
}

fn may_sign_lists_only(params: &mut CertificateParams) {
    params.key_usages = vec![KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
}

/// Of the clients of these, who gets in.
fn granted(world: &World, authority: &Authority, daemon: &Daemon<'_>, by: &[(&Forge, bool)]) {
    for (number, (forge, is_granted)) in by.iter().enumerate() {
        let made = forge.client(&format!("client-{number}"), |_| ());
        let alice = Client::alice(&world.client, authority).posing_as(made.identity());
        let sent = alice.seal(&["tcp/22"]).send(&world.client, World::GATEWAY[0]);
        let line = daemon.wait_for(&sent.source().to_string());
        let expected = if *is_granted { "granted" } else { "unknown-authority" };
        assert!(line.contains(expected), "of authority {number}: {line}");
    }
}

#[test]
fn an_intermediate_with_an_unknown_critical_extension_is_named_not_used() {
    let (world, authority) = (World::new(), Authority::new());
    let ours = Forge::with_key_of(&authority);
    let first = ours.intermediate_with("first", needs_a_policy);
    let second = ours.intermediate_with("second", |params| {
        critical(params, &[1, 2, 3, 4, 5], &[5, 0]);
        needs_a_policy(params);
    });
    let good = ours.intermediate("good");
    let (ca_file, lines) = joined(&[good.pem(), first.pem(), second.pem()]);
    let why = "it has an unknown critical extension: ";
    let daemon = started(&world, &authority, ca_file.as_bytes());
    named(
        &daemon,
        &[
            of(lines[1], "CN=first", &format!("{why}2.5.29.36")),
            of(lines[2], "CN=second", &format!("{why}1.2.3.4.5, 2.5.29.36")),
        ],
    );
    let by = [(&good, true), (&first, false), (&second, false), (&ours, true)];
    granted(&world, &authority, &daemon, &by);
}

/// nameConstraints of RFC 5280 (4.2.1.10) with one subtree, which permits or excludes `name` (DER).
fn constrained(tag: u8, name: &[u8]) -> impl Fn(&mut CertificateParams) {
    let element = |tag: u8, content: &[u8]| {
        [&[tag, u8::try_from(content.len()).expect("it is short")], content].concat()
    };
    let content = element(0x30, &element(tag, &element(0x30, name)));
    move |params| critical(params, &[2, 5, 29, 30], &content)
}

#[test]
fn a_ca_whose_name_constraints_refuse_all_is_named_and_others_are_used() {
    const PERMITTED: u8 = 0xa0;
    const EXCLUDED: u8 = 0xa1;
    // An empty distinguished name, which every subject begins with; and mail.example.
    let (directory, mail) = ([0xa4, 2, 0x30, 0], b"\x81\x0cmail.example");
    let (world, authority) = (World::new(), Authority::new());
    let ours = Forge::with_key_of(&authority);
    let permits = ours.intermediate_with("permits", constrained(PERMITTED, &directory));
    let excludes = ours.intermediate_with("excludes", constrained(EXCLUDED, &directory));
    let root = Forge::root_with("root", constrained(PERMITTED, &directory));
    let odd = ours.intermediate_with("odd", constrained(PERMITTED, &[0x8f, 0]));
    // These refuse whom they are about.
    let mail = ours.intermediate_with("mail", constrained(PERMITTED, mail));
    let named_hosts = constrained(EXCLUDED, b"\x82\x0chost.example");
    let hosts = ours.intermediate_with("hosts", named_hosts);
    let given = [&permits, &excludes, &root, &odd, &mail, &hosts];
    let (ca_file, lines) = joined(&given.map(Forge::pem));
    let why = "its nameConstraints have a directoryName";
    let daemon = started(&world, &authority, ca_file.as_bytes());
    named(
        &daemon,
        &[
            of(lines[0], "CN=permits", why),
            of(lines[1], "CN=excludes", why),
            of(lines[2], "CN=root", why),
            of(lines[3], "CN=odd", "it is malformed (nameConstraints"),
        ],
    );
    let by = [
        (&permits, false),
        (&excludes, false),
        (&root, false),
        (&odd, false),
        (&mail, true),
        (&hosts, true),
        (&ours, true),
    ];
    granted(&world, &authority, &daemon, &by);
}

#[test]
fn a_ca_that_may_not_sign_certificates_is_named_and_not_used() {
    let (world, authority) = (World::new(), Authority::new());
    let ours = Forge::with_key_of(&authority);
    let below = ours.intermediate_with("below", may_sign_lists_only);
    let under = below.intermediate("under");
    let root = Forge::root_with("root", may_sign_lists_only);
    let silent = ours.intermediate_with("silent", |params| params.key_usages.clear());
    let (ca_file, lines) = joined(&[below.pem(), under.pem(), root.pem(), silent.pem()]);
    let why = "its keyUsage lacks keyCertSign";
    let daemon = started(&world, &authority, ca_file.as_bytes());
    named(
        &daemon,
        &[
            of(lines[0], "CN=below", why),
            of(lines[1], "CN=under", "no chain to a root"),
            of(lines[2], "CN=root", why),
        ],
    );
    let by = [(&silent, true), (&below, false), (&under, false), (&root, false), (&ours, true)];
    granted(&world, &authority, &daemon, &by);
}

#[test]
fn an_unusable_ca_in_the_bundle_is_named_and_fatal_only_if_none_is_left() {
    let (world, authority) = (World::new(), Authority::new());
    let started = |root: &Forge, others: &[&Forge], ca_file: &str| {
        let server = root.client("gate", |params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        });
        let mut pem = server.pem() + root.pem();
        for other in others {
            pem.push_str(other.pem());
        }
        let config = Config::new(&authority).set("serverPFXFile", "server.pfx");
        let mut daemon = Daemon::stopped(&world.gateway, &config.set("caFile", "added.pem"));
        fs::write(daemon.file("server.pfx"), openssl::pkcs12(&pem, PASSWORD, &[])).unwrap();
        fs::write(daemon.file("added.pem"), ca_file).unwrap();
        daemon.begin();
        daemon
    };
    let of = |name: &str, why: &str| {
        format!("serverPFXFile: the certificate of {name} is not used: {why}")
    };
    let ours = Forge::with_key_of(&authority);
    let [strict, mute] = [
        ours.intermediate_with("strict", needs_a_policy),
        ours.intermediate_with("mute", may_sign_lists_only),
    ];
    let (critical, usage) =
        ("it has an unknown critical extension: 2.5.29.36", "its keyUsage lacks keyCertSign");
    let again = format!("caFile: line 1: the certificate of CN=strict is not used: {critical}");
    let expected = [of("CN=strict", critical), of("CN=mute", usage), again];
    named(&started(&ours, &[&strict, &mute], strict.pem()), &expected);

    let root = Forge::root_with("root", may_sign_lists_only);
    let mut daemon = started(&root, &[&strict], root.pem());
    let ended = daemon.wait_for_end();
    let asked = daemon.ask("check", &[]);
    assert_eq!((ended.code, asked.code), (Some(78), Some(78)), "{}", asked.answer);
    let again = format!("caFile: line 1: the certificate of CN=root is not used: {usage}");
    let nothing = "none of the 3 certificates is a usable root".to_owned();
    for what in [of("CN=root", usage), of("CN=strict", critical), again, nothing] {
        assert!(ended.said.contains(&what), "{what}: {}", ended.said);
        assert!(asked.answer.contains(&what), "{what}: {}", asked.answer);
    }
}
