//! What the certificates say, as openssl reads them, and that a server reads what was asked for.

use sknock_certs::{Authority, AuthorityError, MAX_CLIENT_CERTIFICATE};
use sknock_protocol::{Bundle, Service, allowed_services};

use crate::support::{House, NOW, PASSWORD, days, openssl, services};

#[track_caller]
fn assert_says(text: &str, expected: &[&str]) {
    for part in expected {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
}

#[test]
fn the_ca_certificate_may_sign_certificates_and_crls() {
    let house = House::named(Some("Zoë's authority"));
    let text = openssl(&[
        "x509",
        "-in",
        &house.file("ca.cer"),
        "-inform",
        "DER",
        "-noout",
        "-text",
        "-nameopt",
        "utf8",
    ]);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_says(
        &text,
        &[
            "Signature Algorithm: ecdsa-with-SHA256",
            "Issuer: CN=Zoë's authority",
            "Subject: CN=Zoë's authority",
            "Not Before: Jan 15 07:55:00 2027 GMT Not After : Jan 12 08:00:00 2037 GMT",
            "NIST CURVE: P-256",
            "X509v3 Key Usage: critical Certificate Sign, CRL Sign",
            "X509v3 Subject Key Identifier:",
            "X509v3 Basic Constraints: critical CA:TRUE, pathlen:0",
        ],
    );
    assert_eq!(house.authority.name(), "Zoë's authority");
    let pem = openssl(&["x509", "-in", &house.file("ca.pem"), "-noout", "-fingerprint"]);
    let der = openssl(&[
        "x509",
        "-in",
        &house.file("ca.cer"),
        "-inform",
        "DER",
        "-noout",
        "-fingerprint",
    ]);
    assert_eq!(pem, der);
}

#[test]
fn cas_without_a_name_get_different_names() {
    let (one, two) = (House::new(), House::new());
    assert!(one.authority.name().starts_with("sKnock CA "));
    assert_ne!(one.authority.name(), two.authority.name());
}

#[test]
fn a_client_certificate_says_what_may_be_opened_in_both_forms_the_original_s_first() {
    let house = House::new();
    let issued = house.client("alice", "tcp/22 udp/60000-60010 udp/53 tcp/22");
    let serial = issued.entry.serial.to_string();
    let serial = serial.as_bytes().chunks(2).map(|byte| std::str::from_utf8(byte).unwrap());
    assert_says(
        &house.print("alice"),
        &[
            &format!("Serial Number: {} ", serial.collect::<Vec<_>>().join(":")),
            "Signature Algorithm: ecdsa-with-SHA256",
            "Subject: CN = alice",
            "Not Before: Jan 15 07:55:00 2027 GMT Not After : Jan 15 08:00:00 2028 GMT",
            "NIST CURVE: P-256",
            "X509v3 Authority Key Identifier:",
            "X509v3 Subject Alternative Name: othername: 1.3.6.1.4.1.19518::1.22,0.53, \
             URI:sknock:tcp/22, URI:sknock:udp/53, URI:sknock:udp/60000-60010 X509v3",
            "X509v3 Key Usage: critical Digital Signature X509v3",
            "X509v3 Extended Key Usage: TLS Web Client Authentication X509v3",
            "X509v3 Subject Key Identifier:",
            "X509v3 Basic Constraints: critical CA:FALSE",
        ],
    );
}

#[test]
fn ranges_alone_need_no_original_form() {
    let house = House::new();
    house.client("alice", "tcp/8000-8010");
    let text = house.print("alice");
    assert_says(&text, &["Subject Alternative Name: URI:sknock:tcp/8000-8010 X509v3"]);
}

#[test]
fn a_server_certificate_names_its_host_if_its_name_is_one() {
    let house = House::new();
    for (name, alternative) in [
        ("gate.example.org", Some("DNS:gate.example.org")),
        ("192.0.2.1", Some("IP Address:192.0.2.1")),
        ("gate_1", None),
    ] {
        house.server(name);
        let text = house.print(name);
        assert_says(
            &text,
            &[
                "X509v3 Key Usage: critical Digital Signature, Key Agreement X509v3",
                "X509v3 Extended Key Usage: TLS Web Server Authentication X509v3",
                "X509v3 Authority Key Identifier:",
                "X509v3 Basic Constraints: critical CA:FALSE",
                "NIST CURVE: P-256",
            ],
        );
        match alternative {
            Some(host) => {
                assert_says(&text, &[&format!("Subject Alternative Name: {host} X509v3")]);
            }
            None => assert!(!text.contains("Subject Alternative Name"), "{text}"),
        }
    }
}

#[test]
fn openssl_verifies_what_was_issued_for_its_purpose_and_for_no_other() {
    let house = House::named(Some("Zoë's authority"));
    house.client("alice", "tcp/22");
    house.server("gate");
    let now = NOW.as_secs().to_string();
    let (ca, alice, gate) = (house.file("ca.pem"), house.extract("alice"), house.extract("gate"));
    let verify = |purpose, file| {
        let args =
            ["verify", "-x509_strict", "-CAfile", &ca, "-attime", &now, "-purpose", purpose, file];
        crate::support::try_openssl(&args).0
    };
    assert!(verify("sslclient", &alice) && verify("sslserver", &gate));
    assert!(!verify("sslserver", &alice) && !verify("sslclient", &gate));
}

#[test]
fn a_server_reads_exactly_what_was_asked_for() {
    let house = House::new();
    for (name, asked, read) in [
        ("a", "tcp/22", "tcp/22"),
        ("b", "udp/60000-60010 tcp/443", "tcp/443 udp/60000-60010"),
        ("c", "tcp/1-65535 udp/1", "tcp/1-65535 udp/1"),
        ("d", "tcp/23 tcp/22", "tcp/22-23"),
    ] {
        let issued = house.client(name, asked);
        let bundle = Bundle::open(&std::fs::read(&issued.pfx).unwrap(), PASSWORD).unwrap();
        assert_eq!(allowed_services(bundle.certificate()).unwrap(), services(read), "{asked}");
        assert_eq!(bundle.authorities(), [house.authority.certificate().to_vec()]);
    }
}

#[test]
fn a_server_s_cer_is_the_certificate_of_its_pfx() {
    let house = House::new();
    let issued = house.server("gate");
    let bundle = Bundle::open(&std::fs::read(&issued.pfx).unwrap(), PASSWORD).unwrap();
    assert_eq!(std::fs::read(issued.certificate.unwrap()).unwrap(), bundle.certificate());
    assert_eq!(bundle.authorities(), [house.authority.certificate().to_vec()]);
}

#[test]
fn a_client_certificate_always_fits_into_a_knock() {
    assert_eq!(MAX_CLIENT_CERTIFICATE, 888);
    let house = House::named(Some(&"n".repeat(64)));
    let name = |count: u16| format!("{}-{count}", "x".repeat(60));
    let ports =
        |count| (0..count).map(|port| Service::tcp(50_000 + 2 * port).unwrap()).collect::<Vec<_>>();
    let issue = |count| house.authority.client(&name(count), &ports(count), 1, PASSWORD, NOW);
    let mut most = 0;
    let refused = loop {
        match issue(most + 1) {
            Ok(issued) => {
                most += 1;
                let bundle = Bundle::open(&std::fs::read(&issued.pfx).unwrap(), PASSWORD).unwrap();
                assert!(bundle.certificate().len() <= MAX_CLIENT_CERTIFICATE);
            }
            Err(refused) => break refused,
        }
    };
    assert!(matches!(refused, AuthorityError::TooLarge { size: 857.., .. }), "{refused}");
    assert!(most >= 5, "room for {most} services only");
    assert!(!house.files().contains(&format!("{}.pfx", name(most + 1))));
    assert_eq!(house.authority.list().unwrap().len(), usize::from(most));
}

#[test]
fn no_certificate_outlives_its_ca() {
    let house = House::new();
    let end = house.authority.not_after();
    assert_eq!(end.as_secs(), NOW.as_secs() + days(3650));
    let issue = |name, days| house.authority.server(name, days, PASSWORD, NOW).unwrap();
    let exact = issue("exact", 3650);
    assert_eq!((exact.entry.not_after, exact.clipped), (end, false));
    let longer = issue("longer", 3651);
    assert_eq!((longer.entry.not_after, longer.clipped), (end, true));
    assert!(house.print("longer").contains("Not After : Jan 12 08:00:00 2037 GMT"));
}

#[test]
fn ends_after_2049_are_written_as_rfc_5280_wants_them() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::init(folder.path(), None, 36_500, NOW).unwrap();
    let ca = folder.path().join("ca.pem");
    let text = openssl(&["asn1parse", "-in", ca.to_str().unwrap()]);
    assert!(text.contains("UTCTIME           :270115075500Z"), "{text}");
    assert!(text.contains("GENERALIZEDTIME   :21261222080000Z"), "{text}");
    let reopened = Authority::open(folder.path()).unwrap();
    assert_eq!(reopened.not_after(), authority.not_after());
}
