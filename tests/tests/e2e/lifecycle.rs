//! Stops, crashes and reloads: protection and running grants outlive all of them, unless told else.

use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use sknock_tests::Found::{Open, Refused};
use sknock_tests::wait::{LIMIT, uninterrupted, until};
use sknock_tests::{Authority, Client, Config, Daemon, Echo, Seen, World, boots, process};

const CLOSED: Seen = Seen { client: [Refused; 2], stranger: [Refused; 2] };
const CLIENT_ONLY: Seen = Seen { client: [Open; 2], stranger: [Refused; 2] };
const EVERYBODY: Seen = Seen { client: [Open; 2], stranger: [Open; 2] };

fn open(alice: &Client<'_>, words: &str) {
    for host in World::GATEWAY {
        alice.open(host, words);
    }
}

#[test]
fn after_kill_9_of_both_a_grant_ends_on_time_and_protection_stays() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let mut daemon = Daemon::start(&world.gateway, &Config::new(&authority));
    open(&Client::alice(&world.client, &authority), "tcp/22 --lifetime 6");
    daemon.crash();
    assert_eq!(world.tcp(22), CLIENT_ONLY);
    until("the kernel closes the door alone", || world.tcp(22) == CLOSED);
    let table = world.gateway.table().unwrap();
    assert!(table.contains("tcp dport 22 goto any_grant"), "{table}");
}

#[test]
fn running_grants_outlive_kill_9_and_restart() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let mut daemon = Daemon::start(&world.gateway, &Config::new(&authority));
    let alice = Client::alice(&world.client, &authority);
    open(&alice, "tcp/22");
    daemon.crash();
    daemon.begin();
    daemon.wait_for(Daemon::ACCEPTING);
    assert_eq!(world.tcp(22), CLIENT_ONLY);
    assert_eq!(daemon.stop().code, Some(0));
    assert_eq!(world.tcp(22), CLIENT_ONLY);
    daemon.begin();
    daemon.wait_for(Daemon::ACCEPTING);
    assert_eq!(world.tcp(22), CLIENT_ONLY);
    open(&alice, "udp/53 tcp/22");
}

/// The whole ruleset, in a file that `nft -f` reads.
fn save(world: &World, daemon: &Daemon<'_>) -> String {
    let saved = daemon.file("saved.nft");
    std::fs::write(&saved, world.gateway.try_run("nft", &["list", "ruleset"]).unwrap()).unwrap();
    saved.to_str().unwrap().to_owned()
}

#[test]
fn a_ruleset_saved_with_grants_grants_nothing_after_the_next_boot() {
    for in_memory in [true, false] {
        a_saved_ruleset_grants_nothing(in_memory);
    }
}

fn a_saved_ruleset_grants_nothing(in_memory: bool) {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let mut daemon = Daemon::stopped(&world.gateway, &Config::new(&authority));
    let _folder = boots::on_a_disk(&mut daemon);
    daemon.begin();
    daemon.wait_for(Daemon::ACCEPTING);
    open(&Client::alice(&world.client, &authority), "tcp/22");
    let saved = save(&world, &daemon);
    daemon.crash();
    boots::boot_again(&daemon, in_memory);
    world.gateway.nft("flush ruleset");
    world.gateway.try_run("nft", &["-f", &saved]).unwrap();
    assert_eq!(world.tcp(22), CLIENT_ONLY, "until sknockd runs, the ruleset says who gets in");
    daemon.begin();
    let line = daemon.wait_for("removed elements without a grant: 2;");
    assert!(line.contains("10.77.1.2 to tcp/22 (alice)"), "{line}");
    daemon.wait_for("grants kept: 0");
    assert_eq!(world.tcp(22), CLOSED);
    assert_eq!(world.gateway.doors(), []);
}

#[test]
fn a_closed_grant_does_not_come_back_with_a_saved_ruleset() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let mut daemon = Daemon::start(&world.gateway, &Config::new(&authority));
    let alice = Client::alice(&world.client, &authority);
    open(&alice, "tcp/22");
    let saved = save(&world, &daemon);
    let closed = daemon.tell("close --name alice");
    assert_eq!(closed.code, Some(0), "{}", closed.errors);
    until("the server knows", || daemon.times_said("by=\"hand\"") == 1);
    for runs in [true, false] {
        if !runs {
            daemon.crash();
        }
        let mark = daemon.mark();
        world.gateway.try_run("nft", &["-f", &saved]).unwrap();
        if !runs {
            daemon.begin();
        }
        daemon.wait_since(mark, "removed elements without a grant: 2;");
        until("the doors close", || world.gateway.doors().is_empty());
        until("nobody gets in", || world.tcp(22) == CLOSED);
    }
    daemon.wait_for(Daemon::ACCEPTING);
    open(&alice, "tcp/22");
}

#[test]
fn a_stopped_server_leaves_protection_and_grants_until_the_administrator_opens() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let mut daemon = Daemon::start(&world.gateway, &Config::new(&authority));
    open(&Client::alice(&world.client, &authority), "tcp/22");
    let (code, errors) = daemon.run("open");
    assert_eq!(code, Some(69));
    assert!(errors.contains("another sknockd") && errors.contains("Stop it first"), "{errors}");
    assert_eq!(world.tcp(22), CLIENT_ONLY);
    let ended = daemon.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    assert!(ended.said.contains("The rules stay"), "{}", ended.said);
    assert_eq!(world.tcp(22), CLIENT_ONLY);
    let asked = daemon.tell("open");
    assert_eq!((asked.code, asked.errors.as_str()), (Some(0), ""));
    assert!(
        asked.answer.starts_with("removed table inet sknock and all grants"),
        "{}",
        asked.answer
    );
    assert_eq!(world.gateway.table(), None);
    assert_eq!(world.tcp(22), EVERYBODY);
    let asked = daemon.tell("open");
    assert_eq!((asked.code, asked.errors.as_str()), (Some(0), ""), "once more is no error");
    assert!(asked.answer.starts_with("no rules were loaded"), "{}", asked.answer);
}

#[test]
fn without_cap_net_admin_the_error_says_to_run_as_root() {
    let (world, authority) = (World::new(), Authority::new());
    let mut daemon = Daemon::start(&world.gateway, &Config::new(&authority));
    daemon.stop();
    let table = world.gateway.table();
    let run = format!("run --config {}", daemon.file("config.ini").display());
    for words in ["open", &run] {
        let user = "setpriv --reuid 65534 --regid 65534 --clear-groups";
        let asked = daemon.tell_through(user, words);
        assert_eq!(asked.code, Some(69), "{words}: {}", asked.errors);
        assert!(asked.errors.starts_with("sknockd: run this as root"), "{words}: {}", asked.errors);
        assert_eq!(asked.errors.lines().count(), 1, "{words}: {}", asked.errors);
    }
    assert_eq!(world.gateway.table(), table);
}

#[test]
fn with_on_exit_open_a_stopped_server_leaves_nothing() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let config = Config::new(&authority).set("onExit", "open");
    let mut daemon = Daemon::start(&world.gateway, &config);
    assert_eq!(world.tcp(22), CLOSED);
    daemon.signal(Signal::SIGINT);
    assert_eq!(daemon.wait_for_end().code, Some(0));
    assert_eq!(world.gateway.table(), None);
    assert_eq!(world.tcp(22), EVERYBODY);
}

#[test]
fn a_dead_network_process_is_replaced_while_protection_and_grants_stay() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let daemon = Daemon::start(&world.gateway, &Config::new(&authority));
    let alice = Client::alice(&world.client, &authority);
    open(&alice, "tcp/22");
    let (mark, dead) = (daemon.mark(), daemon.network());
    kill(dead, Signal::SIGKILL).unwrap();
    daemon.wait_since(mark, "network process exited");
    assert_eq!(world.tcp(22), CLIENT_ONLY);
    daemon.wait_since(mark, Daemon::ACCEPTING);
    assert_ne!(daemon.network(), dead);
    assert_eq!(world.tcp(22), CLIENT_ONLY);
    open(&alice, "udp/53");
}

#[test]
fn a_network_process_without_its_parent_ends() {
    let (world, authority) = (World::new(), Authority::new());
    let mut daemon = Daemon::start(&world.gateway, &Config::new(&authority));
    let network = daemon.network();
    daemon.signal(Signal::SIGKILL);
    assert_eq!(daemon.wait_for_end().code, None);
    until("the network process ends", || !process::runs(network));
}

#[test]
fn a_reload_changes_ports_and_keeps_running_grants() {
    let (world, authority) = (World::new(), Authority::new());
    let _services = [22, 2222, 8080].map(|port| Echo::tcp(&world.gateway, port));
    let config = Config::new(&authority).set("protectedPorts", "tcp/22, tcp/2222");
    let daemon = Daemon::start(&world.gateway, &config);
    let alice = Client::alice(&world.client, &authority);
    open(&alice, "tcp/22");
    let seen = || [22, 2222, 8080].map(|port| world.tcp(port));
    assert_eq!(seen(), [CLIENT_ONLY, CLOSED, EVERYBODY]);
    daemon.configure(&config.set("protectedPorts", "tcp/22, tcp/8080"));
    daemon.reload();
    assert_eq!(seen(), [CLIENT_ONLY, EVERYBODY, CLOSED]);
    open(&alice, "tcp/8080");
    assert_eq!(seen(), [CLIENT_ONLY, EVERYBODY, CLIENT_ONLY]);
}

#[test]
fn a_reload_closes_the_grants_that_it_no_longer_offers_and_refuses_new_ones() {
    let (world, authority) = (World::new(), Authority::new());
    let _services = [22, 2222].map(|port| Echo::tcp(&world.gateway, port));
    let config = Config::new(&authority).set("protectedPorts", "tcp/22, tcp/2222");
    let daemon = Daemon::start(&world.gateway, &config);
    let alice = Client::alice(&world.client, &authority);
    open(&alice, "tcp/22 tcp/2222");
    assert_eq!([world.tcp(22), world.tcp(2222)], [CLIENT_ONLY; 2]);
    daemon.configure(&config.set("allowedServices", "tcp/2222"));
    daemon.reload();
    assert_eq!([world.tcp(22), world.tcp(2222)], [CLOSED, CLIENT_ONLY]);
    let refused = alice.seal(&["tcp/22"]);
    refused.send(&world.client, World::GATEWAY[0]);
    let line = daemon.wait_for(&format!("knock=\"{}\"", refused.id));
    assert!(line.contains("service-not-offered"), "{line}");
}

#[test]
fn a_reload_of_a_broken_configuration_changes_nothing() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let config = Config::new(&authority);
    let daemon = Daemon::start(&world.gateway, &config);
    let alice = Client::alice(&world.client, &authority);
    let (process, table) = (daemon.network(), world.gateway.table());
    let broken = [
        ("no configuration", "protectedPorts".to_owned()),
        ("another key", "[DEFAULT]\nprotectedPort = tcp/22\n".to_owned()),
        ("no such file", config.clone().set("serverPFXFile", "none.pfx").text()),
        ("a wrong password", config.clone().without("PFXPasswdFile").text()),
    ];
    for (what, text) in broken {
        daemon.configure_as(&text);
        let mark = daemon.mark();
        daemon.signal(Signal::SIGHUP);
        daemon.wait_since(mark, "The previous configuration stays in force");
        assert_eq!(daemon.network(), process, "{what}");
        assert_eq!(world.gateway.table(), table, "{what}");
        alice.seal_for(&["udp/53"], 1).send(&world.client, World::GATEWAY[0]).must_be_granted();
        until("that grant ends", || world.gateway.table() == table);
    }
    daemon.configure(&config.set("onExit", "open"));
    daemon.reload();
    open(&alice, "tcp/22");
}

#[test]
fn reloads_in_the_midst_of_reloads_leave_a_server_that_listens() {
    let (world, authority) = (World::new(), Authority::new());
    let config = Config::new(&authority);
    let daemon = Daemon::start(&world.gateway, &config);
    let longer = config.set("TIMESTAMP_THRESHOLD_IN_SECONDS", "60");
    daemon.configure(&longer);
    daemon.reload();
    let alice = Client::alice(&world.client, &authority);
    let unreadable = "broken".to_owned();
    let wrong_password = longer.clone().without("PFXPasswdFile").text();
    // Steps through the few dozen milliseconds of a reload, to hit each of its stages.
    for (millis, broken) in (0..100).step_by(4).zip([unreadable, wrong_password].iter().cycle()) {
        daemon.configure(&longer);
        daemon.signal(Signal::SIGHUP);
        thread::sleep(Duration::from_millis(millis));
        daemon.configure_as(broken);
        let mark = daemon.mark();
        daemon.signal(Signal::SIGHUP);
        daemon.wait_since(mark, "The previous configuration stays in force");
        alice.seal(&["tcp/22"]).send(&world.client, World::GATEWAY[0]).must_be_granted();
    }
}

#[test]
fn readiness_reload_and_stop_are_reported_to_systemd() {
    let (world, authority) = (World::new(), Authority::new());
    let mut daemon = Daemon::stopped(&world.gateway, &Config::new(&authority));
    let path = daemon.file("notify");
    let systemd = UnixDatagram::bind(&path).unwrap();
    systemd.set_read_timeout(Some(LIMIT)).unwrap();
    let told = || {
        let mut message = [0; 4096];
        let length = uninterrupted(|| systemd.recv(&mut message)).unwrap();
        String::from_utf8_lossy(&message[..length]).into_owned()
    };
    daemon.export("NOTIFY_SOCKET", path.to_str().unwrap());
    daemon.begin();
    assert!(told().contains("READY=1\n"));
    assert!(world.gateway.table().is_some(), "whoever starts after us is protected");
    daemon.wait_for(Daemon::ACCEPTING);
    daemon.reload();
    let reloading = told();
    assert!(reloading.contains("RELOADING=1\n") && reloading.contains("MONOTONIC_USEC="));
    assert!(told().contains("READY=1\n"));
    daemon.stop();
    assert!(told().contains("STOPPING=1\n"));
}

/// Many in the time that a reload takes, few enough for the usual limit of open files.
const BETWEEN_KNOCKS: Duration = Duration::from_millis(10);

#[test]
fn no_knock_is_lost_over_five_reloads() {
    let (world, authority) = (World::new(), Authority::new());
    let config = Config::new(&authority);
    let daemon = Daemon::start(&world.gateway, &config);
    // What waits in the socket while one process hands over to the next must not be too old then.
    daemon.configure(&config.set("TIMESTAMP_THRESHOLD_IN_SECONDS", "60"));
    let alice = Client::alice(&world.client, &authority);
    let done = AtomicBool::new(false);
    let sent = thread::scope(|scope| {
        let knocking = scope.spawn(|| {
            let mut sent = Vec::new();
            for host in World::GATEWAY.into_iter().cycle() {
                sent.push(alice.seal(&["tcp/22"]).send(&world.client, host));
                if done.load(Ordering::Relaxed) {
                    break;
                }
                thread::sleep(BETWEEN_KNOCKS);
            }
            sent
        });
        (0..5).for_each(|_| daemon.reload());
        done.store(true, Ordering::Relaxed);
        knocking.join().unwrap()
    });
    for one in &sent {
        one.must_be_granted();
    }
    assert_eq!(daemon.times_said("reloading"), 5);
}
