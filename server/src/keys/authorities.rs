//! Whom to believe, of the server's PKCS#12 file and of `caFile`: each certificate is one of them, or is
//! named with its line and why it is not.

use std::collections::BTreeSet;

use sknock_protocol::{Anchors, Bundle, Issuer, IssuerId, TrustError};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;

use super::pem::{self, Unused};
use super::{KeyProblem, REMEMBERED_PATHS};

/// The authorities, and what of the files is none of them.
#[derive(Debug)]
pub struct Authorities {
    /// Whom to believe.
    pub anchors: Anchors,
    /// All their certificates (DER).
    pub certificates: Vec<Vec<u8>>,
    /// What is not used, beginning with the key of the configuration and, of `caFile`, the line.
    pub unused: Vec<String>,
}

/// Where a certificate comes from.
struct Origin {
    place: String,
    /// In a PKCS#12 file nobody wonders about one that is no CA's: the server's own may be there twice.
    may_be_none: bool,
}

/// Reads all of them.
pub fn authorities(bundle: &Bundle, added: Option<&[u8]>) -> Result<Authorities, KeyProblem> {
    let mut certificates = bundle.authorities().to_vec();
    let in_bundle = || Origin { place: "serverPFXFile".to_owned(), may_be_none: true };
    let mut origins: Vec<Origin> = certificates.iter().map(|_| in_bundle()).collect();
    let mut unused = Vec::new();
    if let Some(pem) = added {
        let contained = pem::read(pem)?;
        let told = |Unused { line, why }: Unused| format!("caFile: line {line}: {why}");
        unused.extend(contained.others.into_iter().map(told));
        for pem::Located { line, der } in contained.certificates {
            if let Err(TrustError::Unreadable { why, .. }) =
                Anchors::new(std::slice::from_ref(&der), 1)
            {
                return Err(KeyProblem::Damaged { line, why });
            }
            origins.push(Origin { place: format!("caFile: line {line}"), may_be_none: false });
            certificates.push(der);
        }
    }
    let anchors = Anchors::new(&certificates, REMEMBERED_PATHS)?;
    unused.extend(useless(&anchors, &certificates, &origins));
    Ok(Authorities { anchors, certificates, unused })
}

/// Certificates that no client's certificate can lead to.
fn useless(anchors: &Anchors, certificates: &[Vec<u8>], origins: &[Origin]) -> Vec<String> {
    let known = leading(anchors);
    // Those of authorities, in this order, each once.
    let mut issuers = anchors.issuers().iter();
    let mut told = Vec::new();
    for (place, (der, origin)) in certificates.iter().zip(origins).enumerate() {
        let Ok((_, parsed)) = X509Certificate::from_der(der) else { continue };
        if certificates[..place].contains(der) {
            continue;
        }
        let why = if parsed.is_ca() {
            issuers.next().and_then(|issuer| unfit(&parsed, issuer, &known))
        } else if origin.may_be_none {
            None
        } else {
            Some("it is no CA's (basicConstraints CA:TRUE); name the CA that has signed it")
        };
        if let Some(why) = why {
            let name = parsed.subject();
            told.push(format!("{}: the certificate of {name} is not used: {why}", origin.place));
        }
    }
    told
}

/// Why a CA certificate is of no effect; after a semicolon, what to do.
fn unfit(
    parsed: &X509Certificate<'_>,
    issuer: &Issuer,
    leading: &BTreeSet<IssuerId>,
) -> Option<&'static str> {
    if !is_supported(parsed) {
        return Some(
            "nothing can be verified with its key; supported are ECDSA with P-256 or P-384, Ed25519, \
             and RSA with 2048 to 8192 bits",
        );
    }
    (!issuer.is_anchor() && !leading.contains(issuer.id())).then_some(
        "it does not lead to a root (a self-signed CA certificate) in these files; add the root",
    )
}

/// The anchors, and all that lead to them.
fn leading(anchors: &Anchors) -> BTreeSet<IssuerId> {
    let roots = anchors.issuers().iter().filter(|issuer| issuer.is_anchor());
    let mut leading: BTreeSet<IssuerId> = roots.map(|root| *root.id()).collect();
    loop {
        let more = anchors.issuers().iter().filter(|issuer| !leading.contains(issuer.id()));
        let leads =
            |issuer: &&Issuer| issuer.certificates().any(|one| leading.contains(&one.issuer));
        let more: Vec<IssuerId> = more.filter(leads).map(|issuer| *issuer.id()).collect();
        if more.is_empty() {
            return leading;
        }
        leading.extend(more);
    }
}

/// Whether signatures with this key are accepted at all: `protocol/src/trust/signature.rs`.
fn is_supported(parsed: &X509Certificate<'_>) -> bool {
    let key = parsed.public_key();
    match key.parsed() {
        Ok(PublicKey::RSA(rsa)) => (2048..=8192).contains(&rsa.key_size()),
        Ok(PublicKey::EC(point)) => [256, 384].contains(&point.key_size()),
        _ => key.algorithm.algorithm.to_id_string() == ED25519,
    }
}

/// RFC 8410
const ED25519: &str = "1.3.101.112";
