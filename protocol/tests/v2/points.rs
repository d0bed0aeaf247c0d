//! Knocks, and lists that are about one distribution point: they count for whose certificate names it.

use rcgen::{
    CertificateParams, CrlDistributionPoint, CrlIssuingDistributionPoint, CrlScope,
    CustomExtension, PKCS_ECDSA_P256_SHA256,
};
use sknock_protocol::v2::seal;
use sknock_protocol::{
    Datagram, Refusal, Revocation, RevocationList, RevocationLists, TrustStore, Verifier,
};

use crate::house::{Authority, House, NOW, Pair, RULES, SOURCE, client_params, wish};

const HERE: &str = "http://ca.example/1.crl";
const ELSEWHERE: &str = "http://ca.example/2.crl";

fn point(uris: &[&str]) -> CrlDistributionPoint {
    CrlDistributionPoint { uris: uris.iter().map(|uri| (*uri).to_owned()).collect() }
}

/// Whom a list is about.
#[derive(Clone, Copy)]
enum About {
    Everybody,
    Here,
    UsersHere,
}

impl About {
    fn extension(self) -> Option<CrlIssuingDistributionPoint> {
        let scope = match self {
            Self::Everybody => return None,
            Self::Here => None,
            Self::UsersHere => Some(CrlScope::UserCertsOnly),
        };
        Some(CrlIssuingDistributionPoint { distribution_point: point(&[HERE]), scope })
    }
}

/// The certificate names these points, each with one address.
fn naming(uris: &[&str]) -> CertificateParams {
    let mut params = client_params();
    params.crl_distribution_points = uris.iter().map(|uri| point(&[uri])).collect();
    params
}

/// The certificate has `value` (DER) for cRLDistributionPoints.
fn saying(value: Vec<u8>) -> CertificateParams {
    let mut params = client_params();
    let extension = CustomExtension::from_oid_content(&[2, 5, 29, 31], value);
    params.custom_extensions.push(extension);
    params
}

/// What a knock with this certificate comes to under `lists`, each of an authority.
fn judge(
    house: &House,
    verifier: &Verifier,
    client: &Pair,
    lists: &[Vec<u8>],
) -> Result<(), Refusal> {
    let verify = |list: &Vec<u8>| RevocationList::verify(list, verifier.trust_store()).unwrap();
    let none = RevocationLists::new(core::time::Duration::ZERO);
    let lists = lists.iter().map(verify).fold(none, |lists, list| lists.with(list));
    let sealed = seal(&client.identity(), &house.server.as_server(), &wish()).unwrap();
    let datagram = Datagram::new(SOURCE.parse().unwrap(), &sealed.datagram);
    let unveiled = verifier.unveil(datagram, NOW).unwrap();
    verifier.verify(unveiled, &Revocation::Lists(lists), NOW).map(drop)
}

fn verdict(params: &CertificateParams, about: About) -> Result<(), Refusal> {
    let house = House::new();
    let client = house.authority.issue(&PKCS_ECDSA_P256_SHA256, params);
    let under = |serials| {
        let list = house.authority.crl_at(about.extension(), serials);
        judge(&house, &house.verifier, &client, &[list])
    };
    // Who is on any list of the issuer is revoked.
    let revoked = under(&[7]);
    assert!(matches!(revoked, Err(Refusal::Revoked | Refusal::BadCertificate)), "{revoked:?}");
    under(&[8])
}

#[test]
fn a_crl_covers_certificates_that_name_its_distribution_point() {
    for params in [naming(&[HERE]), naming(&[ELSEWHERE, HERE])] {
        assert_eq!(verdict(&params, About::Here), Ok(()));
        assert_eq!(verdict(&params, About::UsersHere), Ok(()));
    }
    for params in [client_params(), naming(&[HERE]), naming(&[ELSEWHERE])] {
        assert_eq!(
            verdict(&params, About::Everybody),
            Ok(()),
            "a complete list is about everybody"
        );
    }
}

#[test]
fn a_crl_covers_no_certificates_of_another_or_no_distribution_point() {
    let longer = format!("{HERE}?");
    for params in
        [client_params(), naming(&[ELSEWHERE]), naming(&[&longer]), naming(&[&HERE[..22]])]
    {
        for list in [About::Here, About::UsersHere] {
            assert_eq!(verdict(&params, list), Err(Refusal::RevocationUnknown));
        }
    }
}

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    [&[tag, u8::try_from(content.len()).unwrap()], content].concat()
}

#[test]
fn a_point_for_some_reasons_or_with_anothers_list_is_none() {
    let name = || element(0xa0, &element(0xa0, &element(0x86, HERE.as_bytes())));
    let points = |fields: &[u8]| element(0x30, &element(0x30, fields));
    assert_eq!(verdict(&saying(points(&name())), About::Here), Ok(()), "as rcgen writes it");
    let issuer = element(0xa2, &element(0xa4, &element(0x30, &[])));
    for value in [
        points(&[name(), vec![0x81, 2, 1, 0x40]].concat()),
        points(&[name(), issuer].concat()),
        points(&element(0xa0, &element(0xa1, &[]))),
        points(&[]),
    ] {
        let verdict = verdict(&saying(value.clone()), About::Here);
        assert_eq!(verdict, Err(Refusal::RevocationUnknown), "{value:02x?}");
    }
    let torn = name()[..20].to_vec();
    for value in
        [[points(&name()), vec![0]].concat(), element(0x30, &name()), points(&torn), vec![]]
    {
        let verdict = verdict(&saying(value.clone()), About::Here);
        let refused = Err(Refusal::RevocationUnknown) == verdict;
        assert!(refused || Err(Refusal::BadCertificate) == verdict, "{value:02x?}: {verdict:?}");
    }
}

#[test]
fn a_crl_for_users_covers_no_intermediate() {
    let house = House::new();
    let between = Authority::below("between", &house.authority);
    let authorities = [&house.authority, &between].map(|one| one.certificate().to_vec());
    let anchors = TrustStore::new(&authorities, 16).unwrap();
    let verifier = Verifier::new(house.server.server_key(), anchors, RULES);
    let client = between.client(&PKCS_ECDSA_P256_SHA256);
    let judge = |of_root| judge(&house, &verifier, &client, &[of_root, between.crl(&[])]);
    assert_eq!(judge(house.authority.crl(&[])), Ok(()));
    let partial = house.authority.crl_at(About::UsersHere.extension(), &[]);
    assert_eq!(judge(partial.clone()), Err(Refusal::RevocationUnknown));

    let list = RevocationList::verify(&partial, verifier.trust_store()).unwrap();
    let lists = RevocationLists::new(core::time::Duration::ZERO).with(list);
    let uncovered: Vec<_> =
        lists.uncovered(verifier.trust_store()).map(sknock_protocol::Issuer::name).collect();
    assert_eq!(uncovered, ["CN=between"], "the log can say so");
}
