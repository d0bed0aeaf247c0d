//! knockd, with a sequence of three UDP ports.

use std::fs;
use std::process::Command;
use std::time::Duration;

use sknock_tests::World;
use tempfile::TempDir;

use super::fwknop::{IPTABLES, close_by_iptables};
use super::running::Running;
use crate::contender::{Contender, Knock};
use crate::cpu::{Spent, keep_process_on};
use crate::events::Events;
use crate::figures::KNOCKD;
use crate::world::routed;

/// The ports of the sequence.
const PORTS: [u16; 3] = [7001, 8001, 9001];

/// A server in a network of its own.
#[derive(Debug)]
pub(super) struct Knockd {
    // In this order: the program ends before its namespace and its files do.
    running: Running,
    world: World,
    _folder: TempDir,
}

impl Knockd {
    /// Starts it behind a firewall that resets connections to ssh, as sKnock's does.
    pub(super) fn start() -> Self {
        let (world, folder) = (routed(), tempfile::tempdir().expect("a place for temporary files"));
        close_by_iptables(&world);
        let path = |name: &str| folder.path().join(name);
        let [a, b, c] = PORTS;
        let rule = "INPUT -s %IP% -p tcp --dport 22 -j ACCEPT";
        let settings = format!(
            "[options]\nPidFile = {}\n[ssh]\nsequence = {a}:udp,{b}:udp,{c}:udp\nseq_timeout = 5\n\
             start_command = {IPTABLES} -I {rule}\ncmd_timeout = 600\n\
             stop_command = {IPTABLES} -D {rule}\n",
            path("pid").display(),
        );
        fs::write(path("knockd.conf"), settings).expect("our folder");
        let mut command = Command::new("knockd");
        // Without -v it does not print when it is ready.
        command.args(["-v", "-i", "cl", "-c"]).arg(path("knockd.conf"));
        let running = Running::start(&world.gateway, &mut command, &path("said"), "listening on");
        Self { running, world, _folder: folder }
    }

    /// Pins it and its later children to a core.
    pub(super) fn keep_on(&self, core: usize) {
        keep_process_on(self.running.pid(), &[core]);
    }
}

impl Contender for Knockd {
    fn name(&self) -> &'static str {
        KNOCKD
    }

    fn world(&self) -> &World {
        &self.world
    }

    fn knock(&self, _: usize) -> Knock {
        PORTS.map(|port| (port, vec![0])).to_vec()
    }

    fn events(&self, patience: Duration) -> Events {
        Events::of_rules(&self.world.gateway, patience)
    }

    fn spent(&self) -> Spent {
        Spent { network: self.running.spent(), privileged: Duration::ZERO }
    }
}
