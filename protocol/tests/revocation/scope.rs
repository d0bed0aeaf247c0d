//! Lists that are about a part of their issuer's certificates: which are taken, and what they replace.

use sknock_protocol::{CrlError, RevocationList, TrustStore};

use crate::error;
use crate::made_list::{Authority, MadeList, anchors, authority, element, extension};

const ISSUING_DISTRIBUTION_POINT: [u8; 3] = [0x55, 0x1d, 28];

/// `distributionPoint` with these URIs as its full name.
fn at(uris: &[&str]) -> Vec<u8> {
    let names: Vec<u8> = uris.iter().flat_map(|uri| element(0x86, uri.as_bytes())).collect();
    element(0xa0, &element(0xa0, &names))
}

fn scoped(fields: &[u8]) -> MadeList {
    let mut made = MadeList::new();
    let value = element(0x30, fields);
    made.extensions.push(extension(&ISSUING_DISTRIBUTION_POINT, true, &value));
    made
}

struct World {
    root: Authority,
    anchors: TrustStore,
}

impl World {
    fn new() -> Self {
        let root = authority("root");
        Self { anchors: anchors(&[&root]), root }
    }

    fn refusal(&self, fields: &[u8]) -> CrlError {
        error(&scoped(fields).signed(&self.root), &self.anchors)
    }

    fn taken(&self, made: &MadeList) -> RevocationList {
        RevocationList::verify(&made.signed(&self.root), &self.anchors).unwrap()
    }
}

#[test]
fn a_crl_for_a_distribution_point_or_for_users_has_that_scope() {
    let world = World::new();
    let users = [0x81, 1, 0xff];
    for (fields, says) in [
        (at(&["http://a/"]), "certificates that name http://a/ in cRLDistributionPoints"),
        (
            [at(&["http://a/", "ldap://b\n"]), users.to_vec()].concat(),
            "certificates that name http://a/ or ldap://b\\n in cRLDistributionPoints, but no CA certificates",
        ),
        (users.to_vec(), "certificates, but no CA certificates"),
    ] {
        let list = world.taken(&scoped(&fields));
        assert_eq!(list.scope().to_string(), says);
        assert!(!list.scope().is_complete());
    }
    // What is said to be no restriction is none.
    let none = [[0x81, 1, 0], [0x82, 1, 0], [0x84, 1, 0], [0x85, 1, 0]].concat();
    assert!(world.taken(&scoped(&none)).scope().is_complete());
    assert!(world.taken(&MadeList::new()).scope().is_complete());
}

#[test]
fn every_part_that_hides_revocations_is_refused_by_name() {
    let world = World::new();
    let partial = |fields: &[u8]| match world.refusal(&[at(&["http://a/"]), fields.into()].concat())
    {
        CrlError::Partial { field } => field,
        other => panic!("{other:?}"),
    };
    assert_eq!(partial(&[0x82, 1, 0xff]), "onlyContainsCACerts");
    assert_eq!(partial(&[0x83, 2, 1, 0x40]), "onlySomeReasons");
    assert_eq!(partial(&[0x83, 1, 0]), "onlySomeReasons");
    assert_eq!(partial(&[0x85, 1, 0xff]), "onlyContainsAttributeCerts");
    assert_eq!(world.refusal(&[0x84, 1, 0xff]), CrlError::Indirect);
    let relative = element(0xa0, &element(0xa1, &[]));
    let field = "nameRelativeToCRLIssuer";
    assert_eq!(world.refusal(&relative), CrlError::Partial { field });
}

#[test]
fn what_is_malformed_is_refused() {
    let world = World::new();
    let name = |count| at(&vec!["http://a/"; count]);
    for fields in [
        vec![],             // an empty extension
        at(&[]),            // a place without a name
        element(0xa0, &[]), // not even that
        vec![0x81, 1, 1],   // neither true nor false
        vec![0x81, 0],
        [vec![0x82, 1, 0], vec![0x81, 1, 0]].concat(), // in another order
        [name(1), name(1)].concat(),                   // two places
        [name(1), vec![0x86, 1, 0]].concat(),          // a field that does not exist
        element(0xa0, &[element(0xa0, &[]), vec![5, 0]].concat()),
        element(0xa0, &element(0xa0, &[0x86, 5, b'a'])), // a torn name
        name(17),
    ] {
        let refusal = world.refusal(&fields);
        assert!(matches!(refusal, CrlError::Malformed(_)), "{fields:02x?}: {refusal:?}");
    }
    assert!(!world.taken(&scoped(&name(16))).scope().is_complete());
    let mut twice = scoped(&name(1));
    twice.extensions.push(twice.extensions[0].clone());
    assert!(matches!(error(&twice.signed(&world.root), &world.anchors), CrlError::Malformed(_)));
}

#[test]
fn a_crl_is_replaced_by_one_of_the_same_scope_or_a_complete_one() {
    let world = World::new();
    let list = |fields: Option<Vec<u8>>, number| {
        let mut made = fields.map_or_else(MadeList::new, |fields| scoped(&fields));
        made.number = Some(vec![number]);
        world.taken(&made)
    };
    let a = || Some(at(&["http://a/"]));
    let other = |list: &RevocationList| CrlError::OtherScope { covers: list.scope().to_string() };
    let (first, newer) = (list(a(), 1), list(a(), 2));
    assert_eq!(newer.may_replace(&first), Ok(()));
    assert_eq!(list(None, 2).may_replace(&first), Ok(()));
    for fields in [at(&["http://b/"]), [at(&["http://a/"]), vec![0x81, 1, 0xff]].concat()] {
        let shard = list(Some(fields), 2);
        assert_eq!(shard.may_replace(&first), Err(other(&shard)));
        assert!(!shard.says_the_same_as(&first));
    }
    assert_eq!(newer.may_replace(&list(None, 1)), Err(other(&newer)), "a part for the whole");
}
