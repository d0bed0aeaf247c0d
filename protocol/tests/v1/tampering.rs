//! Nothing but what the client sealed is believed, and what is wrong with it does not show.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sknock_protocol::{Refusal, v1};

use crate::house::{House, NOW, SOURCE, client_params, wish};

/// 'a', and the version behind it, which nothing covers.
const HEADER: usize = 4;
const POINT: usize = 65;

#[test]
fn any_altered_byte_behind_the_header_is_refused() {
    let house = House::new();
    let genuine = house.seal(&wish());
    assert!(house.judge(&genuine).is_ok());
    for at in (0..1).chain(HEADER..genuine.len()) {
        for mask in [1, 0x80] {
            let mut altered = genuine.clone();
            altered[at] ^= mask;
            let verdict = house.judge(&altered);
            assert!(verdict.is_err(), "byte {at} ^ {mask}");
        }
    }
}

#[test]
fn the_header_and_the_other_point_of_the_same_name_are_the_same_knock() {
    let house = House::new();
    let genuine = house.seal(&wish());
    let id = house.judge(&genuine).unwrap().id();
    let mut older = genuine.clone();
    older[1..4].copy_from_slice(&[0, 0, 1]);
    assert_eq!(house.judge(&older).unwrap().id(), id);

    // (X, -Y) has the same X and so the same secret. The replay memory knows X and the id.
    let mut negated = genuine.clone();
    let y = negated.len() - 32;
    negate(&mut negated[y..]);
    let twin = house.judge(&negated).unwrap();
    assert_eq!(twin.id(), id);
    assert_eq!(twin.encapsulation()[..33], genuine[genuine.len() - POINT..][..33]);
}

/// p - y.
fn negate(y: &mut [u8]) {
    const P: &str = "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff";
    let p = (0..32).map(|at| u8::from_str_radix(&P[2 * at..2 * at + 2], 16).unwrap());
    let mut borrow = 0;
    for (byte, p) in y.iter_mut().rev().zip(p.rev()) {
        let difference = i16::from(p) - i16::from(*byte) - borrow;
        borrow = i16::from(difference < 0);
        *byte = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
}

/// CBC lets anyone choose what the last block decrypts to, up to what it was before: all 256 last
/// bytes come up, one of which ends a right padding.
#[test]
fn a_right_padding_is_refused_like_a_wrong_one() {
    let house = House::new();
    let genuine = house.seal(&wish());
    let mut reasons = BTreeMap::new();
    for guess in 0..=255 {
        let mut altered = genuine.clone();
        let before_last = altered.len() - POINT - 17;
        altered[before_last] ^= guess;
        if guess != 0 {
            *reasons.entry(house.judge(&altered).unwrap_err()).or_insert(0) += 1;
        }
    }
    assert_eq!(reasons, BTreeMap::from([(Refusal::BadSignature, 255)]));
}

/// The same with a certificate that nobody vouches for: its own refusal comes first in every case.
#[test]
fn a_padding_does_not_show_behind_a_bad_certificate_either() {
    let (house, other) = (House::new(), House::new());
    let stranger = other.issue(&rcgen::PKCS_ECDSA_P256_SHA256, &client_params());
    let genuine = v1::seal(&stranger.identity(), &house.certificate(), &wish()).unwrap();
    for guess in 0..=255 {
        let mut altered = genuine.clone();
        let before_last = altered.len() - POINT - 17;
        altered[before_last] ^= guess;
        assert_eq!(house.judge(&altered).unwrap_err(), Refusal::UnknownAuthority);
    }
}

/// One thing done to a datagram.
#[derive(Clone, Debug)]
enum Alteration {
    Flip { at: usize, bit: u8 },
    Set { at: usize, byte: u8 },
    Swap { one: usize, other: usize },
    Repeat { block: usize },
    Drop { block: usize },
    Cut { length: usize },
    Grow { by: Vec<u8> },
}

fn alteration() -> impl Strategy<Value = Alteration> {
    let at = HEADER..773_usize;
    let block = 0..44_usize;
    prop_oneof![
        4 => (at.clone(), 0..8_u8).prop_map(|(at, bit)| Alteration::Flip { at, bit }),
        4 => (at, any::<u8>()).prop_map(|(at, byte)| Alteration::Set { at, byte }),
        1 => (block.clone(), block.clone())
            .prop_map(|(one, other)| Alteration::Swap { one, other }),
        1 => block.clone().prop_map(|block| Alteration::Repeat { block }),
        1 => block.prop_map(|block| Alteration::Drop { block }),
        1 => (0..773_usize).prop_map(|length| Alteration::Cut { length }),
        1 => prop::collection::vec(any::<u8>(), 1..40).prop_map(|by| Alteration::Grow { by }),
    ]
}

impl Alteration {
    fn apply(&self, datagram: &mut Vec<u8>) {
        let (length, block) = (datagram.len(), |number: usize| HEADER + 16 * number);
        match self {
            Self::Flip { at, bit } if *at < length => datagram[*at] ^= 1 << bit,
            Self::Set { at, byte } if *at < length => datagram[*at] = *byte,
            Self::Swap { one, other } if block(one.max(other) + 1) <= length => {
                for byte in 0..16 {
                    datagram.swap(block(*one) + byte, block(*other) + byte);
                }
            }
            Self::Repeat { block: number } if block(number + 1) <= length => {
                let copy = datagram[block(*number)..][..16].to_vec();
                datagram.splice(block(*number)..block(*number), copy);
            }
            Self::Drop { block: number } if block(number + 1) <= length => {
                datagram.drain(block(*number)..block(number + 1));
            }
            Self::Cut { length } => datagram.truncate(*length),
            Self::Grow { by } => datagram.extend(by),
            _ => {}
        }
    }
}

#[test]
fn three_thousand_random_alterations_are_refused() {
    let house = House::with(Some(v1::V1Rules { shortest_frame: 0, any_usage: true }));
    let genuine = house.seal(&wish());
    assert_eq!(genuine.len(), 773);
    let twin = {
        let mut twin = genuine.clone();
        negate(&mut twin[773 - 32..]);
        twin
    };
    let config = Config { failure_persistence: None, ..Config::with_cases(3000) };
    let alterations = prop::collection::vec(alteration(), 1..5);
    TestRunner::new(config)
        .run(&alterations, |alterations| {
            let mut altered = genuine.clone();
            for alteration in &alterations {
                alteration.apply(&mut altered);
            }
            prop_assume!(altered != genuine && altered != twin);
            prop_assert!(house.judge_from(SOURCE, &altered, NOW).is_err());
            Ok(())
        })
        .unwrap();
}

#[test]
fn random_bytes_behind_a_right_header_and_point_are_refused() {
    let house = House::new();
    let genuine = house.seal(&wish());
    let config = Config { failure_persistence: None, ..Config::with_cases(1000) };
    TestRunner::new(config)
        .run(&prop::collection::vec(any::<u8>(), 704..=704), |blocks| {
            let datagram = [&genuine[..4], &blocks, &genuine[773 - POINT..]].concat();
            prop_assert!(house.judge(&datagram).is_err());
            Ok(())
        })
        .unwrap();
}
