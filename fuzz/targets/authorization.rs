//! What a certificate may open. The first byte says whether the rest is a certificate, its names, or
//! lines, each the text of a URI or of an otherName.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sknock_fuzz::der::{self, CONTEXT_0, CONTEXT_3, INTEGER, OCTET_STRING, UTC_TIME, UTF8_STRING};
use sknock_protocol::authorization::{self, OTHER_NAME_OID};
use sknock_protocol::{Service, allowed_services};

/// `[6]`, which is how a URI stands among the names.
const URI: u8 = 0x86;

fuzz_target!(|input: &[u8]| {
    let [kind, rest @ ..] = input else { return };
    let lines = || rest.split(|byte| *byte == b'\n');
    let certificate = match kind % 4 {
        0 => rest.to_vec(),
        1 => certificate(rest),
        2 => certificate(&lines().flat_map(|line| der::element(URI, line)).collect::<Vec<_>>()),
        _ => certificate(&lines().flat_map(other_name).collect::<Vec<_>>()),
    };
    let Ok(services) = allowed_services(&certificate) else { return };
    for pair in services.windows(2) {
        assert!(pair[0] < pair[1] && !pair[0].overlaps(&pair[1]), "no union: {services:?}");
    }

    let uris = services
        .iter()
        .flat_map(|service| der::element(URI, authorization::uri(service).as_bytes()));
    let again = allowed_services(&self::certificate(&uris.collect::<Vec<_>>()));
    assert_eq!(again.as_ref(), Ok(&services), "URIs say something else");

    let single: Vec<Service> = services.into_iter().filter(|one| one.width() == 1).collect();
    let names = other_name(authorization::other_name_text(&single).as_bytes());
    let again = allowed_services(&self::certificate(&names)).expect("a certificate");
    let ports = |services: &[Service]| -> Vec<_> {
        services
            .iter()
            .flat_map(|one| (one.first()..=one.last()).map(|p| (one.transport(), p)))
            .collect()
    };
    assert_eq!(ports(&again), ports(&single), "otherNames say something else");
});

/// `otherName`, of the kind that lists services.
fn other_name(text: &[u8]) -> Vec<u8> {
    let [first, second, more @ ..] = OTHER_NAME_OID;
    let mut oid = vec![u8::try_from(first * 40 + second).expect("1.3")];
    for number in more {
        let low = u8::try_from(number & 127).expect("7 bits");
        let middle = u8::try_from(number >> 7 & 127).expect("7 bits");
        let high = u8::try_from(number >> 14).expect("not that large");
        match number {
            0..128 => oid.push(low),
            128..16384 => oid.extend([middle | 128, low]),
            _ => oid.extend([high | 128, middle | 128, low]),
        }
    }
    let text = der::element(CONTEXT_0, &der::element(UTF8_STRING, text));
    der::element(CONTEXT_0, &[der::oid(&oid), text].concat())
}

/// A certificate with these names, signed by nobody.
fn certificate(names: &[u8]) -> Vec<u8> {
    let algorithm = der::sequence(&[&der::oid(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2])]);
    let time = der::element(UTC_TIME, b"250101000000Z");
    let key = der::sequence(&[
        &der::oid(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1]),
        &der::oid(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7]),
    ]);
    let names = der::element(OCTET_STRING, &der::element(der::SEQUENCE, names));
    let names = der::sequence(&[&der::oid(&[0x55, 0x1d, 17]), &names]);
    let tbs = der::sequence(&[
        &der::element(CONTEXT_0, &der::element(INTEGER, &[2])),
        &der::element(INTEGER, &[1]),
        &algorithm,
        &der::sequence(&[]),
        &der::sequence(&[&time, &time]),
        &der::sequence(&[]),
        &der::sequence(&[&key, &der::bit_string(&[4; 65])]),
        &der::element(CONTEXT_3, &der::sequence(&[&names])),
    ]);
    der::sequence(&[&tbs, &algorithm, &der::bit_string(&[0])])
}
