//! systemd itself runs the unit, on a machine that has just booted.

use std::fs;

use sknock_tests::Found::{Open, Refused};
use sknock_tests::wait::{Limit, until};
use sknock_tests::{Authority, Client, Echo, Machine, PASSWORD, Seen, World, binaries};

use crate::unit::unit;

/// As the README has it, but for a shorter first window.
const CONFIG: &str = "[DEFAULT]
serverPFXFile = gate.pfx
PFXPasswdFile = server.password
crlFile = crl.der
protectedPorts = tcp/22
TIMESTAMP_THRESHOLD_IN_SECONDS = 2
";

/// The same, from what was built here.
fn install(machine: &Machine, authority: &Authority) {
    let read = |path: &std::path::Path| fs::read(path).expect("it was just made");
    machine.write("/usr/local/sbin/sknockd", &read(&binaries::path("sknockd")), 0o755);
    machine.write("/etc/systemd/system/sknockd.service", &read(&unit()), 0o644);
    machine.write("/etc/sknock/config.ini", CONFIG.as_bytes(), 0o640);
    machine.write("/etc/sknock/gate.pfx", &read(&authority.file("gate.pfx")), 0o640);
    machine.write("/etc/sknock/crl.der", &read(&authority.file("crl.der")), 0o644);
    machine.write("/etc/sknock/server.password", PASSWORD.as_bytes(), 0o640);
    machine.write("/etc/sysusers.d/sknock.conf", b"u sknock -\n", 0o644);
    machine.run("systemd-sysusers");
    machine.run("chgrp -R sknock /etc/sknock");
    machine.run("systemctl daemon-reload");
}

fn property(machine: &Machine, name: &str) -> String {
    machine.systemctl(&format!("show sknockd --value --property={name}"))
}

const ACCEPTING: &str = "accepting knocks\n";

fn judged(machine: &Machine) {
    let status = "protecting; knocks are judged";
    until("knocks are judged", || property(machine, "StatusText") == status);
}

#[test]
fn it_starts_protects_reloads_recovers_stops_and_stays_down_when_it_must() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let machine = Machine::boot(&world.gateway);
    install(&machine, &authority);
    let said = |unit: &str, text: &str| machine.journal(unit).matches(text).count();
    let alice = Client::alice(&world.client, &authority);
    let opens = || {
        for host in World::GATEWAY {
            alice.open(host, "tcp/22");
        }
        assert_eq!(world.tcp(22), Seen::each(Open, Refused));
    };
    // On trial, by root's own hand; then for good.
    machine.run("systemd-run --quiet --unit=by-hand sknockd run --confirm 600");
    until("the first window is over", || said("by-hand", ACCEPTING) == 1);
    opens();
    machine.run("sknockd confirm");
    machine.run("systemctl stop by-hand");
    machine.run("systemctl enable --now sknockd");
    judged(&machine);
    assert_eq!(world.tcp(22), Seen::each(Open, Refused), "doors stay");
    opens();

    machine.run("systemctl reload sknockd");
    judged(&machine);
    opens();

    // The network process, the main one, and a main one that stands still.
    let main = property(&machine, "MainPID");
    machine.run(&format!("pkill --signal KILL --parent {main}"));
    until("another judges", || said("sknockd", ACCEPTING) == 3);
    opens();
    for (restarts, signal) in [("1", "KILL"), ("2", "STOP")] {
        machine.run(&format!("systemctl kill --kill-whom=main --signal={signal} sknockd"));
        let limit = Limit::new(std::time::Duration::from_secs(60));
        while property(&machine, "NRestarts") != restarts {
            assert_eq!(world.tcp(22).stranger, [Refused; 2], "protection stays");
            assert!(!limit.is_over(), "systemd starts it again");
        }
        judged(&machine);
        opens();
    }

    machine.write("/etc/sknock/config.ini", b"[DEFAULT]\nfirewallPolicy = perhaps\n", 0o644);
    machine.run("systemctl reload sknockd");
    let last = "reload failed; running with the last good configuration";
    until("the broken file is told of", || property(&machine, "StatusText") == last);
    opens();
    machine.systemctl("restart sknockd");
    assert_eq!(property(&machine, "ActiveState"), "failed");
    assert_eq!(
        (property(&machine, "ExecMainStatus"), property(&machine, "NRestarts")),
        ("78".into(), "0".into())
    );
    assert_eq!(world.tcp(22).stranger, [Refused; 2], "protection stays");

    // The password in systemd's keeping.
    let config = CONFIG.replace("PFXPasswdFile = server.password\n", "");
    machine.write("/etc/sknock/config.ini", config.as_bytes(), 0o644);
    machine.write("/etc/credstore/sknock-pfx-password", PASSWORD.as_bytes(), 0o600);
    machine.run("rm /etc/sknock/server.password");
    machine.run("systemctl start sknockd");
    judged(&machine);
    opens();
    machine.run("systemctl stop sknockd");
    assert_eq!(
        (property(&machine, "ActiveState"), property(&machine, "Result")),
        ("inactive".into(), "success".into())
    );
    assert_eq!(world.tcp(22).stranger, [Refused; 2], "protection stays");
    machine.run("sknockd open");
    assert_eq!(world.gateway.table(), None);

    let journal = machine.journal("sknockd");
    assert!(!journal.contains("no Landlock") && !journal.contains("ermi"), "{journal}");
}
