//! Knocks on a server that really opens and believes them, over loopback.

#[path = "support/world.rs"]
mod support;

use std::collections::HashSet;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::num::NonZeroU16;
use std::thread;
use std::time::Duration;

use sknock::{
    Address, Client, ClientBuilder, ConnectError, Family, KnockError, SealError, Service, Verified,
};
use support::{Server, World, answer, grant};

const V4: &str = "127.0.0.1:0";

fn udp() -> [Service; 1] {
    [Service::udp(53).unwrap()]
}

fn tcp(port: u16) -> [Service; 1] {
    [Service::tcp(port).unwrap()]
}

/// A port with someone behind it, who never accepts: the system does.
fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind(V4).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// Nobody listens here: below the ports that the system gives out, on an address of our own.
const CLOSED: (&str, &str, u16) = ("127.66.2.1", "127.66.2.1:0", 2222);

#[test]
fn the_result_contains_all_fields_of_the_answer() {
    let world = World::new();
    let server = Server::start(&world, V4, |_, heard| {
        vec![answer(heard, |answer| {
            (answer.clipped, answer.seconds) = (true, 7);
            answer.server_time = answer.server_time.after(Duration::from_secs(60));
        })]
    });
    let client = world.client(&server).lifetime(NonZeroU16::new(99)).build();
    let opened = client.knock("127.0.0.1", &udp()).unwrap();
    assert_eq!(opened.verified, Verified::Answer);
    assert_eq!(opened.destination, Ipv4Addr::LOCALHOST);
    let granted = opened.granted.unwrap();
    assert!(granted.clipped);
    assert_eq!(granted.seconds, 7);
    assert!((55_000..65_000).contains(&granted.clock_skew_ms), "{}", granted.clock_skew_ms);
    let heard = server.heard();
    assert_eq!(granted.observed, heard[0].knock.source());
    assert_eq!(heard[0].knock.services(), udp());
    assert_eq!(heard[0].knock.lifetime(), Some(99));
    assert!(!heard[0].knock.claim().signed(), "nobody can claim a loopback address");
}

#[test]
fn a_late_answer_to_an_earlier_attempt_is_accepted() {
    let world = World::new();
    let wait = Duration::from_millis(300);
    let server = Server::start(&world, V4, move |number, heard| {
        thread::sleep(wait / 2 * 3); // the second attempt waits until 3 * wait
        if number == 1 { vec![grant(heard)] } else { Vec::new() }
    });
    let client = world.client(&server).attempt_timeout(wait).attempts(2).build();
    let opened = client.knock("127.0.0.1", &udp()).unwrap();
    assert_eq!(opened.verified, Verified::Answer);
    let granted = opened.granted.unwrap();
    assert!(granted.took >= wait, "since the first attempt");
    assert_eq!(granted.observed, server.heard()[0].knock.source());
}

/// Answers longer after the knock than the client waits, but while it connects.
fn answering_late(world: &World, wait: Duration) -> Server {
    Server::start(world, CLOSED.1, move |_, heard| {
        thread::sleep(wait / 2 * 3);
        vec![grant(heard)]
    })
}

#[test]
fn an_answer_that_arrives_while_the_last_attempt_connects_is_used() {
    let world = World::new();
    let wait = Duration::from_millis(300);
    let client = |server: &Server| {
        let limit = Duration::from_secs(2);
        world.client(server).attempt_timeout(wait).attempts(1).timeout(limit).build()
    };
    let server = answering_late(&world, wait);
    let error = client(&server).knock(CLOSED.0, &tcp(CLOSED.2)).unwrap_err();
    let KnockError::NothingListens { opened, .. } = &error else { panic!("{error}") };
    assert!(opened.granted.is_some_and(|granted| granted.took >= wait), "{opened:?}");
    drop(server);
    let server = answering_late(&world, wait);
    let error = client(&server).connect(CLOSED.0, CLOSED.2).unwrap_err();
    let ConnectError::NothingListens { granted, .. } = &error else { panic!("{error}") };
    assert!(granted.took >= wait, "{granted:?}");
}

#[test]
fn an_answer_that_arrives_right_after_the_connection_is_used() {
    let (world, wait) = (World::new(), Duration::from_millis(50));
    let server = Server::start(&world, V4, move |_, heard| {
        thread::sleep(wait * 3);
        vec![grant(heard)]
    });
    let (_listener, port) = listener();
    let client = world.client(&server).attempt_timeout(wait).build();
    let opened = client.knock("127.0.0.1", &tcp(port)).unwrap();
    assert_eq!(opened.verified, Verified::Answer);
    assert!(opened.granted.unwrap().took >= wait * 3);
}

/// Nothing is connected to with a single use, so there is time for more attempts.
#[test]
fn an_attempt_with_a_single_use_is_the_last_only_if_there_is_no_time_for_another() {
    let world = World::new();
    let server = Server::silent(&world, V4);
    let client = world.client(&server).single_use(true).attempts(3);
    let client = client.attempt_timeout(Duration::from_millis(100));
    let client = client.timeout(Duration::from_millis(450)).build();
    for _ in 0..6 {
        client.knock("127.0.0.1", &tcp(22)).unwrap_err();
    }
    let heard = server.heard();
    assert_eq!(heard.len(), 18);
    let second = heard.iter().skip(1).step_by(3);
    let high = second.filter(|heard| heard.index >= 64).count();
    assert!(high > 0, "with a probability of 1 - 2^-36");
}

#[test]
fn ipv6_is_knocked_on_as_well() {
    let world = World::new();
    let server = Server::granting(&world, "[::1]:0");
    let opened = world.client(&server).build().knock("::1", &udp()).unwrap();
    assert_eq!(opened.destination.to_string(), "::1");
    assert!(opened.granted.unwrap().observed.is_ipv6());
}

#[test]
fn a_family_that_the_host_lacks_is_named() {
    let world = World::new();
    let client = world.client_of(2222).family(Family::V6).build();
    let error = client.knock("127.0.0.1", &udp()).unwrap_err();
    assert!(matches!(error, KnockError::NoAddress { .. }), "{error}");
}

#[test]
fn an_unanswered_knock_is_verified_by_a_connection() {
    let world = World::new();
    let server = Server::silent(&world, V4);
    let (_listener, port) = listener();
    let services = [udp()[0], tcp(port)[0]];
    let opened = world.client(&server).build().knock("127.0.0.1", &services).unwrap();
    assert_eq!(opened.verified, Verified::Connection);
    assert!(opened.granted.is_none());
    assert_eq!(server.heard().len(), 1);
}

#[test]
fn every_retry_is_a_new_knock() {
    let world = World::new();
    let server = Server::silent(&world, V4);
    let error = world.client(&server).build().knock("127.0.0.1", &udp()).unwrap_err();
    let KnockError::NotConfirmed { tried, .. } = &error else { panic!("{error}") };
    assert_eq!((tried.len(), tried[0].claimed), (1, None));
    let heard = server.heard();
    assert_eq!(heard.len(), 3);
    let different = |of: fn(&support::Heard) -> Vec<u8>| {
        heard.iter().map(of).collect::<HashSet<_>>().len() == heard.len()
    };
    assert!(different(|heard| heard.datagram.clone()));
    assert!(different(|heard| heard.knock.encapsulation().to_vec()));
    assert!(different(|heard| heard.knock.id().0.to_vec()));
    assert!(heard.is_sorted_by_key(|heard| heard.knock.stamp()));
}

/// So that a server whose clock differs can say why it refuses.
#[test]
fn the_last_attempt_has_a_low_tag_and_the_others_any() {
    let world = World::new();
    let indexes = |client: ClientBuilder, server: Server| -> Vec<u16> {
        client.build().knock("127.0.0.1", &udp()).ok();
        server.heard().iter().map(|heard| heard.index).collect()
    };
    let server = Server::silent(&world, V4);
    let client = world.client(&server).attempts(7).attempt_timeout(Duration::from_millis(20));
    let [others @ .., last] = &indexes(client, server)[..] else { panic!("no attempt") };
    assert_eq!((others.len(), *last < 64), (6, true), "{last}");
    assert!(others.iter().any(|index| *index >= 64), "with a probability of 1 - 2^-36: {others:?}");

    let server = Server::silent(&world, V4);
    let only = indexes(world.client(&server).attempts(1), server);
    assert!(matches!(only[..], [0..64]), "{only:?}");

    // The time ends with the second attempt.
    let server = Server::silent(&world, V4);
    let client = world.client(&server).attempt_timeout(Duration::from_millis(500));
    let limited = indexes(client.timeout(Duration::from_millis(1500)), server);
    assert!(matches!(limited[..], [_, 0..64]), "{limited:?}");
}

#[test]
fn a_refusal_by_icmp_does_not_end_the_attempts() {
    let world = World::new();
    // Nobody is there at first: the system answers with "port unreachable".
    let address = "127.66.2.2:2222";
    let client = world.client_of(2222).build();
    let knocking = thread::spawn(move || client.knock("127.66.2.2", &udp()));
    thread::sleep(Duration::from_millis(50)); // the first knock is lost, the later ones are not
    let _server = Server::granting(&world, address);
    knocking.join().unwrap().unwrap();
}

#[test]
fn datagrams_that_are_no_answer_are_ignored() {
    let world = World::new();
    let mut earlier = Vec::new();
    let server = Server::start(&world, V4, move |count, heard| {
        let genuine = grant(heard);
        if count == 1 {
            earlier = genuine;
            return Vec::new();
        }
        let mut altered = genuine.clone();
        altered[95] ^= 1;
        let longer = [&genuine[..], &[0]].concat();
        let shorter = genuine[..95].to_vec();
        let echo = heard.datagram.clone();
        vec![Vec::new(), vec![0; 96], earlier.clone(), altered, longer, shorter, echo, genuine]
    });
    let opened = world.client(&server).build().knock("127.0.0.1", &udp()).unwrap();
    assert_eq!(opened.granted.unwrap().seconds, 15);
    assert_eq!(server.heard().len(), 2);
}

#[test]
fn an_answer_from_another_source_is_ignored() {
    let world = World::new();
    let elsewhere = UdpSocket::bind(V4).unwrap();
    let server = Server::start(&world, V4, move |_, heard| {
        elsewhere.send_to(&grant(heard), heard.knock.source()).unwrap();
        Vec::new()
    });
    let error = world.client(&server).attempts(1).build().knock("127.0.0.1", &udp()).unwrap_err();
    assert!(matches!(error, KnockError::NotConfirmed { .. }), "{error}");
}

#[test]
fn a_granted_port_where_nothing_listens_has_its_own_error() {
    let world = World::new();
    let (host, address, port) = CLOSED;
    let server = Server::granting(&world, address);
    let error = world.client(&server).build().knock(host, &tcp(port)).unwrap_err();
    let KnockError::NothingListens { service, opened, .. } = &error else { panic!("{error}") };
    assert_eq!((*service, opened.granted.unwrap().seconds), (tcp(port)[0], 15));
    assert_eq!(server.heard().len(), 1, "knocking again would not help");
}

#[test]
fn verification_does_not_use_up_a_single_use_grant() {
    let world = World::new();
    let server = Server::granting(&world, V4);
    let (listener, port) = listener();
    let client = world.client(&server).single_use(true).build();
    assert_eq!(client.knock("127.0.0.1", &tcp(port)).unwrap().verified, Verified::Answer);
    listener.set_nonblocking(true).unwrap();
    listener.accept().expect_err("a probe would have been the one connection");
    assert!(server.heard()[0].knock.single_use());
    let silent = Server::silent(&world, V4);
    let client = world.client(&silent).single_use(true).attempts(1).build();
    let error = client.knock("127.0.0.1", &tcp(port)).unwrap_err();
    assert!(matches!(error, KnockError::NotConfirmed { .. }), "{error}");
    listener.accept().expect_err("nor without an answer");
}

#[test]
fn ranges_and_everything_are_verified_by_the_answer() {
    let world = World::new();
    let server = Server::granting(&world, V4);
    let client = world.client(&server).build();
    let range = ["tcp/60000-60010".parse().unwrap()];
    assert_eq!(client.knock("127.0.0.1", &range).unwrap().verified, Verified::Answer);
    assert_eq!(client.knock("127.0.0.1", &[]).unwrap().verified, Verified::Answer);
    let heard = server.heard();
    assert_eq!(heard[0].knock.services(), range);
    assert_eq!(heard[1].knock.services(), []);
}

#[test]
fn without_verification_one_knock_is_sent_and_no_answer_wanted() {
    let world = World::new();
    let (host, address, port) = CLOSED;
    let server = Server::silent(&world, address);
    let client = world.client(&server).verify(false).build();
    assert_eq!(client.knock(host, &tcp(port)).unwrap().verified, Verified::No);
    client.knock(host, &udp()).unwrap();
    while server.count() < 2 {
        thread::yield_now();
    }
    let heard = server.heard();
    assert!(heard.iter().all(|heard| heard.knock.answer_key().is_none()));
    assert!(heard.iter().all(|heard| heard.index < 64), "each is the only attempt");
}

#[test]
fn another_servers_certificate_confirms_nothing() {
    let (world, other) = (World::new(), World::new());
    let deaf = UdpSocket::bind(V4).unwrap();
    let identity = sknock::open_identity(world.file("alice.pfx"), support::PASSWORD).unwrap();
    let wrong = sknock::open_server_certificate(other.file("gate.cer")).unwrap();
    let client = Client::builder(identity, wrong)
        .knock_port(deaf.local_addr().unwrap().port())
        .attempts(1)
        .attempt_timeout(Duration::from_millis(10))
        .build();
    let error = client.knock("127.0.0.1", &udp()).unwrap_err();
    assert!(error.to_string().contains("server certificate"), "{error}");
}

#[test]
fn a_request_that_no_knock_can_express_is_refused_before_sending() {
    let world = World::new();
    let server = Server::silent(&world, V4);
    let client = world.client(&server).single_use(true).build();
    let error = client.knock("127.0.0.1", &udp()).unwrap_err();
    assert!(matches!(error, KnockError::Seal(SealError::SingleUseUnfit(_))), "{error}");
    let many: Vec<Service> = (1..=17).map(|port| Service::udp(2 * port).unwrap()).collect();
    let error = world.client(&server).build().knock("127.0.0.1", &many).unwrap_err();
    assert!(matches!(error, KnockError::Seal(SealError::TooManyServices)), "{error}");
    for loopback in ["127.0.0.1", "::1", "::ffff:192.0.2.1", "fe80::1", "224.0.0.1", "0.0.0.0"] {
        let address = Address::Ip(loopback.parse().unwrap());
        let error = world.client(&server).address(address).build().knock("127.0.0.1", &udp());
        assert!(matches!(error, Err(KnockError::Address(_))), "{loopback}: {error:?}");
    }
    assert_eq!(server.heard().len(), 0);
}

#[test]
fn what_cannot_be_sent_says_so() {
    let world = World::new();
    let server = Server::silent(&world, V4);
    let error = world.client(&server).build().knock("255.255.255.255", &udp()).unwrap_err();
    assert!(matches!(error, KnockError::NotSent { .. }), "{error}");
}
