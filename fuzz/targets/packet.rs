//! What the kernel copies of the network. The first byte says whether the rest is a netlink message,
//! an IP packet, or addresses, ports and payload of a right one.

#![no_main]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use libfuzzer_sys::fuzz_target;
use sknock_netfilter::nflog::packet_payload;
use sknock_server::knock::intake::packet;
use sknock_server::knock::intake::packet::{SkippedPacket, UdpPacket};

const UDP: u8 = 17;

fuzz_target!(|input: &[u8]| {
    let [kind, rest @ ..] = input else { return };
    match kind % 4 {
        0 => {
            if let Some(bytes) = packet_payload(rest) {
                check(bytes);
            }
        }
        1 => check(rest),
        2 => written::<4>(rest, |octets| Ipv4Addr::from(octets).into()),
        _ => written::<16>(rest, |octets| Ipv6Addr::from(octets).into()),
    }
});

fn check(bytes: &[u8]) {
    let Ok(packet) = packet::read(bytes) else { return };
    assert_eq!(packet.source.is_ipv4(), packet.destination.is_ipv4());
    assert!(!packet.source.ip().is_unspecified() && !packet.source.ip().is_multicast());
    let again = write(packet.source, packet.destination, packet.payload);
    assert_eq!(packet::read(&again), Ok(packet), "written plainly, it is another");
}

/// A right packet is read as what it is.
fn written<const N: usize>(input: &[u8], address: fn([u8; N]) -> IpAddr) {
    let Some((source, rest)) = input.split_first_chunk::<N>() else { return };
    let Some((destination, rest)) = rest.split_first_chunk::<N>() else { return };
    let Some(([a, b, c, d], payload)) = rest.split_first_chunk() else { return };
    let source = SocketAddr::new(address(*source), u16::from_be_bytes([*a, *b]));
    let destination = SocketAddr::new(address(*destination), u16::from_be_bytes([*c, *d]));
    match packet::read(&write(source, destination, payload)) {
        Ok(read) => assert_eq!(read, UdpPacket { source, destination, payload }),
        Err(SkippedPacket::Source | SkippedPacket::Mapped) => {}
        Err(why) => panic!("a right packet is passed over: {why}"),
    }
}

/// A plain packet with a right checksum.
fn write(source: SocketAddr, destination: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + payload.len()).expect("inputs are shorter");
    let (source_ip, destination_ip) = (octets(source.ip()), octets(destination.ip()));
    let ports = [source.port().to_be_bytes(), destination.port().to_be_bytes()].concat();
    let length_bytes = length.to_be_bytes();
    let pseudo = [&source_ip[..], &destination_ip, &[0, UDP], &length_bytes].concat();
    let datagram = |sum: [u8; 2]| [&ports[..], &length_bytes, &sum, payload].concat();
    let sum = match !(ones_sum(&[pseudo, datagram([0, 0])])) {
        0 => 0xffff, // zero stands for none
        sum => sum,
    };
    let datagram = datagram(sum.to_be_bytes());
    let header = if source.is_ipv4() {
        let total = (20 + length).to_be_bytes();
        [&[0x45, 0, total[0], total[1], 0, 0, 0, 0, 64, UDP, 0, 0][..], &source_ip, &destination_ip]
            .concat()
    } else {
        let [high, low] = length_bytes;
        [&[0x60, 0, 0, 0, high, low, UDP, 64][..], &source_ip, &destination_ip].concat()
    };
    [header, datagram].concat()
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

/// RFC 1071, each part filled up to whole words.
fn ones_sum(parts: &[Vec<u8>]) -> u16 {
    let words = parts.iter().flat_map(|part| part.chunks(2)).map(|pair| match *pair {
        [high, low] => u64::from(u16::from_be_bytes([high, low])),
        _ => u64::from(pair[0]) << 8,
    });
    let sum: u64 = words.sum();
    // One's complement: the same as modulo 65535, where all ones stand for a sum that is not empty.
    match u16::try_from(sum % 65535).expect("less than 65535") {
        0 if sum != 0 => 0xffff,
        rest => rest,
    }
}
