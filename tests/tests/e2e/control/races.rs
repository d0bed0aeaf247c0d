//! `confirm` beside an order to stop or a flush, within milliseconds: what it says is what is.

use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use sknock_tests::wait::until;
use sknock_tests::{Authority, Config, Daemon, World};

#[test]
fn a_confirmation_is_reported_only_if_it_survives_a_concurrent_stop() {
    let (world, authority) = (World::new(), Authority::new());
    let (old, new) =
        (Config::new(&authority), Config::new(&authority).set("protectedPorts", "tcp/8080"));
    let mut seen = [0; 2];
    for delay in 0..12 {
        let mut daemon = Daemon::start(&world.gateway, &old);
        daemon.configure(&new);
        assert_eq!(daemon.tell("reload --confirm 600").code, Some(0));
        let confirmed = thread::scope(|scope| {
            let asked = scope.spawn(|| daemon.tell("confirm"));
            thread::sleep(Duration::from_millis(delay));
            daemon.signal(Signal::SIGTERM);
            asked.join().unwrap()
        });
        assert_eq!(daemon.wait_for_end().code, Some(0));
        let stays = world.gateway.table().unwrap().contains("8080");
        assert_eq!(confirmed.code == Some(0), stays, "{delay} ms: {}", confirmed.errors);
        seen[usize::from(stays)] += 1;
        assert_eq!(daemon.run("open").0, Some(0));
    }
    println!("stopped first: {}, confirmed first: {}", seen[0], seen[1]);
}

#[test]
fn a_concurrent_flush_undoes_no_confirmation() {
    let (world, authority) = (World::new(), Authority::new());
    let config = Config::new(&authority);
    let daemon = Daemon::start(&world.gateway, &config);
    for round in 0..6_u16 {
        let port = 8080 + round;
        daemon.configure(&config.clone().set("protectedPorts", &format!("tcp/{port}")));
        assert_eq!(daemon.tell("reload --confirm 600").code, Some(0));
        let confirmed = thread::scope(|scope| {
            let asked = scope.spawn(|| daemon.tell("confirm"));
            thread::sleep(Duration::from_millis(u64::from(round)));
            world.gateway.nft("flush ruleset");
            asked.join().unwrap()
        });
        assert_eq!(confirmed.code, Some(0), "{}", confirmed.errors);
        until("the table is back, without a trial", || {
            let table = world.gateway.table().unwrap_or_default();
            table.contains(&port.to_string()) && !table.contains("trial")
        });
    }
}
