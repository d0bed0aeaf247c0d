//! An intermediate with one certificate by each of two roots: a certificate below it is accepted as long as one path is
//! left, in whichever order the certificates are given.

use std::fs;

use rcgen::{CertificateParams, SerialNumber};
use sknock_tests::Found::{Open, Refused};
use sknock_tests::forge::{Forge, HOUR, List, calendar};
use sknock_tests::wait::{now, until};
use sknock_tests::{Config, Daemon, Echo};

use super::scene::Scene;

const SECONDS: u16 = 600;
/// What the first certificate has left when the tests begin.
const SOON: u64 = 300;
/// Serial numbers.
const FIRST: u8 = 40;
const SECOND: u8 = 41;

/// The number of a list, and whom it names.
type Revoking<'a> = (u64, &'a [&'a [u8]]);

struct Crossed {
    roots: [Forge; 2],
    /// `between`, with the key that it has in both certificates.
    between: Forge,
    pem: [String; 2],
}

fn list(by: &Forge, number: u64, revoked: &[&[u8]]) -> Vec<u8> {
    let (made, due) = (now().before(HOUR), now().after(HOUR));
    by.list(&List { number, made, due, revoked })
}

impl Crossed {
    fn new() -> Self {
        let roots = [Forge::root("first"), Forge::root("second")];
        let ends_soon = |params: &mut CertificateParams| {
            params.serial_number = Some(SerialNumber::from_slice(&[FIRST]));
            params.not_after = calendar(now().after(std::time::Duration::from_secs(SOON)));
        };
        let between = roots[0].intermediate_with("between", ends_soon);
        let by_second = between.certified_by(&roots[1], "between", |params| {
            params.serial_number = Some(SerialNumber::from_slice(&[SECOND]));
        });
        let pem = [between.pem().to_owned(), by_second];
        Self { roots, between, pem }
    }

    /// Puts lists of the roots, as far as they are given, and of `between` into `crlFile`.
    fn publish(&self, daemon: &Daemon<'_>, lists: [Option<Revoking<'_>>; 2]) {
        let of_roots = self.roots.iter().zip(lists);
        let of_roots = of_roots.filter_map(|(root, of)| Some((root, of?)));
        let mut all = list(&self.between, 1, &[]);
        all.extend(of_roots.flat_map(|(root, (number, revoked))| list(root, number, revoked)));
        fs::write(daemon.file("crl.der"), all).expect("our folder");
    }
}

#[test]
fn whichever_certificate_comes_first_the_best_path_decides() {
    for swapped in [false, true] {
        let scene = Scene::new();
        let crossed = Crossed::new();
        let [first, second] = &crossed.pem;
        let [one, other] = if swapped { [second, first] } else { [first, second] };
        let config = Config::new(&scene.authority)
            .set("crlFile", "crl.der")
            .set("caFile", "more.pem")
            .set("logFormat", "json")
            .set("MAX_PORT_OPEN_DURATION_IN_SECONDS", "600");
        let mut daemon = Daemon::stopped(&scene.world.gateway, &config);
        daemon.settle();
        let pem = [crossed.roots[0].pem(), crossed.roots[1].pem(), one, other].concat();
        fs::write(daemon.file("more.pem"), pem).expect("our folder");
        // No list of the first root: that path says nothing, and the other is enough.
        crossed.publish(&daemon, [None, Some((1, &[]))]);
        daemon.begin();
        daemon.wait_for("\"accepting knocks\"");
        let made = crossed.between.client("carol", |_| ());
        let carol = scene.client("alice").posing_as(made.identity());
        let seconds = |daemon: &Daemon<'_>| {
            let mark = daemon.mark();
            let knock = carol.seal_for(&["tcp/22"], SECONDS);
            let source = knock.send(&scene.world.client, sknock_tests::World::GATEWAY[0]).source();
            let line = daemon.wait_since(mark, &format!("\"source\":\"{source}\""));
            let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
            line["seconds"].as_u64().ok_or_else(|| line["reason"].to_string())
        };
        println!("swapped: {swapped}");
        assert_eq!(seconds(&daemon), Ok(SECONDS.into()), "without a list of the first");

        crossed.publish(&daemon, [Some((1, &[])), Some((1, &[]))]);
        daemon.reload();
        assert_eq!(seconds(&daemon), Ok(SECONDS.into()), "the first ends soon");

        let _ssh = Echo::tcp(&scene.world.gateway, 22);
        assert_eq!(scene.world.tcp(22).client[0], Open);
        crossed.publish(&daemon, [Some((2, &[&[FIRST]])), Some((1, &[]))]);
        daemon.reload();
        assert_eq!(seconds(&daemon), Ok(SECONDS.into()), "the first is revoked");
        assert_eq!(scene.world.tcp(22).client[0], Open, "and closes nothing");

        crossed.publish(&daemon, [Some((3, &[])), Some((2, &[&[SECOND]]))]);
        daemon.reload();
        let left = seconds(&daemon).expect("the first is back");
        assert!(left <= SOON, "{left} s, by the path that is left");

        crossed.publish(&daemon, [Some((4, &[&[FIRST]])), Some((3, &[&[SECOND]]))]);
        daemon.reload();
        assert_eq!(seconds(&daemon), Err("\"revoked\"".to_owned()));
        until("what is open below it closes", || scene.world.tcp(22).client[0] == Refused);
    }
}
