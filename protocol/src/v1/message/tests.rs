//! Forms of a message; a wrong padding reveals nothing.

use super::*;

/// Fields, 200 bytes of "certificate" and a full signature: 297 bytes, so 7 of padding.
fn message() -> Vec<u8> {
    let mut message = vec![0, 1, 7, 0xd0, 192, 0, 2, 10];
    message.extend([0xee; 12]); // the original does not look at these for IPv4
    message.extend(1_750_000_000_u32.to_be_bytes());
    message.extend([0x30, 0x81, 197]);
    message.extend([0xce; 197]);
    message.push(72);
    message.extend([0x51; 72]);
    message
}

fn padded(mut message: Vec<u8>) -> Vec<u8> {
    let padding = BLOCK - message.len() % BLOCK;
    message.extend(vec![u8::try_from(padding).unwrap(); padding]);
    message
}

fn read(message: &[u8]) -> Result<V1Message<'_>, Refusal> {
    V1Message::read(message, true)
}

/// Whether an altered message is processed further and fails at its signature.
fn is_unsound(blocks: &[u8]) -> bool {
    !read(blocks).unwrap().sound
}

fn altered(at: usize, byte: u8) -> Vec<u8> {
    let mut blocks = padded(message());
    blocks[at] = byte;
    blocks
}

#[test]
fn a_message_is_taken_apart() {
    let blocks = padded(message());
    let read = read(&blocks).unwrap();
    assert!(read.sound);
    assert_eq!(read.service, "tcp/2000".parse().unwrap());
    assert_eq!(read.address, IpAddr::from([192, 0, 2, 10]));
    assert_eq!(read.stamp, Timestamp::from_secs(1_750_000_000));
    assert_eq!(read.certificate.len(), 200);
    assert_eq!(read.unsigned, &blocks[..224]);
    assert_eq!(read.signature, [0x51; 72]);
}

#[test]
fn the_family_of_the_packet_says_which_address_it_is() {
    let blocks = padded(message());
    let six = V1Message::read(&blocks, false).unwrap().address;
    assert_eq!(six, "c000:20a:eeee:eeee:eeee:eeee:eeee:eeee".parse::<IpAddr>().unwrap());
}

#[test]
fn every_protocol_but_udp_is_tcp() {
    for (byte, service) in [(0, "udp/2000"), (1, "tcp/2000"), (2, "tcp/2000"), (255, "tcp/2000")] {
        let blocks = altered(1, byte);
        assert_eq!(read(&blocks).unwrap().service, service.parse().unwrap(), "{byte}");
    }
}

#[test]
fn port_0_is_malformed() {
    let mut blocks = padded(message());
    blocks[2..4].fill(0);
    assert_eq!(read(&blocks).err(), Some(Refusal::Malformed));
}

#[test]
fn what_begins_like_no_message_ends_early() {
    for blocks in [altered(0, 1), altered(24, 0x31), altered(25, 0x85), altered(25, 0x80)] {
        assert_eq!(read(&blocks).err(), Some(Refusal::NotForThisServer));
    }
    for short in [0, 1, 16, 96, 112] {
        let refusal = read(&padded(message())[..short]).err();
        assert_eq!(refusal, Some(Refusal::NotForThisServer), "{short}");
    }
}

#[test]
fn a_signature_has_8_to_72_bytes_at_the_end() {
    for length in [8, 70, 71, 72] {
        let blocks = altered(224, length);
        let read = read(&blocks).unwrap();
        assert!(read.sound);
        assert_eq!(read.signature.len(), usize::from(length));
    }
    for length in [0, 1, 7, 73, 128, 255] {
        assert!(is_unsound(&altered(224, length)), "{length}");
    }
}

#[test]
fn every_length_of_padding_is_understood() {
    for more in 0..BLOCK {
        let mut longer = message();
        longer.splice(224..224, vec![0xab; more]);
        let blocks = padded(longer);
        let read = read(&blocks).unwrap();
        assert!(read.sound);
        assert_eq!((read.unsigned.len(), read.signature), (224 + more, &[0x51; 72][..]), "{more}");
    }
}

#[test]
fn a_wrong_padding_is_no_error_before_the_signature_check() {
    let blocks = padded(message());
    assert_eq!(blocks[297..], [7; 7]);
    for at in 297..304 {
        for byte in [0, 6, 8, 17, 0x80, 0xff] {
            assert!(is_unsound(&altered(at, byte)), "byte {at} = {byte}");
        }
    }
    // a shorter one that is right by itself: then the signature is elsewhere
    let shorter = altered(303, 1);
    let read = read(&shorter).unwrap();
    assert_ne!(read.signature, [0x51; 72]);
}

#[test]
fn a_certificate_does_not_reach_into_the_trailer() {
    let mut long = message();
    long[25..27].copy_from_slice(&[0x81, 198]); // one byte more than there is before the trailer
    assert!(is_unsound(&padded(long)));
    let mut far = message();
    far[25..27].copy_from_slice(&[0x81, 250]); // inside of the trailer for any padding
    assert_eq!(read(&padded(far)).err(), Some(Refusal::NotForThisServer));
}

#[test]
fn bytes_behind_the_certificate_are_signed_and_nothing_else() {
    let mut trailing = message();
    trailing.splice(224..224, [9; 40]);
    let blocks = padded(trailing);
    let read = read(&blocks).unwrap();
    assert!(read.sound);
    assert_eq!((read.certificate.len(), read.unsigned.len()), (200, 264));
}
