//! The time of each step of a knock: the pipeline's steps and the gate, called in this process.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sknock_protocol::v2::DATAGRAM_LENGTH;
use sknock_protocol::v2::tag::EPOCH_MS;
use sknock_protocol::{
    Bundle, Datagram, Revocation, RevocationList, RevocationLists, ServerKey, TrustStore, Verifier,
};
use sknock_server::knock::in_force::InForce;
use sknock_server::knock::pipeline::Pipeline;
use sknock_server::knock::policy::Policy;
use sknock_server::knock::refused_knocks::RefusedKnocks;
use sknock_server::knock::replay::{BootId, Journal, Memory, ReplayStore, admit};
use sknock_tests::wait::now;
use sknock_tests::{Namespace, PASSWORD};

use crate::forged::noise;
use crate::lone_gate::LoneGate;
use crate::series::Series;
use crate::stopwatch::Stopwatch;
use crate::table::{Table, number};
use crate::world::{CLIENTS, Packet, Site, source};

const KNOCKS: usize = 2000;
const EPOCH: Duration = Duration::from_millis(EPOCH_MS);
const WINDOW: Duration = Duration::from_secs(3600);

/// Measures every step on its own.
pub(crate) fn measure(site: &Site) -> Table {
    let columns = ["step", "n", "median us", "p99 us", "min us"];
    let mut table =
        Table::new("Inside: each step in this process, one thread, no socket", &columns);
    let mut line = |name: &str, series: &Series| {
        let cells = [series.median(), series.percentile(99), series.min()].map(number);
        table.row([name.to_owned(), series.len().to_string()].into_iter().chain(cells));
    };
    let packets: Vec<Packet> = (0..KNOCKS).map(|number| site.knock(number, true)).collect();
    let steps = Steps::of(site, &packets);
    line("unveil: tag and veil", &steps.unveil);
    let tags = Tags::of(site);
    line("a datagram without a tag", &tags.refused);
    line("the tags of an epoch, every 64 s", &tags.renewed);
    line("all tags, at the start", &tags.first);
    line("verify, path not cached", &steps.first);
    line("verify, path cached", &steps.verify);
    line("admit, in memory", &steps.admit);
    line("authorize", &steps.authorize);
    line(
        "the whole pipeline, replay in memory",
        &whole(site, &packets, Memory::new(WINDOW, KNOCKS)),
    );
    let folder = tempfile::tempdir().expect("a place for temporary files");
    line(
        "the whole pipeline, replay journal on disk",
        &whole(site, &packets, journal(folder.path())),
    );
    line("the gate: one grant, one transaction", &gate(&site.world.stranger));
    table.note("The gate: request decoded, held to the ceiling, sent to the kernel, acknowledged.");
    table
}

#[derive(Default)]
struct Steps {
    unveil: Series,
    first: Series,
    verify: Series,
    admit: Series,
    authorize: Series,
}

impl Steps {
    fn of(site: &Site, packets: &[Packet]) -> Self {
        let pipeline = pipeline(site, Memory::new(WINDOW, KNOCKS));
        let mut steps = Self::default();
        for (number, packet) in packets.iter().enumerate() {
            let datagram = Datagram::new(from(number), packet);
            let now = now();
            let watch = Stopwatch::start();
            let unveiled = pipeline.verifier.unveil(datagram, now).expect("our veil");
            steps.unveil.push_time(watch.elapsed());

            let watch = Stopwatch::start();
            let verified = pipeline.verifier.verify(unveiled, &pipeline.revocation.load(), now);
            let took = watch.elapsed();
            if number < CLIENTS { &mut steps.first } else { &mut steps.verify }.push_time(took);

            let verified = verified.expect("a valid knock");
            let watch = Stopwatch::start();
            let admitted = admit(&pipeline.replay, verified, now);
            steps.admit.push_time(watch.elapsed());

            let admitted = admitted.expect("a new knock");
            let watch = Stopwatch::start();
            let grant = pipeline.policy.authorize(admitted, now);
            steps.authorize.push_time(watch.elapsed());
            drop(grant.expect("an allowed service"));
        }
        steps
    }
}

/// What tags cost.
struct Tags {
    refused: Series,
    renewed: Series,
    first: Series,
}

impl Tags {
    fn of(site: &Site) -> Self {
        let (mut refused, mut renewed, mut first) =
            (Series::default(), Series::default(), Series::default());
        for _ in 0..10 {
            let pipeline = pipeline(site, Memory::new(WINDOW, KNOCKS));
            let unveil = |series: &mut Series, now| {
                let junk = noise(DATAGRAM_LENGTH);
                let watch = Stopwatch::start();
                drop(pipeline.verifier.unveil(Datagram::new(from(0), &junk), now));
                series.push_time(watch.elapsed());
            };
            let now = now();
            unveil(&mut first, now);
            (0..KNOCKS).for_each(|_| unveil(&mut refused, now));
            (1..20).for_each(|times| unveil(&mut renewed, now.after(times * EPOCH)));
        }
        Self { refused, renewed, first }
    }
}

fn whole<R: ReplayStore>(site: &Site, packets: &[Packet], replay: R) -> Series {
    let pipeline = pipeline(site, replay);
    let mut series = Series::default();
    for (number, packet) in packets.iter().enumerate() {
        let now = now();
        let watch = Stopwatch::start();
        let received = pipeline.unveil(Datagram::new(from(number), packet), now);
        let grant = received.and_then(|received| pipeline.decide(received, now));
        if number >= CLIENTS {
            series.push_time(watch.elapsed());
        }
        drop(grant.expect("a valid knock"));
    }
    series
}

fn from(number: usize) -> SocketAddr {
    (source(number), 40_000).into()
}

fn pipeline<R: ReplayStore>(site: &Site, replay: R) -> Pipeline<R> {
    let bundle = std::fs::read(site.authority.file("gate.pfx")).expect("we have made it");
    let bundle = Bundle::open(&bundle, PASSWORD).expect("we have made it");
    let key = ServerKey::from_bundle(&bundle).expect("a server's key");
    let anchors = TrustStore::new(bundle.authorities(), 10_000).expect("our authority");
    let list = RevocationList::verify(&site.authority.crl(), &anchors).expect("its list");
    let rules = sknock_protocol::KnockRules {
        window: WINDOW,
        unsigned_address: true,
        second_address: false,
    };
    let lists = RevocationLists::new(WINDOW).with(list);
    Pipeline {
        verifier: Arc::new(Verifier::new(key, anchors, rules)),
        revocation: Arc::new(InForce::new(Revocation::Lists(lists))),
        replay,
        policy: Policy::new(None, WINDOW, WINDOW),
        refused_knocks: RefusedKnocks::default(),
    }
}

/// Its floor is in the past: all knocks here are later.
fn journal(folder: &Path) -> Journal {
    let boot: BootId = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .expect("Linux has it")
        .trim_end()
        .parse()
        .expect("a boot id");
    let long_ago = now().before(3 * WINDOW);
    Journal::open(folder, &boot, long_ago, WINDOW, KNOCKS).expect("our folder").0
}

fn gate(namespace: &Namespace) -> Series {
    let mut gate = LoneGate::of(namespace);
    let mut series = Series::default();
    (0..KNOCKS).for_each(|number| series.push_time(gate.open(source(number))));
    series
}
