//! One encoding per message: each encoded message is read, and no other.

use core::net::{Ipv4Addr, Ipv6Addr};

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;

use super::super::seal::UnsignedMessage;
use super::*;

/// Where things are in `sample`: one unsigned address, two services, 4 bytes of certificate.
const N_ADDR: usize = 12;
const N_SERV: usize = 14;
const CERTIFICATE_LENGTH: usize = 25;
const SIGNATURE_LENGTH: usize = 31;

fn der(content: usize) -> Vec<u8> {
    let mut der = match u16::try_from(content).unwrap().to_be_bytes() {
        [0, low @ ..=0x7f] => vec![0x30, low],
        [0, low] => vec![0x30, 0x81, low],
        [high, low] => vec![0x30, 0x82, high, low],
    };
    der.resize(der.len() + content, 0xce);
    der
}

/// Encodes independently of `draft`, so that the two check each other.
fn written(request: &KnockRequest, certificate: &[u8], signature: &[u8]) -> Vec<u8> {
    let mut out = vec![2, u8::from(request.single_use) | u8::from(request.answer) << 1];
    out.extend(request.stamp.as_millis().to_be_bytes());
    out.extend(request.lifetime.map_or(0, NonZeroU16::get).to_be_bytes());
    let second = request.second.map(ClaimedAddress::Ip);
    out.push(1 + u8::from(second.is_some()));
    for address in [Some(request.address), second].into_iter().flatten() {
        match address {
            ClaimedAddress::Source => out.push(0),
            ClaimedAddress::Ip(IpAddr::V4(v4)) => out.extend([&[4], &v4.octets()[..]].concat()),
            ClaimedAddress::Ip(IpAddr::V6(v6)) => out.extend([&[6], &v6.octets()[..]].concat()),
        }
    }
    out.push(u8::try_from(request.services.len()).unwrap());
    for service in &request.services {
        out.push(if service.transport() == Transport::Tcp { 6 } else { 17 });
        out.extend(service.first().to_be_bytes());
        out.extend(service.last().to_be_bytes());
    }
    out.extend(u16::try_from(certificate.len()).unwrap().to_be_bytes());
    out.extend(certificate);
    out.push(u8::try_from(signature.len()).unwrap());
    out.extend(signature);
    assert!(out.len() <= MESSAGE_LENGTH);
    out.resize(MESSAGE_LENGTH, 0);
    out
}

fn sample_request() -> KnockRequest {
    KnockRequest {
        stamp: Timestamp::from_millis(0x0102_0304_0506_0708),
        lifetime: NonZeroU16::new(300),
        single_use: false,
        answer: true,
        address: ClaimedAddress::Source,
        second: None,
        services: ["tcp/22", "udp/60000-60010"].map(|text| text.parse().unwrap()).to_vec(),
    }
}

fn sample() -> Vec<u8> {
    written(&sample_request(), &der(2), &[7; 64])
}

fn is_refused(message: &[u8]) -> bool {
    matches!(V2Message::read(message), Err(Refusal::Malformed))
}

#[test]
fn what_is_written_is_read() {
    let bytes = sample();
    let message = V2Message::read(&bytes).unwrap();
    assert_eq!(message.request, sample_request());
    assert_eq!(message.certificate, der(2));
    assert_eq!(message.signature, [7; 64]);
    assert_eq!(message.unsigned, &bytes[..SIGNATURE_LENGTH]);
}

#[test]
fn each_field_out_of_its_range_is_refused() {
    let cases: [(&str, usize, &[u8]); 18] = [
        ("version below", 0, &[1]),
        ("version above", 0, &[3]),
        ("unknown flag", 1, &[4]),
        ("highest flag", 1, &[0x80]),
        ("no address", N_ADDR, &[0]),
        ("three addresses", N_ADDR, &[3]),
        ("unknown kind", N_ADDR + 1, &[5]),
        ("17 services", N_SERV, &[17]),
        ("transport", N_SERV + 1, &[1]),
        ("port 0", N_SERV + 2, &[0, 0]),
        ("first above last", N_SERV + 2, &[0, 23, 0, 22]),
        ("services descend", N_SERV + 1, &[17, 0xff, 0xff, 0xff, 0xff]),
        ("certificate is no sequence", CERTIFICATE_LENGTH + 2, &[0x31]),
        ("certificate has a shorter content", CERTIFICATE_LENGTH + 3, &[1]),
        ("certificate has a longer content", CERTIFICATE_LENGTH + 3, &[3]),
        ("certificate beyond the end", CERTIFICATE_LENGTH, &[0xff, 0xff]),
        ("signature beyond the end", MESSAGE_LENGTH - 1, &[1]),
        ("padding", SIGNATURE_LENGTH + 65, &[1]),
    ];
    for (name, at, bytes) in cases {
        let mut message = sample();
        message[at..at + bytes.len()].copy_from_slice(bytes);
        assert!(is_refused(&message), "{name}");
    }
    let mut longer = sample();
    longer.push(0);
    assert!(is_refused(&longer));
    assert!(is_refused(&longer[..MESSAGE_LENGTH - 1]));
    assert!(is_refused(&written(&sample_request(), &der(2), &[])), "no signature");
}

#[test]
fn services_ascend_and_do_not_overlap() {
    let refused = |services: &str| {
        let services = services.split(' ').map(|text| text.parse().unwrap()).collect();
        is_refused(&written(&KnockRequest { services, ..sample_request() }, &der(2), &[7; 64]))
    };
    assert!(!refused("tcp/22 tcp/23 tcp/24-30 udp/1"));
    for services in ["tcp/22 tcp/22", "tcp/23 tcp/22", "udp/1 tcp/22", "tcp/20-30 tcp/30-31"] {
        assert!(refused(services), "{services}");
    }
}

#[test]
fn the_second_address_is_a_real_one() {
    let second = Some(IpAddr::from([192, 0, 2, 7]));
    let message = written(&KnockRequest { second, ..sample_request() }, &der(2), &[7; 64]);
    assert!(!is_refused(&message));
    let mut source_twice = message.clone();
    source_twice[N_ADDR + 2] = 0; // and the rest moves up by four bytes
    source_twice.drain(N_ADDR + 3..N_ADDR + 7);
    source_twice.resize(MESSAGE_LENGTH, 0);
    assert!(is_refused(&source_twice));
}

#[test]
fn a_certificate_has_one_length_encoding() {
    let with = |certificate: &[u8]| written(&sample_request(), certificate, &[7; 64]);
    for content in [0, 1, 0x7f, 0x80, 0xff, 0x100, 900] {
        assert!(!is_refused(&with(&der(content))), "{content}");
    }
    let padded = |head: &[u8], content: usize| [head, &vec![0; content]].concat();
    for (head, content) in [
        (&[0x30, 0x80][..], 0),      // indefinite
        (&[0x30, 0x81, 0x7f], 0x7f), // would fit into one byte
        (&[0x30, 0x82, 0, 0x80], 0x80),
        (&[0x30, 0x83, 0, 1, 0], 0x100),
        (&[0x30, 0x84, 0, 0, 1, 0], 0x100),
        (&[0x30], 0),
        (&[], 0),
    ] {
        assert!(is_refused(&with(&padded(head, content))), "{head:x?}");
    }
}

fn service() -> impl Strategy<Value = Service> {
    let transport = prop_oneof![Just(Transport::Tcp), Just(Transport::Udp)];
    (transport, 1..=u16::MAX, 0..100_u16).prop_map(|(transport, first, more)| {
        Service::new(transport, first, first.saturating_add(more)).unwrap()
    })
}

/// Ascending and without overlap, though not joined.
fn services() -> impl Strategy<Value = Vec<Service>> {
    btree_set(service(), 0..=MAX_SERVICES).prop_map(|sorted| {
        let mut apart: Vec<Service> = Vec::new();
        for service in sorted {
            if apart.last().is_none_or(|before| !before.overlaps(&service)) {
                apart.push(service);
            }
        }
        apart
    })
}

fn ip() -> impl Strategy<Value = IpAddr> {
    prop_oneof![any::<Ipv4Addr>().prop_map(IpAddr::V4), any::<Ipv6Addr>().prop_map(IpAddr::V6),]
}

fn request() -> impl Strategy<Value = KnockRequest> {
    let address = prop_oneof![Just(ClaimedAddress::Source), ip().prop_map(ClaimedAddress::Ip)];
    let first = (any::<u64>(), any::<u16>(), any::<[bool; 2]>());
    let rest = (address, proptest::option::of(ip()), services());
    (first, rest).prop_map(
        |((stamp, lifetime, [single_use, answer]), (address, second, services))| {
            let (stamp, lifetime) = (Timestamp::from_millis(stamp), NonZeroU16::new(lifetime));
            KnockRequest { stamp, lifetime, single_use, answer, address, second, services }
        },
    )
}

proptest! {
    #[test]
    fn every_message_is_read_as_it_was_written(
        request in request(), content in 0..850_usize, signature in vec(any::<u8>(), 1..=104),
    ) {
        let certificate = der(content);
        let bytes = written(&request, &certificate, &signature);
        let message = V2Message::read(&bytes).unwrap();
        prop_assert_eq!(&message.request, &request);
        prop_assert_eq!(message.certificate, &certificate);
        prop_assert_eq!(message.signature, &signature);
        // the fixed point: the message is encoded again to the same bytes
        prop_assert_eq!(written(&message.request, message.certificate, message.signature), bytes);
    }

    #[test]
    fn the_client_writes_what_the_server_reads(request in request(), content in 0..850_usize) {
        let certificate = der(content);
        let draft = UnsignedMessage::new(&request, &certificate, 104).unwrap();
        let bytes = written(&request, &certificate, &[1]);
        let message = V2Message::read(&bytes).unwrap();
        prop_assert_eq!(draft.unsigned(), message.unsigned);
    }

    /// Each accepted message has one encoding: an altered message is refused or has another meaning, never
    /// the same.
    #[test]
    fn what_is_read_of_an_altered_message_is_written_as_the_same_bytes(
        request in request(), at in 0..MESSAGE_LENGTH, byte in any::<u8>(),
    ) {
        let mut bytes = written(&request, &der(300), &[7; 64]);
        bytes[at] = byte;
        if let Ok(message) = V2Message::read(&bytes) {
            prop_assert_eq!(written(&message.request, message.certificate, message.signature), bytes);
        }
    }

    /// A message with an error somewhere: truncated and continued with arbitrary bytes.
    #[test]
    fn junk_never_panics(
        request in request(), at in 0..MESSAGE_LENGTH, junk in vec(any::<u8>(), MESSAGE_LENGTH),
    ) {
        let mut bytes = written(&request, &der(300), &[7; 64]);
        bytes[at..].copy_from_slice(&junk[at..]);
        if let Ok(message) = V2Message::read(&bytes) {
            prop_assert!(message.unsigned.len() + 1 + message.signature.len() <= MESSAGE_LENGTH);
        }
    }
}
