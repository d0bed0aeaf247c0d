//! Peers that are silent, slow, loud or wrong: knocks open within the usual time, and later requests work.

use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use sknock_tests::wait::{Limit, until};
use sknock_tests::{Authority, Client, Config, ControlLine, Daemon, World};

use super::a_knock_opens;

const CONFIRM: &str = r#"{"version":1,"request":"confirm"}"#;

fn knocks_and_requests_work(alice: &Client<'_>, world: &World, daemon: &Daemon<'_>) {
    a_knock_opens(alice, world);
    let asked = daemon.tell("confirm");
    assert!(asked.errors.contains("no trial is active"), "{}", asked.errors);
}

#[test]
fn an_invalid_request_is_answered_and_changes_nothing() {
    let (world, authority) = (World::new(), Authority::new());
    let daemon = Daemon::start(&world.gateway, &Config::new(&authority));
    let (table, network) = (world.gateway.table(), daemon.network());
    let mut line = ControlLine::connect(&world.gateway);
    for (wrong, answer) in [
        ("", "malformed"),
        ("\0\u{1}\u{7f}", "malformed"),
        ("confirm", "malformed"),
        (r#"{"version":1,"request":"fly"}"#, "malformed"),
        (r#"{"version":1,"request":"confirm","x":1}"#, "malformed"),
        (r#"{"version":1,"request":{"close":{"nome":"alice"}}}"#, "malformed"),
        (r#"{"version":1,"request":{"reload":{"confirm_seconds":0}}}"#, "1 to 3600 s"),
        (
            r#"{"version":1,"request":{"grants":{"after":{"address":"::","service":"22","single_use":true,"issuer":"000102030405060708090a0b","serial":"01"}}}}"#,
            "tcp/22",
        ),
        (r#"{"version":2,"request":{"fly":{}}}"#, r#""requested":2,"supported":1"#),
        (r#"{"version":0,"request":"confirm"}"#, r#""requested":0,"supported":1"#),
    ] {
        let said = line.ask(wrong).to_string();
        assert!(said.contains("\"mistake\"") && said.contains(answer), "{wrong:?}: {said}");
    }
    // Several at once: an answer each, in their order.
    assert!(line.say(format!("{CONFIRM}\nx\n{CONFIRM}\n").as_bytes()));
    let answers = [(); 3].map(|()| line.answer().unwrap().to_string());
    assert!(answers[0].contains("nothing_on_trial") && answers[1].contains("malformed"));
    assert!(answers[2].contains("nothing_on_trial"));
    assert_eq!((world.gateway.table(), daemon.network()), (table, network));
}

#[test]
fn silent_slow_and_endless_peers_do_not_delay_others() {
    let (world, authority) = (World::new(), Authority::new());
    let daemon = Daemon::start_settled(&world.gateway, &Config::new(&authority));
    let alice = Client::alice(&world.client, &authority);
    let mut silent: Vec<ControlLine> =
        (0..10).map(|_| ControlLine::connect(&world.gateway)).collect();
    let mut half = ControlLine::connect(&world.gateway);
    assert!(half.say(CONFIRM.as_bytes()));
    knocks_and_requests_work(&alice, &world, &daemon);

    // A line of 1 MB, and one of just too much.
    for size in [1 << 20, (64 << 10) + 1] {
        let mut endless = ControlLine::connect(&world.gateway);
        endless.say(&vec![b'['; size]);
        let answer = endless.answer().expect("an answer").to_string();
        assert!(answer.contains("too_long") && answer.contains("65536"), "{answer}");
        assert_eq!(endless.answer(), None, "and the connection ends");
    }
    // Asks without end, and reads no answer.
    let mut deaf = ControlLine::connect(&world.gateway);
    let many = "x\n".repeat(20_000);
    let loud = thread::spawn(move || while deaf.say(many.as_bytes()) {});
    a_knock_opens(&alice, &world);
    knocks_and_requests_work(&alice, &world, &daemon);
    // All of them are gone by themselves.
    loud.join().unwrap();
    assert_eq!(half.answer(), None);
    assert_eq!(silent.iter_mut().find_map(ControlLine::answer), None);
    knocks_and_requests_work(&alice, &world, &daemon);
}

#[test]
fn a_flood_of_connections_delays_no_knock_and_no_heartbeat() {
    let (world, authority) = (World::new(), Authority::new());
    let daemon = Daemon::start_settled(&world.gateway, &Config::new(&authority));
    let alice = Client::alice(&world.client, &authority);
    let (path, over) = (ControlLine::path(&world.gateway), AtomicBool::new(false));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut held = Vec::new();
                while !over.load(Ordering::Relaxed) {
                    let Ok(stream) = UnixStream::connect(&path) else { continue };
                    let _ = stream.shutdown(Shutdown::Write);
                    held.push(stream);
                    if held.len() > 200 {
                        held.clear();
                    }
                }
            });
        }
        let knocking = Limit::new(Duration::from_secs(22));
        // Longer than the network process may be silent.
        while !knocking.is_over() {
            a_knock_opens(&alice, &world);
            thread::sleep(Duration::from_millis(500));
        }
        over.store(true, Ordering::Relaxed);
    });
    assert_eq!(daemon.times_said("did not answer in time"), 0);
    knocks_and_requests_work(&alice, &world, &daemon);
}

#[test]
fn connections_over_the_limit_are_refused_until_another_one_closes() {
    let (world, authority) = (World::new(), Authority::new());
    let daemon = Daemon::start(&world.gateway, &Config::new(&authority));
    let mut held: Vec<ControlLine> =
        (0..32).map(|_| ControlLine::connect(&world.gateway)).collect();
    let mut more = ControlLine::connect(&world.gateway);
    let answer = more.answer().expect("an answer").to_string();
    assert!(answer.contains("too_many_connections"), "{answer}");
    assert!(held[0].ask(CONFIRM).to_string().contains("nothing_on_trial"));
    drop(held.pop());
    until("a place is free", || daemon.tell("confirm").errors.contains("no trial is active"));
}

#[test]
fn requests_without_effect_do_not_fill_the_log_and_their_sender_is_named() {
    let (world, authority) = (World::new(), Authority::new());
    let daemon = Daemon::start(&world.gateway, &Config::new(&authority));
    let mut line = ControlLine::connect(&world.gateway);
    for _ in 0..2000 {
        line.ask(CONFIRM);
    }
    let pid = std::process::id();
    let said = daemon.wait_for("control: confirm");
    assert!(said.contains(&format!("uid=0 pid={pid} user=\"root\"")), "{said}");
    let lines = daemon.times_said("control: confirm") + daemon.times_said("no trial is active");
    assert!(lines < 200, "{lines} lines for 2000 requests");
}
