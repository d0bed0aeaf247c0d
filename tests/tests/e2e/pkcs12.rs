//! PKCS#12 files as people have them, given to the real programs: they work, or the error says what
//! is wrong and what to do.

use std::fs;
use std::path::Path;

use p12_keystore::{Certificate, KeyStore, KeyStoreEntry, PrivateKeyChain};
use rcgen::ExtendedKeyUsagePurpose;
use serde_json::Value;
use sknock::ServerCertificate;
use sknock_tests::forge::{Forge, Made, allows};
use sknock_tests::{Authority, Client, Config, Daemon, Echo, PASSWORD, Ran, World, openssl};
use tempfile::TempDir;

/// A server's key and certificate.
fn server(by: &Forge) -> Made {
    by.client("gate", |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    })
}

/// What openssl cannot be brought to make: `key` beside the certificate of another.
fn mismatched(key: &Made, certificate: &Made) -> Vec<u8> {
    let key = p12_keystore::PrivateKey::from_der(key.key.serialized_der()).unwrap();
    let certificate = Certificate::from_der(certificate.certificate.der()).unwrap();
    let mut store = KeyStore::new();
    let chain = PrivateKeyChain::new("id", key, [certificate]);
    store.add_entry("mismatched", KeyStoreEntry::PrivateKeyChain(chain));
    store.writer(PASSWORD).write().unwrap()
}

/// Errors that `sknockd check --json` finds with `pfx` as the server's.
fn errors(world: &World, config: &Config, pfx: &[u8]) -> (Option<i32>, Vec<Value>) {
    let daemon =
        Daemon::stopped(&world.gateway, &config.clone().set("serverPFXFile", "server.pfx"));
    fs::write(daemon.file("server.pfx"), pfx).unwrap();
    let asked = daemon.ask("check", &["--json"]);
    let report: Value = serde_json::from_str(&asked.answer).unwrap();
    let findings = report["findings"].as_array().unwrap().iter();
    let errors = findings.filter(|finding| finding["severity"] == "error").cloned().collect();
    (asked.code, errors)
}

#[test]
fn a_server_reads_what_openssl_writes_modern_and_legacy() {
    let (world, authority) = (World::new(), Authority::new());
    let ours = Forge::with_key_of(&authority);
    let pem = server(&ours).pem() + ours.pem();
    for options in [&[][..], &["-legacy"]] {
        let config = Config::new(&authority).set("serverPFXFile", "server.pfx");
        let mut daemon = Daemon::stopped(&world.gateway, &config);
        fs::write(daemon.file("server.pfx"), openssl::pkcs12(&pem, PASSWORD, options)).unwrap();
        daemon.begin();
        daemon.wait_for("rules loaded");
        assert_eq!(daemon.stop().code, Some(0));
    }
}

#[test]
fn any_password_stands_in_the_configuration_as_it_is() {
    let (world, authority) = (World::new(), Authority::new());
    let config = Config::new(&authority).without("PFXPasswdFile").set("PFXPasswd", PASSWORD);
    let mut daemon = Daemon::stopped(&world.gateway, &config);
    let asked = daemon.ask("check", &[]);
    assert_eq!(asked.code, Some(0), "{asked:?}");
    daemon.begin();
    daemon.wait_for("rules loaded");
    let ended = daemon.stop();
    assert!(!(ended.said + &asked.answer + &asked.errors).contains(PASSWORD), "it is told nowhere");
}

#[test]
fn a_server_s_file_that_cannot_work_is_refused_with_its_reason() {
    let (world, authority) = (World::new(), Authority::new());
    let ours = Forge::with_key_of(&authority);
    let (made, other) = (server(&ours), server(&ours));
    let whole = made.pem() + ours.pem();
    let good = openssl::pkcs12(&whole, PASSWORD, &[]);
    let config = Config::new(&authority);
    for (pfx, meaning) in [
        (openssl::pkcs12(&whole, "another password", &[]), "password does not open it"),
        (openssl::pkcs12(&whole, PASSWORD, &["-nomac"]), "no MAC"),
        (
            openssl::pkcs12(&made.pem(), PASSWORD, &[]),
            "none of the 0 certificates is a usable root",
        ),
        (mismatched(&made, &other), "no certificate in the file belongs to its private key"),
        (openssl::pkcs12(ours.pem(), PASSWORD, &["-nokeys"]), "no private key"),
        (good[..good.len() / 2].to_vec(), "not a PKCS#12 file"),
        (b"serverPFXFile".to_vec(), "not a PKCS#12 file"),
        (Vec::new(), "the file is empty"),
    ] {
        let (code, errors) = errors(&world, &config, &pfx);
        let [error] = &errors[..] else { panic!("{meaning}: one error, not {errors:?}") };
        let what = error["what"].as_str().unwrap();
        assert!(what.contains("serverPFXFile") && what.contains(meaning), "{meaning}: {error}");
        assert!(!error["remedy"].as_str().unwrap().is_empty(), "{error}");
        assert_eq!(code, Some(78), "{meaning}");
    }
}

#[test]
fn a_server_that_cannot_read_its_file_ends_with_78_and_leaves_the_firewall() {
    let (world, authority) = (World::new(), Authority::new());
    let ours = Forge::with_key_of(&authority);
    let (made, other) = (server(&ours), server(&ours));
    for (pfx, meaning) in [
        (openssl::pkcs12(&(made.pem() + ours.pem()), "another", &[]), "wrong password"),
        (mismatched(&made, &other), "belongs to its private key"),
    ] {
        let config = Config::new(&authority).set("serverPFXFile", "server.pfx");
        let mut daemon = Daemon::stopped(&world.gateway, &config);
        fs::write(daemon.file("server.pfx"), pfx).unwrap();
        daemon.begin();
        let ended = daemon.wait_for_end();
        assert_eq!(ended.code, Some(78), "{}", ended.said);
        assert!(
            ended.said.contains("serverPFXFile") && ended.said.contains(meaning),
            "{}",
            ended.said
        );
        assert_eq!(world.gateway.table(), None);
    }
}

#[test]
fn authorities_come_from_the_file_and_from_ca_file_as_many_as_there_are() {
    let (world, authority) = (World::new(), Authority::new());
    let (ours, partner) = (Forge::with_key_of(&authority), Forge::root("partner"));
    let made = server(&ours);
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    fs::write(&ca_file, ours.pem().to_owned() + partner.pem()).unwrap();
    let alone = openssl::pkcs12(&made.pem(), PASSWORD, &[]);
    let with_ca_file = Config::new(&authority).set("caFile", ca_file.to_str().unwrap());
    assert_eq!(errors(&world, &with_ca_file, &alone), (Some(0), vec![]));

    let both = openssl::pkcs12(&(made.pem() + ours.pem() + partner.pem()), PASSWORD, &[]);
    let config =
        Config::new(&authority).set("serverPFXFile", "server.pfx").set("logFormat", "json");
    let mut daemon = Daemon::stopped(&world.gateway, &config);
    fs::write(daemon.file("server.pfx"), &both).unwrap();
    daemon.begin();
    daemon.wait_for("\"accepting knocks\"");
    for by in [&ours, &partner] {
        let knock = Client::alice(&world.client, &authority)
            .knocking_on(ServerCertificate::from_der(made.certificate.der()).unwrap())
            .posing_as(by.client("bob", |_| ()).identity())
            .seal(&["tcp/22"]);
        knock.send(&world.client, World::GATEWAY[0]).must_be_granted();
    }
}

/// A client with files of its own.
struct Files<'w> {
    alice: Client<'w>,
    folder: TempDir,
}

impl Files<'_> {
    fn write(&self, name: &str, content: &[u8]) -> String {
        let path = self.folder.path().join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// `sknock knock` with this identity and password.
    fn knock(&self, pfx: &[u8], password: &str, words: &str) -> Ran {
        self.knock_for("tcp/22", pfx, password, words)
    }

    /// The same for a service that the certificate has.
    fn knock_for(&self, service: &str, pfx: &[u8], password: &str, words: &str) -> Ran {
        let (pfx, password) = (self.write("pfx", pfx), self.write("password", password.as_bytes()));
        let host = World::GATEWAY[0];
        self.alice
            .knock(&format!("--identity {pfx} --password-file {password} {words} {host} {service}"))
    }
}

#[test]
fn a_client_s_file_works_or_the_error_says_why() {
    let (world, authority) = (World::new(), Authority::new());
    let (ours, partner) = (Forge::with_key_of(&authority), Forge::root("partner"));
    let _daemon = Daemon::start(&world.gateway, &Config::new(&authority));
    let _ssh = Echo::tcp(&world.gateway, 22);
    let alice = Client::alice(&world.client, &authority);
    let files = Files { alice, folder: tempfile::tempdir().unwrap() };
    let (made, other) = (ours.client("bob", |_| ()), ours.client("carol", |_| ()));
    let (alone, whole) = (made.pem(), made.pem() + ours.pem());
    let pfx = |pem: &str, options: &[&str]| openssl::pkcs12(pem, PASSWORD, options);
    for (what, pfx) in [
        ("modern", pfx(&whole, &[])),
        ("legacy", pfx(&whole, &["-legacy"])),
        ("no CA", pfx(&alone, &[])),
        ("two CAs", pfx(&(whole.clone() + partner.pem()), &[])),
    ] {
        let ran = files.knock(&pfx, PASSWORD, "");
        assert_eq!((ran.code, &ran.report["result"]), (0, &"open".into()), "{what}: {ran:?}");
    }
    for (pfx, password, error, meaning) in [
        (pfx(&whole, &[]), "another", "password", "does not open"),
        (pfx(&whole, &["-legacy"]), "another", "password", "does not open"),
        (pfx(&whole, &["-nomac"]), PASSWORD, "identity", "no MAC"),
        (mismatched(&made, &other), PASSWORD, "identity", "belongs to its private key"),
        (b"PK\x03\x04".to_vec(), PASSWORD, "identity", "not a PKCS#12 file"),
    ] {
        let ran = files.knock(&pfx, password, "");
        assert_eq!(
            (ran.code, ran.report["error"].as_str()),
            (3, Some(error)),
            "{meaning}: {ran:?}"
        );
        assert!(ran.report["message"].as_str().unwrap().contains(meaning), "{meaning}: {ran:?}");
    }
}

#[test]
fn files_of_the_original_open_in_every_form_that_it_wrote() {
    let (world, authority) = (World::new(), Authority::new());
    let alice = Client::alice(&world.client, &authority);
    let files = Files { alice, folder: tempfile::tempdir().unwrap() };
    let originals = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/pkcs12");
    for form in ["", "-3des", "-modern", "-noca", "-twoca"] {
        let pfx = fs::read(originals.join(format!("original-client{form}.pfx"))).unwrap();
        let ran = files.knock_for("tcp/2000", &pfx, "portknocking\n", "--no-verify");
        assert_eq!((ran.code, &ran.report["result"]), (0, &"sent".into()), "{form}: {ran:?}");
    }
}

#[test]
fn a_certificate_that_no_knock_can_carry_is_an_identity_error() {
    let (world, authority) = (World::new(), Authority::new());
    let alice = Client::alice(&world.client, &authority);
    let files = Files { alice, folder: tempfile::tempdir().unwrap() };
    let large = Forge::with_key_of(&authority).client("large", |params| {
        params.subject_alt_names = (1..=60).map(|port| allows(&format!("tcp/{port}"))).collect();
    });
    let rsa = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=rsa", "-keyout", "-"];
    let rsa = String::from_utf8(openssl::run(&rsa, b"")).unwrap();
    for (pem, meaning) in [
        (rsa, "not P-256, P-384 or Ed25519"),
        (large.pem(), "bytes, and this knock has room for 992"),
    ] {
        let ran = files.knock(&openssl::pkcs12(&pem, PASSWORD, &[]), PASSWORD, "");
        assert_eq!((ran.code, ran.report["error"].as_str()), (3, Some("identity")), "{ran:?}");
        assert!(ran.report["message"].as_str().unwrap().contains(meaning), "{meaning}: {ran:?}");
    }
}
