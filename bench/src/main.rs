//! `sknock-bench`: measures real daemons in network namespaces that it makes, and prints tables.
//!
//! Run it as root after building all programs (`make bench`, `make bench-peers`). It asserts nothing: every
//! figure was measured in this run, and a dash means not measured. The machine's own network and firewall are
//! not changed, and everything is removed at the end, also after a panic. Arguments name the tables: latency,
//! floor, steps, throughput, cores, junk, flood, growth, memory, scale. With `--peers` other programs are
//! measured as well; with `--into FOLDER` plots and all tables are written there.

mod bare;
mod conditions;
mod contender;
mod cores;
mod cpu;
mod events;
mod figures;
mod flooded;
mod floor;
mod forged;
mod growth;
mod junk;
mod latency;
mod lone_gate;
mod losses;
mod memory;
mod opening;
mod peers;
mod plot;
mod report;
mod rush;
mod scale;
mod sender;
mod series;
mod steps;
mod stopwatch;
mod table;
mod targets;
mod throughput;
mod wanted;
mod world;

use sknock_tests::{Config, Daemon};

use crate::figures::{Figures, OURS};
use crate::floor::Floor;
use crate::junk::Junk;
use crate::latency::Latency;
use crate::memory::Memory;
use crate::report::Report;
use crate::table::Table;
use crate::throughput::Throughput;
use crate::wanted::Wanted;
use crate::world::Site;

/// The default log filter.
const USUAL: &str = "info";
/// Without a line for each knock.
const QUIET: &str = "info,audit=warn,gate=warn";

fn main() {
    let wanted = Wanted::from_arguments(std::env::args().skip(1));
    let mut conditions = conditions::conditions();
    if wanted.peers {
        conditions += &peers::versions();
    }
    let mut report = Report::new(wanted.folder.clone(), conditions);
    let mut figures = Figures::default();
    let site = Site::new();
    let mut memory = Memory::new();
    if wanted.any(&["latency", "memory"]) {
        idle(&site, &wanted, &mut memory, &mut figures, &mut report);
    }
    // From here on, one core for the daemon and the code compared with it, one for the rest.
    cpu::stay_on(cpu::DAEMON);
    let (floor, table) = floor::measure();
    if wanted.any(&["floor", "throughput"]) {
        report.tell(&table);
    }
    if wanted.any(&["steps"]) {
        report.tell(&steps::measure(&site));
    }
    cpu::stay_on(cpu::SENDER);
    let config = site.config().set("workers", "1");
    if wanted.any(&["throughput"]) {
        let (table, share) = throughput(&site, &config, floor, &mut memory);
        figures.of_floor = share;
        report.tell(&table);
    }
    if wanted.any(&["cores"]) {
        report.tell(&cores::measure(&site, &config, USUAL, &mut figures));
    }
    if wanted.any(&["memory"]) {
        report.tell(&memory.table());
    }
    if wanted.any(&["flood"]) {
        let limited = config.clone().without("knocksPerSource");
        figures.flooded = flooded::ours(&site, &on_one_core(&site, &limited, USUAL));
    }
    if wanted.any(&["growth"]) {
        let ours = on_one_core(&site, &config, USUAL);
        figures.growth.push((OURS, growth::grow(&site.ours(OURS, &ours))));
    }
    let mut junk = wanted.any(&["junk"]).then(|| junk(&site, &config, &mut figures));
    if wanted.peers {
        let tables = peers::measure(&wanted, &mut figures, junk.as_mut());
        for table in &tables {
            report.tell(table);
        }
    }
    if let Some(junk) = junk {
        report.tell(&junk.table());
    }
    if wanted.any(&["flood"]) {
        report.tell(&flooded::table(&figures.flooded));
    }
    if wanted.any(&["growth"]) {
        report.tell(&growth::table(&figures.growth));
    }
    scale::measure(&site, |name| wanted.any(&["scale", name]), &mut figures, &mut report);
    report.finish(&figures);
}

/// The daemon with each intake.
fn idle(
    site: &Site,
    wanted: &Wanted,
    memory: &mut Memory,
    figures: &mut Figures,
    report: &mut Report,
) {
    let mut latency = Latency::new(site);
    if wanted.any(&["latency"]) {
        latency.floor(figures);
    }
    for intake in ["nflog", "socket"] {
        let daemon = site.start(&site.config().set("intake", intake), USUAL);
        let rss = memory.look(&format!("{intake}, idle, before any knock"), &daemon);
        if intake == "nflog" {
            figures.idle_memory = rss;
        }
        site.introduce();
        if wanted.any(&["latency"]) {
            cpu::stay_on(cpu::SENDER);
            cpu::keep_on(&daemon, &[cpu::DAEMON]);
            latency.of(intake, &daemon, figures);
            cpu::go_anywhere();
            memory.look(&format!("{intake}, idle, after 940 knocks"), &daemon);
        }
    }
    if wanted.any(&["latency"]) {
        report.tell(&latency.table());
    }
}

/// Valid knocks, with and without a log line for each; the default's share of the floor.
fn throughput(site: &Site, config: &Config, floor: Floor, memory: &mut Memory) -> (Table, f64) {
    let mut throughput = Throughput::new(site, floor);
    let share = {
        let daemon = on_one_core(site, config, USUAL);
        let share = throughput.of(&daemon);
        memory.look("one worker, after 54,040 knocks", &daemon);
        share
    };
    throughput.briefly(&on_one_core(site, config, QUIET), "first row, without log lines");
    let socket = config.clone().set("intake", "socket");
    throughput.briefly(&on_one_core(site, &socket, USUAL), "first row, intake = socket");
    (throughput.table(), share)
}

/// Junk at daemons that protect single ports, for each intake, and at one in deny-all mode.
fn junk(site: &Site, config: &Config, figures: &mut Figures) -> Junk {
    let mut junk = Junk::new();
    let nflog = on_one_core(site, config, USUAL);
    figures.junk.extend(junk.of(&site.ours(OURS, &nflog)));
    drop(nflog);
    let socket = on_one_core(site, &config.clone().set("intake", "socket"), USUAL);
    figures.junk.extend(junk.of(&site.ours("sKnock, intake = socket", &socket)));
    drop(socket);
    let closed = config.clone().without("protectedPorts").set("firewallPolicy", "drop");
    let closed = on_one_core(site, &closed, USUAL);
    figures.wrong_length = junk.of_closed(&site.ours(OURS, &closed));
    junk
}

/// A daemon that has verified all clients before, with both processes on one core.
fn on_one_core<'s>(site: &'s Site, config: &Config, log: &str) -> Daemon<'s> {
    let daemon = site.start(config, log);
    cpu::keep_on(&daemon, &[cpu::DAEMON]);
    site.introduce();
    daemon
}
