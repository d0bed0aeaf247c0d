//! Requests while the server starts: before its first network process is ready, it has no rules of its own.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sknock_tests::wait::until;
use sknock_tests::{Authority, Config, ControlLine, Daemon, World, process};

/// Starts it over the rules of an earlier run, and stops its network process before that is ready.
fn starting<'w>(world: &'w World, config: &Config) -> (Daemon<'w>, Pid) {
    let mut daemon = Daemon::start_settled(&world.gateway, config);
    loop {
        daemon.crash();
        daemon.begin();
        // Stopped before it has become another program, it would stop the one that starts it, too.
        daemon.wait_for("network process started");
        let network = daemon.network();
        process::stop(network);
        if daemon.times_said("protecting") == 0 {
            return (daemon, network);
        }
        kill(network, Signal::SIGCONT).unwrap();
    }
}

#[test]
fn requests_during_the_start_replace_nothing_and_get_not_ready() {
    let (world, authority) = (World::new(), Authority::new());
    let config = Config::new(&authority);
    let (mut daemon, network) = starting(&world, &config);
    daemon.configure(&config.clone().set("protectedPorts", "tcp/8080"));
    let mut line = ControlLine::connect(&world.gateway);
    for request in [
        r#"{"reload":{}}"#,
        r#"{"reload":{"confirm_seconds":1}}"#,
        r#"{"grants":{"after":null}}"#,
        r#"{"close":{"name":"alice"}}"#,
        r#""confirm""#,
    ] {
        let answer = line.ask(&format!(r#"{{"version":1,"request":{request}}}"#)).to_string();
        assert!(answer.contains("not_ready"), "{request}: {answer}");
    }
    for words in ["reload", "reload --confirm 1"] {
        let asked = daemon.tell(words);
        assert_eq!(asked.code, Some(1), "{words}: {}", asked.errors);
        assert!(
            asked.errors.contains("has not loaded its rules yet. Try again"),
            "{}",
            asked.errors
        );
    }
    assert_eq!(process::children(daemon.parent()), [network]);
    kill(network, Signal::SIGCONT).unwrap();
    daemon.wait_for(Daemon::ACCEPTING);
    assert_eq!(daemon.network(), network);
    assert!(!world.gateway.table().unwrap().contains("8080"), "nothing was reloaded");
    assert!(!daemon.has_ended() && daemon.times_said("trial") == 0);
    assert_eq!(daemon.tell("reload").code, Some(0));
    assert!(world.gateway.table().unwrap().contains("8080"));
}

#[test]
fn a_sighup_during_the_start_is_handled_after_it() {
    let (world, authority) = (World::new(), Authority::new());
    let config = Config::new(&authority);
    let (mut daemon, network) = starting(&world, &config);
    for _ in 0..20 {
        daemon.signal(Signal::SIGHUP);
    }
    // Only the network process finds out.
    daemon.configure(&config.clone().without("PFXPasswdFile"));
    kill(network, Signal::SIGCONT).unwrap();
    daemon.wait_for("protecting");
    daemon.wait_for("the new network process failed. The previous configuration stays in force");
    assert_eq!(daemon.network(), network);
    assert!(!daemon.has_ended());
    assert_eq!(daemon.times_said(": reloading"), 1, "several hangups in a start are one");
    drop(daemon);

    let (daemon, network) = starting(&world, &config);
    daemon.configure(&config.set("protectedPorts", "tcp/8080"));
    daemon.signal(Signal::SIGHUP);
    kill(network, Signal::SIGCONT).unwrap();
    until("the new configuration is in force", || {
        world.gateway.table().is_some_and(|table| table.contains("8080"))
    });
    drop(daemon);
}
