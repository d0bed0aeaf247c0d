//! What an honest authority would not sign, and what a thief of its name signs: certificates and
//! revocation lists with any content.

use std::fs;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CrlDistributionPoint,
    CrlIssuingDistributionPoint, CrlScope, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber,
};
use sknock::Identity;
use sknock_protocol::{PrivateKey, Timestamp};
use time::OffsetDateTime;

use crate::Authority;
use crate::wait::now;

/// An authority for arbitrary signed data.
#[derive(Debug)]
pub struct Forge {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A client's key and certificate in the making.
#[derive(Debug)]
pub struct Made {
    /// The key.
    pub key: KeyPair,
    /// Its certificate.
    pub certificate: rcgen::Certificate,
}

/// The content of a CRL.
#[derive(Clone, Copy, Debug)]
pub struct List<'a> {
    /// Its number.
    pub number: u64,
    /// thisUpdate.
    pub made: Timestamp,
    /// nextUpdate.
    pub due: Timestamp,
    /// Serial numbers.
    pub revoked: &'a [&'a [u8]],
}

/// An hour.
pub const HOUR: Duration = Duration::from_secs(3600);

impl Forge {
    /// Signs with the authority's own key.
    pub fn with_key_of(authority: &Authority) -> Self {
        let read = |name| fs::read_to_string(authority.file(name)).expect("the authority's file");
        let (key, pem) = (read("ca.key"), read("ca.pem"));
        Self::of(KeyPair::from_pem(&key).expect("it has just been made"), pem)
    }

    /// An authority of its own called `name`, which may have others below it.
    pub fn root(name: &str) -> Self {
        Self::root_with(name, |_| ())
    }

    /// The same, but for what `edit` changes.
    pub fn root_with(name: &str, edit: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = KeyPair::generate().expect("randomness");
        let mut params = authority_params(name);
        edit(&mut params);
        let made = params.self_signed(&key);
        Self::of(key, made.expect("these parameters fit").pem())
    }

    /// The same name as the authority's, another key.
    pub fn impostor(authority: &Authority) -> Self {
        Self::root(authority.ca().name())
    }

    /// The serial number of an authority below another.
    pub const INTERMEDIATE: u8 = 77;

    /// An authority below this one.
    #[must_use]
    pub fn intermediate(&self, name: &str) -> Self {
        self.intermediate_with(name, |_| ())
    }

    /// The same, but for what `edit` changes.
    #[must_use]
    pub fn intermediate_with(&self, name: &str, edit: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = KeyPair::generate().expect("randomness");
        let mut params = authority_params(name);
        params.serial_number = Some(SerialNumber::from_slice(&[Self::INTERMEDIATE]));
        edit(&mut params);
        let made = params.signed_by(&key, &self.issuer);
        Self::of(key, made.expect("these parameters fit").pem())
    }

    /// Another certificate, in PEM, for the key of this one under `name`, signed by `above`.
    pub fn certified_by(
        &self,
        above: &Self,
        name: &str,
        edit: impl FnOnce(&mut CertificateParams),
    ) -> String {
        let mut params = authority_params(name);
        edit(&mut params);
        let made = params.signed_by(self.issuer.key(), &above.issuer);
        made.expect("these parameters fit").pem()
    }

    fn of(key: KeyPair, pem: String) -> Self {
        Self { issuer: Issuer::from_ca_cert_pem(&pem, key).expect("they are a pair"), pem }
    }

    /// Its own certificate in PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Certifies a client that may open tcp/22 for an hour, but for what `edit` changes.
    pub fn client(&self, name: &str, edit: impl FnOnce(&mut CertificateParams)) -> Made {
        let key = KeyPair::generate().expect("randomness");
        self.certify(key, name, edit)
    }

    /// The same for a given key.
    pub fn certify(
        &self,
        key: KeyPair,
        name: &str,
        edit: impl FnOnce(&mut CertificateParams),
    ) -> Made {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = calendar(now().before(HOUR));
        params.not_after = calendar(now().after(HOUR));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        params.subject_alt_names = vec![allows("tcp/22")];
        edit(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).expect("these parameters fit");
        Made { key, certificate }
    }

    /// A revocation list in DER.
    pub fn list(&self, list: &List<'_>) -> Vec<u8> {
        self.list_of(list, None)
    }

    /// The same for users' certificates that name this distribution point.
    pub fn list_at(&self, list: &List<'_>, uri: &str) -> Vec<u8> {
        let distribution_point = CrlDistributionPoint { uris: vec![uri.to_owned()] };
        let scope = Some(CrlScope::UserCertsOnly);
        self.list_of(list, Some(CrlIssuingDistributionPoint { distribution_point, scope }))
    }

    fn list_of(
        &self,
        list: &List<'_>,
        issuing_distribution_point: Option<CrlIssuingDistributionPoint>,
    ) -> Vec<u8> {
        let revoked = list.revoked.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from_slice(serial),
            revocation_time: calendar(list.made),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: calendar(list.made),
            next_update: calendar(list.due),
            crl_number: SerialNumber::from(list.number),
            issuing_distribution_point,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).expect("these parameters fit").der().to_vec()
    }
}

impl Made {
    /// What knocks.
    pub fn identity(&self) -> Identity {
        let key = PrivateKey::from_pkcs8(self.key.serialize_der().into());
        Identity::new(&key, self.certificate.der()).expect("they have just been made together")
    }

    /// Key and certificate in PEM.
    pub fn pem(&self) -> String {
        self.key.serialize_pem() + &self.certificate.pem()
    }
}

/// The entry that allows a client `service`.
pub fn allows(service: &str) -> SanType {
    SanType::URI(format!("sknock:{service}").try_into().expect("ASCII"))
}

/// As certificates want it.
pub fn calendar(moment: Timestamp) -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::from_secs(moment.as_secs())
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    params
}
