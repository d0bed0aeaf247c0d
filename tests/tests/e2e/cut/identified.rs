//! Which grants `sknockd close` means where names are long, serial numbers belong to several CAs, or several clients hold
//! one grant.

use std::fs;

use rcgen::SerialNumber;
use sknock_tests::forge::{Forge, Made};
use sknock_tests::{Authority, Client, Config, Daemon, World, binaries};

const COM: &str = "christopher.montgomery@engineering.example.com";
const ORG: &str = "christopher.montgomery@engineering.example.org";

struct Place {
    world: World,
    authority: Authority,
    other: Forge,
}

impl Place {
    fn new() -> Self {
        Self { world: World::new(), authority: Authority::new(), other: Forge::root("other") }
    }

    /// Accepts clients of both CAs.
    fn start(&self) -> Daemon<'_> {
        let config = Config::new(&self.authority).set("caFile", "both.pem");
        let mut daemon = Daemon::stopped(&self.world.gateway, &config);
        let ours = fs::read_to_string(self.authority.file("ca.pem")).unwrap();
        fs::write(daemon.file("both.pem"), format!("{ours}\n{}", self.other.pem())).unwrap();
        daemon.settle();
        daemon.begin();
        daemon.wait_for(Daemon::ACCEPTING);
        daemon
    }

    /// Opens tcp/22 in both families.
    fn open(&self, client: &Made, seconds: u16) {
        let alice = Client::alice(&self.world.client, &self.authority);
        let client = alice.posing_as(client.identity());
        for host in World::GATEWAY {
            client.seal_for(&["tcp/22"], seconds).send(&self.world.client, host).must_be_granted();
        }
    }

    fn sknockd(&self, arguments: &[&str]) -> Result<String, String> {
        let path = binaries::path("sknockd");
        self.world.gateway.try_run(path.to_str().expect("a plain path"), arguments)
    }
}

fn ours(place: &Place) -> Forge {
    Forge::with_key_of(&place.authority)
}

#[test]
fn a_long_name_closes_only_its_own_grants() {
    let place = Place::new();
    let mut daemon = place.start();
    let [com, org] = [COM, ORG].map(|name| ours(&place).client(name, |_| ()));
    place.open(&com, 600);
    let said = place.sknockd(&["close", "--name", ORG]).unwrap_err();
    assert!(said.contains("no grant matches"), "{said}");
    assert_eq!(place.world.gateway.doors().len(), 2);
    place.open(&org, 300);
    let listed = place.sknockd(&["grants"]).unwrap();
    assert!(listed.contains(COM) && listed.contains(ORG) && !listed.contains("(cut)"), "{listed}");
    let said = place.sknockd(&["close", "--name", ORG]).unwrap();
    assert!(said.contains("closed: 2;") && !said.contains(COM), "{said}");
    assert_eq!(place.world.gateway.doors().len(), 2);
    // Without the server, the kernel has only the beginning of the name.
    daemon.crash();
    let listed = place.sknockd(&["grants"]).unwrap();
    assert!(listed.contains("(cut) serial="), "{listed}");
    for name in [COM, ORG] {
        let said = place.sknockd(&["close", "--name", name]).unwrap_err();
        assert!(said.contains("--serial"), "{said}");
        assert_eq!(place.world.gateway.doors().len(), 2);
    }
    let wrong = place.sknockd(&["close", "--name", "christopher"]).unwrap_err();
    assert!(wrong.contains("no active grant matches"), "{wrong}");
    // The next server has it from the grant file.
    daemon.begin();
    daemon.wait_for(Daemon::ACCEPTING);
    assert!(place.sknockd(&["grants"]).unwrap().contains(COM));
    assert!(place.sknockd(&["close", "--name", ORG]).is_err());
    assert!(place.sknockd(&["close", "--name", COM]).unwrap().contains("closed: 2;"));
}

#[test]
fn a_serial_number_of_two_issuers_closes_nothing_until_one_is_given() {
    let place = Place::new();
    let mut daemon = place.start();
    let serial = |params: &mut rcgen::CertificateParams| {
        params.serial_number = Some(SerialNumber::from_slice(&[0x4a, 0x0b]));
    };
    let (first, second) =
        (ours(&place).client("victim", serial), place.other.client("victim", serial));
    place.open(&first, 600);
    place.open(&second, 500);
    let listed: serde_json::Value =
        serde_json::from_str(&place.sknockd(&["grants", "--json"]).unwrap()).unwrap();
    let mut issuers: Vec<&str> =
        listed.as_array().unwrap().iter().map(|one| one["issuer"].as_str().unwrap()).collect();
    issuers.sort_unstable();
    issuers.dedup();
    let [one, other] = issuers[..] else { panic!("{listed}") };
    for issuer in [one, other] {
        assert!(place.sknockd(&["grants"]).unwrap().contains(&format!("issuer={issuer}")));
        daemon.wait_for(&format!("issuer=\"{issuer}\""));
    }
    let refused = |place: &Place| {
        for which in [&["--serial", "4a:0b"][..], &["--serial", "4A0B", "--name", "victim"]] {
            let said = place.sknockd(&[&["close"], which].concat()).unwrap_err();
            assert!(said.contains("--issuer"), "{said}");
            assert!(said.contains(one) && said.contains(other), "{said}");
        }
    };
    refused(&place);
    let said = place.sknockd(&["close", "--serial", "4a0b", "--issuer", one]).unwrap();
    assert!(said.contains("closed: 2;") && said.contains(one) && !said.contains(other), "{said}");
    assert_eq!(place.world.gateway.doors().len(), 2, "the other one holds them");
    daemon.crash();
    assert!(place.sknockd(&["close", "--issuer", one]).is_err());
    assert!(
        place
            .sknockd(&["close", "--serial", "4a0b", "--issuer", other])
            .unwrap()
            .contains("closed: 2")
    );
    assert_eq!(place.world.gateway.doors(), []);
}

#[test]
fn all_certificates_that_share_a_grant_are_listed() {
    let place = Place::new();
    let _daemon = place.start();
    let (thief, weak) = (ours(&place).client("thief", |_| ()), ours(&place).client("weak", |_| ()));
    place.open(&thief, 300);
    place.open(&weak, 400);
    let listed = place.sknockd(&["grants"]).unwrap();
    assert_eq!(listed.matches("  thief serial=").count(), 2, "{listed}");
    assert_eq!(listed.matches("  weak serial=").count(), 2, "{listed}");
    let said = place.sknockd(&["close", "--name", "thief"]).unwrap();
    assert!(said.contains("closed: 2;"), "{said}");
    assert!(!place.sknockd(&["grants"]).unwrap().contains("thief"));
}
