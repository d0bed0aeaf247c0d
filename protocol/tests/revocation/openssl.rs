//! Lists as `openssl ca` makes them.

use std::path::Path;
use std::process::Command;

use sknock_protocol::{CrlError, RevocationList, TrustStore};

use crate::{error, serials};

/// A CA as `openssl ca` keeps one, with three certificates revoked.
struct Openssl(tempfile::TempDir);

impl Openssl {
    fn new(key: &[&str]) -> Self {
        Self::with(key, "")
    }

    /// `idp` stands in the section of issuingDistributionPoint.
    fn with(key: &[&str], idp: &str) -> Self {
        let made = Self(tempfile::tempdir().unwrap());
        let config = "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\ndefault_md=sha256\n\
                      default_crl_days=30\n[ext]\nauthorityKeyIdentifier=keyid\n\
                      [at]\nissuingDistributionPoint=critical,@at_idp\n\
                      [at_idp]\nfullname=URI:http://ca.example.org/1.0/crl\nIDP\n\
                      [req]\ndistinguished_name=dn\nx509_extensions=ca_ext\n[dn]\n\
                      [ca_ext]\nbasicConstraints=CA:TRUE\nsubjectKeyIdentifier=hash\n";
        let revoked = "R\t491231235959Z\t260101000000Z,keyCompromise\tF1A2B3C4D5E6F7A8\tunknown\t/CN=a\n\
                       R\t491231235959Z\t260101000000Z\t05\tunknown\t/CN=b\n\
                       R\t491231235959Z\t260101000000Z,CertificateHold\t2001\tunknown\t/CN=c\n\
                       V\t491231235959Z\t\t2002\tunknown\t/CN=d\n";
        std::fs::write(made.path().join("ca.cnf"), config.replace("IDP", idp)).unwrap();
        std::fs::write(made.path().join("index.txt"), revoked).unwrap();
        std::fs::write(made.path().join("number"), "0a\n").unwrap();
        made.run(
            "req",
            &[&["-x509", "-nodes", "-keyout", "ca.key", "-out", "ca.pem"], key].concat(),
        );
        made
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn run(&self, command: &str, arguments: &[&str]) -> Vec<u8> {
        let output = Command::new("openssl")
            .current_dir(self.path())
            .arg(command)
            .args(arguments)
            .args(if command == "req" {
                &["-subj", "/CN=openssl", "-config", "ca.cnf"][..]
            } else {
                &[]
            })
            .output()
            .expect("this test needs the openssl command");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    fn anchors(&self) -> TrustStore {
        let certificate = self.run("x509", &["-in", "ca.pem", "-outform", "der"]);
        TrustStore::new(&[certificate], 2).unwrap()
    }

    fn list(&self, options: &[&str]) -> Vec<u8> {
        let make = ["-config", "ca.cnf", "-gencrl", "-keyfile", "ca.key", "-cert", "ca.pem"];
        self.run("ca", &[&make[..], &["-out", "crl.pem"], options].concat());
        self.run("crl", &["-in", "crl.pem", "-outform", "der"])
    }
}

#[test]
fn lists_of_openssl_are_read() {
    for key in [
        &["-newkey", "rsa:2048"][..],
        &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
        &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp384r1"],
        &["-newkey", "ed25519"],
    ] {
        let openssl = Openssl::new(key);
        let der = openssl.list(&["-crlexts", "ext"]);
        let list = RevocationList::verify(&der, &openssl.anchors()).unwrap();
        let expected = [&[5][..], &[0x20, 1], &[0xf1, 0xa2, 0xb3, 0xc4, 0xd5, 0xe6, 0xf7, 0xa8]];
        assert_eq!(serials(&list), expected, "{key:?}");
        let days = list.next_update().since(list.this_update()).as_secs() / 86_400;
        assert_eq!(days, 30);
    }
}

#[test]
fn crls_of_one_distribution_point_are_read_and_partial_ones_are_not() {
    let verify = |idp| {
        let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
        let openssl = Openssl::with(&key, idp);
        RevocationList::verify(&openssl.list(&["-crlexts", "at"]), &openssl.anchors())
    };
    for (idp, more) in [("", ""), ("onlyuser=TRUE", ", but no CA certificates")] {
        let list = verify(idp).unwrap();
        let says = "certificates that name http://ca.example.org/1.0/crl in cRLDistributionPoints";
        assert_eq!(list.scope().to_string(), format!("{says}{more}"));
        assert_eq!(list.len(), 3);
    }
    let partial = |field| Err(CrlError::Partial { field });
    assert_eq!(verify("onlyCA=TRUE").map(drop), partial("onlyContainsCACerts"));
    assert_eq!(verify("onlyAA=TRUE").map(drop), partial("onlyContainsAttributeCerts"));
    assert_eq!(verify("onlysomereasons=keyCompromise").map(drop), partial("onlySomeReasons"));
    assert_eq!(verify("indirectCRL=TRUE").map(drop), Err(CrlError::Indirect));
}

#[test]
fn what_openssl_makes_by_default_may_be_refused_by_name() {
    let openssl = Openssl::new(&["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    // without a number, and no entry has a reason: openssl takes the old format
    let revoked = "R\t491231235959Z\t260101000000Z\t05\tunknown\t/CN=b\n";
    std::fs::write(openssl.path().join("index.txt"), revoked).unwrap();
    assert_eq!(error(&openssl.list(&[]), &openssl.anchors()), CrlError::Version1);
    let pem = std::fs::read(openssl.path().join("crl.pem")).unwrap();
    assert_eq!(error(&pem, &openssl.anchors()), CrlError::Pem);
    let old = Openssl::new(&["-newkey", "rsa:2048"]);
    let sha1 = old.list(&["-crlexts", "ext", "-md", "sha1"]);
    assert_eq!(error(&sha1, &old.anchors()), CrlError::UnsupportedSignature);
}
