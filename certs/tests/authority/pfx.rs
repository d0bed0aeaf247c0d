//! The PKCS#12 files, opened by openssl and by sKnock itself.

use std::fs;

use sknock_certs::AuthorityError;
use sknock_protocol::{Bundle, BundleError};

use crate::support::{House, NOW, PASSWORD, openssl, services, text, try_openssl};

#[test]
fn openssl_finds_one_key_its_certificate_and_one_authority_under_modern_ciphers() {
    let house = House::new();
    let password = house.password_file(PASSWORD);
    for issued in [house.client("alice", "tcp/22"), house.server("gate")] {
        let pfx = text(&issued.pfx);
        let count = |flags: &[&str], what: &str| {
            let args = [&["pkcs12", "-in", &pfx, "-passin", &password, "-noenc"], flags].concat();
            openssl(&args).matches(what).count()
        };
        assert_eq!(count(&[], "BEGIN PRIVATE KEY"), 1);
        assert_eq!(count(&[], "BEGIN CERTIFICATE"), 2);
        assert_eq!(count(&["-clcerts", "-nokeys"], "BEGIN CERTIFICATE"), 1);
        assert_eq!(count(&["-cacerts", "-nokeys"], "BEGIN CERTIFICATE"), 1);
        let info = openssl(&["pkcs12", "-in", &pfx, "-passin", &password, "-info", "-noout"]);
        assert!(info.contains("MAC: sha256, Iteration 100000"), "{info}");
        let cipher = "PBES2, PBKDF2, AES-256-CBC, Iteration 100000, PRF hmacWithSHA256";
        assert_eq!(info.matches(cipher).count(), 2, "{info}");
    }
}

#[test]
fn any_password_that_is_accepted_opens_the_file_here_and_with_openssl() {
    let house = House::new();
    let passwords = [
        r"back\slash\n",
        r#"qu"o"te'"#,
        "semi;colon #hash",
        "100% $HOME `x`",
        "pässwörd €",
        " spaces ",
        "x",
    ];
    for (number, password) in passwords.into_iter().enumerate() {
        let name = format!("client{number}");
        let issued = house.authority.client(&name, &services("tcp/22"), 1, password, NOW).unwrap();
        let source = house.password_file(password);
        openssl(&["pkcs12", "-in", &text(&issued.pfx), "-passin", &source, "-noout"]);
        let pfx = fs::read(&issued.pfx).unwrap();
        assert!(Bundle::open(&pfx, password).is_ok(), "{password}");
        let wrong = format!("{password}x");
        assert_eq!(Bundle::open(&pfx, &wrong).unwrap_err(), BundleError::WrongPassword);
        let source = house.password_file(&wrong);
        let (opened, _) =
            try_openssl(&["pkcs12", "-in", &text(&issued.pfx), "-passin", &source, "-noout"]);
        assert!(!opened, "{password}");
    }
}

#[test]
fn a_password_that_others_could_not_use_makes_nothing() {
    let house = House::new();
    let before = house.files();
    for password in ["", "two\nlines", "tab\t", "key \u{1f511}"] {
        let refused = house.authority.server("gate", 1, password, NOW).unwrap_err();
        assert!(matches!(refused, AuthorityError::Password { .. }), "{refused}");
    }
    assert_eq!(house.files(), before);
    assert!(house.authority.list().unwrap().is_empty());
}
