//! As a unit, both processes have one user. The network process itself asks over the control socket: its own
//! system calls, with all that holds it back.
#![cfg(target_arch = "x86_64")]

use std::path::Path;
use std::process::Command;

use sknock_tests::{Authority, Config, ControlLine, Daemon, World};

use super::unit::as_the_unit;

#[test]
fn a_compromised_network_process_confirms_and_reloads_nothing() {
    let (world, authority) = (World::new(), Authority::new());
    let config = Config::new(&authority);
    let mut daemon = as_the_unit(&world, &authority, &config);
    daemon.begin();
    daemon.wait_for(Daemon::ACCEPTING);
    daemon.configure(&config.set("protectedPorts", "tcp/22, tcp/8080"));
    assert_eq!(daemon.tell("reload --confirm 600").code, Some(0));
    let path = ControlLine::path(&world.gateway);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/systemd/inject.py");
    let network = daemon.network();
    for request in ["\"confirm\"", "{\"reload\":{}}", "{\"close\":{}}", "{\"grants\":{}}"] {
        let mut command = Command::new("python3");
        command.arg(&script).arg(network.to_string()).arg(&path);
        command.arg(format!(r#"{{"version":1,"request":{request}}}"#));
        let output = command.output().expect("python3 is missing (make setup-test)");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("socket True, connect 0, sent"), "{request}: {said} {errors}");
        assert!(said.contains("not_allowed"), "{request}: {said}");
    }
    assert!(world.gateway.table().unwrap().contains("trial"), "nothing was confirmed");
    assert_eq!(daemon.network(), network, "nothing was reloaded");
    assert_eq!(daemon.tell("confirm").code, Some(0), "and root can");
}
