//! Packets that a scanner may send, each with one thing that is unusual, or two.

use sknock_protocol::v2::DATAGRAM_LENGTH;
use sknock_tests::packet::{Fault, Packet, Segment};

/// A packet, and in which families there is such a one.
pub(super) struct Probe {
    pub(super) name: String,
    pub(super) packet: Packet,
    only: Option<bool>,
}

impl Probe {
    /// The packet, if the family has such.
    pub(super) fn over(&self, v6: bool) -> Option<Packet> {
        self.only.is_none_or(|only| only == v6).then(|| self.packet.clone())
    }
}

/// Bits of TCP's flags: FIN, SYN, RST, PSH, ACK, URG, ECE, CWR.
const FLAGS: [(&str, u8); 22] = [
    ("S", 2),
    ("A", 16),
    ("PA", 24),
    ("F", 1),
    ("FA", 17),
    ("NULL", 0),
    ("FPU", 41),
    ("SA", 18),
    ("R", 4),
    ("RA", 20),
    ("SF", 3),
    ("SR", 6),
    ("SFUP", 43),
    ("UA", 48),
    ("U", 32),
    ("P", 8),
    ("SEC", 194),
    ("SE", 66),
    ("SFA", 19),
    ("SRA", 22),
    ("all", 255),
    ("EC", 192),
];

/// What the IP header may have: differentiated services, congestion, labels, hops, options.
fn ip(plain: &Packet, what: &str) -> Vec<Probe> {
    let mut probes = Vec::new();
    let mut add = |name: String, only, packet| {
        probes.push(Probe { name: format!("{what}, {name}"), packet, only });
    };
    for class in [0x02, 0x03, 0x10, 0xb8, 0xff] {
        add(format!("class {class:#x}"), None, Packet { class, ..plain.clone() });
    }
    for (label, class) in [(1, 0), (0xa_bcde, 0), (0xf_ffff, 0x28)] {
        let packet = Packet { label, class, ..plain.clone() };
        add(format!("label {label:#x} class {class:#x}"), Some(true), packet);
    }
    for ttl in [1, 255] {
        add(format!("ttl {ttl}"), None, Packet { ttl, ..plain.clone() });
    }
    add("may be fragmented".to_owned(), Some(false), Packet { whole: false, ..plain.clone() });
    let options: [(&str, &[u8]); 4] = [
        ("no operation", &[1, 1, 1, 1]),
        ("record route", &[7, 7, 4, 0, 0, 0, 0, 0]),
        // It has no room for the time, which would differ.
        ("timestamp", &[68, 8, 9, 0, 0, 0, 0, 0]),
        ("router alert", &[148, 4, 0, 0]),
    ];
    for (name, options) in options {
        let packet = Packet { options: options.to_vec(), ..plain.clone() };
        add(format!("option {name}"), Some(false), packet);
    }
    // PadN of four bytes, in each kind of header that may hold it.
    for (name, extension) in [("hop-by-hop", 0), ("destination", 60)] {
        let options = vec![0, 0, 1, 4, 0, 0, 0, 0];
        let packet = Packet { options, extension, ..plain.clone() };
        add(format!("{name} options"), Some(true), packet);
    }
    probes
}

/// Of TCP.
pub(super) fn tcp() -> Vec<Probe> {
    let mut probes = Vec::new();
    for (name, flags) in FLAGS {
        let name = format!("flags {name}");
        let plain = Packet::tcp(flags);
        let with_data = |payload| Packet {
            segment: Segment::Tcp { flags, options: Vec::new(), payload },
            ..plain.clone()
        };
        let add = |suffix: &str, packet| Probe { name: name.clone() + suffix, packet, only: None };
        probes.push(add("", plain.clone()));
        probes.push(add(" and 10 bytes", with_data(10)));
        probes.push(add(", class 0xb9", Packet { class: 0xb9, ..plain.clone() }));
    }
    for (name, flags) in [("S", 2), ("A", 16)] {
        probes.extend(ip(&Packet::tcp(flags), &format!("flags {name}")));
    }
    for (name, fault) in [
        ("wrong checksum", Fault::Checksum),
        ("a header of 0 bytes", Fault::HeaderWords(0)),
        ("a header of 16 bytes", Fault::HeaderWords(4)),
        ("a header that is longer than all", Fault::HeaderWords(15)),
    ] {
        let packet = Packet { fault, ..Packet::tcp(2) };
        probes.push(Probe { name: format!("flags S, {name}"), packet, only: None });
    }
    let options: [(&str, &[u8]); 3] = [
        ("MSS", &[2, 4, 5, 0xb4]),
        ("timestamps", &[1, 1, 8, 10, 0, 0, 1, 0, 0, 0, 0, 0]),
        ("all", &[2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 1, 0, 0, 0, 0, 0, 1, 3, 3, 7]),
    ];
    for (name, options) in options {
        let segment = Segment::Tcp { flags: 2, options: options.to_vec(), payload: 0 };
        let packet = Packet { segment, ..Packet::tcp(2) };
        probes.push(Probe { name: format!("flags S, TCP option {name}"), packet, only: None });
    }
    probes
}

/// Of UDP. One length is that of a knock, others are near it.
pub(super) fn udp() -> Vec<Probe> {
    let lengths = [0, 1, 100, DATAGRAM_LENGTH - 1, DATAGRAM_LENGTH, DATAGRAM_LENGTH + 1, 1400];
    let plain = |length| Packet::udp(vec![b'x'; length]);
    let mut probes: Vec<Probe> = lengths
        .iter()
        .map(|&length| Probe { name: format!("{length} bytes"), packet: plain(length), only: None })
        .collect();
    for length in [1, DATAGRAM_LENGTH] {
        probes.extend(ip(&plain(length), &format!("{length} bytes")));
        for (name, fault, only) in [
            ("wrong checksum", Fault::Checksum, None),
            ("no checksum", Fault::Unsummed, Some(false)),
        ] {
            let packet = Packet { fault, ..plain(length) };
            probes.push(Probe { name: format!("{length} bytes, {name}"), packet, only });
        }
    }
    probes
}

/// As long as a knock, and with a fault that a reject and the kernel treat differently.
pub(super) fn odd() -> Vec<Probe> {
    let plain = Packet::udp(vec![0; DATAGRAM_LENGTH]);
    let faults = [Fault::None, Fault::Unsummed, Fault::Checksum, Fault::Trailing, Fault::TooLong];
    let mut probes: Vec<Probe> = faults
        .into_iter()
        .map(|fault| {
            let (name, packet) = (format!("{fault:?}"), Packet { fault, ..plain.clone() });
            Probe { name, packet, only: None }
        })
        .collect();
    probes.extend(ip(&plain, "as long as a knock"));
    probes
}
