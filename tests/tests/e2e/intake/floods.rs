//! Knocks that must get through while somebody floods the port. Floods end with their test, and stay
//! in its namespaces.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, bind, setsockopt, socket, sockopt,
};
use sknock_protocol::v2::DATAGRAM_LENGTH;
use sknock_tests::process::stop;
use sknock_tests::{Authority, Client, Config, Daemon, Namespace, World};

use super::config;

/// Valid knocks in each flood.
const TRIES: usize = 20;

/// Between two of them; the flood goes on.
const PAUSE: Duration = Duration::from_millis(20);

/// How long the answer to one may take, on a machine that is busy with a flood and with other tests.
const PATIENCE: Duration = Duration::from_secs(10);

/// The most datagrams of one flood, whatever happens.
const MOST: usize = 5_000_000;

/// What comes, from where, and how fast.
struct Flood {
    sockets: Vec<UdpSocket>,
    junk: Vec<Vec<u8>>,
    /// After so many datagrams it sleeps a millisecond.
    burst: usize,
}

impl Flood {
    /// Sends until told to stop; how many that were.
    fn run(&self, to: SocketAddr, done: &AtomicBool) -> usize {
        let mut sent = 0;
        while !done.load(Ordering::Relaxed) && sent < MOST {
            let socket = &self.sockets[sent % self.sockets.len()];
            // Errors are refusals of earlier ones.
            let _ = socket.send_to(&self.junk[sent % self.junk.len()], to);
            sent += 1;
            if sent % self.burst == 0 {
                thread::sleep(Duration::from_millis(1));
            }
        }
        sent
    }
}

/// As fast as one core can send.
const FULL_RATE: usize = usize::MAX;

/// Some 20,000 a second: a program that was not optimised, on a machine that is busy with other
/// tests, can still sort out so many.
const BRISK: usize = 50;

/// Some 8,000 a second, each of which costs fifty times as much: as many as take most of a processor.
const HEAVY: usize = 20;

/// Knocks while somebody else floods, and says how many doors opened.
fn opened_during(world: &World, authority: &Authority, config: &Config, flood: &Flood) -> usize {
    let mut daemon = Daemon::stopped(&world.gateway, config);
    // As in earnest: nothing is told of what anyone can cause.
    daemon.export("SKNOCK_LOG", "info");
    daemon.begin();
    daemon.wait_for(Daemon::ACCEPTING);
    // What a busy machine keeps waiting must not be too old then.
    daemon.configure(&config.clone().set("TIMESTAMP_THRESHOLD_IN_SECONDS", "60"));
    daemon.reload();
    let alice = Client::alice(&world.client, authority);
    let to = SocketAddr::new(World::GATEWAY_TO_STRANGER[0], 62344);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let flooding = scope.spawn(|| flood.run(to, &done));
        let tries = World::GATEWAY.into_iter().cycle().take(TRIES);
        let opened = tries.filter(|host| {
            thread::sleep(PAUSE);
            alice.seal(&["tcp/22"]).send(&world.client, *host).answer(PATIENCE).is_some()
        });
        let opened = opened.count();
        done.store(true, Ordering::Relaxed);
        let sent = flooding.join().unwrap();
        assert!((3_000..MOST).contains(&sent), "{sent} datagrams are no flood");
        println!("{opened} of {TRIES} during {sent} datagrams of junk");
        opened
    })
}

fn strangers_socket(world: &World) -> Vec<UdpSocket> {
    let socket = world.stranger.inside(|| UdpSocket::bind("0.0.0.0:0"));
    vec![socket.unwrap()]
}

/// One socket for each of many addresses, none of which the stranger has.
fn forged_sources(stranger: &Namespace, count: u32) -> Vec<UdpSocket> {
    stranger.run("ip", &["route", "add", "local", "100.64.0.0/10", "dev", "lo"]);
    let first = u32::from(Ipv4Addr::new(100, 64, 0, 1));
    // Seven networks of 24 bits lie between two of them.
    let addresses = (0..count).map(|number| Ipv4Addr::from(first + number * 2048));
    let bind = || addresses.map(|address| UdpSocket::bind((address, 0)).unwrap()).collect();
    stranger.inside(bind)
}

/// Of the right length, behind tags that somebody has captured; its sender does not have the server's
/// certificate.
fn noise(world: &World, authority: &Authority) -> Vec<Vec<u8>> {
    let client = Client::alice(&world.stranger, authority);
    (0..=255).map(|byte| client.tagged([byte; DATAGRAM_LENGTH]).to_vec()).collect()
}

/// More than are remembered once they were refused, so that each is decrypted each time.
const VEILED: usize = 20_000;

/// Drawn under the right veil, as by somebody who has the server's certificate: each costs a
/// public-key operation, and then a look at a certificate of another authority.
fn veiled(world: &World, authority: &Authority) -> Vec<Vec<u8>> {
    let mallory = Authority::new().identity("alice");
    let client = Client::alice(&world.stranger, authority).posing_as(mallory);
    (0..VEILED).map(|_| client.seal(&["tcp/22"]).bytes.to_vec()).collect()
}

fn quiet(authority: &Authority, intake: &str) -> Config {
    config(authority, intake, ("drop", true))
}

#[test]
fn every_knock_opens_during_a_flood_of_noise_from_one_source() {
    for intake in ["nflog", "socket"] {
        let (world, authority) = (World::new(), Authority::new());
        let flood = Flood {
            sockets: strangers_socket(&world),
            junk: noise(&world, &authority),
            burst: FULL_RATE,
        };
        let config = quiet(&authority, intake);
        assert_eq!(opened_during(&world, &authority, &config, &flood), TRIES, "{intake}");
    }
}

#[test]
fn every_knock_opens_during_an_unmetered_flood_of_noise() {
    let (world, authority) = (World::new(), Authority::new());
    let flood =
        Flood { sockets: strangers_socket(&world), junk: noise(&world, &authority), burst: BRISK };
    let config = quiet(&authority, "nflog").set("knocksPerSource", "0");
    assert_eq!(opened_during(&world, &authority, &config, &flood), TRIES);
}

#[test]
fn every_knock_opens_during_a_flood_of_noise_from_many_forged_sources() {
    let (world, authority) = (World::new(), Authority::new());
    let sockets = forged_sources(&world.stranger, 500);
    let flood = Flood { sockets, junk: noise(&world, &authority), burst: BRISK };
    let config = quiet(&authority, "nflog");
    assert_eq!(opened_during(&world, &authority, &config, &flood), TRIES);
}

#[test]
fn knocks_open_during_a_flood_under_the_right_veil_from_one_network() {
    for (per_source, burst) in [("1000", FULL_RATE), ("0", HEAVY)] {
        let (world, authority) = (World::new(), Authority::new());
        let junk = veiled(&world, &authority);
        let flood = Flood { sockets: strangers_socket(&world), junk, burst };
        let config = quiet(&authority, "nflog").set("knocksPerSource", per_source);
        let opened = opened_during(&world, &authority, &config, &flood);
        assert!(opened + 1 >= TRIES, "{opened} with knocksPerSource = {per_source}");
    }
}

/// The limit is for each source: whoever floods can only use up their own.
#[test]
fn a_flooding_source_is_captured_only_within_its_rate_limit() {
    let (world, authority) = (World::new(), Authority::new());
    let config = quiet(&authority, "nflog").set("knocksPerSource", "1");
    let daemon = Daemon::start(&world.gateway, &config);
    let to = SocketAddr::new(World::GATEWAY_TO_STRANGER[0], 62344);
    let socket = &strangers_socket(&world)[0];
    let alice = Client::alice(&world.client, &authority);
    let junk = alice.tagged([7; DATAGRAM_LENGTH]);
    for _ in 0..1000 {
        socket.send_to(&junk, to).unwrap();
    }
    alice.seal(&["tcp/22"]).send(&world.client, World::GATEWAY[0]).must_be_granted();
    let heard = daemon.times_said("not-veiled");
    assert!((5..50).contains(&heard), "five at once, and one more a second: {heard}");
    let from: IpAddr = World::STRANGER[0];
    let sets = world.gateway.run("nft", &["list", "set", "inet", "sknock", "knock_rate4"]);
    assert!(sets.contains(&format!("{from} limit rate over 1/second")), "{sets}");
}

/// Any program of the gateway may send to it from an address that is a client's. The client's own knocks
/// count by themselves.
#[test]
fn a_program_of_the_gateway_does_not_use_up_the_rate_of_a_client() {
    let (world, authority) = (World::new(), Authority::new());
    // Where all traffic is closed, such datagrams do not leave at all.
    let config = quiet(&authority, "nflog").set("protectedPorts", "tcp/22");
    let config = config.set("knocksPerSource", "1");
    let _daemon = Daemon::start_settled(&world.gateway, &config);
    let [_, IpAddr::V6(client)] = World::CLIENT else { panic!("not of IPv6") };
    let [_, gateway] = World::GATEWAY;
    let socket = world.gateway.inside(|| freely_bound(client));
    let alice = Client::alice(&world.client, &authority);
    let junk = alice.tagged([7; DATAGRAM_LENGTH]);
    for _ in 0..100 {
        socket.send_to(&junk, (gateway, 62344)).unwrap();
    }
    alice.seal(&["tcp/22"]).send(&world.client, gateway).must_be_granted();
}

/// As [`forged_sources`], of IPv6.
fn forged_sources_of_ipv6(stranger: &Namespace, count: u16) -> Vec<UdpSocket> {
    let addresses =
        (0..count).map(|subnet| Ipv6Addr::new(0x2001, 0xdb8, 0xf00d, subnet, 0, 0, 0, 1));
    stranger.inside(|| addresses.map(freely_bound).collect())
}

/// A socket with an address that the machine does not have.
fn freely_bound(address: Ipv6Addr) -> UdpSocket {
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Inet6, SockType::Datagram, flags, None).unwrap();
    setsockopt(&socket, sockopt::IpFreebind, &true).unwrap();
    let claimed = SockaddrStorage::from(SocketAddr::new(address.into(), 0));
    bind(socket.as_raw_fd(), &claimed).unwrap();
    UdpSocket::from(socket)
}

/// What anyone can cause without end must not fill the log.
#[test]
fn a_flood_from_forged_sources_writes_one_line_in_ten_seconds() {
    for intake in ["nflog", "socket"] {
        let (world, authority) = (World::new(), Authority::new());
        let mut daemon = Daemon::stopped(&world.gateway, &quiet(&authority, intake));
        daemon.export("SKNOCK_LOG", "info");
        daemon.begin();
        daemon.wait_for(Daemon::ACCEPTING);
        let [v4, v6] = World::GATEWAY_TO_STRANGER.map(|host| SocketAddr::new(host, 62344));
        let flood = |sockets| Flood { sockets, junk: noise(&world, &authority), burst: FULL_RATE };
        let four = flood(forged_sources(&world.stranger, 500));
        let six = flood(forged_sources_of_ipv6(&world.stranger, 500));
        let (mark, done) = (daemon.mark(), AtomicBool::new(false));
        thread::scope(|scope| {
            scope.spawn(|| four.run(v4, &done));
            scope.spawn(|| six.run(v6, &done));
            // Stopped for a moment, it is late however fast the machine is.
            for _ in 0..3 {
                stop(daemon.network());
                thread::sleep(Duration::from_secs(1));
                kill(daemon.network(), Signal::SIGCONT).expect("it runs");
                thread::sleep(Duration::from_secs(1));
            }
            done.store(true, Ordering::Relaxed);
        });
        daemon.wait_since(mark, "overload: datagrams dropped");
        let said = daemon.said_since(mark);
        let told = |line: &&String| line.contains("overload: datagrams dropped");
        let counts = (said.iter().filter(told).count(), said.len());
        assert_eq!(counts, (1, 1), "{intake}: {}", said.concat());
    }
}
