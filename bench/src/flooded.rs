//! Valid knocks during junk, sent at the full rate of one core.

use std::net::Ipv4Addr;
use std::thread;
use std::time::Duration;

use sknock_protocol::DEFAULT_KNOCK_PORT;
use sknock_protocol::v2::DATAGRAM_LENGTH;
use sknock_tests::Daemon;

use crate::contender::{Contender, Knock};
use crate::figures::{Flooded, OURS};
use crate::forged::{noise, tagged, veiled_noise};
use crate::opening::PATIENCE;
use crate::sender::Sender;
use crate::series::per_second;
use crate::stopwatch::Stopwatch;
use crate::table::{Table, number};
use crate::world::{Site, source};

/// Valid knocks of a flood.
const TRIES: usize = 20;

/// Between two of them.
const GAP: Duration = Duration::from_millis(100);

/// Distinct datagrams without the veil, sent in turn.
const DIFFERENT: usize = 256;

/// Distinct datagrams under the right veil: more than the server remembers after refusing them, so that each
/// costs an ECDH each time.
const DIFFERENT_VEILED: usize = 20_000;

/// Number of junk datagrams between two clock reads.
const BLOCK: usize = 64;

/// Junk of a sender without the server's certificate, from [`MANY`] addresses.
pub(crate) const STRANGERS: &str = "without the certificate, many addresses";
/// The same behind a tag of a captured knock.
pub(crate) const CAPTURED: &str = "without the certificate, with a captured tag, many addresses";
/// Junk of a sender with the certificate, from the 254 addresses of one network.
pub(crate) const INSIDERS: &str = "with the right veil, one network (/24)";
/// The same from one address.
pub(crate) const INSIDER: &str = "with the right veil, one address";

/// Junk that is harder to refuse: base64 letters, as in fwknop's packets.
pub(crate) const LETTERS: &str = "a valid packet, one letter changed";

/// The number of addresses.
pub(crate) const MANY: usize = 4096;

/// Junk and its source addresses.
pub(crate) struct Junk<'a> {
    pub(crate) kind: &'static str,
    /// Sent in turn.
    pub(crate) datagrams: &'a [Vec<u8>],
    pub(crate) port: u16,
    /// The number of source addresses, used in turn.
    pub(crate) addresses: usize,
}

/// The first source address of junk; honest clients use others.
const JUNK: usize = 20_480;
const HONEST: usize = 50_000;

/// Floods a sKnock daemon with default limits.
pub(crate) fn ours(site: &Site, daemon: &Daemon<'_>) -> Vec<Flooded> {
    let strange: Vec<_> = (0..DIFFERENT).map(|_| noise(DATAGRAM_LENGTH)).collect();
    let veiled: Vec<_> = (0..DIFFERENT_VEILED).map(|_| veiled_noise(&site.server)).collect();
    let captured: Vec<_> = strange.iter().map(|junk| tagged(&site.server, junk.clone())).collect();
    let strangers = [(STRANGERS, &strange), (CAPTURED, &captured)];
    let strangers = strangers.map(|(kind, datagrams)| (kind, datagrams, MANY));
    let insiders = [(INSIDERS, &veiled, 254), (INSIDER, &veiled, 1)];
    let floods = strangers.into_iter().chain(insiders).map(|(kind, datagrams, addresses)| {
        let junk = Junk { kind, datagrams, port: DEFAULT_KNOCK_PORT, addresses };
        flood(&site.ours(OURS, daemon), &junk)
    });
    floods.collect()
}

/// Floods for some seconds; no valid knock is sent twice.
pub(crate) fn flood(contender: &dyn Contender, junk: &Junk<'_>) -> Flooded {
    // Each from a network of its own.
    let honest = |number: usize| source(HONEST + number * 256);
    let knocks: Vec<(Knock, Ipv4Addr)> =
        (0..TRIES).map(|number| (contender.knock(HONEST + number * 256), honest(number))).collect();
    let flooding = Sender::of(contender.world(), PATIENCE).towards(junk.port);
    let knocking = Sender::of(contender.world(), PATIENCE);
    let mut events = contender.events(PATIENCE);
    let watch = Stopwatch::start();
    let mut waiting = knocks.iter();
    let (mut sent, mut next) = (0, GAP);
    let mut datagrams = junk.datagrams.iter().cycle();
    loop {
        for bytes in datagrams.by_ref().take(BLOCK) {
            flooding.send(bytes, source(JUNK + sent % junk.addresses));
            sent += 1;
        }
        if watch.elapsed() >= next {
            let Some((knock, from)) = waiting.next() else { break };
            knocking.send_all(knock, *from);
            next += GAP;
        }
    }
    let rate = per_second(sent, watch.elapsed());
    // Queued knocks may still be granted.
    thread::sleep(PATIENCE);
    let opened = events.grants_so_far();
    Flooded { who: contender.name(), kind: junk.kind, sent: TRIES, opened, junk: rate }
}

/// All floods of a run.
pub(crate) fn table(floods: &[Flooded]) -> Table {
    let columns = ["daemon", "junk", "junk/s", "valid knocks", "opened"];
    let mut table = Table::new("Valid knocks during a flood", &columns);
    table.note(format!(
        "One thread sends junk as fast as it can, and every {GAP:?} a valid knock, each from a network \
         of its own and only once; opened: told by the kernel, {PATIENCE:?} after the last at the \
         latest. The daemon is on a core of its own, with its default limits."
    ));
    for flood in floods {
        table.row([
            flood.who.to_owned(),
            flood.kind.to_owned(),
            number(flood.junk),
            flood.sent.to_string(),
            flood.opened.to_string(),
        ]);
    }
    table
}
