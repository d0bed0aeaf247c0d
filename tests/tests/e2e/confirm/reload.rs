//! `sknockd reload --confirm`.

use sknock_tests::wait::until;
use sknock_tests::{Authority, Client, Config, Daemon, Echo, Seen, World};

use super::{CLIENT_ONLY, CLOSED, EVERYBODY, LONG, SHORT, open};

/// A server whose next configuration has other ports, and the key of another authority.
struct Scene<'a> {
    world: &'a World,
    old: Client<'a>,
    new: Client<'a>,
    config: Config,
    daemon: Daemon<'a>,
    _services: [Echo; 3],
}

impl<'a> Scene<'a> {
    fn new(world: &'a World, [old, new]: &'a [Authority; 2]) -> Self {
        let protected = |config: Config, ports| config.set("protectedPorts", ports);
        let daemon =
            Daemon::start_settled(&world.gateway, &protected(Config::new(old), "tcp/22, tcp/2222"));
        // The same folders; only who is believed and what is hidden changes.
        let config = protected(Config::new(new), "tcp/22, tcp/8080");
        daemon.configure(&config);
        Self {
            world,
            old: Client::alice(&world.client, old),
            new: Client::alice(&world.client, new),
            config,
            daemon,
            _services: [22, 2222, 8080].map(|port| Echo::tcp(&world.gateway, port)),
        }
    }

    fn reload(&self, seconds: &str) {
        let asked = self.daemon.tell(&format!("reload --confirm {seconds}"));
        assert_eq!(asked.code, Some(0), "{}", asked.errors);
        assert!(asked.answer.contains(&format!("on trial for {seconds} s")), "{}", asked.answer);
        self.daemon.wait_for(" left to confirm");
    }

    fn seen(&self) -> [Seen; 2] {
        [2222, 8080].map(|port| self.world.tcp(port))
    }

    fn left(&self) -> Option<u64> {
        self.world.gateway.left_of_trial()
    }

    fn table(&self) -> String {
        self.world.gateway.table().unwrap()
    }
}

const BEFORE: [Seen; 2] = [CLOSED, EVERYBODY];
const AFTER: [Seen; 2] = [EVERYBODY, CLOSED];

#[test]
fn an_unconfirmed_reload_rolls_back_rules_key_and_ca() {
    let (world, authorities) = (World::new(), [Authority::new(), Authority::new()]);
    let scene = Scene::new(&world, &authorities);
    open(&scene.old, "tcp/2222 --lifetime 60");
    scene.reload("10");
    assert_eq!(scene.seen(), AFTER);
    open(&scene.new, "tcp/22 --lifetime 60");
    let mark = scene.daemon.mark();
    scene.daemon.wait_since(mark, "rolled back to the previous configuration");
    scene.daemon.wait_since(mark, Daemon::ACCEPTING);
    assert_eq!(scene.seen(), [CLIENT_ONLY, EVERYBODY]);
    assert!(!scene.table().contains("trial"), "{}", scene.table());
    open(&scene.old, "tcp/22");
    let mut stranger = scene.new.seal(&["tcp/22"]);
    stranger.bytes = scene.old.tagged(stranger.bytes); // or the kernel would drop it
    let stranger = stranger.send(&world.client, World::GATEWAY[0]);
    let line = scene.daemon.wait_since(mark, &format!("source={}", stranger.source()));
    assert!(line.contains("not-veiled"), "{line}");
}

/// What was on trial had a newer revocation list. The one from before must count again, or nobody gets in.
#[test]
fn an_unconfirmed_reload_rolls_back_the_crl() {
    let (world, authority) = (World::new(), Authority::new());
    authority.client("mallory", &Authority::ALLOWED);
    let _ssh = Echo::tcp(&world.gateway, 22);
    let config = |list| Config::new(&authority).set("crlFile", list);
    let mut daemon = Daemon::stopped(&world.gateway, &config("old.der"));
    let keep = |daemon: &Daemon<'_>, name| {
        std::fs::copy(authority.file("crl.der"), daemon.file(name)).expect("our folder");
    };
    keep(&daemon, "old.der");
    daemon.settle();
    daemon.begin();
    daemon.wait_for(Daemon::ACCEPTING);
    authority.revoke("mallory");
    keep(&daemon, "new.der");
    let (alice, mallory) = (
        Client::alice(&world.client, &authority),
        Client::named("mallory", &world.client, &authority),
    );
    for killed in [false, true] {
        daemon.configure(&config("new.der"));
        let mark = daemon.mark();
        assert_eq!(daemon.tell("reload --confirm 8").code, Some(0));
        daemon.wait_since(mark, Daemon::ACCEPTING);
        mallory.seal(&["tcp/22"]).send(&world.client, World::GATEWAY[0]);
        daemon.wait_since(mark, "reason=\"revoked\"");
        if killed {
            daemon.crash();
            daemon.begin();
            daemon.wait_for(Daemon::ACCEPTING);
        } else {
            daemon.wait_since(mark, "rolled back to the previous configuration");
            // The start, the trial, and what is back.
            until("its network process serves", || daemon.times_said(Daemon::ACCEPTING) == 3);
        }
        open(&alice, "tcp/22");
        open(&mallory, "tcp/22");
    }
}

#[test]
fn confirmed_they_are_the_new_ones_and_stay_so_after_a_crash() {
    let (world, authorities) = (World::new(), [Authority::new(), Authority::new()]);
    let mut scene = Scene::new(&world, &authorities);
    scene.reload(LONG);
    assert_eq!(scene.daemon.tell("confirm").code, Some(0));
    assert!(!scene.table().contains("trial"), "{}", scene.table());
    assert_eq!(scene.seen(), AFTER);
    scene.daemon.crash();
    scene.daemon.begin();
    scene.daemon.wait_for(Daemon::ACCEPTING);
    assert_eq!(scene.seen(), AFTER);
    open(&scene.new, "tcp/22");
}

#[test]
fn with_both_killed_and_the_ruleset_flushed_the_next_start_rolls_back() {
    let (world, authorities) = (World::new(), [Authority::new(), Authority::new()]);
    for arguments in [&[][..], &["--confirm", LONG]] {
        let mut scene = Scene::new(&world, &authorities);
        scene.reload(LONG);
        scene.daemon.crash();
        world.gateway.nft("flush ruleset");
        scene.daemon.begin_with(arguments);
        scene.daemon.wait_for("Using the configuration from before the trial");
        scene.daemon.wait_for(Daemon::ACCEPTING);
        assert_eq!(scene.seen(), BEFORE);
        assert_eq!(scene.daemon.stop().code, Some(0));
        assert_eq!(scene.daemon.run("open").0, Some(0));
    }
}

#[test]
fn with_both_processes_killed_kernel_and_next_start_roll_back() {
    let (world, authorities) = (World::new(), [Authority::new(), Authority::new()]);
    let mut scene = Scene::new(&world, &authorities);
    scene.reload(SHORT);
    scene.daemon.crash();
    until("the kernel goes back alone", || scene.seen() == BEFORE);
    // As a service manager does, without a trial; the file still says what was on trial.
    scene.daemon.begin();
    scene.daemon.wait_for("Using the configuration from before the trial");
    scene.daemon.wait_for(Daemon::ACCEPTING);
    assert_eq!(scene.seen(), BEFORE);
    open(&scene.old, "tcp/22");
    // And once more, until somebody says what is to be.
    scene.daemon.crash();
    scene.daemon.begin();
    scene.daemon.wait_for(Daemon::ACCEPTING);
    assert_eq!(scene.seen(), BEFORE);
    scene.daemon.reload();
    assert_eq!(scene.seen(), AFTER);
    scene.daemon.crash();
    scene.daemon.begin();
    scene.daemon.wait_for(Daemon::ACCEPTING);
    assert_eq!(scene.seen(), AFTER);
}

#[test]
fn a_reload_in_a_trial_is_on_trial_too_and_has_no_more_time() {
    let (world, authorities) = (World::new(), [Authority::new(), Authority::new()]);
    let scene = Scene::new(&world, &authorities);
    scene.reload("10");
    let mark = scene.daemon.mark();
    // As long as tells a trial that goes on from one that has begun again.
    until("some of it is over", || scene.left().is_some_and(|left| left <= 7));
    scene.daemon.configure(&scene.config.clone().set("protectedPorts", "tcp/2222, tcp/8080"));
    scene.daemon.reload();
    assert!(scene.table().contains("goto trial"), "{}", scene.table());
    let left = scene.left();
    assert!(left.is_some_and(|left| left <= 7), "{left:?} s are left");
    scene.daemon.wait_since(mark, "rolled back to the previous configuration");
    until("the rules from before", || scene.seen() == BEFORE);
}

#[test]
fn a_configuration_that_does_not_load_never_comes_on_trial() {
    let (world, authorities) = (World::new(), [Authority::new(), Authority::new()]);
    let scene = Scene::new(&world, &authorities);
    let table = scene.table();
    scene.daemon.configure_as("protectedPorts");
    let asked = scene.daemon.tell("reload --confirm 60");
    assert_eq!(asked.code, Some(1), "{}", asked.errors);
    assert!(asked.errors.contains("not reloaded"), "{}", asked.errors);
    assert!(asked.errors.contains("config.ini:1: not of the form"), "{}", asked.errors);
    scene.daemon.wait_for("The previous configuration stays in force");
    assert_eq!(scene.table(), table);
    // The trial was of that attempt, not of the next.
    scene.daemon.configure(&scene.config);
    scene.daemon.reload();
    assert!(!scene.table().contains("trial"), "{}", scene.table());
}

#[test]
fn removing_the_table_discards_the_rollback_target() {
    let (world, authorities) = (World::new(), [Authority::new(), Authority::new()]);
    let mut scene = Scene::new(&world, &authorities);
    for opened in ["by sknockd", "by nft"] {
        scene.reload(LONG);
        scene.daemon.crash();
        match opened {
            "by nft" => drop(world.gateway.nft("delete table inet sknock")),
            _ => assert_eq!(scene.daemon.run("open"), (Some(0), String::new())),
        }
        scene.daemon.begin();
        scene.daemon.wait_for(Daemon::ACCEPTING);
        assert_eq!(scene.seen(), AFTER, "{opened}");
    }
}

#[test]
fn an_order_to_stop_leaves_the_rules_from_before() {
    let (world, authorities) = (World::new(), [Authority::new(), Authority::new()]);
    let mut scene = Scene::new(&world, &authorities);
    scene.reload(LONG);
    assert_eq!(scene.daemon.stop().code, Some(0));
    assert!(!scene.table().contains("trial"), "{}", scene.table());
    assert_eq!(scene.seen(), BEFORE);
    // Whoever starts it after that means what the file says.
    scene.daemon.begin();
    scene.daemon.wait_for(Daemon::ACCEPTING);
    assert_eq!(scene.seen(), AFTER);
}
