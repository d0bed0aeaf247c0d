//! What comes back: to which packet it belongs, and what of it may be compared.

use std::net::IpAddr;

use super::{TCP, UDP, V6};

/// ICMP, and the length of its header.
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
const ICMP_HEADER: usize = 8;

/// Where the parts of a packet are.
struct Layout {
    v6: bool,
    protocol: u8,
    /// Where the transport's header begins.
    transport: usize,
}

impl Layout {
    /// Parses a packet that is at least as long as its headers state. Extension headers are skipped.
    fn of(bytes: &[u8]) -> Option<Self> {
        match bytes.first()? >> 4 {
            4 => {
                let transport = usize::from(bytes[0] & 15) * 4;
                Some(Self { v6: false, protocol: *bytes.get(9)?, transport })
            }
            6 => {
                let (mut protocol, mut transport) = (*bytes.get(6)?, V6);
                while [0, 43, 60].contains(&protocol) {
                    protocol = *bytes.get(transport)?;
                    transport += 8 + 8 * usize::from(*bytes.get(transport + 1)?);
                }
                Some(Self { v6: true, protocol, transport })
            }
            _ => None,
        }
    }

    fn is_icmp(&self) -> bool {
        self.protocol == if self.v6 { ICMPV6 } else { ICMP }
    }
}

fn addresses(bytes: &[u8], v6: bool) -> Option<(IpAddr, IpAddr)> {
    let address = |at: usize| {
        let length = if v6 { 16 } else { 4 };
        let bytes = bytes.get(at..at + length)?;
        let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
        v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
    };
    let at = if v6 { 8 } else { 12 };
    Some((address(at)?, address(at + if v6 { 16 } else { 4 })?))
}

fn ports(bytes: &[u8], transport: usize) -> Option<(u16, u16)> {
    let port = |at: usize| {
        let bytes = bytes.get(at..at + 2)?;
        Some(u16::from_be_bytes(bytes.try_into().ok()?))
    };
    Some((port(transport)?, port(transport + 2)?))
}

/// Whether a packet was caused by one from `from` to `to`: the other way round, or it quotes that one.
/// Whichever address it comes from.
pub(super) fn is_to(bytes: &[u8], from: (IpAddr, u16), to: (IpAddr, u16)) -> bool {
    let caused = || {
        let layout = Layout::of(bytes)?;
        let (_, destination) = addresses(bytes, layout.v6)?;
        if layout.is_icmp() {
            let quote = bytes.get(layout.transport + ICMP_HEADER..)?;
            let quoted = Layout::of(quote)?;
            let ends = addresses(quote, quoted.v6)?;
            let ports = ports(quote, quoted.transport)?;
            return Some(
                destination == from.0 && ends == (from.0, to.0) && ports == (from.1, to.1),
            );
        }
        let ports = ports(bytes, layout.transport)?;
        let ours = [TCP, UDP].contains(&layout.protocol);
        Some(ours && destination == from.0 && ports == (to.1, from.1))
    };
    caused().unwrap_or(false)
}

/// The same bytes for what two ports answer alike: without the port, without checksums, which the port
/// changes, and of IPv4's identification only whether there is one.
pub fn comparable(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if let Some(layout) = Layout::of(&bytes) {
        let whole = bytes.len();
        blank(&mut bytes, &layout, Which::Source);
        let identified = !layout.v6 && bytes[4..6] != [0; 2];
        if identified {
            bytes[4..6].fill(0xff);
        }
        let quote = layout.transport + ICMP_HEADER;
        if layout.is_icmp() && quote < whole {
            bytes[layout.transport + 2..layout.transport + 4].fill(0);
            if let Some(quoted) = Layout::of(&bytes[quote..]) {
                blank(&mut bytes[quote..], &quoted, Which::Destination);
            }
        }
    }
    bytes
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Which {
    Source,
    Destination,
}

fn blank(bytes: &mut [u8], layout: &Layout, which: Which) {
    if !layout.v6 {
        bytes[10..12].fill(0);
    }
    let (port, sum) = match layout.protocol {
        TCP => (Some(0), 16),
        UDP => (Some(0), 6),
        _ => (None, 0),
    };
    let Some(port) = port.map(|port| port + if which == Which::Source { 0 } else { 2 }) else {
        return;
    };
    for at in [layout.transport + port, layout.transport + sum] {
        if let Some(field) = bytes.get_mut(at..at + 2) {
            field.fill(0);
        }
    }
}

#[test]
fn what_two_ports_answer_alike_compares_as_equal_and_nothing_else() {
    let (here, there) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
    let reset = super::Packet::tcp(4);
    let from = |port| reset.between((there, port), (here, 40000));
    assert!(is_to(&from(22), (here, 40000), (there, 22)));
    assert!(!is_to(&from(22), (here, 40000), (there, 23)));
    assert!(!is_to(&from(22), (here, 40001), (there, 22)));
    assert_eq!(comparable(&from(22)), comparable(&from(23)));
    for changed in [
        super::Packet { class: 1, ..reset.clone() },
        super::Packet { ttl: 63, ..reset.clone() },
        super::Packet { whole: false, ..reset.clone() },
        super::Packet::tcp(20),
    ] {
        let other = changed.between((there, 22), (here, 40000));
        assert_ne!(comparable(&from(22)), comparable(&other), "{changed:?}");
    }
}
