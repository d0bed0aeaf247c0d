//! Two trusted authorities of one name and different keys, as after a renewal with a new key: each
//! revokes what it has issued, in whatever order and by whatever way its list comes.

use rcgen::SerialNumber;
use sknock_tests::forge::{Forge, HOUR, List};
use sknock_tests::wait::{now, until};
use sknock_tests::{Client, Config, Daemon, Page, Reply, Web};

use super::scene::{Scene, WEB};

/// What easy-rsa calls every authority, unless it is told otherwise.
const NAME: &str = "Easy-RSA CA";

/// The authority from before the renewal revokes number 5, the one from after it number 6; both have
/// issued both.
struct Twins {
    scene: Scene,
    old: Forge,
    new: Forge,
}

impl Twins {
    fn new() -> Self {
        Self { scene: Scene::new(), old: Forge::root(NAME), new: Forge::root(NAME) }
    }

    /// The lists of the old one and the new one. The number of the old one is the higher: it was in use
    /// for longer.
    fn lists(&self) -> [Vec<u8>; 2] {
        [list(&self.old, 50, &[&[5]]), list(&self.new, 1, &[&[6]])]
    }

    fn config(&self) -> Config {
        let lasting = self.scene.config().set("PORT_OPEN_DURATION_IN_SECONDS", "600");
        lasting.without("crlUrl").set("caFile", "twins.pem")
    }

    fn daemon(&self, config: &Config) -> Daemon<'_> {
        let daemon = Daemon::stopped(&self.scene.world.gateway, config);
        daemon.settle();
        std::fs::write(daemon.file("twins.pem"), self.old.pem().to_owned() + self.new.pem())
            .unwrap();
        daemon
    }

    fn client(&self, of: &Forge, serial: u8) -> Client<'_> {
        let number = Some(SerialNumber::from_slice(&[serial]));
        let made = of.client("twin", |params| params.serial_number = number);
        self.scene.client("alice").posing_as(made.identity())
    }

    /// What becomes of numbers 5 and 6 of the old authority, and of 5 and 6 of the new one.
    #[track_caller]
    fn verdicts(&self, daemon: &Daemon<'_>) -> [String; 4] {
        [(&self.old, 5), (&self.old, 6), (&self.new, 5), (&self.new, 6)]
            .map(|(of, serial)| self.scene.verdict(daemon, &self.client(of, serial)))
    }

    fn web(&self, port: u16, list: &[u8]) -> Web {
        Web::start(&self.scene.world.stranger, port, Reply::Page(Page::plain(list.to_vec())))
    }
}

fn list(by: &Forge, number: u64, revoked: &[&[u8]]) -> Vec<u8> {
    by.list(&List { number, made: now().before(HOUR), due: now().after(24 * HOUR), revoked })
}

const EACH_ITS_OWN: [&str; 4] = ["revoked", "granted", "granted", "revoked"];

#[test]
fn two_cas_of_one_name_in_one_file_each_revoke_their_own() {
    let twins = Twins::new();
    let [old, new] = twins.lists();
    for file in [[&old[..], &new].concat(), [&new[..], &old].concat()] {
        let mut daemon = twins.daemon(&twins.config().set("crlFile", "crl.der"));
        std::fs::write(daemon.file("crl.der"), file).unwrap();
        let checked = daemon.ask("check", &[]);
        let of_lists: Vec<&str> =
            checked.answer.lines().filter(|line| line.contains(NAME)).collect();
        let both = of_lists.len() == 2 && of_lists.iter().all(|line| line.starts_with("CRL of "));
        assert!(both, "each has its list: {checked:?}");
        daemon.begin();
        daemon.wait_for("\"accepting knocks\"");
        assert_eq!(twins.verdicts(&daemon), EACH_ITS_OWN);
    }
}

#[test]
fn two_cas_of_one_name_at_two_urls_each_revoke_their_own_and_both_stay() {
    let twins = Twins::new();
    let [old, new] = twins.lists();
    for (first, second) in [(&old, &new), (&new, &old)] {
        let webs = [twins.web(8001, first), twins.web(8002, second)];
        let urls = webs.each_ref().map(|web| web.url(WEB, "/crl.der")).join(" ");
        let mut daemon = twins.daemon(&twins.config().set("crlUrl", &urls));
        daemon.begin();
        daemon.wait_for("\"accepting knocks\"");
        until("both lists are there", || daemon.times_said("new CRL in force") == 2);
        assert_eq!(twins.verdicts(&daemon), EACH_ITS_OWN);
        // Both are on the disk: nobody is needed for the next start.
        for web in &webs {
            web.reply(Reply::Status(503));
        }
        daemon.crash();
        daemon.begin();
        daemon.wait_for("\"accepting knocks\"");
        assert_eq!(twins.verdicts(&daemon), EACH_ITS_OWN);
    }
}

#[test]
fn two_cas_of_one_name_in_a_file_and_at_a_url_each_revoke_their_own() {
    let twins = Twins::new();
    let [old, new] = twins.lists();
    for (in_the_file, fetched) in [(&old, &new), (&new, &old)] {
        let web = twins.web(8001, fetched);
        let config =
            twins.config().set("crlFile", "crl.der").set("crlUrl", &web.url(WEB, "/crl.der"));
        let mut daemon = twins.daemon(&config);
        std::fs::write(daemon.file("crl.der"), in_the_file).unwrap();
        daemon.begin();
        daemon.wait_for("\"accepting knocks\"");
        daemon.wait_for("new CRL in force");
        assert_eq!(twins.verdicts(&daemon), EACH_ITS_OWN);
    }
}

#[test]
fn of_two_cas_of_one_name_the_one_without_a_crl_is_named_and_refused() {
    let twins = Twins::new();
    let mut daemon = twins.daemon(&twins.config().set("crlFile", "crl.der"));
    std::fs::write(daemon.file("crl.der"), &twins.lists()[1]).unwrap();
    let checked = daemon.ask("check", &[]);
    let named = checked.answer.matches(&format!("no CRL of CN={NAME}")).count();
    assert_eq!(named, 1, "{checked:?}");
    daemon.begin();
    let warning = daemon.wait_for(&format!("\"issuer\":\"CN={NAME} (CA certificate "));
    assert!(warning.contains("no CRL of this CA is available"), "{warning}");
    daemon.wait_for("\"accepting knocks\"");
    let unknown = "revocation-unknown";
    assert_eq!(twins.verdicts(&daemon), [unknown, unknown, "granted", "revoked"]);
}

#[test]
fn a_revocation_by_one_of_two_cas_of_one_name_closes_no_other_grants() {
    let twins = Twins::new();
    let webs = [list(&twins.old, 50, &[]), list(&twins.new, 1, &[])];
    let webs = [twins.web(8001, &webs[0]), twins.web(8002, &webs[1])];
    let urls = webs.each_ref().map(|web| web.url(WEB, "/crl.der")).join(" ");
    let mut daemon = twins.daemon(&twins.config().set("crlUrl", &urls));
    daemon.begin();
    daemon.wait_for("\"accepting knocks\"");
    until("both lists are there", || daemon.times_said("new CRL in force") == 2);
    let [old, new] = [(&twins.old, "tcp/22"), (&twins.new, "tcp/2222")];
    let allow = |service| sknock_tests::forge::allows(service);
    for (of, service) in [old, new] {
        let made = of.client("twin", |params| {
            params.serial_number = Some(SerialNumber::from_slice(&[5]));
            params.subject_alt_names = vec![allow(service)];
        });
        let client = twins.scene.client("alice").posing_as(made.identity());
        client.seal(&[service]).send(&twins.scene.world.client, WORLD[0]).must_be_granted();
    }
    let doors =
        || -> Vec<u64> { twins.scene.world.gateway.doors().iter().map(|door| door.port).collect() };
    let ports = doors();
    assert_eq!((ports.len(), ports.contains(&22), ports.contains(&2222)), (2, true, true));
    webs[0].reply(Reply::Page(Page::plain(list(&twins.old, 51, &[&[5]]))));
    daemon.reload();
    until("the old one's closes", || doors() == vec![2222]);
    daemon.wait_for("\"revoked\":1");
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert_eq!(doors(), vec![2222], "number 5 of the new one is not revoked");
}

const WORLD: sknock_tests::Families = sknock_tests::World::GATEWAY;
