//! A list that is about one distribution point, as step-ca, django-ca and EJBCA make them: it counts for
//! certificates that name that point, and for no other.

use rcgen::{CrlDistributionPoint, SerialNumber};
use sknock_tests::forge::{Forge, HOUR, List};
use sknock_tests::wait::now;
use sknock_tests::{Client, Daemon, Page, Reply};

use super::scene::{Scene, WEB};

const HERE: &str = "http://ca.example/1.crl";
const ELSEWHERE: &str = "http://ca.example/2.crl";

/// A client's knocks, with a certificate of this number that names these points.
fn client<'a>(scene: &'a Scene, of: &Forge, serial: u8, points: &[&str]) -> Client<'a> {
    let made = of.client("alice", |params| {
        params.serial_number = Some(SerialNumber::from_slice(&[serial]));
        let point = |uri: &&str| CrlDistributionPoint { uris: vec![(*uri).to_owned()] };
        params.crl_distribution_points = points.iter().map(point).collect();
    });
    scene.client("alice").posing_as(made.identity())
}

#[test]
fn a_crl_of_one_distribution_point_covers_only_certificates_that_name_it() {
    let scene = Scene::new();
    let zoo = Forge::root("Zoo CA");
    let list =
        List { number: 1, made: now().before(HOUR), due: now().after(HOUR), revoked: &[&[6]] };
    let of_users = zoo.list_at(&list, HERE);
    scene.web.reply(Reply::Page(Page::plain(of_users)));
    let config = scene.config().without("crlUrl").set("caFile", "zoo.pem");
    let config = config.set("crlUrl", &scene.web.url(WEB, "/crl.der"));
    let mut daemon = Daemon::stopped(&scene.world.gateway, &config);
    daemon.settle();
    std::fs::write(daemon.file("zoo.pem"), zoo.pem()).unwrap();
    daemon.begin();
    daemon.wait_for("\"accepting knocks\"");
    daemon.wait_for("the CRL covers only certificates that name http://ca.example/1.crl in");

    let verdict = |serial, points| scene.verdict(&daemon, &client(&scene, &zoo, serial, points));
    assert_eq!(verdict(5, &[HERE]), "granted");
    assert_eq!(verdict(6, &[HERE]), "revoked");
    assert_eq!(verdict(7, &[ELSEWHERE]), "revocation-unknown");
    assert_eq!(verdict(8, &[]), "revocation-unknown");
    assert_eq!(verdict(9, &[ELSEWHERE, HERE]), "granted");

    // The list of the other place: nobody is let in by it, and nobody of the first one forgotten.
    let other = List { number: 2, revoked: &[&[5]], ..list };
    scene.web.reply(Reply::Page(Page::plain(zoo.list_at(&other, ELSEWHERE))));
    daemon.reload();
    daemon.wait_for("it covers other certificates than the CRL in force");
    let verdict = |serial, points| scene.verdict(&daemon, &client(&scene, &zoo, serial, points));
    assert_eq!(verdict(6, &[HERE]), "revoked");
    assert_eq!(verdict(7, &[ELSEWHERE]), "revocation-unknown");
    assert_eq!(verdict(10, &[HERE]), "granted");
}
