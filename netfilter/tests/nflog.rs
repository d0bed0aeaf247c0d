//! Messages of an NFLOG group, and what others may put in their place.

use proptest::prelude::*;
use sknock_netfilter::nflog::packet_payload;

const PACKET: u16 = 4 << 8;
const PREFIX: u16 = 10;
const PAYLOAD: u16 = 9;

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).unwrap();
    let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn message(kind: u16, attributes: &[Vec<u8>]) -> Vec<u8> {
    let body = attributes.concat();
    let length = u32::try_from(20 + body.len()).unwrap();
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend([0; 14]);
    bytes.extend(body);
    bytes
}

#[test]
fn the_packet_is_found_among_other_attributes() {
    for packet in [&b""[..], b"p", b"pac", b"pack", b"packet"] {
        let around = [attribute(PREFIX, b"\0"), attribute(PAYLOAD, packet), attribute(3, b"12345")];
        assert_eq!(packet_payload(&message(PACKET, &around)), Some(packet));
        // The type's upper bits are flags.
        let flagged = attribute(PAYLOAD | 0x8000, packet);
        assert_eq!(packet_payload(&message(PACKET, &[flagged])), Some(packet));
    }
}

#[test]
fn messages_of_other_kinds_have_no_packet() {
    let payload = [attribute(PAYLOAD, b"packet")];
    for kind in [0, 2, 3, PACKET | 1, 10 << 8, 4] {
        assert_eq!(packet_payload(&message(kind, &payload)), None);
    }
    assert_eq!(packet_payload(&message(PACKET, &[attribute(PREFIX, b"\0")])), None);
    assert_eq!(packet_payload(&message(PACKET, &[])), None);
}

#[test]
fn a_truncated_message_has_no_packet() {
    let whole = message(PACKET, &[attribute(PREFIX, b"\0"), attribute(PAYLOAD, b"packet!!")]);
    assert_eq!(packet_payload(&whole), Some(&b"packet!!"[..]));
    for length in 0..whole.len() {
        assert_eq!(packet_payload(&whole[..length]), None, "{length}");
    }
}

#[test]
fn an_attribute_shorter_than_its_header_ends_the_search() {
    for length in 0..4_u16 {
        let nonsense = [length.to_ne_bytes(), [7, 0]].concat();
        let attributes = [nonsense, attribute(PAYLOAD, b"packet")];
        assert_eq!(packet_payload(&message(PACKET, &attributes)), None);
    }
}

proptest! {
    #[test]
    fn any_bytes_have_a_packet_or_none(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..200),
        right in any::<bool>(),
    ) {
        if right && bytes.len() >= 20 {
            let length = u32::try_from(bytes.len()).unwrap();
            bytes[..4].copy_from_slice(&length.to_ne_bytes());
            bytes[4..6].copy_from_slice(&PACKET.to_ne_bytes());
        }
        if let Some(packet) = packet_payload(&bytes) {
            prop_assert!(packet.len() <= bytes.len() - 24);
        }
    }
}
