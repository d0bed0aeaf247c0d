//! Redirects, by which a web server, or whoever is on its path, chooses what the server asks for, and
//! of whom.

use sknock_tests::{Daemon, Page, Reply, Web, World};

use super::scene::{HTTP, Scene, WEB};

fn to(place: &str) -> Reply {
    let head = format!("HTTP/1.1 302 Found\r\nLocation: {place}\r\nContent-Length: 0\r\n");
    Reply::Raw(format!("{head}Connection: close\r\n\r\n").into_bytes())
}

/// A server that has the first list; with names that mean addresses of this host.
fn server(scene: &Scene) -> Daemon<'_> {
    scene.world.gateway.know_hosts(
        "127.0.0.1 localhost evil.example\n::1 evil6.example\n10.77.2.1 own.example\n\
         10.77.2.2 lists.example\n9.9.9.9 public.example\n10.77.1.2 public.example\n\
         9.9.9.10 own-public.example\n",
    );
    Daemon::start(&scene.world.gateway, &scene.config())
}

#[test]
fn no_redirect_leads_to_this_host_or_to_another_in_a_private_network() {
    let scene = Scene::new();
    let list = || Reply::Page(Page::plain(scene.authority.crl()));
    // Where nothing but the address is wrong.
    let own = Web::start(&scene.world.gateway, HTTP, list());
    let neighbour = Web::start(&scene.world.client, HTTP, list());
    // Public, and this host's all the same.
    scene.world.gateway.run("ip", &["addr", "add", "9.9.9.10/32", "dev", "lo"]);
    scene.world.gateway.run("ip", &["addr", "add", "2620:fe::10/128", "dev", "lo"]);
    let daemon = server(&scene);
    scene.authority.publish(7);
    own.reply(list());
    neighbour.reply(list());
    for host in [
        "127.0.0.1",
        "127.8.9.1",
        "2130706433",
        "0.0.0.0",
        "[::]",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "localhost",
        "evil.example",
        "evil6.example",
        "own.example",
        "10.77.2.1",
        "[fd77:2::1]",
        "10.77.1.2",
        "[fd77:1::2]",
        "169.254.169.254",
        "[64:ff9b::a4d:102]",
        "9.9.9.10",
        "[2620:fe::10]",
        "[::ffff:9.9.9.10]",
        "own-public.example",
    ] {
        scene.web.reply(to(&format!("http://{host}:{HTTP}/secret")));
        let mark = daemon.mark();
        daemon.reload();
        let line = daemon.wait_since(mark, "The previous CRL stays in force");
        assert!(line.contains("redirected to") && line.contains("not a public"), "{host}: {line}");
    }
    assert_eq!((own.requests().len(), neighbour.requests().len()), (0, 0), "nobody was asked");
    assert_eq!(scene.verdict(&daemon, &scene.client("alice")), "granted");
}

#[test]
fn a_redirect_to_an_unconfigured_port_is_logged() {
    let scene = Scene::new();
    let other = Web::start(&scene.world.stranger, 8001, Reply::Status(404));
    let daemon = server(&scene);
    for place in [other.url(WEB, "/"), format!("http://{WEB}/"), format!("https://{WEB}/")] {
        scene.web.reply(to(&place));
        let mark = daemon.mark();
        daemon.reload();
        let line = daemon.wait_since(mark, "The previous CRL stays in force");
        assert!(line.contains("redirected to port"), "{place}: {line}");
    }
    assert_eq!(other.requests().len(), 0);
}

#[test]
fn redirects_to_the_same_machine_and_to_public_addresses_are_followed() {
    let scene = Scene::new();
    let (world, web) = (&scene.world, &scene.web);
    world.stranger.run("ip", &["addr", "add", "9.9.9.9/32", "dev", "lo"]);
    world.gateway.run("ip", &["route", "add", "9.9.9.9", "via", &World::STRANGER[0].to_string()]);
    let daemon = server(&scene);
    for host in
        ["", "//10.77.2.2:8000", "//lists.example:8000", "//9.9.9.9:8000", "//public.example:8000"]
    {
        let (mark, before) = (daemon.mark(), web.requests().len());
        scene.authority.publish(7);
        let list = Reply::Page(Page::plain(scene.authority.crl()));
        web.reply_in_turn([to(&format!("{host}/moved")), list]);
        daemon.reload();
        daemon.wait_since(mark, "\"new CRL in force\"");
        assert!(web.request(before + 1).line.starts_with("GET /moved "), "{host}");
    }
}
