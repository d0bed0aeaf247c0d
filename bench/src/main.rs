//! `sknock-bench`: measures real daemons in network namespaces that it makes, and prints tables.
//!
//! Run it as root after building all programs (`make bench`). It asserts nothing: every figure was
//! measured in this run, and what could not be measured is a dash. The machine's own network and
//! firewall are not touched, and everything is removed at its end, also after a panic. Arguments name
//! the tables wanted: latency, floor, steps, throughput, junk, memory.

mod conditions;
mod cpu;
mod events;
mod floor;
mod forged;
mod junk;
mod latency;
mod losses;
mod memory;
mod sender;
mod series;
mod steps;
mod stopwatch;
mod table;
mod throughput;
mod world;

use sknock_tests::{Config, Daemon};

use crate::floor::Floor;
use crate::junk::Junk;
use crate::latency::Latency;
use crate::memory::Memory;
use crate::table::Table;
use crate::throughput::Throughput;
use crate::world::Site;

/// As a daemon logs in use.
const USUAL: &str = "info";
/// Without a line for each knock.
const QUIET: &str = "info,audit=warn,gate=warn";

fn main() {
    let wanted = Wanted(std::env::args().skip(1).collect());
    println!("# sKnock: figures\n\n{}", conditions::conditions());
    let site = Site::new();
    let mut memory = Memory::new();
    if wanted.any(&["latency", "memory"]) {
        idle(&site, &wanted, &mut memory);
    }
    // From here on, one core for the daemon and what it is compared with, one for the rest.
    cpu::stay_on(cpu::DAEMON);
    let (floor, table) = floor::measure();
    if wanted.any(&["floor", "throughput"]) {
        println!("{table}");
    }
    if wanted.any(&["steps"]) {
        println!("{}", steps::measure(&site));
    }
    cpu::stay_on(cpu::SENDER);
    let config = site.config().set("workers", "1");
    if wanted.any(&["throughput"]) {
        println!("{}", throughput(&site, &config, floor, &mut memory));
    }
    if wanted.any(&["junk"]) {
        println!("{}", junk(&site, &config));
    }
    if wanted.any(&["memory"]) {
        println!("{}", memory.table());
    }
}

/// The tables named on the command line (latency, floor, steps, throughput, junk, memory); none
/// named: all.
struct Wanted(Vec<String>);

impl Wanted {
    fn any(&self, names: &[&str]) -> bool {
        self.0.is_empty() || self.0.iter().any(|name| names.contains(&name.as_str()))
    }
}

/// The daemon as it is by default, and with the other way of hearing.
fn idle(site: &Site, wanted: &Wanted, memory: &mut Memory) {
    let mut latency = Latency::new(site);
    for intake in ["nflog", "socket"] {
        let daemon = site.start(&site.config().set("intake", intake), USUAL);
        memory.look(&format!("{intake}, idle, before any knock"), &daemon);
        site.introduce();
        if wanted.any(&["latency"]) {
            latency.of(intake);
            memory.look(&format!("{intake}, idle, after 640 knocks"), &daemon);
        }
    }
    if wanted.any(&["latency"]) {
        println!("{}", latency.table());
    }
}

/// Valid knocks, with and without a line in the log for each.
fn throughput(site: &Site, config: &Config, floor: Floor, memory: &mut Memory) -> Table {
    let mut throughput = Throughput::new(site, floor);
    {
        let daemon = on_one_core(site, config, USUAL);
        throughput.of(&daemon);
        memory.look("one worker, after 54,040 knocks", &daemon);
    }
    throughput.briefly(&on_one_core(site, config, QUIET), "first row, without log lines");
    let socket = config.clone().set("intake", "socket");
    throughput.briefly(&on_one_core(site, &socket, USUAL), "first row, intake = socket");
    throughput.table()
}

/// Junk at daemons that protect single ports, for each way of hearing, and at one that closes all.
fn junk(site: &Site, config: &Config) -> Table {
    let mut junk = Junk::new();
    junk.of(site, &on_one_core(site, config, USUAL), "nflog");
    junk.of(site, &on_one_core(site, &config.clone().set("intake", "socket"), USUAL), "socket");
    let closed = config.clone().without("protectedPorts").set("firewallPolicy", "drop");
    junk.of_closed(site, &on_one_core(site, &closed, USUAL));
    junk.table()
}

/// A daemon that knows all clients, with both processes on one core.
fn on_one_core<'s>(site: &'s Site, config: &Config, log: &str) -> Daemon<'s> {
    let daemon = site.start(config, log);
    cpu::keep_on(&daemon, cpu::DAEMON);
    site.introduce();
    daemon
}
