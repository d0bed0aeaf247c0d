//! The trusted CAs, from the server's PKCS#12 file and from `caFile`: each certificate is used, or is
//! reported with its line and the reason.

use std::collections::BTreeSet;

use sknock_protocol::{Bundle, Issuer, IssuerId, TrustError, TrustStore, UnfitAuthority};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::pem::{self, Unused};
use super::{KeyProblem, REMEMBERED_PATHS};

/// The authorities, and the unused certificates.
#[derive(Debug)]
pub struct Authorities {
    /// The CAs to trust.
    pub trust_store: TrustStore,
    /// All certificates given (DER).
    pub certificates: Vec<Vec<u8>>,
    /// The unused certificates, beginning with the configuration key and, for `caFile`, the line.
    pub unused: Vec<String>,
}

/// The origin of a certificate: the line of `caFile`, or else `serverPFXFile`.
type SourceLine = Option<usize>;

/// Reads all files.
pub fn authorities(bundle: &Bundle, added: Option<&[u8]>) -> Result<Authorities, KeyProblem> {
    let mut certificates = bundle.authorities().to_vec();
    let mut lines: Vec<SourceLine> = vec![None; certificates.len()];
    let mut unused = Vec::new();
    if let Some(pem) = added {
        let contained = pem::read(pem)?;
        let described = |Unused { line, why }: Unused| format!("caFile: line {line}: {why}");
        unused.extend(contained.others.into_iter().map(described));
        for pem::Located { line, der } in contained.certificates {
            lines.push(Some(line));
            certificates.push(der);
        }
    }
    match TrustStore::new(&certificates, REMEMBERED_PATHS) {
        Ok(trust_store) => {
            let verdicts = verdicts(&certificates, trust_store.issuers(), trust_store.unfit());
            unused.extend(described(&certificates, &lines, verdicts));
            Ok(Authorities { trust_store, certificates, unused })
        }
        Err(TrustError::NoAnchor { certificates: number, unfit }) => {
            unused.extend(described(&certificates, &lines, verdicts(&certificates, &[], &unfit)));
            let error = TrustError::NoAnchor { certificates: number, unfit };
            Err(KeyProblem::Trust { error, unused })
        }
        Err(error) => Err(unreadable(error, &lines)),
    }
}

fn unreadable(error: TrustError, lines: &[SourceLine]) -> KeyProblem {
    if let TrustError::Unreadable { number, why } = &error
        && let Some(Some(line)) = lines.get(number.saturating_sub(1))
    {
        return KeyProblem::Damaged { line: *line, why: why.clone() };
    }
    KeyProblem::Trust { error, unused: Vec::new() }
}

/// Reasons why a certificate is not used; a remedy follows after a semicolon.
#[derive(Clone)]
enum CaProblem {
    Used,
    /// Not reported for a PKCS#12 file: it may contain the server's own certificate twice.
    NoAuthority,
    Unfit(String),
}

/// The result for each certificate. Without any issuer, paths are not reported.
fn verdicts(
    certificates: &[Vec<u8>],
    issuers: &[Issuer],
    unfit: &[UnfitAuthority],
) -> Vec<CaProblem> {
    let leading = leading(issuers);
    // The used ones, in the order of their certificates, each once.
    let mut issuers = issuers.iter();
    let mut verdicts: Vec<CaProblem> = Vec::new();
    for (place, der) in certificates.iter().enumerate() {
        let former = certificates[..place].iter().position(|former| former == der);
        let unfit = unfit.iter().find(|unfit| unfit.number == place + 1);
        verdicts.push(match (former, unfit) {
            (Some(former), _) => verdicts[former].clone(),
            (None, Some(unfit)) => CaProblem::Unfit(unfit.why.to_string()),
            (None, None) if !is_authority(der) => CaProblem::NoAuthority,
            (None, None) => leads(issuers.next(), &leading),
        });
    }
    verdicts
}

fn is_authority(der: &[u8]) -> bool {
    X509Certificate::from_der(der).is_ok_and(|(_, parsed)| parsed.is_ca())
}

fn leads(issuer: Option<&Issuer>, leading: &BTreeSet<IssuerId>) -> CaProblem {
    match issuer {
        Some(issuer) if !leading.contains(issuer.id()) => CaProblem::Unfit(
            "no chain to a root (a self-signed CA certificate) in these files. Add the root"
                .to_owned(),
        ),
        _ => CaProblem::Used,
    }
}

/// The unused certificates, for messages.
fn described(
    certificates: &[Vec<u8>],
    lines: &[SourceLine],
    verdicts: Vec<CaProblem>,
) -> Vec<String> {
    let mut described = Vec::new();
    for ((der, line), verdict) in certificates.iter().zip(lines).zip(verdicts) {
        let why = match (verdict, line) {
            (CaProblem::Used, _) | (CaProblem::NoAuthority, None) => continue,
            (CaProblem::Unfit(why), _) => why,
            (CaProblem::NoAuthority, Some(_)) => {
                "not a CA certificate (basicConstraints lacks CA:TRUE). Use the certificate of \
                 the CA that signed it"
                    .to_owned()
            }
        };
        let Ok((_, parsed)) = X509Certificate::from_der(der) else { continue };
        let place =
            line.map_or_else(|| "serverPFXFile".to_owned(), |line| format!("caFile: line {line}"));
        let name = parsed.subject();
        described.push(format!("{place}: the certificate of {name} is not used: {why}"));
    }
    described
}

/// The anchors, and all authorities with a path to them.
fn leading(issuers: &[Issuer]) -> BTreeSet<IssuerId> {
    let roots = issuers.iter().filter(|issuer| issuer.is_anchor());
    let mut leading: BTreeSet<IssuerId> = roots.map(|root| *root.id()).collect();
    loop {
        let more = issuers.iter().filter(|issuer| !leading.contains(issuer.id()));
        let leads =
            |issuer: &&Issuer| issuer.certificates().any(|one| leading.contains(&one.issuer));
        let more: Vec<IssuerId> = more.filter(leads).map(|issuer| *issuer.id()).collect();
        if more.is_empty() {
            return leading;
        }
        leading.extend(more);
    }
}
