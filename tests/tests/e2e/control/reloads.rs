//! Several reloads at a time: one after the other, each with its own result.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sknock_tests::wait::until;
use sknock_tests::{Authority, Config, ControlLine, Daemon, World, process};

use super::peers::{MEMBER, grouped};

const RELOAD: &str = r#"{"version":1,"request":{"reload":{}}}"#;

#[test]
fn endless_reloads_do_not_block_the_reload_of_another_peer() {
    let (world, authority) = (World::new(), Authority::new());
    let config = Config::new(&authority);
    let daemon = Daemon::start(&world.gateway, &config);
    let (over, done) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut line = ControlLine::connect(&world.gateway);
                while !over.load(Ordering::Relaxed) {
                    let answer = line.ask(RELOAD).to_string();
                    assert!(answer.contains("\"reloaded\""), "{answer}");
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for port in 8080..8084 {
            daemon.configure(&config.clone().set("protectedPorts", &format!("tcp/{port}")));
            let asked = daemon.tell("reload");
            let table = world.gateway.table().unwrap();
            if asked.code != Some(0) || !table.contains(&port.to_string()) {
                over.store(true, Ordering::Relaxed);
            }
            assert_eq!(asked.code, Some(0), "{}", asked.errors);
            assert!(table.contains(&port.to_string()), "answered before it was in force: {table}");
        }
        over.store(true, Ordering::Relaxed);
    });
    assert!(done.load(Ordering::Relaxed) >= 8);
}

/// The network process of the latest reload.
fn latest(daemon: &Daemon<'_>, before: Pid) -> Pid {
    let mut found = None;
    until("a new network process", || {
        let children = process::children(daemon.parent());
        found = children.into_iter().find(|child| *child != before);
        found.is_some()
    });
    found.unwrap()
}

#[test]
fn a_reload_that_fails_leaves_nothing_of_its_trial_to_the_next_one() {
    let (world, authority) = (World::new(), Authority::new());
    let config = Config::new(&authority);
    let daemon = Daemon::start(&world.gateway, &config);
    let network = daemon.network();
    // Only the network process reads the bundle.
    daemon.configure(&config.clone().without("PFXPasswdFile"));
    let mark = daemon.mark();
    let mut tried = ControlLine::connect(&world.gateway);
    assert!(tried.say(b"{\"version\":1,\"request\":{\"reload\":{\"confirm_seconds\":600}}}\n"));
    // Stopped before it has become another program, it would stop the one that starts it, too.
    daemon.wait_since(mark, "network process started");
    let next = latest(&daemon, network);
    process::stop(next);
    daemon.configure(&config);
    let mut plain = ControlLine::connect(&world.gateway);
    assert!(plain.say(format!("{RELOAD}\n").as_bytes()));
    thread::sleep(std::time::Duration::from_millis(300));
    // The first may have been killed: then the other one has taken its place.
    let _ = kill(next, Signal::SIGCONT);
    let (tried, plain) = (tried.answer().unwrap(), plain.answer().unwrap());
    assert!(tried.to_string().contains("exit status: 78"), "{tried}");
    assert!(plain.to_string().contains("\"reloaded\""), "{plain}");
    assert!(!world.gateway.table().unwrap().contains("trial"));
}

#[test]
fn a_reload_in_the_trial_of_another_user_reports_whose_trial_it_is() {
    let (world, authority) = (World::new(), Authority::new());
    let config = Config::new(&authority);
    let mut daemon = Daemon::stopped(&world.gateway, &config);
    grouped(&mut daemon);
    daemon.begin();
    daemon.wait_for(Daemon::ACCEPTING);
    let asked = daemon.tell_through(MEMBER, "reload --confirm 8");
    assert_eq!(asked.code, Some(0), "{}", asked.errors);
    let line = daemon.wait_for("on trial, 8 s left to confirm");
    assert!(line.contains("uid=7701 pid=") && line.contains("user=\"carl\""), "{line}");
    let mark = daemon.mark();
    daemon.configure(&config.set("protectedPorts", "tcp/8080"));
    daemon.signal(Signal::SIGHUP);
    let line = daemon.wait_since(mark, "the reloaded rules are part of a trial");
    assert!(line.contains("WARN") && line.contains("uid=7701"), "{line}");
    let asked = daemon.tell("reload");
    assert_eq!(asked.code, Some(0), "{}", asked.errors);
    for says in ["part of a trial", "uid 7701 (carl)", "sknockd confirm"] {
        assert!(asked.answer.contains(says), "{says}: {}", asked.answer);
    }
    let line = daemon.wait_since(mark, "rolled back to the previous configuration");
    assert!(line.contains("uid=7701") && line.contains("reloads_undone=2"), "{line}");
}
