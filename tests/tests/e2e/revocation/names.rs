//! Names are looked up while the files that say how are replaced, as a system does that boots, moves to
//! another network or is kept up. All in a copy of /etc and a /run that only the test sees.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use sknock_tests::Found::{Open, Refused};
use sknock_tests::forge::Forge;
use sknock_tests::wait::until;
use sknock_tests::{Config, Daemon, Dns, Echo, Mounts, Seen, World};

use super::https::Openssl;
use super::scene::{HTTP, Scene, WEB};

const NAME: &str = "lists.example.org";

/// A server that has a list already, and knows where newer ones are by name only.
pub(crate) fn server<'s>(scene: &'s Scene, config: &Config) -> Daemon<'s> {
    let mut daemon = Daemon::stopped(&scene.world.gateway, config);
    let mounts = Mounts::new();
    mounts.copy(Path::new("/etc"));
    mounts.empty(Path::new("/run"));
    daemon.mount(mounts);
    change(&daemon, "rm -f /etc/resolv.conf; printf '127.0.0.1 localhost\n' > /etc/hosts");
    change(&daemon, "printf 'hosts: files dns\n' > /etc/nsswitch.conf");
    daemon.settle();
    fs::write(daemon.file("state/crl.der"), scene.authority.crl()).unwrap();
    daemon
}

fn by_name(scene: &Scene) -> Config {
    scene.config().set("crlUrl", &format!("http://{NAME}:{HTTP}/crl.der"))
}

/// Does this, as a shell, in what the server takes for its machine.
fn change(daemon: &Daemon<'_>, script: &str) {
    let ran = daemon.mounts().inside(|| Command::new("sh").args(["-ec", script]).status());
    assert!(ran.unwrap().success(), "{script}");
}

fn resolver(daemon: &Daemon<'_>, place: &str) {
    change(daemon, &format!("echo 'nameserver {}' > {place}", World::STRANGER[0]));
}

/// Publishes a new list and waits until it is in force: half a minute, while the interval is half an hour.
/// The list is there before the change.
#[track_caller]
fn a_new_list_comes(scene: &Scene, daemon: &Daemon<'_>, change: impl FnOnce()) {
    let mark = daemon.mark();
    scene.authority.publish(7);
    scene.serve_latest();
    change();
    daemon.wait_since(mark, "\"new CRL in force\"");
}

#[test]
fn a_resolver_that_appears_after_the_start_is_asked_within_seconds() {
    let scene = Scene::new();
    let dns = Dns::start(&scene.world.stranger);
    dns.say(NAME, &[WEB]);
    let mut daemon = server(&scene, &by_name(&scene));
    daemon.begin();
    daemon.wait_for("\"accepting knocks\"");
    daemon.wait_for("CRL fetch failed");
    scene.authority.revoke("mallory");
    a_new_list_comes(&scene, &daemon, || resolver(&daemon, "/etc/resolv.conf"));
    assert_eq!(scene.verdict(&daemon, &scene.client("mallory")), "revoked");
    assert_eq!(scene.verdict(&daemon, &scene.client("alice")), "granted");
    assert_eq!(daemon.times_said("network process exited"), 0);
}

#[test]
fn a_file_that_changes_all_the_time_does_not_delay_another_one() {
    let scene = Scene::new();
    let dns = Dns::start(&scene.world.stranger);
    dns.say(NAME, &[WEB]);
    let mut daemon = server(&scene, &by_name(&scene));
    daemon.begin();
    daemon.wait_for("\"accepting knocks\"");
    let script = "for i in $(seq 400); do echo \"# $i\" >> /etc/hosts; sleep 0.1; done";
    let writer = daemon.mounts().inside(|| Command::new("sh").args(["-ec", script]).spawn());
    let mut writer = writer.unwrap();
    a_new_list_comes(&scene, &daemon, || resolver(&daemon, "/etc/resolv.conf"));
    assert!(writer.try_wait().unwrap().is_none(), "it has stopped writing before");
    let _ = writer.kill().and_then(|()| writer.wait());
}

#[test]
fn replaced_files_of_name_resolution_are_read_as_they_are_now() {
    let scene = Scene::new();
    let dns = Dns::start(&scene.world.stranger);
    dns.say(NAME, &[WEB]);
    let mut daemon = server(&scene, &by_name(&scene));
    resolver(&daemon, "/etc/resolv.conf");
    daemon.begin();
    daemon.wait_for("\"accepting knocks\"");
    let comes_after = |script: &str| a_new_list_comes(&scene, &daemon, || change(&daemon, script));
    let new = format!("nameserver {}", World::STRANGER[1]);
    comes_after(&format!("echo '{new}' > /etc/resolv.new; mv /etc/resolv.new /etc/resolv.conf"));
    comes_after(
        "echo 'hosts: dns files' > /etc/nsswitch.new; mv /etc/nsswitch.new /etc/nsswitch.conf",
    );
    comes_after("echo 'hosts: files dns' > /etc/nsswitch.conf");

    // Now only the file knows the name.
    dns.say(NAME, &[]);
    comes_after(&format!("sed -i '$a {WEB} {NAME}' /etc/hosts"));
    dns.say(NAME, &[WEB]);

    // As NetworkManager and others do it; the second time the link stays and leads elsewhere.
    let link = "mkdir /run/one /run/two; ln -s /run/one /run/now";
    let link = format!("{link}; cp /etc/resolv.conf /run/one; cp /etc/resolv.conf /run/two");
    comes_after(&format!("{link}; ln -sf /run/now/resolv.conf /etc/resolv.conf"));
    comes_after("sed -i '$d' /etc/hosts; ln -sfn /run/two /run/now");
    comes_after("rm -r /run/two; mkdir /run/two; cp /run/one/resolv.conf /run/two");
    assert_eq!(daemon.times_said("network process exited"), 0);
}

#[test]
fn a_name_server_is_asked_by_tcp_if_its_answer_is_too_long() {
    let scene = Scene::new();
    let dns = Dns::start(&scene.world.stranger);
    dns.say(NAME, &[WEB]);
    dns.answer_by_tcp();
    let mut daemon = server(&scene, &by_name(&scene));
    resolver(&daemon, "/etc/resolv.conf");
    scene.authority.publish(7);
    scene.serve_latest();
    daemon.begin();
    daemon.wait_for("\"new CRL in force\"");
}

#[test]
fn replaced_root_certificates_are_used() {
    for given in [None, Some("web-ca.pem")] {
        let (scene, right, wrong) = (Scene::new(), Forge::root("right"), Forge::root("wrong"));
        let config = scene.config().set("crlUrl", &format!("https://{NAME}:8443/crl.der"));
        let config = given.map_or(config.clone(), |file| config.set("crlTlsCaFile", file));
        let mut daemon = server(&scene, &config);
        scene.authority.publish(7);
        let _web = Openssl::start(&scene, &right);
        change(&daemon, &format!("sed -i '$a {WEB} {NAME}' /etc/hosts"));
        let bundle = given.map_or(BUNDLE.into(), |file| daemon.file(file));
        put(&daemon, &bundle, &wrong);
        daemon.export("SSL_CERT_FILE", BUNDLE);
        daemon.begin();
        daemon.wait_for("\"accepting knocks\"");
        daemon.wait_for("invalid peer certificate");
        put(&daemon, &bundle, &right);
        daemon.wait_for("\"new CRL in force\"");
    }
}

/// As programs that keep up a bundle do it: at every moment there is a whole one.
fn put(daemon: &Daemon<'_>, bundle: &Path, authority: &Forge) {
    daemon.mounts().inside(|| {
        let new = bundle.with_extension("new");
        fs::create_dir_all(bundle.parent().unwrap()).unwrap();
        fs::write(&new, authority.pem()).unwrap();
        fs::rename(&new, bundle).unwrap();
    });
}

/// Not where Debian has it: whoever names another place means it.
const BUNDLE: &str = "/etc/elsewhere/roots.pem";

#[test]
fn a_crl_is_fetched_by_http_without_any_root_certificates() {
    let scene = Scene::new();
    let mut daemon = server(&scene, &scene.config());
    scene.authority.publish(7);
    scene.serve_latest();
    change(&daemon, "rm -rf /etc/ssl /etc/pki");
    daemon.mounts().empty(Path::new("/usr/lib/ssl"));
    daemon.export("SSL_CERT_FILE", "/etc/ssl/none.pem");
    daemon.begin();
    daemon.wait_for("\"new CRL in force\"");
}

/// As with systemd-resolved, which starts later.
#[test]
fn a_link_to_a_resolver_that_is_not_there_yet_is_followed_once_it_is() {
    let scene = Scene::new();
    let dns = Dns::start(&scene.world.stranger);
    dns.say(NAME, &[WEB]);
    let mut daemon = server(&scene, &by_name(&scene));
    let stub = "../run/systemd/resolve/stub-resolv.conf";
    daemon.mounts().inside(|| symlink(stub, "/etc/resolv.conf")).unwrap();
    daemon.begin();
    daemon.wait_for("\"accepting knocks\"");
    daemon.wait_for("CRL fetch failed");
    a_new_list_comes(&scene, &daemon, || {
        change(&daemon, "mkdir -p /run/systemd/resolve");
        resolver(&daemon, "/run/systemd/resolve/stub-resolv.conf");
    });
}

#[test]
fn changed_names_neither_close_a_grant_nor_lengthen_a_trial() {
    let scene = Scene::new();
    let world = &scene.world;
    let _ssh = Echo::tcp(&world.gateway, 22);
    let mut daemon = server(&scene, &scene.config());
    daemon.begin_with(&["--confirm", "15"]);
    daemon.wait_for("\"accepting knocks\"");
    scene.client("alice").open(World::GATEWAY[0], "tcp/22");
    let (mark, first) = (daemon.mark(), daemon.network());
    let left = || world.gateway.left_of_trial();
    until("some of it is over", || left().is_some_and(|left| left <= 11));
    change(&daemon, "sed -i 's/localhost/localhost here/' /etc/hosts");
    daemon.wait_since(mark, "\"accepting knocks\"");
    assert_ne!(daemon.network(), first);
    assert_eq!(world.tcp(22), Seen { client: [Open, Refused], stranger: [Refused; 2] });
    assert!(left().is_some_and(|left| left <= 11), "{:?} s are left", left());
    daemon.wait_since(mark, "not confirmed in time");
    assert_eq!(daemon.wait_for_end().code, Some(75));
    assert_eq!(world.tcp(22).stranger, [Open; 2]);
}
