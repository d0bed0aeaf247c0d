//! Another program flushes the whole ruleset repeatedly, while clients knock.

use std::collections::BTreeSet;

use crate::wait::{Stopwatch, until};
use crate::{Authority, Daemon, Echo, Ledger, World};

/// Flushes this number of times, with a knock before and one directly after. Each time the table is restored
/// with every grant; the knock after the flush is processed or, because the kernel copies nothing without a
/// table, lost. Prints the duration as seen with nft.
pub fn flushes(rounds: u32) {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    // None ends before the last round.
    let ledger = Ledger::new(&world, &authority, 3600);
    let daemon = Daemon::start_settled(&world.gateway, &Ledger::config(&authority));
    let (mut spans, mut granted, mut lost) = (Vec::new(), BTreeSet::new(), 0);
    for _ in 0..rounds {
        let before = ledger.knock();
        before.must_be_granted();
        granted.insert(before.id().to_owned());
        world.gateway.nft("flush ruleset");
        let watch = Stopwatch::start();
        let behind = ledger.knock();
        until("the table is back with all grants", || {
            let open: BTreeSet<String> = open(&world).collect();
            granted.is_subset(&open)
        });
        spans.push(watch.span());
        ledger.knock().must_be_granted();
        // Earlier knocks have been processed by now, if they arrived.
        granted = open(&world).collect();
        lost += u32::from(!granted.contains(behind.id()));
    }
    ledger.must_hold(&daemon);
    spans.sort_unstable();
    let (median, longest) = (spans[spans.len() / 2], spans[spans.len() - 1]);
    println!(
        "{rounds} flushes: table and grants seen by nft after {median:.1?} (median), {longest:.1?} \
         (longest), which includes running nft; of the knocks right behind a flush {lost} were lost"
    );
}

fn open(world: &World) -> impl Iterator<Item = String> {
    world.gateway.doors().into_iter().map(|door| door.knock)
}
