//! The server's wall clock is stepped while it runs; clients and the kernel keep the right time.

use std::fs;
use std::num::NonZeroU16;
use std::time::Duration;

use sknock_protocol::Timestamp;
use sknock_tests::Found::Open;
use sknock_tests::wait::{now, until};
use sknock_tests::{Authority, Client, Config, Daemon, Echo, Ledger, Sent, WallClock, World};
use time::OffsetDateTime;

/// Half of the time for which a server reads low tags, and a little less: two clocks may be two steps apart.
const STEP: i64 = 1500;

/// A daemon by this clock, which has run before.
#[track_caller]
fn started<'w>(world: &'w World, config: &Config, clock: &WallClock) -> Daemon<'w> {
    let mut daemon = Daemon::stopped(&world.gateway, config);
    clock.give_to(&mut daemon);
    daemon.settle();
    daemon.begin();
    daemon.wait_for(Daemon::ACCEPTING);
    daemon
}

#[track_caller]
fn is_refused(reason: &str, daemon: &Daemon<'_>, sent: &Sent) {
    let line = daemon.wait_for(&format!("source={}", sent.source()));
    assert!(line.contains(&format!("refused reason=\"{reason}\"")), "{line}");
}

/// What a clock with this offset shows.
fn shown(true_time: Timestamp, offset: i64) -> Timestamp {
    let span = Duration::from_secs(offset.unsigned_abs());
    if offset < 0 { true_time.before(span) } else { true_time.after(span) }
}

/// To the second, as a line of the log begins.
fn written(time: Timestamp) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap();
    let time = OffsetDateTime::from_unix_timestamp(seconds).unwrap();
    let (year, month, day) = time.to_calendar_date();
    let (hour, minute, second) = time.to_hms();
    format!("{year}-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}", u8::from(month))
}

/// Or all below would show nothing.
#[test]
fn both_processes_see_the_steps_of_the_clock() {
    let (world, authority, clock) = (World::new(), Authority::new(), WallClock::new());
    let ledger = Ledger::new(&world, &authority, 60);
    let daemon = started(&world, &Ledger::config(&authority), &clock);
    for offset in [300, -300, 0] {
        let before = now();
        clock.step_to(offset);
        let mark = daemon.mark();
        let network = ledger.knock().must_be_granted().server_time;
        let (least, most) = (shown(before, offset), shown(now(), offset));
        assert!((least..=most).contains(&network), "{offset}: {network}");
        // The privileged process has no clock but that of its log.
        let line = daemon.wait_since(mark, "gate: opened");
        let privileged = line[..written(least).len()].to_owned();
        assert!((written(least)..=written(most)).contains(&privileged), "{offset}: {line}");
    }
}

/// Between here and there, everything that may have been forgotten, or kept too long.
fn is_survived(intake: &str) {
    let (world, authority, clock) = (World::new(), Authority::new(), WallClock::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let ledger = Ledger::new(&world, &authority, 5);
    let config = Ledger::config(&authority).set("intake", intake);
    let mut daemon = started(&world, &config, &clock);
    for _ in 0..3 {
        ledger.knock().must_be_granted();
    }
    for offset in [STEP, 0, -STEP, 0, STEP, -STEP, STEP, 0] {
        clock.step_to(offset);
        stands(&ledger, &daemon, offset);
        assert_eq!(daemon.stop().code, Some(0));
        begin_again(&mut daemon);
        stands(&ledger, &daemon, offset);
        daemon.crash();
        ledger.read_after_death(&daemon);
        begin_again(&mut daemon);
        stands(&ledger, &daemon, offset);
    }
    ledger.close(&daemon);
    let (sent, used) = ledger.counts();
    println!("{intake}: {sent} knocks, {used} opened, none twice");
}

/// Waits until knocks are judged, be it that they are accepted at a later time only.
#[track_caller]
fn begin_again(daemon: &mut Daemon<'_>) {
    daemon.begin();
    daemon.wait_for(": accepting knocks");
}

/// What must hold with a clock that is off by so much.
#[track_caller]
fn stands(ledger: &Ledger<'_>, daemon: &Daemon<'_>, offset: i64) {
    if offset == 0 {
        ledger.must_hold(daemon);
        return;
    }
    let reason = if offset > 0 { "stamp-too-old" } else { "stamp-in-future" };
    is_refused(reason, daemon, &ledger.knock());
    if offset > 0 {
        // Whose clock is as wrong as the server's gets in: that must not harm anybody later.
        ledger.knock_ahead(Duration::from_secs(offset.unsigned_abs())).must_be_granted();
    }
    ledger.must_be_protected();
    ledger.read(daemon);
    ledger.repeat(daemon, usize::MAX);
}

#[test]
fn clock_steps_admit_no_knock_twice_and_cause_no_wait_once_corrected() {
    is_survived("nflog");
}

#[test]
fn clock_steps_with_a_socket_admit_no_knock_twice_and_cause_no_wait() {
    is_survived("socket");
}

/// The program itself: its last attempt is read whatever its tag's epoch is, if the clocks differ by less than an hour.
#[test]
fn the_last_attempt_of_a_client_with_a_wrong_clock_is_logged() {
    let (world, authority, clock) = (World::new(), Authority::new(), WallClock::new());
    let config = Config::new(&authority).set("protectedPorts", "tcp/22");
    let daemon = started(&world, &config, &clock);
    let alice = Client::alice(&world.client, &authority);
    for (offset, reason) in [(STEP, "stamp-too-old"), (-STEP, "stamp-in-future")] {
        clock.step_to(offset);
        let mark = daemon.mark();
        let ran = alice.knock(&format!("{} tcp/22 --attempts 2", World::GATEWAY[0]));
        assert_eq!(ran.code, 1, "{ran:?}");
        daemon.wait_since(mark, &format!("refused reason=\"{reason}\""));
    }
}

#[test]
fn a_step_of_the_clock_neither_lengthens_nor_shortens_a_grant() {
    let (world, authority, clock) = (World::new(), Authority::new(), WallClock::new());
    let _services = [22, 2222].map(|port| Echo::tcp(&world.gateway, port));
    let config = Config::new(&authority).set("protectedPorts", "tcp/22, tcp/2222");
    let mut daemon = started(&world, &config, &clock);
    let alice = Client::alice(&world.client, &authority);
    let host = World::GATEWAY[0];
    let doors = || {
        world.gateway.doors().into_iter().map(|door| (door.knock, door.left)).collect::<Vec<_>>()
    };
    for offset in [STEP, -STEP] {
        clock.step_to(0);
        let long = alice.seal_for(&["tcp/2222"], 3600).send(&world.client, host);
        long.must_be_granted();
        alice.seal_for(&["tcp/22"], 2).send(&world.client, host).must_be_granted();
        clock.step_to(offset);
        for restarted in [false, true] {
            until("the short one closes", || doors().len() == 1);
            let [(knock, Some(left))] = &doors()[..] else { panic!("{:?}", doors()) };
            assert!(knock == long.id() && *left <= 3600, "{knock}, {left}, {restarted}");
            assert_eq!(world.tcp(2222).client[0], Open);
            daemon.crash();
            daemon.begin();
            daemon.wait_for(": accepting knocks");
        }
    }
}

/// What was remembered while the clock was ahead is in the way when it is right. The log says so by
/// itself, and what helps.
#[track_caller]
fn helps_as_the_log_says(world: &World, alice: &Client<'_>, daemon: &mut Daemon<'_>, mark: usize) {
    daemon.wait_since(mark, "the clock was set back: knocks are accepted in");
    daemon.wait_since(mark, "stop sknockd, empty stateDir, start sknockd");
    let sent = alice.seal(&["tcp/22"]).send(&world.client, World::GATEWAY[0]);
    is_refused("before-memory", daemon, &sent);
    assert_eq!(daemon.stop().code, Some(0));
    for name in ["journal.0", "journal.1", "horizon"] {
        fs::remove_file(daemon.file("state").join(name)).unwrap();
    }
    daemon.begin();
    daemon.wait_for(Daemon::ACCEPTING);
    alice.seal(&["tcp/22"]).send(&world.client, World::GATEWAY[0]).must_be_granted();
}

#[test]
fn a_first_start_with_a_clock_that_is_ahead_is_noticed_when_it_is_right_again() {
    let (world, authority, clock) = (World::new(), Authority::new(), WallClock::new());
    let mut daemon = Daemon::stopped(&world.gateway, &Config::new(&authority));
    clock.give_to(&mut daemon);
    clock.step_to(STEP);
    daemon.begin();
    daemon.wait_for(Daemon::ACCEPTING);
    let mark = daemon.mark();
    clock.step_to(0);
    let alice = Client::alice(&world.client, &authority);
    helps_as_the_log_says(&world, &alice, &mut daemon, mark);
}

/// Knocks so often with a clock that is ahead, as is the server's, and again another step later.
fn knock_ahead(clock: &WallClock, ledger: &Ledger<'_>, times: u32) {
    for steps in [1, 2] {
        clock.step_to(steps * STEP);
        let ahead = Duration::from_secs(shown(Timestamp::EPOCH, steps * STEP).as_secs());
        for _ in 0..times {
            ledger.knock_ahead(ahead).must_be_granted();
        }
    }
}

#[test]
fn knocks_while_all_clocks_were_ahead_lock_no_client_out_afterwards() {
    let (world, authority, clock) = (World::new(), Authority::new(), WallClock::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let ledger = Ledger::new(&world, &authority, 5);
    let mut daemon = started(&world, &Ledger::config(&authority), &clock);
    knock_ahead(&clock, &ledger, 20);
    clock.step_to(0);
    ledger.must_hold(&daemon);
    daemon.crash();
    begin_again(&mut daemon);
    ledger.must_hold(&daemon);
    knock_ahead(&clock, &ledger, 1);
    assert_eq!(daemon.stop().code, Some(0));
    clock.step_to(0);
    begin_again(&mut daemon);
    ledger.must_hold(&daemon);
    ledger.close(&daemon);
}

/// Such a knock is of the right time once more, when its time comes.
fn is_refused_under_another_state_dir(how: &str) {
    const AHEAD: Duration = Duration::from_secs(12);
    let (world, authority, clock) = (World::new(), Authority::new(), WallClock::new());
    let config = Config::new(&authority).set("TIMESTAMP_THRESHOLD_IN_SECONDS", "5");
    let elsewhere = config.clone().set("stateDir", "state2");
    let mut daemon = started(&world, &config, &clock);
    let alice = Client::alice(&world.client, &authority);
    clock.step_to(AHEAD.as_secs().cast_signed());
    let used = alice.seal_with(&["tcp/22"], |wish| {
        wish.stamp = wish.stamp.after(AHEAD + Duration::from_secs(4));
        wish.lifetime = NonZeroU16::new(1);
    });
    let due = now().after(AHEAD);
    used.send(&world.client, World::GATEWAY[0]).must_be_granted();
    let mark = daemon.mark();
    if how == "stopped while ahead" {
        assert_eq!(daemon.stop().code, Some(0));
    }
    clock.step_to(0);
    daemon.configure(&elsewhere);
    match how {
        "reload" => assert_eq!(daemon.tell("reload").code, Some(0)),
        "restart" => {
            assert_eq!(daemon.stop().code, Some(0));
            daemon.begin();
        }
        _ => daemon.begin(),
    }
    daemon.wait_since(mark, "protecting status");
    until("the time of the knock comes", || now() > due);
    let sent = used.send(&world.client, World::GATEWAY[0]);
    let line = daemon.wait_since(mark, &format!("source={}", sent.source()));
    assert!(line.contains("reason=\"before-memory\""), "{how}: {line}");
    // And when all of that is over, knocks open.
    daemon.wait_since(mark, Daemon::ACCEPTING);
    alice.seal(&["tcp/22"]).send(&world.client, World::GATEWAY[0]).must_be_granted();
}

#[test]
fn a_knock_of_a_clock_that_was_ahead_is_refused_under_another_state_dir() {
    is_refused_under_another_state_dir("reload");
}

#[test]
fn a_knock_of_a_clock_that_was_ahead_is_refused_under_another_state_dir_after_a_restart() {
    is_refused_under_another_state_dir("restart");
}

#[test]
fn a_knock_of_a_clock_that_was_ahead_is_refused_after_a_start_with_another_state_dir() {
    is_refused_under_another_state_dir("stopped while ahead");
}

/// More than are remembered for longer than they need to be.
#[test]
fn very_many_knocks_while_all_clocks_were_ahead_are_noticed_when_they_are_right_again() {
    let (world, authority, clock) = (World::new(), Authority::new(), WallClock::new());
    let ledger = Ledger::new(&world, &authority, 5);
    let config = Ledger::config(&authority).set("replayCapacity", "1000");
    let mut daemon = started(&world, &config, &clock);
    // Its own window, so that mending does not take as long as a ledger's.
    daemon.configure(&config.set("TIMESTAMP_THRESHOLD_IN_SECONDS", "2"));
    daemon.reload();
    knock_ahead(&clock, &ledger, 70);
    let mark = daemon.mark();
    clock.step_to(0);
    let alice = Client::alice(&world.client, &authority);
    helps_as_the_log_says(&world, &alice, &mut daemon, mark);
}
