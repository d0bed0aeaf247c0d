//! A server's key that somebody has stolen: what revoking its certificate does, and how another key takes over.

use sknock_tests::{Authority, Client, Config, Daemon, Echo, Ran, World, reach};

/// Alice knocks on the server whose certificate this is, for a port that nothing but an answer confirms.
fn knock(world: &World, authority: &Authority, certificate: &str) -> Ran {
    let alice = Client::alice(&world.client, authority);
    let certificate = authority.file(certificate);
    let words = format!(
        "--attempts 1 --timeout 3 --server-cert {} 10.77.1.1 udp/53",
        certificate.display()
    );
    alice.knock(&words)
}

fn config(authority: &Authority, name: &str) -> Config {
    let list = authority.file("crl.der");
    Config::new(authority)
        .set("serverPFXFile", authority.file(name).to_str().expect("plain"))
        .set("crlFile", list.to_str().expect("plain"))
}

#[test]
fn only_a_new_server_key_makes_a_stolen_one_useless() {
    let (world, authority) = (World::new(), Authority::new());
    let _service = Echo::tcp(&world.gateway, 22);
    authority.publish(30);
    let daemon = Daemon::start_settled(&world.gateway, &config(&authority, "gate.pfx"));
    assert_eq!(knock(&world, &authority, "gate.cer").code, 0);
    Client::alice(&world.client, &authority).open(World::GATEWAY[0], "tcp/22");
    let session =
        reach::connect(&world.client, (World::GATEWAY[0], 22).into()).expect("it is open");

    // Revoked: clients do not look at lists, so nothing changes but what `check` says.
    authority.revoke("gate");
    daemon.reload();
    assert_eq!(knock(&world, &authority, "gate.cer").code, 0);
    let checked = daemon.ask("check", &[]).answer;
    assert!(checked.contains("the server certificate is on the CRL"), "{checked}");

    authority.server("gate-2");
    daemon.configure(&config(&authority, "gate-2.pfx"));
    daemon.reload();
    reach::converse(&session).expect("sessions stay");
    let checked = daemon.ask("check", &[]).answer;
    assert!(!checked.contains("the server certificate is on the CRL"), "{checked}");
    let ran = knock(&world, &authority, "gate.cer");
    assert_eq!((ran.code, &ran.report["error"]), (1, &"not-confirmed".into()), "{ran:?}");
    let ran = knock(&world, &authority, "gate-2.cer");
    assert_eq!((ran.code, &ran.report["verified"]), (0, &"answer".into()), "{ran:?}");
}
