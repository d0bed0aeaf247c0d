//! A start with very many entries in the grant file takes time in proportion to their number.

use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use sknock_gate::{
    BootInstant, Ceiling, FirewallPolicy, Gate, Outcome, PortRange, Request, TableSpec, Transport,
};

use crate::netns::Net;
use crate::setup::{begun, ceiling, grant_request, handle, raised, range, rules};

/// What an earlier gate has left.
#[derive(Clone, Copy, Debug)]
enum Left {
    Open,
    Expired,
    Blocked,
}

const FEW: usize = 10_000;
const MANY: usize = 100_000;
const SECONDS: u32 = 3600;

/// The work of the processor for this thread outside of the kernel, in milliseconds.
fn user_time() -> i64 {
    getrusage(UsageWho::RUSAGE_THREAD).unwrap().user_time().num_milliseconds()
}

fn spec() -> TableSpec {
    TableSpec { capacity: 2 * u32::try_from(MANY).unwrap(), ..rules(FirewallPolicy::Drop) }
}

fn limits() -> Ceiling {
    Ceiling { live: MANY, per_second: 1_000_000, ..ceiling() }
}

/// A gate that has opened this many flows.
fn opened(net: &Net, count: usize, now: BootInstant) -> Gate {
    const PORTS: u16 = 50;
    let mut gate = raised(net, spec(), limits());
    let ports: [PortRange; 1] = [range(Transport::Tcp, 1000, 999 + PORTS)];
    for client in 0..count / usize::from(PORTS) {
        let address = format!("10.9.{}.{}", client / 250, client % 250 + 1);
        let request = Request::Open(grant_request(&[&address], &ports, SECONDS));
        let outcome = handle(&mut gate, &request.encode().unwrap(), now);
        assert!(matches!(outcome, Outcome::Opened(_)), "{outcome:?}");
    }
    assert_eq!(gate.live().len(), count);
    gate
}

/// How long the next gate needs to take over this many, in milliseconds.
fn taken_over(left: Left, count: usize) -> i64 {
    let (net, mut now) = (Net::new(), BootInstant::now());
    let mut gate = opened(&net, count, now);
    match left {
        Left::Open => {}
        Left::Expired => now = now.after(Duration::from_secs((SECONDS + 1).into())),
        Left::Blocked => {
            assert_eq!(gate.close_matching(|_, _| true, now).unwrap().len(), count);
        }
    }
    drop(gate);
    let before = user_time();
    let mut gate = begun(&net, spec(), limits());
    let outcome = handle(&mut gate, &Request::Activate.encode().unwrap(), now);
    let took = user_time() - before;
    let open = if matches!(left, Left::Open) { count } else { 0 };
    assert_eq!(outcome, Outcome::Activated { open, dropped: 0 });
    let blocked = net.inside(|| sknock_gate::Firewall::open().unwrap().dump_blocked().unwrap());
    assert_eq!(blocked.len(), if matches!(left, Left::Blocked) { count } else { 0 });
    took
}

#[test]
fn ten_times_the_entries_take_far_less_than_a_hundred_times_the_time() {
    for left in [Left::Open, Left::Expired, Left::Blocked] {
        let [few, many] = [FEW, MANY].map(|count| taken_over(left, count));
        // A busy machine's caches double it. If each entry looked at all others, it would be a hundred times.
        assert!(many <= 30 * few.max(20), "{left:?}: {few} ms, ten times as many: {many} ms");
    }
}
