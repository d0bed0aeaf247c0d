//! How large a client's certificate may be: what the client says before sending, and what arrives.

use rcgen::{CustomExtension, PKCS_ECDSA_P256_SHA256, SignatureAlgorithm};
use sknock_protocol::v2::{ClaimedAddress, KnockRequest, MAX_SERVICES, SealError, seal};
use sknock_protocol::{Service, Transport};

use crate::house::{House, KINDS, Pair, client_params, wish};

/// A client certificate of exactly `size` bytes.
fn client_of(house: &House, kind: &'static SignatureAlgorithm, size: usize) -> Pair {
    let with_filler = |length: usize| {
        let mut params = client_params();
        let filler = CustomExtension::from_oid_content(&[2, 999, 1], vec![0; length]);
        params.custom_extensions = vec![filler];
        house.authority.issue(kind, &params)
    };
    // 300 bytes are enough for every length field to have reached its final width
    let client = with_filler(300 + size - with_filler(300).certificate.len());
    assert_eq!(client.certificate.len(), size);
    client
}

fn wish_without_services() -> KnockRequest {
    KnockRequest { services: Vec::new(), ..wish() }
}

/// Both addresses and all services that one knock can have.
fn largest_wish() -> KnockRequest {
    let ports = (1..).step_by(2).take(MAX_SERVICES);
    KnockRequest {
        address: ClaimedAddress::Ip("192.0.2.7".parse().unwrap()),
        second: Some("2001:db8::7".parse().unwrap()),
        services: ports.map(|port| Service::new(Transport::Udp, port, port).unwrap()).collect(),
        ..wish()
    }
}

#[test]
fn the_largest_certificate_arrives_and_one_byte_more_is_an_error() {
    let house = House::new();
    // of P-256, P-384 and Ed25519 keys
    for (wish, limits) in
        [(wish_without_services(), [1001, 969, 1009]), (largest_wish(), [900, 868, 908])]
    {
        for (kind, limit) in KINDS.into_iter().zip(limits) {
            let fits = client_of(&house, kind, limit);
            let sealed = seal(&fits.identity(), &house.server.as_server(), &wish).unwrap();
            assert!(house.judge(&sealed.datagram).is_ok());

            let size = limit + 1;
            let large = client_of(&house, kind, size);
            let error = seal(&large.identity(), &house.server.as_server(), &wish).unwrap_err();
            assert_eq!(error, SealError::CertificateTooLarge { size, limit });
        }
    }
}

/// 1076 less two addresses of 17 bytes, 16 services and the longest signature: an authority that
/// keeps to these sizes never meets the limit.
#[test]
fn certificates_of_the_promised_sizes_always_fit() {
    let house = House::new();
    for (kind, size) in KINDS.into_iter().zip([888, 856, 896]) {
        let client = client_of(&house, kind, size);
        let sealed = seal(&client.identity(), &house.server.as_server(), &largest_wish()).unwrap();
        assert!(house.judge(&sealed.datagram).is_ok());
    }
}

#[test]
fn an_invalid_request_is_an_error_before_sending() {
    let house = House::new();
    let told = |wish: KnockRequest| {
        let identity = house.authority.client(&PKCS_ECDSA_P256_SHA256).identity();
        seal(&identity, &house.server.as_server(), &wish).unwrap_err()
    };
    let mut services = largest_wish().services;
    services.push("tcp/1".parse().unwrap());
    assert_eq!(told(KnockRequest { services, ..wish() }), SealError::TooManyServices);

    for text in ["udp/22", "tcp/22-23"] {
        let service: Service = text.parse().unwrap();
        let wish = KnockRequest { single_use: true, services: vec![service], ..wish() };
        assert_eq!(told(wish), SealError::SingleUseUnfit(service));
    }

    let address = ClaimedAddress::Ip("192.0.2.7".parse().unwrap());
    for second in ["192.0.2.8", "::ffff:192.0.2.8"] {
        let second = Some(second.parse().unwrap());
        assert_eq!(told(KnockRequest { address, second, ..wish() }), SealError::SecondAddress);
    }
}
