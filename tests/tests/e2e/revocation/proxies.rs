//! Proxies in the environment, as many hosts have them for their package manager: no list is asked of them.

use sknock_tests::{Daemon, Page, Reply, Web};

use super::scene::{Scene, WEB};

/// Where the proxy listens.
const PROXY: u16 = 3128;

#[test]
fn a_proxy_in_the_environment_is_not_asked_and_the_log_says_so() {
    let scene = Scene::new();
    let list = Reply::Page(Page::plain(scene.authority.crl()));
    let proxy = Web::start(&scene.world.stranger, PROXY, list);
    let mut daemon = Daemon::stopped(&scene.world.gateway, &scene.config());
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "https_proxy"] {
        daemon.export(name, &format!("http://{WEB}:{PROXY}"));
    }
    let checked = daemon.ask("check", &[]);
    let told = "environment variable http_proxy: sknockd does not use proxies to fetch from crlUrl";
    assert!(checked.answer.contains(told), "{checked:?}");
    daemon.begin();
    daemon.wait_for("new CRL in force");
    assert_eq!(daemon.times_said(told), 1);
    assert!(proxy.requests().is_empty(), "{:?}", proxy.requests());
    assert!(!scene.web.requests().is_empty());
}
