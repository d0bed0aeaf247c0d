//! One gateway, and a web server with the authority's list on the stranger's machine.

use std::net::IpAddr;

use serde_json::Value;
use sknock_tests::{Authority, Client, Config, Daemon, Page, Reply, Sent, Web, World};

pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) authority: Authority,
    pub(crate) web: Web,
}

/// Where the web server listens.
pub(crate) const HTTP: u16 = 8000;

/// The web server as the gateway sees it.
pub(crate) const WEB: IpAddr = World::STRANGER[0];

impl Scene {
    /// With the clients `alice` and `mallory`, and a list that revokes nobody.
    pub(crate) fn new() -> Self {
        let (world, authority) = (World::new(), Authority::new());
        authority.client("mallory", &Authority::ALLOWED);
        let web = Web::start(&world.stranger, HTTP, Reply::Page(Page::plain(authority.crl())));
        Self { world, authority, web }
    }

    /// Fetches from the web server and logs in JSON.
    pub(crate) fn config(&self) -> Config {
        Config::new(&self.authority)
            .set("crlUrl", &self.web.url(WEB, "/crl.der"))
            .set("protectedPorts", "tcp/22, tcp/2222")
            .set("logFormat", "json")
    }

    /// Serves the authority's latest list.
    pub(crate) fn serve_latest(&self) {
        self.web.reply(Reply::Page(Page::plain(self.authority.crl())));
    }

    pub(crate) fn client<'a>(&'a self, name: &'a str) -> Client<'a> {
        Client::named(name, &self.world.client, &self.authority)
    }

    pub(crate) fn knock(&self, client: &Client<'_>, service: &str) -> Sent {
        client.seal(&[service]).send(&self.world.client, World::GATEWAY[0])
    }

    /// What becomes of a knock of `client`: `granted`, or the reason why not.
    #[track_caller]
    pub(crate) fn verdict(&self, daemon: &Daemon<'_>, client: &Client<'_>) -> String {
        // A port may have been another knock's before.
        let mark = daemon.mark();
        let source = self.knock(client, "tcp/22").source();
        let line = daemon.wait_since(mark, &format!("\"source\":\"{source}\""));
        outcome(&serde_json::from_str(&line).expect("the log is in JSON"))
    }
}

/// `granted`, or the reason why not.
pub(crate) fn outcome(verdict: &Value) -> String {
    let what = if verdict["message"] == "refused" { "reason" } else { "message" };
    verdict[what].as_str().expect("text").to_owned()
}
