//! Packets as strangers make them.

use std::net::{IpAddr, SocketAddr};

use proptest::prelude::*;
use sknock_server::knock::intake::packet::{SkippedPacket, UdpPacket, read};

/// A right packet, its checksum computed here in another way than there.
pub(crate) fn packet(source: &str, destination: &str, payload: &[u8]) -> Vec<u8> {
    let ends: [SocketAddr; 2] = [source, destination].map(|end| end.parse().unwrap());
    let length = u16::try_from(8 + payload.len()).unwrap();
    let mut udp = Vec::new();
    for end in ends {
        udp.extend(end.port().to_be_bytes());
    }
    udp.extend(length.to_be_bytes());
    udp.extend([0, 0]);
    udp.extend(payload);
    let mut pseudo = vec![0, 17];
    pseudo.extend(length.to_be_bytes());
    let mut header = match ends[0] {
        SocketAddr::V4(_) => {
            let total = (20 + length).to_be_bytes();
            vec![0x45, 0, total[0], total[1], 0, 0, 0x40, 0, 64, 17, 0, 0]
        }
        SocketAddr::V6(_) => {
            let [high, low] = length.to_be_bytes();
            vec![0x60, 0, 0, 0, high, low, 17, 64]
        }
    };
    for end in ends {
        match end.ip() {
            IpAddr::V4(v4) => [&mut header, &mut pseudo].map(|to| to.extend(v4.octets())),
            IpAddr::V6(v6) => [&mut header, &mut pseudo].map(|to| to.extend(v6.octets())),
        };
    }
    let sum = !ones_complement(&[&pseudo[..], &udp].concat());
    let sum = if sum == 0 { 0xffff } else { sum };
    udp[6..8].copy_from_slice(&sum.to_be_bytes());
    [header, udp].concat()
}

/// By the definition: add, and carry around.
fn ones_complement(bytes: &[u8]) -> u16 {
    bytes.chunks(2).fold(0, |sum: u16, pair| {
        let word = u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]);
        let (sum, carried) = sum.overflowing_add(word);
        sum + u16::from(carried)
    })
}

const ENDS: [[&str; 2]; 2] = [
    ["192.0.2.7:40000", "198.51.100.1:62344"],
    ["[2001:db8::7]:40000", "[2001:db8:ffff::1]:62344"],
];

fn right(family: usize, payload: &[u8]) -> Vec<u8> {
    let [source, destination] = ENDS[family];
    packet(source, destination, payload)
}

/// The same packet with other bytes from `at` on, and its checksum as it was.
fn with(mut bytes: Vec<u8>, at: usize, other: &[u8]) -> Vec<u8> {
    bytes[at..at + other.len()].copy_from_slice(other);
    bytes
}

#[test]
fn a_packet_of_either_family_is_read() {
    for (family, [source, destination]) in ENDS.into_iter().enumerate() {
        for payload in [&b""[..], b"x", b"knock", &[0xff; 1200], &[0; 1201]] {
            let bytes = right(family, payload);
            let expected = UdpPacket {
                source: source.parse().unwrap(),
                destination: destination.parse().unwrap(),
                payload,
            };
            assert_eq!(read(&bytes), Ok(expected));
            // What is behind its end belongs to nobody: Ethernet fills short frames up.
            assert_eq!(read(&[bytes, vec![7; 9]].concat()), Ok(expected));
        }
    }
}

#[test]
fn ipv4_options_are_passed_over() {
    for words in 1..=10_u8 {
        let mut bytes = right(0, b"knock");
        bytes.splice(20..20, vec![1; usize::from(words) * 4]);
        bytes[0] += words;
        bytes[3] += words * 4;
        assert_eq!(read(&bytes).unwrap().payload, b"knock");
    }
}

#[test]
fn lengths_that_do_not_fit_are_refused() {
    let [v4, v6] = [right(0, b"knock"), right(1, b"knock")];
    for bytes in [&v4, &v6] {
        for length in 0..bytes.len() {
            assert_eq!(read(&bytes[..length]), Err(SkippedPacket::CutShort), "{length}");
        }
    }
    // The IPv4 header's own length, below its least and beyond the packet.
    assert_eq!(read(&with(v4.clone(), 0, &[0x44])), Err(SkippedPacket::HeaderLength));
    assert_eq!(read(&with(v4.clone(), 0, &[0x4f])), Err(SkippedPacket::HeaderLength));
    // The whole length: less than the header, less and more than what UDP says.
    assert_eq!(read(&with(v4.clone(), 2, &[0, 19])), Err(SkippedPacket::HeaderLength));
    assert_eq!(read(&with(v4.clone(), 2, &[0, 27])), Err(SkippedPacket::CutShort));
    assert_eq!(read(&with(v4.clone(), 2, &[0, 32])), Err(SkippedPacket::Length));
    assert_eq!(read(&with(v4.clone(), 2, &[0, 34])), Err(SkippedPacket::CutShort));
    assert_eq!(read(&with(v6.clone(), 4, &[0, 7])), Err(SkippedPacket::CutShort));
    assert_eq!(read(&with(v6.clone(), 4, &[0, 12])), Err(SkippedPacket::Length));
    assert_eq!(read(&with(v6.clone(), 4, &[0, 14])), Err(SkippedPacket::CutShort));
    // A jumbogram: the length is elsewhere.
    assert_eq!(read(&with(v6.clone(), 4, &[0, 0])), Err(SkippedPacket::CutShort));
    // UDP's own.
    for length in [0, 7, 8, 12, 14, 255] {
        assert_eq!(
            read(&with(v4.clone(), 24, &[0, length])),
            Err(SkippedPacket::Length),
            "{length}"
        );
        assert_eq!(
            read(&with(v6.clone(), 44, &[0, length])),
            Err(SkippedPacket::Length),
            "{length}"
        );
    }
}

#[test]
fn parts_of_packets_are_refused() {
    let v4 = right(0, b"knock");
    for fragment in [[0x20, 0], [0x20, 1], [0, 1], [0x1f, 0xff], [0x60, 0]] {
        assert_eq!(read(&with(v4.clone(), 6, &fragment)), Err(SkippedPacket::Fragment));
    }
    // "Do not fragment", and the bit that means nothing.
    for flags in [[0, 0], [0x40, 0], [0x80, 0]] {
        assert!(read(&with(v4.clone(), 6, &flags)).is_ok());
    }
    // In IPv6 a part has a header of its own.
    let mut v6 = right(1, b"knock");
    v6.splice(40..40, [17, 0, 0, 1, 0, 0, 0, 1]);
    assert_eq!(read(&with(v6, 4, &[0, 21, 44])), Err(SkippedPacket::NotUdp));
}

#[test]
fn what_is_not_udp_behind_ip_is_refused() {
    assert_eq!(read(&[]), Err(SkippedPacket::CutShort));
    for version in [0, 1, 5, 7, 15] {
        let bytes = with(right(0, b"knock"), 0, &[version << 4 | 5]);
        assert_eq!(read(&bytes), Err(SkippedPacket::NotIp));
    }
    for protocol in [0, 1, 6, 43, 44, 50, 51, 58, 60, 136] {
        assert_eq!(read(&with(right(0, b"knock"), 9, &[protocol])), Err(SkippedPacket::NotUdp));
        assert_eq!(read(&with(right(1, b"knock"), 6, &[protocol])), Err(SkippedPacket::NotUdp));
    }
    // A hop-by-hop header before UDP.
    let mut v6 = right(1, b"knock");
    v6.splice(40..40, [17, 0, 1, 4, 0, 0, 0, 0]);
    assert_eq!(read(&with(v6, 4, &[0, 21, 0])), Err(SkippedPacket::NotUdp));
}

#[test]
fn a_packet_without_a_checksum_is_for_ipv4_only() {
    assert!(read(&with(right(0, b"knock"), 26, &[0, 0])).is_ok());
    assert_eq!(read(&with(right(1, b"knock"), 46, &[0, 0])), Err(SkippedPacket::Checksum));
}

/// The sum of the pseudo header alone.
fn left_to_hardware(family: usize, bytes: &[u8]) -> [u8; 2] {
    let (addresses, length) = if family == 0 {
        (&bytes[12..20], &bytes[24..26])
    } else {
        (&bytes[8..40], &bytes[44..46])
    };
    ones_complement(&[addresses, &[0, 17], length].concat()).to_be_bytes()
}

/// As between two network namespaces of one machine.
#[test]
fn a_checksum_that_was_left_to_hardware_counts() {
    for (family, at) in [(0, 26), (1, 46)] {
        let bytes = right(family, &[0x5a; 1200]);
        let left = left_to_hardware(family, &bytes);
        assert_eq!(read(&with(bytes.clone(), at, &left)).unwrap().payload, [0x5a; 1200]);
        let other = [left[0], left[1] ^ 1];
        assert_eq!(read(&with(bytes, at, &other)), Err(SkippedPacket::Checksum));
    }
}

#[test]
fn sources_that_no_host_has_are_refused() {
    let from = |source: &str, destination| read(&packet(source, destination, b"x")).unwrap_err();
    for source in ["0.0.0.0:9", "224.0.0.1:9", "239.255.0.1:9", "255.255.255.255:9"] {
        assert_eq!(from(source, ENDS[0][1]), SkippedPacket::Source);
    }
    for source in ["[::]:9", "[ff02::1]:9"] {
        assert_eq!(from(source, ENDS[1][1]), SkippedPacket::Source);
    }
}

proptest! {
    #[test]
    fn any_damage_of_two_bytes_is_detected(
        family in 0..2_usize,
        payload in proptest::collection::vec(any::<u8>(), 1..1300),
        at in any::<prop::sample::Index>(),
        damage in 1..=u16::MAX,
    ) {
        let bytes = right(family, &payload);
        // From the UDP header on, but for its length and its checksum, which have meanings of their own.
        let udp = if family == 0 { 20 } else { 40 };
        let places: Vec<usize> =
            (udp..bytes.len() - 1).step_by(2).filter(|at| ![udp + 4, udp + 6].contains(at)).collect();
        let at = places[at.index(places.len())];
        let [high, low] = damage.to_be_bytes();
        let damaged = with(bytes.clone(), at, &[bytes[at] ^ high, bytes[at + 1] ^ low]);
        // Of 65536 packets one has a checksum that may as well have been left to hardware.
        prop_assume!(bytes[udp + 6..udp + 8] != left_to_hardware(family, &bytes));
        // 0000 and ffff are the same number.
        let was = u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        prop_assume!(damage != 0xffff || ![0, 0xffff].contains(&was));
        prop_assert_eq!(read(&damaged), Err(SkippedPacket::Checksum));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
        let _ = read(&bytes);
    }

    /// Nearly right ones, which get further.
    #[test]
    fn what_is_read_lies_within(
        family in 0..2_usize,
        payload in proptest::collection::vec(any::<u8>(), 0..40),
        changes in proptest::collection::vec((0..48_usize, any::<u8>()), 0..4),
        cut in 0..8_usize,
    ) {
        let mut bytes = right(family, &payload);
        for (at, byte) in changes {
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
        }
        bytes.truncate(bytes.len() - cut);
        if let Ok(packet) = read(&bytes) {
            let [all, part] = [&bytes[..], packet.payload].map(<[u8]>::as_ptr_range);
            let within = all.start <= part.start && part.end <= all.end;
            prop_assert!(within);
        }
    }
}

#[test]
fn an_ipv6_packet_from_or_to_a_mapped_address_is_skipped() {
    let [good, here] = ENDS[1];
    let mapped = "[::ffff:192.0.2.7]:40000";
    for [source, destination] in [[mapped, here], [good, "[::ffff:198.51.100.1]:62344"]] {
        let read = read(&packet(source, destination, b"knock")).map(|_| ());
        assert_eq!(read, Err(SkippedPacket::Mapped), "{source} {destination}");
    }
    // Neither the compatible ones of old nor those of a translator are IPv4 addresses.
    for source in ["[::192.0.2.7]:40000", "[64:ff9b::192.0.2.7]:40000"] {
        assert!(read(&packet(source, here, b"knock")).is_ok(), "{source}");
    }
}
