//! A certificate is revoked, or what it was granted is forbidden, while its connections live.

use sknock_tests::wait::until;
use sknock_tests::{Authority, Client, Config, Daemon, World};

use crate::feed::Feed;

struct Scene {
    world: World,
    authority: Authority,
}

impl Scene {
    fn new() -> Self {
        Self::within(World::new())
    }

    fn within(world: World) -> Self {
        let authority = Authority::new();
        authority.client("mallory", &Authority::ALLOWED);
        Self { world, authority }
    }

    /// Hides what the certificates allow.
    fn config(&self) -> Config {
        let list = self.authority.file("crl.der");
        Config::new(&self.authority)
            .set("protectedPorts", "tcp/22, tcp/2222, tcp/8080, udp/53, udp/60000-60010")
            .set("crlFile", list.to_str().expect("temporary files have plain names"))
    }

    fn start(&self, config: &Config) -> Daemon<'_> {
        Daemon::start_settled(&self.world.gateway, config)
    }

    fn client<'a>(&'a self, name: &'a str) -> Client<'a> {
        Client::named(name, &self.world.client, &self.authority)
    }

    /// Has `name` open `services` in both families, where nobody listens yet.
    fn open(&self, name: &str, services: &[&str]) {
        self.open_for(name, services, 600);
    }

    fn open_for(&self, name: &str, services: &[&str], seconds: u16) {
        for host in World::GATEWAY {
            let knock = self.client(name).seal_for(services, seconds);
            knock.send(&self.world.client, host).must_be_granted();
        }
    }

    fn tcp(&self, port: u16) -> [Feed; 2] {
        let World { client, gateway, .. } = &self.world;
        World::GATEWAY.map(|host| Feed::tcp(client, (host, port), gateway))
    }

    fn udp(&self, port: u16) -> [Feed; 2] {
        let World { client, gateway, .. } = &self.world;
        World::GATEWAY.map(|host| Feed::udp(client, (host, port), gateway, port))
    }

    /// Revokes `name` and has the server read the list.
    fn revoke(&self, daemon: &Daemon<'_>, name: &str) {
        self.authority.revoke(name);
        daemon.reload();
    }
}

/// The gate's word that it is done.
const ENDED: &str = "connections ended: ";

fn all_die<'a>(feeds: impl IntoIterator<Item = &'a Feed>) {
    feeds.into_iter().for_each(Feed::must_be_dead);
}

fn all_pass<'a>(feeds: impl IntoIterator<Item = &'a Feed>) {
    feeds.into_iter().for_each(Feed::must_pass);
}

fn everything_ends(policy: &str) {
    let scene = Scene::new();
    let daemon = scene.start(&scene.config().set("firewallPolicy", policy));
    scene.open("mallory", &["tcp/22", "tcp/2222", "udp/53"]);
    scene.open("alice", &["tcp/22"]);
    let (shared, own, flows) = (scene.tcp(22), scene.tcp(2222), scene.udp(53));
    all_pass(shared.iter().chain(&own).chain(&flows));

    let mark = daemon.mark();
    scene.revoke(&daemon, "mallory");
    let line = daemon.wait_since(mark, ENDED);
    assert!(line.contains("ended: 4;") && line.contains("10.77.1.2 from tcp/2222"), "{line}");
    all_die(own.iter().chain(&flows));
    if policy == "reject" {
        own.iter().for_each(Feed::must_end);
    }
    all_pass(&shared);
    // And it stays so, whatever happens to the table.
    let mark = daemon.mark();
    scene.world.gateway.nft("flush ruleset");
    daemon.wait_since(mark, "another program removed our table");
    all_die(&flows);
    all_pass(&shared);

    drop((own, flows));
    scene.open("alice", &["tcp/2222", "udp/53"]);
    all_pass(scene.tcp(2222).iter().chain(&scene.udp(53)));
}

#[test]
fn all_that_a_revoked_certificate_has_open_ends_where_ports_are_rejected() {
    everything_ends("reject");
}

#[test]
fn all_that_a_revoked_certificate_has_open_ends_where_ports_are_silent() {
    everything_ends("drop");
}

#[test]
fn a_session_ends_that_has_outlived_its_grant() {
    let scene = Scene::new();
    let daemon = scene.start(&scene.config());
    scene.open_for("mallory", &["tcp/22", "udp/60001"], 3);
    let (talks, flows) = (scene.tcp(22), scene.udp(60001));
    until("the grant ends", || scene.world.gateway.doors().is_empty());
    all_pass(talks.iter().chain(&flows));
    let mark = daemon.mark();
    scene.revoke(&daemon, "mallory");
    daemon.wait_since(mark, ENDED);
    all_die(talks.iter().chain(&flows));
}

#[test]
fn if_the_administrator_wants_that_sessions_go_on() {
    let scene = Scene::new();
    let daemon = scene.start(&scene.config().set("onRevoke", "close"));
    scene.open("mallory", &["tcp/22", "udp/53"]);
    let (talks, flows) = (scene.tcp(22), scene.udp(53));
    scene.revoke(&daemon, "mallory");
    until("the doors close", || scene.world.gateway.doors().is_empty());
    all_pass(talks.iter().chain(&flows));
    assert_eq!(daemon.times_said(ENDED), 0);
}

#[test]
fn what_a_reload_forbids_ends_and_what_it_allows_goes_on() {
    let scene = Scene::new();
    let daemon = scene.start(&scene.config());
    scene.open("alice", &["tcp/22", "udp/53"]);
    let (talks, flows) = (scene.tcp(22), scene.udp(53));
    daemon.configure(&scene.config().set("allowedServices", "tcp/22"));
    let mark = daemon.mark();
    daemon.reload();
    daemon.wait_since(mark, ENDED);
    all_die(&flows);
    all_pass(&talks);
}

#[test]
fn a_cut_outlives_the_server_and_a_certificate_that_counts_ends_it() {
    let scene = Scene::new();
    let mut daemon = scene.start(&scene.config());
    scene.open("mallory", &["udp/53"]);
    let flows = scene.udp(53);
    let mark = daemon.mark();
    scene.revoke(&daemon, "mallory");
    daemon.wait_since(mark, ENDED);
    daemon.crash();
    all_die(&flows);
    daemon.begin();
    daemon.wait_for(Daemon::ACCEPTING);
    all_die(&flows);
    drop(flows);
    scene.open("alice", &["udp/53"]);
    all_pass(&scene.udp(53));
}

#[test]
fn a_published_port_ends_as_it_was_dialled() {
    let scene = Scene::within(World::with_inner());
    let World { client, gateway, .. } = &scene.world;
    gateway.nft(
        "table ip nat {\nchain prerouting {\ntype nat hook prerouting priority dstnat\n
         fib daddr type local tcp dport 8080 dnat to 10.77.3.2:80\n
         fib daddr type local udp dport 60000 dnat to 10.77.3.2\n}\n
         chain postrouting {\ntype nat hook postrouting priority srcnat\n
         ip saddr 10.77.3.0/24 masquerade\n}\n}\n",
    );
    let daemon = scene.start(&scene.config());
    let host = World::GATEWAY[0];
    scene.open("mallory", &["udp/60000"]);
    let flow = Feed::udp(client, (host, 60000), scene.world.inner(), 60000);
    flow.must_pass();
    let mark = daemon.mark();
    scene.revoke(&daemon, "mallory");
    daemon.wait_since(mark, ENDED);
    flow.must_be_dead();
}
