//! fwknopd, as a UDP server, and knocks made by its own client.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use sknock_tests::World;
use tempfile::TempDir;

use super::running::Running;
use crate::contender::{Contender, Knock};
use crate::cpu::{Spent, keep_process_on};
use crate::events::Events;
use crate::figures::{FWKNOP, TUNED};
use crate::world::{GATEWAY, routed, source};

/// The default port.
pub(super) const PORT: u16 = 62201;

/// Keys as `fwknop --key-gen` makes them, 32 and 64 bytes, but not random: for tests only.
const KEY: &str = "c2tub2NrIGJlbmNoOiB0aGUga2V5IG9mIGEgcGVlci4=";
const HMAC_KEY: &str = "c2tub2NrIGJlbmNoOiB0aGUgSE1BQyBrZXkgb2YgYSBwZWVyLCA2NCBieXRlcyBsb25nLCBhcyBmd2tub3AgLS1rZXktZ2VuIA==";

/// Its configuration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Tuning {
    /// The default: `iptables` for each grant, and a check of its chain every 20 packets.
    Default,
    /// Without those checks, and with one `nft add element` for each grant.
    Best,
}

/// A server in a network of its own.
#[derive(Debug)]
pub(super) struct Fwknop {
    // In this order: the program ends before its namespace and its files do.
    running: Running,
    world: World,
    folder: TempDir,
    tuning: Tuning,
}

impl Fwknop {
    /// Starts it behind a firewall that resets connections to ssh, as sKnock's does.
    pub(super) fn start(tuning: Tuning) -> Self {
        let (world, folder) = (routed(), tempfile::tempdir().expect("a place for temporary files"));
        match tuning {
            Tuning::Default => close_by_iptables(&world),
            Tuning::Best => drop(world.gateway.nft(CLOSED)),
        }
        let path = |name: &str| folder.path().join(name);
        write(&path("fwknopd.conf"), &settings(folder.path(), tuning));
        write(&path("access.conf"), &stanza(tuning));
        write(&path("fwknoprc"), "");
        let mut command = Command::new("fwknopd");
        command.arg("-f").arg("-c").arg(path("fwknopd.conf")).arg("-a").arg(path("access.conf"));
        let ready = "Kicking off UDP server";
        let running = Running::start(&world.gateway, &mut command, &path("said"), ready);
        Self { running, world, folder, tuning }
    }

    /// Pins it and its later children to a core.
    pub(super) fn keep_on(&self, core: usize) {
        keep_process_on(self.running.pid(), &[core]);
    }

    /// A knock of its own client.
    pub(super) fn packet(&self, number: usize) -> Vec<u8> {
        let path = |name: &str| self.folder.path().join(name);
        let made = Command::new("fwknop")
            .env("HOME", self.folder.path())
            .args(["--access", "tcp/22", "--allow-ip", &source(number).to_string()])
            .args(["--destination", &GATEWAY.to_string(), "--use-hmac", "--test"])
            .args(["--key-base64-rijndael", KEY, "--key-base64-hmac", HMAC_KEY])
            .args(["--no-save-args", "--rc-file"])
            .arg(path("fwknoprc"))
            .arg("--save-packet")
            .arg(path("packet"))
            .stdout(Stdio::null())
            .status();
        assert!(made.is_ok_and(|status| status.success()), "fwknop makes no packet");
        let packet = fs::read_to_string(path("packet")).expect("it has just been written");
        packet.trim_end().as_bytes().to_vec()
    }
}

impl Contender for Fwknop {
    fn name(&self) -> &'static str {
        match self.tuning {
            Tuning::Default => FWKNOP,
            Tuning::Best => TUNED,
        }
    }

    fn world(&self) -> &World {
        &self.world
    }

    fn knock(&self, number: usize) -> Knock {
        vec![(PORT, self.packet(number))]
    }

    fn events(&self, patience: Duration) -> Events {
        match self.tuning {
            Tuning::Default => Events::of_rules(&self.world.gateway, patience),
            Tuning::Best => Events::of_elements(&self.world.gateway, patience),
        }
    }

    fn spent(&self) -> Spent {
        Spent { network: self.running.spent(), privileged: Duration::ZERO }
    }
}

/// Refuses other connections at once, so that the next attempt can follow.
pub(super) fn close_by_iptables(world: &World) {
    let established = "-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT";
    let closed = "-A INPUT -p tcp --dport 22 -j REJECT --reject-with tcp-reset";
    for rule in [established, closed] {
        world.gateway.run(IPTABLES, &rule.split(' ').collect::<Vec<_>>());
    }
}

/// The same with nft, with a set of permitted addresses.
const CLOSED: &str = "table inet bench {
    set open { type ipv4_addr; flags timeout; }
    chain input {
        type filter hook input priority filter; policy accept;
        ct state established,related accept
        tcp dport 22 ip saddr @open accept
        tcp dport 22 reject with tcp reset
    }
}";

/// The `nf_tables` variant, whichever is the machine's default.
pub(super) const IPTABLES: &str = "/usr/sbin/iptables-nft";

fn settings(folder: &Path, tuning: Tuning) -> String {
    let folder = folder.display();
    let more = match tuning {
        Tuning::Default => "",
        Tuning::Best => "RULES_CHECK_THRESHOLD 0;\n",
    };
    format!(
        "ENABLE_UDP_SERVER Y;\nUDPSERV_PORT {PORT};\nFIREWALL_EXE {IPTABLES};\n\
         FWKNOP_RUN_DIR {folder};\nFWKNOP_PID_FILE {folder}/fwknopd.pid;\n\
         DIGEST_FILE {folder}/digest.cache;\n{more}"
    )
}

/// All grants of a measurement remain.
fn stanza(tuning: Tuning) -> String {
    let open = match tuning {
        Tuning::Default => "FW_ACCESS_TIMEOUT 600\n",
        Tuning::Best => {
            "CMD_CYCLE_OPEN /usr/sbin/nft add element inet bench open { $SRC timeout 600s }\n\
             CMD_CYCLE_CLOSE NONE\nCMD_CYCLE_TIMER 600\n"
        }
    };
    format!("SOURCE ANY\nOPEN_PORTS tcp/22\nKEY_BASE64 {KEY}\nHMAC_KEY_BASE64 {HMAC_KEY}\n{open}")
}

/// fwknopd refuses files that other users can read.
fn write(path: &Path, text: &str) {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).expect("our folder");
}
