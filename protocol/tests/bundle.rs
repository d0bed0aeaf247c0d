//! PKCS#12 files as other programs make them: `openssl`, and the original's authority.

use std::io::Write;
use std::process::{Command, Stdio};

use p12_keystore::{Certificate, KeyStore, KeyStoreEntry, PrivateKeyChain};
use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair, SignatureAlgorithm};
use sknock_protocol::{Bundle, BundleError, MAX_BUNDLE};

struct Made {
    key: KeyPair,
    certificate: rcgen::Certificate,
    authority: rcgen::Certificate,
}

fn made(algorithm: &'static SignatureAlgorithm) -> Made {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = key_for(algorithm);
    let params = CertificateParams::new(vec!["alice".into()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    Made { key, certificate, authority: authority.as_ref().clone() }
}

/// A new key. Ed25519 keys from openssl, as it cannot read the newer PKCS#8 that rcgen writes.
fn key_for(algorithm: &'static SignatureAlgorithm) -> KeyPair {
    if algorithm != &rcgen::PKCS_ED25519 {
        return KeyPair::generate_for(algorithm).unwrap();
    }
    let openssl = Command::new("openssl").args(["genpkey", "-algorithm", "ed25519"]).output();
    let pem = openssl.expect("this test needs the openssl command").stdout;
    KeyPair::from_pem(str::from_utf8(&pem).unwrap()).unwrap()
}

/// What `openssl pkcs12 -export OPTIONS` makes of `pem`.
fn export(pem: &str, password: &str, options: &[&str]) -> Vec<u8> {
    let mut openssl = Command::new("openssl")
        .args(["pkcs12", "-export", "-passout", "env:PFX_PASSWORD"])
        .args(options)
        .env("PFX_PASSWORD", password)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this test needs the openssl command");
    openssl.stdin.take().unwrap().write_all(pem.as_bytes()).unwrap();
    let output = openssl.wait_with_output().unwrap();
    assert!(output.status.success(), "openssl pkcs12 {options:?} failed");
    output.stdout
}

fn pem(made: &Made) -> String {
    made.key.serialize_pem() + &made.certificate.pem() + &made.authority.pem()
}

fn error(pfx: &[u8], password: &str) -> BundleError {
    Bundle::open(pfx, password).unwrap_err()
}

#[test]
fn every_kind_of_key_and_encryption_opens() {
    for algorithm in
        [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519]
    {
        let made = made(algorithm);
        for options in [&[][..], &["-legacy"], &["-descert", "-legacy"], &["-macalg", "sha512"]] {
            let bundle = Bundle::open(&export(&pem(&made), "secret", options), "secret").unwrap();
            assert_eq!(bundle.certificate(), made.certificate.der().as_ref(), "{options:?}");
            assert_eq!(bundle.authorities(), [made.authority.der().to_vec()]);
            let key = KeyPair::try_from(bundle.key().pkcs8()).unwrap();
            assert_eq!(key.public_key_raw(), made.key.public_key_raw());
        }
    }
}

#[test]
fn an_rsa_key_opens() {
    let rsa = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=rsa", "-keyout", "-"])
        .output()
        .expect("this test needs the openssl command");
    let pem = String::from_utf8(rsa.stdout).unwrap();
    let bundle = Bundle::open(&export(&pem, "secret", &[]), "secret").unwrap();
    assert_eq!(bundle.authorities(), &[] as &[Vec<u8>]);
}

#[test]
fn a_password_is_any_text() {
    let made = made(&rcgen::PKCS_ECDSA_P256_SHA256);
    for password in [r"back\slash", r#"q"uo'te"#, "semi;colon # and %percent", "Füße→Ω", " ", ""]
    {
        for options in [&[][..], &["-legacy"]] {
            let pfx = export(&pem(&made), password, options);
            let bundle = Bundle::open(&pfx, password);
            assert!(bundle.is_ok(), "{password:?} {options:?}: {bundle:?}");
            assert_eq!(error(&pfx, "another"), BundleError::WrongPassword);
        }
    }
    let pfx = export(&pem(&made), "🚪", &[]);
    assert!(matches!(error(&pfx, "🚪"), BundleError::Unsupported(why) if why.contains("emoji")));
}

#[test]
fn a_file_without_mac_is_refused() {
    let made = made(&rcgen::PKCS_ECDSA_P256_SHA256);
    let pfx = export(&pem(&made), "secret", &["-nomac"]);
    assert_eq!(error(&pfx, "secret"), BundleError::NoMac);
}

#[test]
fn the_certificate_is_the_one_of_the_key() {
    let (alice, mallory) =
        (made(&rcgen::PKCS_ECDSA_P256_SHA256), made(&rcgen::PKCS_ECDSA_P256_SHA256));
    let with_key_id = |certificates: &[&rcgen::Certificate]| {
        let key = p12_keystore::PrivateKey::from_der(alice.key.serialized_der()).unwrap();
        let certificates = certificates.iter().map(|c| Certificate::from_der(c.der()).unwrap());
        let chain = PrivateKeyChain::new("the same identifier", key, certificates);
        let mut store = KeyStore::new();
        store.add_entry("alice", KeyStoreEntry::PrivateKeyChain(chain));
        store.writer("secret").write().unwrap()
    };
    let pfx = with_key_id(&[&mallory.certificate, &alice.certificate]);
    let bundle = Bundle::open(&pfx, "secret").unwrap();
    assert_eq!(bundle.certificate(), alice.certificate.der().as_ref());
    assert_eq!(bundle.authorities(), [mallory.certificate.der().to_vec()]);
    assert_eq!(error(&with_key_id(&[&mallory.certificate]), "secret"), BundleError::NoCertificate);
}

#[test]
fn there_is_exactly_one_key() {
    let (one, two) = (made(&rcgen::PKCS_ECDSA_P256_SHA256), made(&rcgen::PKCS_ECDSA_P256_SHA256));
    let none = export(&one.authority.pem(), "secret", &["-nokeys"]);
    assert_eq!(error(&none, "secret"), BundleError::NoKey);
    let mut store = KeyStore::new();
    for (name, made) in [("one", &one), ("two", &two)] {
        let key = p12_keystore::PrivateKey::from_der(made.key.serialized_der()).unwrap();
        let certificate = Certificate::from_der(made.certificate.der()).unwrap();
        let chain = PrivateKeyChain::new(name, key, [certificate]);
        store.add_entry(name, KeyStoreEntry::PrivateKeyChain(chain));
    }
    let both = store.writer("secret").write().unwrap();
    assert_eq!(error(&both, "secret"), BundleError::SeveralKeys);
}

#[test]
fn authorities_may_be_none_or_several() {
    let made = made(&rcgen::PKCS_ECDSA_P256_SHA256);
    let alone = made.key.serialize_pem() + &made.certificate.pem();
    let bundle = Bundle::open(&export(&alone, "secret", &[]), "secret").unwrap();
    assert!(bundle.authorities().is_empty());
    let other = self::made(&rcgen::PKCS_ECDSA_P256_SHA256).authority;
    let two = pem(&made) + &other.pem();
    let bundle = Bundle::open(&export(&two, "secret", &[]), "secret").unwrap();
    assert_eq!(bundle.authorities(), [made.authority.der().to_vec(), other.der().to_vec()]);
}

#[test]
fn files_of_the_original_open() {
    for (name, pfx, authorities) in [
        ("rc2", &include_bytes!("../../tests/vectors/pkcs12/original-client.pfx")[..], 1),
        ("3des", include_bytes!("../../tests/vectors/pkcs12/original-client-3des.pfx"), 1),
        ("modern", include_bytes!("../../tests/vectors/pkcs12/original-client-modern.pfx"), 1),
        ("noca", include_bytes!("../../tests/vectors/pkcs12/original-client-noca.pfx"), 0),
        ("twoca", include_bytes!("../../tests/vectors/pkcs12/original-client-twoca.pfx"), 2),
    ] {
        let bundle = Bundle::open(pfx, "portknocking").unwrap();
        assert_eq!(bundle.authorities().len(), authorities, "{name}");
        let allowed = sknock_protocol::allowed_services(bundle.certificate()).unwrap();
        let allowed: Vec<_> = allowed.iter().map(ToString::to_string).collect();
        assert_eq!(allowed, ["tcp/2000", "tcp/3000", "udp/8000"], "{name}");
    }
}

#[test]
fn nothing_else_opens() {
    assert_eq!(error(b"", ""), BundleError::Empty);
    assert_eq!(error(b"nothing", ""), BundleError::NotPkcs12);
    assert_eq!(error(b"\n-----BEGIN CERTIFICATE-----", ""), BundleError::Pem);
    assert_eq!(error(&vec![0x30; MAX_BUNDLE + 1], ""), BundleError::TooLarge);
    let made = made(&rcgen::PKCS_ECDSA_P256_SHA256);
    let pfx = export(&pem(&made), "secret", &["-iter", "1"]);
    let certificate = made.certificate.der();
    assert_eq!(error(certificate, ""), BundleError::NoMoreThanACertificate);
    for length in 1..pfx.len() {
        assert_eq!(error(&pfx[..length], "secret"), BundleError::NotPkcs12, "{length}");
    }
    let mut unnoticed = 0;
    for place in 0..pfx.len() {
        let mut altered = pfx.clone();
        altered[place] ^= 0x01;
        // a changed algorithm of the MAC's digest may be another name for the same one; nothing
        // else may go unnoticed
        if let Ok(bundle) = Bundle::open(&altered, "secret") {
            assert_eq!(bundle.certificate(), made.certificate.der().as_ref(), "{place}");
            unnoticed += 1;
        }
    }
    assert!(unnoticed <= 1, "{unnoticed} of {} bytes mean nothing", pfx.len());
}

#[test]
fn the_key_is_never_printed() {
    let made = made(&rcgen::PKCS_ECDSA_P256_SHA256);
    let bundle = Bundle::open(&export(&pem(&made), "secret", &[]), "secret").unwrap();
    assert!(format!("{bundle:?}").contains("PrivateKey(..)"));
}
