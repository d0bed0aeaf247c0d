//! The checksum of the Internet (RFC 1071).

use std::net::IpAddr;

/// The checksum of these bytes, whose own checksum field is 0.
pub(super) fn plain(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| {
        u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or_default()]))
    });
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    !u16::try_from(sum).expect("it was folded")
}

/// Of a segment, with the pseudo-header.
pub(super) fn of_transport(from: IpAddr, to: IpAddr, protocol: u8, segment: &[u8]) -> u16 {
    let mut bytes = Vec::new();
    for address in [from, to] {
        match address {
            IpAddr::V4(address) => bytes.extend(address.octets()),
            IpAddr::V6(address) => bytes.extend(address.octets()),
        }
    }
    bytes.extend([0, protocol]);
    bytes.extend(u16::try_from(segment.len()).expect("no segment is so long").to_be_bytes());
    bytes.extend(segment);
    plain(&bytes)
}

#[test]
fn the_example_of_the_rfc() {
    assert_eq!(plain(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
}
