//! Lists over https, by name, through the walls around the network process.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rcgen::{ExtendedKeyUsagePurpose, SanType};
use sknock_tests::forge::Forge;
use sknock_tests::{Config, Daemon, Mounts};
use tempfile::TempDir;

use super::scene::{Scene, WEB};

const NAME: &str = "lists.example.org";

/// `openssl s_server` on the stranger's machine, with a certificate for [`NAME`]. Ends when dropped.
pub(crate) struct Openssl {
    process: Child,
    _folder: TempDir,
}

impl Openssl {
    pub(crate) fn start(scene: &Scene, authority: &Forge) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = authority.client("web", |params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            params.subject_alt_names = vec![SanType::DnsName(NAME.try_into().unwrap())];
        });
        fs::write(folder.path().join("web.pem"), made.pem()).unwrap();
        fs::write(folder.path().join("crl.der"), scene.authority.crl()).unwrap();
        let mut command = Command::new("openssl");
        command.args(["s_server", "-accept", "8443", "-cert", "web.pem", "-WWW"]);
        command.current_dir(folder.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let spawned = scene.world.stranger.inside(|| command.stderr(Stdio::null()).spawn());
        let mut process = spawned.expect("this test needs the openssl command");
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().starts_with("ACCEPT")), "openssl does not listen");
        Self { process, _folder: folder }
    }
}

impl Drop for Openssl {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill().and_then(|()| self.process.wait());
    }
}

fn hosts() -> String {
    format!("127.0.0.1 localhost\n{WEB} {NAME}\n")
}

/// A server that fetches from [`NAME`] and, if given, believes only that web authority.
fn server<'s>(scene: &'s Scene, web_authority: Option<&Forge>) -> Daemon<'s> {
    scene.world.gateway.know_hosts(&hosts());
    let url = format!("https://{NAME}:8443/crl.der");
    let set = |config: Config| match web_authority {
        Some(_) => config.set("crlTlsCaFile", "web-ca.pem"),
        None => config,
    };
    let daemon = Daemon::stopped(&scene.world.gateway, &set(scene.config().set("crlUrl", &url)));
    if let Some(authority) = web_authority {
        fs::write(daemon.file("web-ca.pem"), authority.pem()).unwrap();
    }
    daemon
}

#[test]
fn a_crl_is_fetched_over_https_by_name_from_a_web_server_of_a_private_ca() {
    let (scene, web_authority) = (Scene::new(), Forge::root("web authority"));
    let _web = Openssl::start(&scene, &web_authority);
    let mut daemon = server(&scene, Some(&web_authority));
    daemon.begin();
    daemon.wait_for("new CRL in force");
    daemon.wait_for("\"accepting knocks\"");
    assert_eq!(scene.verdict(&daemon, &scene.client("alice")), "granted");
}

#[test]
fn the_ca_of_a_web_server_is_found_in_a_concatenated_file() {
    let (scene, web_authority) = (Scene::new(), Forge::root("web authority"));
    let _web = Openssl::start(&scene, &web_authority);
    let mut daemon = server(&scene, Some(&web_authority));
    let another = Forge::root("another");
    let glued = format!("{}{}", another.pem().trim_end(), web_authority.pem());
    fs::write(daemon.file("web-ca.pem"), glued).unwrap();
    let asked = daemon.ask("check", &[]);
    assert_eq!(asked.code, Some(0), "{}", asked.answer);
    daemon.begin();
    daemon.wait_for("new CRL in force");
}

/// Of a start that is refused.
#[track_caller]
fn ends_by(mut daemon: Daemon<'_>, why: &str) {
    daemon.begin();
    let ended = daemon.wait_for_end();
    assert_eq!(ended.code, Some(69), "{}", ended.said);
    assert!(ended.said.contains(why), "{}", ended.said);
}

#[test]
fn a_web_server_certificate_of_another_ca_is_rejected() {
    let (scene, web_authority) = (Scene::new(), Forge::root("web authority"));
    let _web = Openssl::start(&scene, &web_authority);
    // One of the same name.
    ends_by(server(&scene, Some(&Forge::root("web authority"))), "invalid peer certificate");
}

/// The system's CA certificates, by a disk of its own: machines differ in what they have.
fn system_authorities(daemon: &mut Daemon<'_>, pem: Option<&str>) {
    let (mounts, ssl) = (Mounts::new(), Path::new("/etc/ssl"));
    mounts.empty(ssl);
    // Its mounts are in place of those of `know_hosts`.
    fs::write(daemon.file("hosts"), hosts()).unwrap();
    mounts.replace(Path::new("/etc/hosts"), &daemon.file("hosts"));
    mounts.inside(|| {
        fs::create_dir(ssl.join("certs")).unwrap();
        if let Some(pem) = pem {
            fs::write(ssl.join("certs/ca-certificates.crt"), pem).unwrap();
        }
    });
    daemon.mount(mounts);
}

#[test]
fn without_a_file_the_cas_of_the_system_are_trusted_and_no_others() {
    let (scene, web_authority) = (Scene::new(), Forge::root("web authority"));
    let _web = Openssl::start(&scene, &web_authority);
    let mut daemon = server(&scene, None);
    system_authorities(&mut daemon, Some(Forge::root("web authority").pem()));
    ends_by(daemon, "invalid peer certificate");
    let scene = Scene::new();
    let _web = Openssl::start(&scene, &web_authority);
    let mut daemon = server(&scene, None);
    system_authorities(&mut daemon, Some(web_authority.pem()));
    daemon.begin();
    daemon.wait_for("new CRL in force");
}

#[test]
fn a_system_without_any_ca_is_named() {
    let (scene, web_authority) = (Scene::new(), Forge::root("web authority"));
    let _web = Openssl::start(&scene, &web_authority);
    let mut daemon = server(&scene, None);
    system_authorities(&mut daemon, None);
    ends_by(daemon, "Install them (package ca-certificates), or set crlTlsCaFile");
}

#[test]
fn an_unresolvable_name_is_logged() {
    let scene = Scene::new();
    scene.world.gateway.know_hosts("127.0.0.1 localhost\n");
    let config = scene.config().set("crlUrl", "http://lists.invalid/crl.der");
    let mut daemon = Daemon::stopped(&scene.world.gateway, &config);
    daemon.begin();
    let ended = daemon.wait_for_end();
    assert_eq!(ended.code, Some(69), "{}", ended.said);
    assert!(ended.said.contains("dns error"), "{}", ended.said);
}
