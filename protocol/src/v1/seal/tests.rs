//! Against the packets that the original's own client made.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use serde_json::Value;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::*;

const VECTORS: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/v1/vectors.json"));

fn file(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/v1");
    std::fs::read(format!("{folder}/{name}")).unwrap()
}

fn server() -> ServerCertificate {
    ServerCertificate::from_der(&file("pki/server.cer")).unwrap()
}

fn hex(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(byte).collect()
}

/// The vectors that have a plaintext and the one-time key that encrypted it to this server.
fn encrypted() -> impl Iterator<Item = (String, Value)> {
    let Value::Object(mut all) = serde_json::from_str(VECTORS).unwrap() else { panic!() };
    let Value::Array(all) = all["vectors"].take() else { panic!() };
    let ours = |vector: &Value| {
        vector["ephemeral_private_hex"].is_string() && vector["id"] != "neg-v4-wrongserver"
    };
    all.into_iter()
        .filter(move |vector| ours(vector))
        .map(|vector| (vector["id"].as_str().unwrap().to_owned(), vector))
}

/// The vectors that the original's client made from a request.
fn requested() -> impl Iterator<Item = (String, Value, V1KnockRequest)> {
    encrypted().filter(|(_, vector)| vector["request"].is_object()).map(|(id, vector)| {
        let request = &vector["request"];
        let port = u16::try_from(request["port"].as_u64().unwrap()).unwrap();
        let service = if request["protocol"] == 1 { Service::tcp } else { Service::udp };
        let request = V1KnockRequest {
            stamp: Timestamp::from_secs(request["timestamp"].as_u64().unwrap()),
            service: service(port).unwrap(),
            address: request["client_ip"].as_str().unwrap().parse().unwrap(),
        };
        (id, vector, request)
    })
}

/// The part of a plaintext that is signed, and the certificate in it.
fn parts(message: &[u8]) -> (&[u8], &[u8]) {
    let signed = &message[..message.len() - TRAILER];
    (signed, &signed[FIELDS..])
}

#[test]
fn the_same_message_and_one_time_key_give_the_same_datagram() {
    let mut count = 0;
    for (id, vector) in encrypted() {
        let once = PrivateKey::from_private_key(&ECDH_P256, &hex(&vector["ephemeral_private_hex"]));
        let datagram = encrypt(&server(), hex(&vector["plaintext_hex"]), &once.unwrap()).unwrap();
        assert_eq!(datagram, file(vector["file"].as_str().unwrap()), "{id}");
        count += 1;
    }
    assert_eq!(count, 23);
}

#[test]
fn the_same_request_gives_the_same_message() {
    let mut count = 0;
    for (id, vector, request) in requested() {
        let message = hex(&vector["plaintext_hex"]);
        let (signed, certificate) = parts(&message);
        let draft = UnsignedV1Message::new(&request, certificate).unwrap();
        assert_eq!(draft.0, signed, "{id}");
        count += 1;
    }
    assert_eq!(count, 17);
}

#[test]
fn the_originals_signature_is_over_what_we_would_sign() {
    for (id, vector, request) in requested() {
        let message = hex(&vector["plaintext_hex"]);
        let (_, certificate) = parts(&message);
        let draft = UnsignedV1Message::new(&request, certificate).unwrap();
        let (_, parsed) = X509Certificate::from_der(certificate).unwrap();
        let key = &parsed.public_key().subject_public_key.data;
        let length = usize::from(message[message.len() - TRAILER]);
        let signature = &message[message.len() - length..];
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key);
        assert!(key.verify(&draft.0, signature).is_ok(), "{id}");
    }
}

#[test]
fn small_certificates_are_padded_to_the_originals_least_length_and_large_ones_refused() {
    // the figures of the original's server, by family
    for (address, least, most) in [("192.0.2.10", 591, 1294), ("2001:db8::10", 559, 1278)] {
        let request = V1KnockRequest {
            stamp: Timestamp::from_secs(1_750_000_000),
            service: Service::tcp(22).unwrap(),
            address: address.parse().unwrap(),
        };
        let room =
            |size: usize| UnsignedV1Message::new(&request, &vec![0x30; size]).map(|draft| draft.0);
        let behind = |size: usize| room(size).unwrap()[FIELDS..].to_vec();
        assert_eq!(behind(1), [&[0x30][..], &vec![0; least - 1]].concat());
        assert_eq!(behind(least).len(), least);
        assert_eq!(behind(least + 1).len(), least + 1);
        assert_eq!(behind(most).len(), most);
        let too_large = V1SealError::CertificateTooLarge { size: most + 1, limit: most };
        assert_eq!(room(most + 1), Err(too_large));

        let frame = |size| {
            let message = vec![0; FIELDS + size + TRAILER];
            let once = PrivateKey::generate(&ECDH_P256).unwrap();
            let datagram = encrypt(&server(), message, &once).unwrap();
            datagram.len() + headers(request.address.is_ipv4())
        };
        assert!(frame(least) >= 800 && frame(least - 1) < 800, "{least}");
        assert!(frame(most) <= 1514 && frame(most + 1) > 1514, "{most}");
    }
}

#[test]
fn a_signature_is_right_aligned_in_72_bytes() {
    let key = aws_lc_rs::signature::EcdsaKeyPair::generate(
        &aws_lc_rs::signature::ECDSA_P256_SHA256_ASN1_SIGNING,
    )
    .unwrap();
    let mut lengths = std::collections::BTreeSet::new();
    for _ in 0..200 {
        let signature = key.sign(&aws_lc_rs::rand::SystemRandom::new(), b"").unwrap();
        let message = UnsignedV1Message(vec![7; 24]).finish(&signature).unwrap();
        let length = signature.as_ref().len();
        let zeros = vec![0; 72 - length];
        let length_byte = [u8::try_from(length).unwrap()];
        assert_eq!(message, [&[7; 24][..], &length_byte, &zeros, signature.as_ref()].concat());
        lengths.insert(length);
    }
    assert!(lengths.len() > 1, "{lengths:?}"); // 1 - 2^-200 or so
}

#[test]
fn a_request_that_v1_cannot_encode_is_refused() {
    let request = V1KnockRequest {
        stamp: Timestamp::from_secs(u32::MAX.into()),
        service: Service::tcp(22).unwrap(),
        address: [192, 0, 2, 10].into(),
    };
    let error = |request: &V1KnockRequest| UnsignedV1Message::new(request, &[0x30; 700]).err();
    assert_eq!(error(&request), None);
    let later = Timestamp::from_secs(u64::from(u32::MAX) + 1);
    assert_eq!(error(&V1KnockRequest { stamp: later, ..request }), Some(V1SealError::Stamp));
    let range: Service = "tcp/22-23".parse().unwrap();
    assert_eq!(
        error(&V1KnockRequest { service: range, ..request }),
        Some(V1SealError::SeveralPorts(range))
    );
}

#[test]
fn knock_ports_are_drawn_from_the_originals_range() {
    let drawn: Vec<u16> = (0..2000).map(|_| draw_knock_port().unwrap()).collect();
    assert!(drawn.iter().all(|port| KNOCK_PORTS.contains(port)));
    assert!(drawn.iter().any(|port| *port < 20_000) && drawn.iter().any(|port| *port > 50_000));
}
