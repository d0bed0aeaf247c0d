//! How the authorities stand to each other: who has signed whose certificate, and who by that is an
//! anchor. Signatures decide, as several may have one name.

use std::collections::BTreeSet;

use sknock_types::hex;

use super::Issuer;
use super::signature::IssuerSignature;
use crate::IssuerId;

/// An authority's place among the files, its certificate (DER), and what was read from it.
pub(super) type ParsedIssuer<'a> = (usize, &'a [u8], Issuer);

/// Finds out who has signed whom, and tells those of one name apart for people.
pub(super) fn settle(all: &mut [ParsedIssuer<'_>]) {
    let found: Vec<_> =
        all.iter().map(|one| (signers(one, all), has_a_twin(&one.2, all))).collect();
    for ((_, _, issuer), (signed_by, has_a_twin)) in all.iter_mut().zip(found) {
        let by_others = signed_by.iter().any(|signer| signer != issuer.id());
        let by_itself = signed_by.contains(issuer.id());
        issuer.is_anchor = issuer.is_self_issued() && (by_itself || !by_others);
        if !issuer.is_anchor {
            issuer.signed_by = signed_by;
        }
        if has_a_twin {
            let (name, serial) = (&issuer.name, hex(&issuer.serial));
            issuer.name = format!("{name} (CA certificate {serial})");
        }
    }
}

/// Who has signed this certificate; as a rule one, if any.
fn signers((_, der, issuer): &ParsedIssuer<'_>, all: &[ParsedIssuer<'_>]) -> Vec<IssuerId> {
    let Ok(signature) = IssuerSignature::of(der) else { return Vec::new() };
    let mut signers = Vec::new();
    for (_, _, other) in all {
        let signs = || other.public_key().is_ok_and(|key| signature.verify(key).is_ok());
        if other.id.name == issuer.signed_by_name && !signers.contains(&other.id) && signs() {
            signers.push(other.id);
        }
    }
    signers
}

/// Whether a path can fork: an authority has several certificates, or a certificate has several signers.
pub(super) fn branch(issuers: &[Issuer]) -> bool {
    let mut known = BTreeSet::new();
    issuers.iter().any(|issuer| issuer.signed_by.len() > 1 || !known.insert(issuer.id()))
}

fn has_a_twin(issuer: &Issuer, all: &[ParsedIssuer<'_>]) -> bool {
    let is_twin = |id: &IssuerId| id.name == issuer.id.name && id.key != issuer.id.key;
    all.iter().any(|(_, _, other)| is_twin(&other.id))
}
