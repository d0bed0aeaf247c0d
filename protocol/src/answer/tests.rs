//! The form of an answer, and the reference vectors byte for byte.

use super::*;

const ID: KnockId = KnockId([7; 32]);

fn key() -> AnswerKey {
    AnswerKey { key: AeadKey::new(&[1; 16]).unwrap(), id: ID.prefix() }
}

fn answer(observed: &str) -> Answer {
    let observed = observed.parse().unwrap();
    let server_time = Timestamp::from_millis(1_700_000_000_123);
    Answer { clipped: true, seconds: 15, server_time, observed }
}

fn seal(answer: &Answer) -> [u8; ANSWER_LENGTH] {
    key().seal(answer).unwrap()
}

#[test]
fn both_sides_read_the_same_answer() {
    for observed in ["203.0.113.9:40000", "[2001:db8::1]:1"] {
        let answer = answer(observed);
        assert_eq!(key().open(&seal(&answer)), Some(answer));
    }
}

#[test]
fn two_answers_to_one_knock_have_different_nonces() {
    let (one, other) = (seal(&answer("192.0.2.1:1")), seal(&answer("192.0.2.2:1")));
    assert_ne!(one[..NONCE_LENGTH], other[..NONCE_LENGTH]);
    let same = one.iter().zip(&other).filter(|(a, b)| a == b).count();
    assert!(same < 12, "{same} of 96 bytes are the same"); // expected: 96 / 256
}

#[test]
fn a_mapped_source_is_answered_as_ipv4() {
    let sealed = seal(&answer("[::ffff:203.0.113.9]:40000"));
    assert_eq!(key().open(&sealed), Some(answer("203.0.113.9:40000")));
}

#[test]
fn an_answer_with_any_altered_byte_or_length_is_refused() {
    let sealed = seal(&answer("203.0.113.9:40000"));
    for at in 0..sealed.len() {
        let mut altered = sealed;
        altered[at] ^= 1;
        assert_eq!(key().open(&altered), None, "byte {at}");
    }
    assert_eq!(key().open(&sealed[..95]), None);
    assert_eq!(key().open(&[&sealed[..], &[0]].concat()), None);
    assert_eq!(key().open(&[]), None);
}

#[test]
fn an_answer_to_another_knock_is_refused() {
    let sealed = seal(&answer("203.0.113.9:40000"));
    let other_key = AnswerKey { key: AeadKey::new(&[2; 16]).unwrap(), ..key() };
    assert_eq!(other_key.open(&sealed), None);
    let other_id = AnswerKey { id: [8; 16], ..key() };
    assert_eq!(other_id.open(&sealed), None);
}

#[test]
fn an_answer_has_one_encoding() {
    let genuine = key().write(&answer("203.0.113.9:40000"));
    let altered = [
        ("reserved: pending", 0, &[2][..]),
        ("reserved: denied", 0, &[3]),
        ("reserved: closed", 0, &[4]),
        ("unknown status", 0, &[0xff]),
        ("family 5", 1, &[5]),
        ("family 0", 1, &[0]),
        ("no seconds", 2, &[0, 0]),
        ("bytes behind an IPv4 address", 16, &[1]),
        ("bytes behind an IPv4 address, the last", 27, &[1]),
        ("port 0", 28, &[0, 0]),
        ("another knock", 30, &[0]),
        ("padding", 62, &[1]),
        ("padding, the last", 67, &[1]),
    ];
    for (name, at, bytes) in altered {
        let mut plain = genuine;
        plain[at..at + bytes.len()].copy_from_slice(bytes);
        assert_eq!(key().read(&plain), None, "{name}");
    }
    let mut mapped = key().write(&answer("[2001:db8::1]:1"));
    mapped[12..28].copy_from_slice(&Ipv4Addr::LOCALHOST.to_ipv6_mapped().octets());
    assert_eq!(key().read(&mapped), None);
}

#[test]
fn the_successor_is_written_as_zeros_and_not_read() {
    let genuine = key().write(&answer("203.0.113.9:40000"));
    assert_eq!(genuine[46..62], [0; SUCCESSOR_LENGTH]);
    let mut later = genuine;
    later[46..62].fill(0xab);
    assert_eq!(key().read(&later), Some(answer("203.0.113.9:40000")));
}

#[test]
fn a_key_is_never_printed() {
    assert_eq!(format!("{:?}", key()), "AnswerKey(..)");
}

/// Answers of the reference vectors, whose nonce is known: sealed here to the same bytes. Their keys are
/// compared in `tests/tests/vectors.rs`.
#[test]
fn the_reference_answers_are_sealed_to_the_same_bytes() {
    let vectors = [
        include_str!("../../../tests/vectors/v2/good/answer-v4.json"),
        include_str!("../../../tests/vectors/v2/good/answer-v6.json"),
        include_str!("../../../tests/vectors/v2/good/answer-v4-mapped.json"),
        include_str!("../../../tests/vectors/v2/good/answer-clipped.json"),
    ];
    for vector in vectors {
        let vector: serde_json::Value = serde_json::from_str(vector).unwrap();
        let (values, expected) = (&vector["values"], &vector["answer"]);
        let id: [u8; 32] = array(&values["knock_id"]);
        let key = AeadKey::new(&array(&values["answer_key"])).unwrap();
        let key = AnswerKey { key, id: KnockId(id).prefix() };
        let answer = Answer {
            clipped: expected["clipped"].as_bool().unwrap(),
            seconds: expected["seconds"].as_u64().unwrap().try_into().unwrap(),
            server_time: Timestamp::from_millis(expected["server_ms"].as_u64().unwrap()),
            observed: expected["observed"].as_str().unwrap().parse().unwrap(),
        };
        let plain = key.write(&answer);
        assert_eq!(plain, array(&expected["plaintext"]));
        let sealed = key.seal_plain(array(&expected["nonce"]), plain).unwrap();
        assert_eq!(sealed, array(&expected["sealed"]));
    }
}

fn array<const N: usize>(hex: &serde_json::Value) -> [u8; N] {
    let hex = hex.as_str().unwrap();
    assert_eq!(hex.len(), 2 * N);
    core::array::from_fn(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
}
