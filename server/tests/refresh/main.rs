//! Revocation lists from a real web server, each good and bad in its own way; what the server then
//! believes, keeps, logs and closes.

mod https;
mod running;
mod scope;
mod web;
mod world;

use std::time::Duration;

use sknock_protocol::Timestamp;
use sknock_server::crl::Timeouts;
use web::{Reply, Web};
use world::{World, authority, good, list};

/// 2026-07-01, when no list below has ended.
const NOW: Timestamp = Timestamp::from_secs(1_782_864_000);

#[test]
fn a_fetched_crl_is_in_force_and_saved() {
    let world = World::new();
    let web = Web::new(Reply::List(good(&world.authority, 1, 5)));
    let mut refresh = world.refresh(&[&web.url]);
    assert!(!refresh.is_usable(NOW));
    refresh.fetch_now().unwrap();
    assert!(refresh.is_usable(NOW));
    assert!(world.is_revoked(&refresh, 5) && !world.is_revoked(&refresh, 6));
    assert_eq!(world.kept(), good_again(&web));
    assert!(world.logged().contains("INFO"));

    let newer = good(&world.authority, 2, 6);
    web.now_says(Reply::List(newer.clone()));
    refresh.fetch_now().unwrap();
    assert!(world.is_revoked(&refresh, 6) && !world.is_revoked(&refresh, 5));
    assert_eq!(world.kept(), newer);

    // the next start takes up from there, without the web
    let next = world.refresh(&[]);
    next.load(&world.kept(), NOW);
    assert!(world.is_revoked(&next, 6));
}

/// What `web` gives to somebody who asks for the first time.
fn good_again(web: &Web) -> Vec<u8> {
    match web.reply() {
        Reply::List(body) => body,
        _ => panic!("no list"),
    }
}

#[test]
fn the_last_good_crl_stays_in_force_and_each_rejection_is_logged() {
    let world = World::new();
    let ca = &world.authority;
    let current = list(ca, 7, 5, (2022, 2090));
    let web = Web::new(Reply::List(current.clone()));
    let mut refresh = world.refresh(&[&web.url]);
    refresh.fetch_now().unwrap();
    world.logged();
    let mut forged = list(ca, 8, 6, (2023, 2090));
    let last = forged.len() - 1;
    forged[last] ^= 1;
    for (reply, why) in [
        (Reply::List(forged), "forged"),
        (Reply::List(good(&authority("authority"), 8, 6)), "forged"),
        (Reply::List(good(&authority("stranger"), 8, 6)), "not a trusted CA"),
        (Reply::List(list(ca, 6, 6, (2023, 2090))), "number is lower"),
        (Reply::List(list(ca, 8, 6, (2021, 2090))), "before the CRL in force"),
        (Reply::List(list(ca, 8, 6, (2023, 2024))), "expired"),
        (Reply::List(list(ca, 8, 6, (2080, 2090))), "clocks"),
        (Reply::List(b"<html>It works!</html>".to_vec()), "not a CRL in DER"),
        (Reply::List(b"-----BEGIN X509 CRL-----\nMIIB".to_vec()), "PEM"),
        (Reply::List(Vec::new()), "sent nothing"),
        (Reply::Torn(list(ca, 8, 6, (2023, 2090))), "body"),
        (Reply::Endless(80 << 20), "larger than"),
        (Reply::Status("404 Not Found"), "404"),
        (Reply::Status("500 Internal Server Error"), "500"),
        (Reply::Status("206 Partial Content"), "206"),
        (Reply::Circle, "redirect"),
    ] {
        web.now_says(reply);
        refresh.fetch_now().unwrap();
        let logged = world.logged();
        assert!(logged.contains("WARN") && logged.contains(why), "{why:?} is not in {logged:?}");
        assert!(world.is_revoked(&refresh, 5) && !world.is_revoked(&refresh, 6), "{why}");
        assert_eq!(world.kept(), current, "{why}");
    }
}

#[test]
fn a_server_that_is_gone_changes_nothing() {
    let world = World::new();
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}/crl.der", listener.local_addr().unwrap())
    };
    let mut refresh = world.refresh(&[&closed]);
    refresh.load(&good(&world.authority, 1, 5), NOW);
    refresh.fetch_now().unwrap();
    let logged = world.logged();
    assert!(logged.contains("WARN") && logged.contains("refused"), "{logged}");
    assert!(world.is_revoked(&refresh, 5));
}

#[test]
fn a_slow_web_server_is_given_up_and_changes_nothing() {
    let world = World::new();
    let web = Web::new(Reply::List(good(&world.authority, 1, 5)));
    let (short, long) = (Duration::from_millis(200), Duration::from_secs(60));
    for (reply, read, total) in [
        (Reply::Silence, short, long),
        (Reply::Drip(good(&world.authority, 2, 6), short / 10), long, short),
    ] {
        web.now_says(Reply::List(good(&world.authority, 1, 5)));
        let timeouts = Timeouts { connect: long, read, total };
        let mut refresh = world.patient(&[&web.url], None, timeouts);
        refresh.fetch_now().unwrap();
        web.now_says(reply);
        refresh.fetch_now().unwrap();
        let logged = world.logged();
        assert!(logged.contains("WARN") && logged.contains("timed out"), "{logged}");
        assert!(world.is_revoked(&refresh, 5) && !world.is_revoked(&refresh, 6));
    }
}

/// The server names its answers; somebody on the way may have named one to match all later ones.
#[test]
fn each_fetch_asks_for_all_and_what_was_refused_is_refused_again() {
    let world = World::new();
    let web = Web::new(Reply::List(good(&world.authority, 1, 5)));
    let mut refresh = world.refresh(&[&web.url]);
    refresh.fetch_now().unwrap();
    refresh.fetch_now().unwrap();
    let requests = web.requests();
    assert_eq!(requests.len(), 2);
    for request in requests {
        assert!(!request.contains("if-none-match"), "{request}");
        assert!(!request.contains("if-modified-since"), "{request}");
    }
    assert!(world.is_revoked(&refresh, 5));

    web.now_says(Reply::List(good(&authority("authority"), 2, 6)));
    refresh.fetch_now().unwrap();
    refresh.fetch_now().unwrap();
    assert_eq!(world.logged().matches("forged").count(), 2);
}

#[test]
fn one_of_several_addresses_is_enough() {
    let world = World::new();
    let (dead, web) = (
        Web::new(Reply::Status("503 Service Unavailable")),
        Web::new(Reply::List(good(&world.authority, 1, 5))),
    );
    let mut refresh = world.refresh(&[&dead.url, &web.url]);
    refresh.fetch_now().unwrap();
    assert!(world.is_revoked(&refresh, 5));
}

#[test]
fn each_ca_has_its_own_crl() {
    let other = authority("other");
    let world = World::believing(authority("authority"), &[&other]);
    let ours = Web::new(Reply::List(good(&world.authority, 1, 5)));
    let theirs = Web::new(Reply::List(good(&other, 1, 6)));
    let mut refresh = world.refresh(&[&ours.url, &theirs.url]);
    refresh.fetch_now().unwrap();
    theirs.now_says(Reply::List(good(&other, 2, 7)));
    refresh.fetch_now().unwrap();

    let next = world.refresh(&[]);
    next.load(&world.kept(), NOW);
    for refresh in [&refresh, &next] {
        let revoked = |number, serial| world.is_revoked_by(number, refresh, serial);
        assert!(revoked(0, 5) && revoked(1, 7));
        assert!(!revoked(0, 7) && !revoked(1, 5) && !revoked(1, 6));
    }
}

#[test]
fn an_expired_crl_is_used_during_its_grace_period() {
    let world = World::new();
    let ended = list(&world.authority, 1, 5, (2021, 2022));
    let web = Web::new(Reply::List(ended.clone()));
    let mut refresh = world.refresh(&[&web.url]);
    refresh.fetch_now().unwrap();
    // it revokes, and counts as long as the grace lasts
    assert!(world.is_revoked(&refresh, 5));
    let end = Timestamp::from_secs(1_640_995_200); // 2022-01-01
    assert!(refresh.is_usable(end.after(Duration::from_secs(3600))));
    assert!(!refresh.is_usable(NOW));
    assert!(world.logged().contains("ALL KNOCKS ARE REFUSED"));

    let loaded = world.refresh(&[]);
    loaded.load(&ended, NOW);
    assert!(world.is_revoked(&loaded, 5));
}

#[test]
fn a_crl_that_cannot_be_saved_is_still_in_force() {
    let world = World::new();
    let web = Web::new(Reply::List(good(&world.authority, 1, 5)));
    std::fs::create_dir(world.file()).unwrap();
    let mut refresh = world.refresh(&[&web.url]);
    refresh.fetch_now().unwrap();
    assert!(world.is_revoked(&refresh, 5));
    assert!(world.logged().contains("cannot write"));
}

#[test]
fn the_good_crls_of_a_file_are_used_and_the_others_logged() {
    let other = authority("other");
    let world = World::believing(authority("authority"), &[&other]);
    let refresh = world.refresh(&[]);
    let mut forged = good(&world.authority, 1, 5);
    let last = forged.len() - 1;
    forged[last] ^= 1;
    refresh.load(&[forged, good(&other, 1, 6), b"junk".to_vec()].concat(), NOW);
    assert!(!world.is_revoked(&refresh, 5));
    assert!(world.is_revoked_by(1, &refresh, 6));
    let logged = world.logged();
    assert!(logged.contains("forged") && logged.contains("not a CRL in DER"));
}
