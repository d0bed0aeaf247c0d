//! The main job: closed, a knock, open for one address, closed again. Real programs, real packets.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Command, Output, Stdio};
use std::thread;

use sknock_tests::Found::{Open, Refused, Silent};
use sknock_tests::reach::{self, connect, converse, converse_udp};
use sknock_tests::wait::until;
use sknock_tests::{Authority, Client, Config, Daemon, Echo, Found, Seen, World, binaries};

/// Closed before, open for the client alone, closed after; what is established survives.
fn a_door_opens_and_closes(policy: &str, closed: Found) {
    let (world, authority) = (World::new(), Authority::new());
    let (_ssh, _dns) = (Echo::tcp(&world.gateway, 22), Echo::udp(&world.gateway, 53));
    assert_eq!([world.tcp(22), world.udp(53)], [Seen::each(Open, Open); 2]);
    let config = Config::new(&authority).set("firewallPolicy", policy);
    let _daemon = Daemon::start(&world.gateway, &config);
    assert_eq!([world.tcp(22), world.udp(53)], [Seen::each(closed, closed); 2]);

    let alice = Client::alice(&world.client, &authority);
    for host in World::GATEWAY {
        let ran = alice.open(host, "tcp/22 udp/53 --lifetime 6");
        assert_eq!(ran.report["seconds"], 6);
    }
    assert_eq!([world.tcp(22), world.udp(53)], [Seen::each(Open, closed); 2]);
    let streams = World::GATEWAY.map(|host| connect(&world.client, (host, 22).into()).unwrap());
    let sockets =
        World::GATEWAY.map(|host| reach::udp_socket(&world.client, (host, 53).into()).unwrap());
    assert_eq!(sockets.each_ref().map(converse_udp), [Open; 2]);

    until("tcp/22 closes by itself", || world.tcp(22) == Seen::each(closed, closed));
    until("udp/53 closes by itself", || world.udp(53) == Seen::each(closed, closed));
    for stream in &streams {
        converse(stream).unwrap();
    }
    assert_eq!(sockets.each_ref().map(converse_udp), [Open; 2]);
}

#[test]
fn a_rejected_port_opens_for_one_address_and_closes_by_itself() {
    a_door_opens_and_closes("reject", Refused);
}

#[test]
fn a_dropped_port_opens_for_one_address_and_closes_by_itself() {
    a_door_opens_and_closes("drop", Silent);
}

#[test]
fn a_single_use_grant_allows_one_connection_not_used_up_by_the_probe() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let _daemon = Daemon::start(&world.gateway, &Config::new(&authority));
    let alice = Client::alice(&world.client, &authority);
    for host in World::GATEWAY {
        alice.answered(host, "tcp/22", |client| client.single_use(true));
    }
    let streams = World::GATEWAY.map(|host| connect(&world.client, (host, 22).into()).unwrap());
    assert_eq!(world.tcp(22), Seen::each(Refused, Refused));
    for stream in &streams {
        converse(stream).unwrap();
    }
}

#[test]
fn a_second_address_is_opened_only_where_the_administrator_allows_it() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let config = Config::new(&authority);
    let daemon = Daemon::start(&world.gateway, &config);
    let alice = Client::alice(&world.client, &authority);
    let both = || alice.seal_with(&["tcp/22"], |wish| wish.second = Some(World::CLIENT[1]));
    let refused = both().send(&world.client, World::GATEWAY[0]);
    let line = daemon.wait_for(&format!("source={}", refused.source()));
    assert!(line.contains("reason=\"second-address\""), "{line}");
    assert_eq!(world.tcp(22), Seen::each(Refused, Refused));
    daemon.configure(&config.set("secondAddress", "allow"));
    daemon.reload();
    both().send(&world.client, World::GATEWAY[0]).must_be_granted();
    assert_eq!(world.tcp(22), Seen::each(Open, Refused));
}

#[test]
fn the_library_knocks_and_connects() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let _daemon = Daemon::start(&world.gateway, &Config::new(&authority));
    let library = Client::alice(&world.client, &authority).library().build();
    for host in World::GATEWAY {
        let stream = world.client.inside(|| library.connect(&host.to_string(), 22)).unwrap();
        converse(&stream).unwrap();
    }
    assert_eq!(world.tcp(22), Seen::each(Open, Refused));
}

/// Bytes that show a loss, a doubling or a swap, wherever it happens.
fn pattern(length: usize) -> Vec<u8> {
    let mut state = 1u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}

#[test]
fn sixty_four_megabytes_pass_through_connect_unharmed_and_past_the_end_of_the_grant() {
    let (world, authority) = (World::new(), Authority::new());
    let _ssh = Echo::tcp(&world.gateway, 22);
    let _daemon = Daemon::start(&world.gateway, &Config::new(&authority));
    let alice = Client::alice(&world.client, &authority);
    let mut command = alice.command(&format!("connect --lifetime 2 {} 22", World::GATEWAY[0]));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut connect = world.client.inside(|| command.spawn()).unwrap();
    let (mut input, mut output) = (connect.stdin.take().unwrap(), connect.stdout.take().unwrap());

    let sent = pattern(64 << 20);
    let (first, rest) = sent.split_at(1 << 20);
    let mut received = vec![0; first.len()];
    thread::scope(|scope| {
        scope.spawn(|| input.write_all(first).unwrap());
        output.read_exact(&mut received).unwrap();
    });
    until("the grant ends", || world.tcp(22) == Seen::each(Refused, Refused));
    thread::scope(|scope| {
        scope.spawn(move || input.write_all(rest).unwrap());
        output.read_to_end(&mut received).unwrap();
    });
    assert!(received == sent, "{} bytes came back, or others", received.len());
    let Output { status, stderr, .. } = connect.wait_with_output().unwrap();
    assert_eq!((status.code(), String::from_utf8(stderr).unwrap()), (Some(0), String::new()));
}

/// As `sknockd grants | head -1`, and into a file on a full disk.
#[test]
fn a_listing_to_a_closed_pipe_or_a_full_disk_ends_without_a_panic() {
    let (world, authority) = (World::new(), Authority::new());
    let _daemon = Daemon::start(&world.gateway, &Config::new(&authority));
    Client::alice(&world.client, &authority).open(World::GATEWAY[0], "udp/53");
    let grants = |stdout: Stdio| {
        let mut command = Command::new(binaries::path("sknockd"));
        command.arg("grants").stdout(stdout).stderr(Stdio::piped());
        let output = world.gateway.inside(|| command.output()).unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    assert_eq!(grants(writer.into()), (Some(0), String::new()));
    let full = File::options().write(true).open("/dev/full").unwrap();
    let (code, errors) = grants(full.into());
    assert!(code == Some(1) && errors.contains("No space left"), "{code:?} {errors}");
}
