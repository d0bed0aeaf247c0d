//! PKCS#12 files that NSS, `GnuTLS`, Java and Bouncy Castle have written. How each was made says
//! `tests/vectors/pkcs12/README.md`.

use sknock_protocol::{Bundle, BundleError};

const PASSWORD: &str = "portknocking";

fn file(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/pkcs12/other");
    std::fs::read(format!("{folder}/{name}.p12")).unwrap()
}

fn assert_is_alice(bundle: &Bundle, name: &str) {
    let allowed = sknock_protocol::allowed_services(bundle.certificate()).unwrap();
    assert_eq!(allowed, ["tcp/22".parse().unwrap()], "{name}");
    assert_eq!(bundle.authorities().len(), 1, "{name}");
}

#[test]
fn ber_and_3des_and_hmac_sha1_open() {
    for name in ["nss", "nss-3des", "gnutls-3des", "java", "java-hmac-sha1", "bouncycastle"] {
        let bundle = Bundle::open(&file(name), PASSWORD);
        assert_is_alice(&bundle.unwrap_or_else(|error| panic!("{name}: {error}")), name);
        assert_eq!(Bundle::open(&file(name), "another").unwrap_err(), BundleError::WrongPassword);
    }
}

#[test]
fn an_empty_password_opens_files_with_an_empty_one_and_with_none() {
    for name in ["gnutls-empty", "gnutls-null"] {
        let bundle = Bundle::open(&file(name), "");
        assert_is_alice(&bundle.unwrap_or_else(|error| panic!("{name}: {error}")), name);
        for wrong in [" ", PASSWORD] {
            let error = Bundle::open(&file(name), wrong).unwrap_err();
            assert_eq!(error, BundleError::WrongPassword, "{name}");
        }
        let mut altered = file(name);
        altered[300] ^= 1;
        assert_eq!(Bundle::open(&altered, "").unwrap_err(), BundleError::WrongPassword);
    }
    for name in ["nss", "java"] {
        assert_eq!(Bundle::open(&file(name), "").unwrap_err(), BundleError::WrongPassword);
    }
}

#[test]
fn an_unsupported_cipher_is_named_and_the_printed_command_converts_it() {
    for (name, what) in [
        ("nss-camellia", "encryption with CAMELLIA-256-CBC"),
        ("nss-rc2", "encryption with PBE-SHA1-RC2-128"),
        ("gnutls-rc4", "encryption with PBE-SHA1-RC4-128"),
    ] {
        let error = Bundle::open(&file(name), PASSWORD).unwrap_err();
        assert_eq!(error, BundleError::NotRead { what: what.into() }, "{name}");
        assert_eq!(Bundle::open(&file(name), "another").unwrap_err(), BundleError::WrongPassword);

        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("old.p12"), file(name)).unwrap();
        let told = error.to_string();
        let (_, command) = told.split_once("Convert it: ").unwrap();
        let command = command
            .replace("OLD", &format!("old.p12 -passin pass:{PASSWORD}"))
            .replace("NEW", &format!("new.p12 -passout pass:{PASSWORD}"));
        let mut shell = std::process::Command::new("sh");
        let done = shell.args(["-ec", &command]).current_dir(folder.path()).output().unwrap();
        assert!(done.status.success(), "{command}: {}", String::from_utf8_lossy(&done.stderr));
        let new = std::fs::read(folder.path().join("new.p12")).unwrap();
        assert_is_alice(&Bundle::open(&new, PASSWORD).unwrap(), name);
    }
}

#[test]
fn an_unsupported_mac_is_named() {
    let mut pfx = file("java");
    let sha256 = [0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];
    let pbmac1 = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 5, 14];
    let place = pfx.windows(9).rposition(|bytes| bytes == sha256).unwrap();
    pfx[place..place + 9].copy_from_slice(&pbmac1);
    let what = "a MAC by PBMAC1".into();
    assert_eq!(Bundle::open(&pfx, PASSWORD).unwrap_err(), BundleError::NotRead { what });
}

/// The MAC of such a file is over BER, and is checked before that is read as DER.
#[test]
fn content_in_ber_is_parsed_only_after_its_mac_is_verified() {
    let good = file("bouncycastle");
    let altered = |place: usize| {
        let mut altered = good.clone();
        altered[place] ^= 8;
        Bundle::open(&altered, PASSWORD).unwrap_err()
    };
    let mac = good.windows(2).rposition(|bytes| bytes == [0x30, 62]).unwrap();
    // In both pieces of the content, in the digest, in the salt.
    for place in [26, 27, 28, 60, 500, 1000, 1030, mac - 10, mac + 20, mac + 40] {
        assert_eq!(altered(place), BundleError::WrongPassword, "{place}");
    }
    // What keeps the library from coming to the MAC is no way around it: the salt is no string here.
    assert_eq!(altered(mac + 37), BundleError::NotPkcs12);
    assert_eq!(Bundle::open(&good[..1000], PASSWORD).unwrap_err(), BundleError::NotPkcs12);
    let without = [&good[..mac], &[0, 0]].concat();
    assert_eq!(Bundle::open(&without, PASSWORD).unwrap_err(), BundleError::NoMac);
}
