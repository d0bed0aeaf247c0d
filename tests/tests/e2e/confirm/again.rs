//! `sknockd run --confirm` where an earlier run has left its protection.

use sknock_tests::wait::until;
use sknock_tests::{Authority, Client, Config, Daemon, Echo, Seen, World};

use super::{CLIENT_ONLY, CLOSED, EVERYBODY, LONG, SHORT, open};

/// It protected ssh and 2222, and was stopped; the file now says ssh and 8080.
struct Scene<'a> {
    world: &'a World,
    alice: Client<'a>,
    daemon: Daemon<'a>,
    _services: [Echo; 3],
}

impl<'a> Scene<'a> {
    fn new(world: &'a World, authority: &'a Authority) -> Self {
        let config = Config::new(authority);
        let mut daemon = Daemon::start_settled(
            &world.gateway,
            &config.clone().set("protectedPorts", "tcp/22, tcp/2222"),
        );
        assert_eq!(daemon.stop().code, Some(0));
        daemon.configure(&config.set("protectedPorts", "tcp/22, tcp/8080"));
        let alice = Client::alice(&world.client, authority);
        let services = [22, 2222, 8080].map(|port| Echo::tcp(&world.gateway, port));
        Self { world, alice, daemon, _services: services }
    }

    fn try_out(&mut self, seconds: &str) {
        self.daemon.begin_with(&["--confirm", seconds]);
        self.daemon.wait_for(" left to confirm");
        self.daemon.wait_for(Daemon::ACCEPTING);
        assert_eq!(self.seen(), TRIED);
    }

    fn seen(&self) -> [Seen; 2] {
        [2222, 8080].map(|port| self.world.tcp(port))
    }

    fn must_be_as_before(&self) {
        assert_eq!((self.world.tcp(22), self.seen()), (CLOSED, BEFORE));
        let table = self.world.gateway.table().unwrap();
        assert!(!table.contains("trial"), "{table}");
    }
}

const BEFORE: [Seen; 2] = [CLOSED, EVERYBODY];
const TRIED: [Seen; 2] = [EVERYBODY, CLOSED];

#[test]
fn an_unconfirmed_start_rolls_back_to_the_previous_configuration() {
    let (world, authority) = (World::new(), Authority::new());
    let mut scene = Scene::new(&world, &authority);
    let mark = scene.daemon.mark();
    scene.try_out(SHORT);
    scene.daemon.wait_since(mark, "rolled back to the previous configuration");
    until("the table is as before", || scene.seen() == BEFORE);
    scene.must_be_as_before();
    open(&scene.alice, "tcp/22");
    assert_eq!(world.tcp(22), CLIENT_ONLY);
}

#[test]
fn with_both_processes_killed_kernel_and_next_start_roll_back() {
    let (world, authority) = (World::new(), Authority::new());
    let mut scene = Scene::new(&world, &authority);
    scene.try_out(SHORT);
    scene.daemon.crash();
    until("the kernel goes back alone", || scene.seen() == BEFORE);
    assert_eq!(world.tcp(22), CLOSED);
    scene.daemon.begin_with(&["--confirm", LONG]);
    scene.daemon.wait_for("Using the configuration from before the trial");
    scene.daemon.wait_for(Daemon::ACCEPTING);
    scene.must_be_as_before();
    open(&scene.alice, "tcp/22");
}

#[test]
fn a_confirmed_configuration_is_the_next_rollback_target() {
    let (world, authority) = (World::new(), Authority::new());
    let mut scene = Scene::new(&world, &authority);
    scene.try_out(LONG);
    assert_eq!(scene.daemon.tell("confirm").code, Some(0));
    scene.daemon.stop();
    scene.daemon.configure(&Config::new(&authority).set("protectedPorts", "tcp/2222"));
    let mark = scene.daemon.mark();
    scene.daemon.begin_with(&["--confirm", SHORT]);
    scene.daemon.wait_since(mark, " left to confirm");
    assert_eq!((world.tcp(22), scene.seen()), (EVERYBODY, BEFORE));
    scene.daemon.wait_since(mark, "rolled back to the previous configuration");
    until("the table is as before", || scene.seen() == TRIED);
    assert_eq!(world.tcp(22), CLOSED);
}

#[test]
fn an_order_to_stop_leaves_what_was_in_force() {
    let (world, authority) = (World::new(), Authority::new());
    let mut scene = Scene::new(&world, &authority);
    scene.try_out(LONG);
    assert_eq!(scene.daemon.stop().code, Some(0));
    scene.must_be_as_before();
    // And removed, it is nothing to go back to.
    assert_eq!(scene.daemon.run("open").0, Some(0));
    scene.daemon.begin_with(&["--confirm", SHORT]);
    assert_eq!(scene.daemon.wait_for_end().code, Some(75));
    assert_eq!(world.gateway.table(), None);
}
