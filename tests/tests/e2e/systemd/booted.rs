//! systemd itself runs the unit, on a machine that has just booted.

use std::fs;
use std::time::Duration;

use sknock_tests::Found::{Open, Refused};
use sknock_tests::wait::{Limit, until};
use sknock_tests::{
    Authority, Client, Echo, Machine, PASSWORD, Page, Reply, Seen, Web, World, binaries,
};

use super::unit::unit;

/// As the README has it, but for a shorter first window, and doors that outlast a slow machine.
const CONFIG: &str = "[DEFAULT]
serverPFXFile = gate.pfx
PFXPasswdFile = server.password
crlFile = crl.der
protectedPorts = tcp/22
TIMESTAMP_THRESHOLD_IN_SECONDS = 2
PORT_OPEN_DURATION_IN_SECONDS = 300
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

const ACCEPTING: &str = "accepting knocks\n";

/// A machine on which it is installed, and somebody who may knock.
struct Booted<'w> {
    world: &'w World,
    machine: Machine,
    alice: Client<'w>,
}

impl Booted<'_> {
    fn run(&self, words: &str) {
        self.machine.run(words);
    }

    fn property(&self, name: &str) -> String {
        self.machine.systemctl(&format!("show sknockd --value --property={name}"))
    }

    /// How often a unit has said so.
    fn said(&self, unit: &str, text: &str) -> usize {
        self.machine.journal(unit).matches(text).count()
    }

    fn must_open(&self) {
        for host in World::GATEWAY {
            self.alice.open(host, "tcp/22");
        }
        assert_eq!(self.world.tcp(22), Seen::each(Open, Refused));
    }

    fn must_judge(&self) {
        let status = "protecting: rules loaded, knocks are processed";
        until("knocks are processed", || self.property("StatusText") == status);
        self.must_open();
    }

    fn must_be_protected(&self) {
        assert_eq!(self.world.tcp(22).stranger, [Refused; 2], "The rules stay");
    }

    /// On trial, by root's own hand; then for good.
    fn begin(&self) {
        self.run("systemd-run --quiet --unit=by-hand sknockd run --confirm 600");
        until("the first window is over", || self.said("by-hand", ACCEPTING) == 1);
        self.must_open();
        self.run("sknockd confirm");
        self.run("systemctl stop by-hand");
        self.run("systemctl enable --now sknockd");
        assert_eq!(self.world.tcp(22), Seen::each(Open, Refused), "doors stay");
        self.must_judge();
    }

    /// A newer list comes from where a name leads that the machine learns only now, by a file that is
    /// replaced.
    fn learn_a_name(&self, authority: &Authority) {
        authority.publish(7);
        let list = Reply::Page(Page::plain(authority.crl()));
        let _web = Web::start(&self.world.stranger, 8000, list);
        let config = format!("{CONFIG}crlUrl = http://lists.example.org:8000/crl.der\n");
        self.machine.write("/etc/sknock/config.ini", config.as_bytes(), 0o640);
        self.run("systemctl reload sknockd");
        until("it is not known yet", || self.said("sknockd", "CRL fetch failed") > 0);
        let hosts = format!("127.0.0.1 localhost\n{} lists.example.org\n", World::STRANGER[0]);
        self.machine.write("/etc/hosts.new", hosts.as_bytes(), 0o644);
        self.run("mv /etc/hosts.new /etc/hosts");
        until("it is fetched", || self.said("sknockd", "new CRL in force") == 1);
        self.must_judge();
    }

    /// The network process is killed, the main one is, and a main one stands still.
    fn recover(&self) {
        let (main, before) = (self.property("MainPID"), self.said("sknockd", ACCEPTING));
        self.run(&format!("pkill --signal KILL --parent {main}"));
        until("another judges", || self.said("sknockd", ACCEPTING) == before + 1);
        self.must_open();
        for (restarts, signal) in [("1", "KILL"), ("2", "STOP")] {
            self.run(&format!("systemctl kill --kill-whom=main --signal={signal} sknockd"));
            let limit = Limit::new(RESTARTING);
            while self.property("NRestarts") != restarts {
                self.must_be_protected();
                assert!(!limit.is_over(), "systemd starts it again");
            }
            self.must_judge();
        }
    }

    /// A configuration that is wrong changes nothing on reload, and ends a restart for good.
    fn refuse(&self) {
        let wrong = b"[DEFAULT]\nfirewallPolicy = perhaps\n";
        self.machine.write("/etc/sknock/config.ini", wrong, 0o644);
        self.run("systemctl reload sknockd");
        let last = "reload failed. The previous configuration stays in force";
        until("the broken file is told of", || self.property("StatusText") == last);
        self.must_open();
        self.machine.systemctl("restart sknockd");
        let ended = ["ActiveState", "ExecMainStatus", "NRestarts"].map(|name| self.property(name));
        assert_eq!(ended, ["failed", "78", "0"]);
        self.must_be_protected();
    }

    /// With the password in systemd's keeping.
    fn begin_with_credential(&self) {
        let config = CONFIG.replace("PFXPasswdFile = server.password\n", "");
        self.machine.write("/etc/sknock/config.ini", config.as_bytes(), 0o644);
        self.machine.write("/etc/credstore/sknock-pfx-password", PASSWORD.as_bytes(), 0o600);
        self.run("rm /etc/sknock/server.password");
        self.run("systemctl start sknockd");
        self.must_judge();
    }

    /// Root asks, and the unit's user does it.
    fn close(&self) {
        self.must_open();
        self.run("sknockd close --name alice");
        assert_eq!(self.world.tcp(22), Seen::each(Refused, Refused));
        until("the log has it", || self.said("sknockd", "closed: 2; already expired: 0") == 1);
    }

    fn stop(&self) {
        self.run("systemctl stop sknockd");
        let ended = ["ActiveState", "Result"].map(|name| self.property(name));
        assert_eq!(ended, ["inactive", "success"]);
        self.must_be_protected();
        self.run("sknockd open");
        assert_eq!(self.world.gateway.table(), None);
    }
}

/// The watchdog's 30 s, and what a busy machine needs.
const RESTARTING: Duration = Duration::from_secs(90);

#[test]
fn it_starts_protects_reloads_recovers_stops_and_stays_down_when_it_must() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let machine = Machine::boot(&world.gateway);
    install(&machine, &authority);
    let alice = Client::alice(&world.client, &authority);
    let booted = Booted { world: &world, machine, alice };
    booted.begin();
    booted.run("systemctl reload sknockd");
    booted.must_judge();
    booted.learn_a_name(&authority);
    booted.recover();
    booted.refuse();
    booted.begin_with_credential();
    booted.close();
    booted.stop();
    let journal = booted.machine.journal("sknockd");
    for wrong in ["no Landlock", "Permission denied", "not permitted"] {
        assert!(!journal.contains(wrong), "{journal}");
    }
}

/// Into the pipe of the network process, as one that is captured could.
const FLOOD: &[u8] = b"main=$(systemctl show sknockd --value --property=MainPID)
yes 'a line of the flood' | head -n 300000 > /proc/$(pgrep --parent $main)/fd/2
";

/// journald's own limit is 10,000 messages in 30 s, up to six times as many where the disk is large, for both
/// processes as one. Ours is above it here.
#[test]
fn journald_drops_no_grant_record_in_a_flood_of_log_lines() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let machine = Machine::boot(&world.gateway);
    install(&machine, &authority);
    let config = format!("{CONFIG}maxGrantsPerSecond = 10000\n");
    machine.write("/etc/sknock/config.ini", config.as_bytes(), 0o644);
    machine.write("/root/flood", FLOOD, 0o755);
    let alice = Client::alice(&world.client, &authority);
    let booted = Booted { world: &world, machine, alice };
    booted.run("systemctl start sknockd");
    until("the first window is over", || booted.said("sknockd", ACCEPTING) == 1);
    booted.must_open();
    until("both are recorded", || booted.said("sknockd", "gate: opened") == 2);
    booted.run("sh /root/flood");
    booted.must_open();
    until("both are recorded again", || booted.said("sknockd", "gate: opened") == 4);
    assert!(booted.said("sknockd", "lines of the network process dropped") > 0);
}
