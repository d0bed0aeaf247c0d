//! A gateway with several services, an authority with two clients, and what goes through their doors.

use sknock_tests::{Authority, Client, Config, Daemon, World};

use super::feed::Feed;

pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) authority: Authority,
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self::within(World::new())
    }

    pub(crate) fn within(world: World) -> Self {
        let authority = Authority::new();
        authority.client("mallory", &Authority::ALLOWED);
        Self { world, authority }
    }

    /// Hides what the certificates allow.
    pub(crate) fn config(&self) -> Config {
        let list = self.authority.file("crl.der");
        self.without_list().set("crlFile", list.to_str().expect("temporary files have plain names"))
    }

    pub(crate) fn without_list(&self) -> Config {
        Config::new(&self.authority)
            .set("protectedPorts", "tcp/22, tcp/2222, tcp/8080, udp/53, udp/60000-60010")
    }

    pub(crate) fn start(&self, config: &Config) -> Daemon<'_> {
        Daemon::start_settled(&self.world.gateway, config)
    }

    pub(crate) fn client<'a>(&'a self, name: &'a str) -> Client<'a> {
        Client::named(name, &self.world.client, &self.authority)
    }

    /// Has `name` open `services` in both families, where nobody listens yet.
    pub(crate) fn open(&self, name: &str, services: &[&str]) {
        self.open_for(name, services, 600);
    }

    pub(crate) fn open_for(&self, name: &str, services: &[&str], seconds: u16) {
        for host in World::GATEWAY {
            let knock = self.client(name).seal_for(services, seconds);
            knock.send(&self.world.client, host).must_be_granted();
        }
    }

    pub(crate) fn tcp(&self, port: u16) -> [Feed; 2] {
        let World { client, gateway, .. } = &self.world;
        World::GATEWAY.map(|host| Feed::tcp(client, (host, port), gateway))
    }

    pub(crate) fn udp(&self, port: u16) -> [Feed; 2] {
        let World { client, gateway, .. } = &self.world;
        World::GATEWAY.map(|host| Feed::udp(client, (host, port), gateway, port))
    }

    /// Revokes `name` and has the server read the list.
    pub(crate) fn revoke(&self, daemon: &Daemon<'_>, name: &str) {
        self.authority.revoke(name);
        daemon.reload();
    }
}

/// The gate's word that it is done.
pub(crate) const ENDED: &str = "connections terminated: ";

pub(crate) fn all_die<'a>(feeds: impl IntoIterator<Item = &'a Feed>) {
    feeds.into_iter().for_each(Feed::must_be_dead);
}

pub(crate) fn all_pass<'a>(feeds: impl IntoIterator<Item = &'a Feed>) {
    feeds.into_iter().for_each(Feed::must_pass);
}
