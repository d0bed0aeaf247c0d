//! Which revocation lists are accepted: openssl's and hand-made ones, good and bad.

mod made_list;
mod openssl;
mod scope;

use std::time::Duration;

use made_list::{MadeList, anchors, authority, authority_with, extension};
use rcgen::{KeyPair, KeyUsagePurpose};
use sknock_protocol::{CrlError, CrlHeader, FUTURE_SLACK, RevocationList, Timestamp, TrustStore};

fn error(der: &[u8], anchors: &TrustStore) -> CrlError {
    RevocationList::verify(der, anchors).unwrap_err()
}

fn serials(list: &RevocationList) -> Vec<&[u8]> {
    list.serials().collect()
}

#[test]
fn all_fields_of_a_crl_are_read() {
    let root = authority("root");
    let mut made = MadeList::new();
    made.number = Some(vec![0, 0x81, 2]);
    made.revoke(&[0, 0xf1, 0xa2]).revoke(&[5]).revoke(&[0x24; 20]).revoke(&[5]);
    let list = RevocationList::verify(&made.signed(&root), &anchors(&[&root])).unwrap();
    assert_eq!(serials(&list), [&[5][..], &[0xf1, 0xa2], &[0x24; 20]]);
    assert_eq!((list.len(), list.is_empty()), (3, false));
    assert!(list.contains(&[0, 5]) && !list.contains(&[6]));
    assert_eq!(list.number(), Some(&[0x81, 2][..]));
    assert_eq!(list.this_update(), Timestamp::from_secs(1_782_864_000)); // 2026-07-01
    assert_eq!(list.next_update(), Timestamp::from_secs(1_785_542_400)); // 2026-08-01
    assert_eq!(list.issuer_name(), "CN=root");

    let mut empty = MadeList::new();
    empty.number = None;
    let list = RevocationList::verify(&empty.signed(&root), &anchors(&[&root])).unwrap();
    assert!(list.is_empty() && list.number().is_none());
}

#[test]
fn times_are_read_on_both_sides_of_2050() {
    let root = authority("root");
    let mut made = MadeList::new();
    made.next_update = Some("20510101000000Z".into());
    let list = RevocationList::verify(&made.signed(&root), &anchors(&[&root])).unwrap();
    assert_eq!(list.next_update(), Timestamp::from_secs(2_556_144_000));
    for bad in ["", "2607", "261301000000Z", "nonsense here", "19500101000000Z"] {
        made.next_update = Some(bad.into());
        assert_eq!(error(&made.signed(&root), &anchors(&[&root])), CrlError::NotACrl, "{bad}");
    }
}

#[test]
fn incomplete_crls_are_refused_with_the_reason() {
    let root = authority("root");
    let refusal = |change: &dyn Fn(&mut MadeList)| {
        let mut made = MadeList::new();
        change(&mut made);
        error(&made.signed(&root), &anchors(&[&root]))
    };
    let with = |oid: &[u8], critical, value: &[u8]| {
        refusal(&|made| made.extensions.push(extension(oid, critical, value)))
    };
    let unknown = CrlError::UnknownCritical { oid: "1.2.3".into() };
    assert_eq!(with(&[0x55, 0x1d, 27], true, &[2, 1, 1]), CrlError::Delta);
    assert_eq!(with(&[0x2a, 3], true, &[5, 0]), unknown);
    assert!(matches!(with(&[0x55, 0x1d, 20], false, &[2, 1, 9]), CrlError::Malformed(_)));
    for number in [vec![], vec![0x80], vec![1; 21]] {
        let number = refusal(&|made| made.number = Some(number.clone()));
        assert!(matches!(number, CrlError::Malformed(_)));
    }
    let entry = |oid: &[u8], critical, value: &[u8]| {
        refusal(&|made| made.revoke_with(&[7], &extension(oid, critical, value)))
    };
    assert_eq!(entry(&[0x55, 0x1d, 21], false, &[10, 1, 8]), CrlError::RemoveFromCrl);
    assert_eq!(entry(&[0x55, 0x1d, 29], true, &[0x30, 0]), CrlError::Indirect);
    assert_eq!(entry(&[0x2a, 3], true, &[5, 0]), unknown);
    assert!(matches!(entry(&[0x55, 0x1d, 21], false, &[5, 0]), CrlError::Malformed(_)));

    assert_eq!(refusal(&|made| made.next_update = None), CrlError::NoNextUpdate);
    assert_eq!(refusal(&|made| made.version = None), CrlError::Version1);
    assert_eq!(refusal(&|made| made.version = Some(2)), CrlError::NotACrl);
    let serial = "01".repeat(21);
    assert_eq!(refusal(&|made| _ = made.revoke(&[1; 21])), CrlError::SerialTooLong { serial });
    let torn = refusal(&|made| made.entries.extend([0x30, 3, 2, 1, 5]));
    assert!(matches!(torn, CrlError::Malformed(_)));
}

#[test]
fn what_need_not_be_understood_is_ignored() {
    let root = authority("root");
    let mut made = MadeList::new();
    made.extensions.push(extension(&[0x2a, 3], false, &[5, 0]));
    made.revoke_with(&[7], &extension(&[0x2a, 3], false, &[5, 0]));
    made.revoke_with(&[8], &extension(&[0x55, 0x1d, 21], false, &[10, 1, 6])); // on hold
    let list = RevocationList::verify(&made.signed(&root), &anchors(&[&root])).unwrap();
    assert_eq!(serials(&list), [[7], [8]]);
}

#[test]
fn only_a_trusted_ca_can_sign_a_crl() {
    let (root, other, twin) = (authority("root"), authority("other"), authority("root"));
    let made = MadeList::new();
    assert_eq!(
        error(&made.signed(&other), &anchors(&[&root])),
        CrlError::UnknownIssuer { issuer: "CN=other".into() }
    );
    let forged = CrlError::BadSignature { issuer: "CN=root".into() };
    assert_eq!(error(&made.signed(&twin), &anchors(&[&root])), forged);
    for both in [anchors(&[&root, &twin]), anchors(&[&twin, &root])] {
        let list = RevocationList::verify(&made.signed(&twin), &both).unwrap();
        assert_eq!(RevocationList::signer(&made.signed(&twin), &both).as_ref(), Ok(list.issuer()));
        assert_eq!(*list.issuer(), *anchors(&[&twin]).issuers()[0].id());
    }

    let usage = |usages: &[KeyUsagePurpose]| authority_with("root", usages);
    let silent = usage(&[KeyUsagePurpose::KeyCertSign]);
    let refused = CrlError::IssuerMayNotSign { issuer: "CN=root".into() };
    assert_eq!(error(&made.signed(&silent), &anchors(&[&silent])), refused);
    // Another of its name may; that does not matter.
    let both = error(&made.signed(&silent), &anchors(&[&silent, &root]));
    assert!(matches!(both, CrlError::IssuerMayNotSign { .. }), "{both:?}");
    let signer = usage(&[KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign]);
    assert!(RevocationList::verify(&made.signed(&signer), &anchors(&[&signer])).is_ok());
}

#[test]
fn a_crl_replaces_one_that_is_not_newer() {
    let root = authority("root");
    let anchors = anchors(&[&root]);
    let list = |number: &[u8], this_update: &str| {
        let mut made = MadeList::new();
        made.number = (!number.is_empty()).then(|| number.to_vec());
        made.this_update = this_update.into();
        RevocationList::verify(&made.signed(&root), &anchors).unwrap()
    };
    let current = list(&[0, 0xff], "260701000000Z");
    assert_eq!(list(&[0, 0xff], "260701000000Z").may_replace(&current), Ok(()));
    assert_eq!(list(&[1, 0], "260701000001Z").may_replace(&current), Ok(()));
    assert_eq!(list(&[], "260701000000Z").may_replace(&current), Ok(()));
    assert_eq!(list(&[0x7f], "260702000000Z").may_replace(&current), Err(CrlError::LowerNumber));
    for number in [&[1, 0][..], &[]] {
        let older = list(number, "260630235959Z").may_replace(&current);
        assert!(matches!(older, Err(CrlError::Older { .. })), "{older:?}");
    }
    let other = authority("other");
    let others = TrustStore::new(&[other.as_ref().der().to_vec()], 2).unwrap();
    let foreign = RevocationList::verify(&MadeList::new().signed(&other), &others).unwrap();
    assert_eq!(foreign.may_replace(&current), Err(CrlError::OtherIssuer));
}

#[test]
fn a_file_can_contain_several_crls() {
    let (root, other) = (authority("root"), authority("other"));
    let (one, two) = (MadeList::new().signed(&root), MadeList::new().signed(&other));
    let split = |bytes: &[u8]| -> Vec<Vec<u8>> {
        RevocationList::split(bytes).map(<[u8]>::to_vec).collect()
    };
    assert_eq!(split(&one), std::slice::from_ref(&one));
    assert_eq!(split(&[one.clone(), two.clone()].concat()), [one.clone(), two.clone()]);
    assert_eq!(split(&[&one[..], b"junk"].concat()), [one, b"junk".to_vec()]);
    assert_eq!(split(&two[1..]), [two[1..].to_vec()]);
    assert_eq!(split(b""), [b""]);
}

#[test]
fn the_first_bytes_of_a_crl_contain_its_issuer_and_length() {
    let root = authority("root");
    let mut made = MadeList::new();
    made.revoke(&[5; 20]);
    let list = made.signed(&root);
    let verified = RevocationList::verify(&list, &anchors(&[&root])).unwrap();
    let announced = CrlHeader { issuer_name: verified.issuer().name, length: list.len() };
    assert_eq!(RevocationList::announced(&list), Some(announced));
    // As soon as the name is there; before, and for anything else, nothing.
    let enough =
        (1..list.len()).find(|length| RevocationList::announced(&list[..*length]).is_some());
    let enough = enough.unwrap();
    assert!(enough < list.len() / 2, "{enough}");
    for length in enough..list.len() {
        assert_eq!(RevocationList::announced(&list[..length]), Some(announced));
    }
    assert_eq!(RevocationList::announced(b""), None);
    assert_eq!(RevocationList::announced(b"-----BEGIN X509 CRL-----\n"), None);
    assert_eq!(RevocationList::announced(&[0x30; 4096]), None);
}

#[test]
fn crls_with_the_same_content_are_equal() {
    let root = authority("root");
    let anchors = anchors(&[&root]);
    let list = |change: &dyn Fn(&mut MadeList)| {
        let mut made = MadeList::new();
        made.revoke(&[5]);
        change(&mut made);
        RevocationList::verify(&made.signed(&root), &anchors).unwrap()
    };
    let first = list(&|_| {});
    assert!(list(&|_| {}).says_the_same_as(&first));
    assert!(!list(&|made| _ = made.revoke(&[6])).says_the_same_as(&first));
    assert!(!list(&|made| made.number = None).says_the_same_as(&first));
    assert!(!list(&|made| made.this_update = "260701000001Z".into()).says_the_same_as(&first));
}

#[test]
fn a_crl_from_the_future_is_not_yet_valid() {
    let root = authority("root");
    let list = RevocationList::verify(&MadeList::new().signed(&root), &anchors(&[&root])).unwrap();
    let earliest = list.this_update().before(FUTURE_SLACK);
    assert_eq!(list.has_begun(earliest), Ok(()));
    let now = earliest.before(Duration::from_millis(1));
    let this_update = list.this_update();
    assert_eq!(list.has_begun(now), Err(CrlError::FromTheFuture { this_update, now }));
}

#[test]
fn anything_else_is_no_crl() {
    let root = authority("root");
    let anchors = anchors(&[&root]);
    assert_eq!(error(b"", &anchors), CrlError::Empty);
    assert_eq!(error(b"-----BEGIN X509 CRL-----\n", &anchors), CrlError::Pem);
    assert_eq!(error(b"<html>404 Not Found</html>", &anchors), CrlError::NotACrl);
    assert_eq!(error(root.as_ref().der(), &anchors), CrlError::NotACrl);
    assert_eq!(error(&[0x30; 4096], &anchors), CrlError::NotACrl);
    let mut made = MadeList::new();
    made.revoke(&[5]).revoke_with(&[7], &extension(&[0x55, 0x1d, 21], false, &[10, 1, 1]));
    let good = made.signed(&root);
    for length in 1..good.len() {
        assert_eq!(error(&good[..length], &anchors), CrlError::NotACrl, "{length}");
    }
    for place in 0..good.len() {
        for bit in [0x01, 0x80] {
            let mut altered = good.clone();
            altered[place] ^= bit;
            assert!(RevocationList::verify(&altered, &anchors).is_err(), "byte {place}");
        }
    }
    assert_eq!(error(&[good, vec![0]].concat(), &anchors), CrlError::NotACrl);
}

#[test]
fn a_key_that_is_no_authority_cannot_sign() {
    let root = authority("root");
    let thief = KeyPair::generate().unwrap();
    let forged = MadeList::new().signed_with(&root, &thief);
    assert!(matches!(error(&forged, &anchors(&[&root])), CrlError::BadSignature { .. }));
}
