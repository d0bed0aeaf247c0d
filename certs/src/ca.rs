//! The authority's own key and certificate.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SerialNumber,
};
use sknock_protocol::Timestamp;
use x509_parser::prelude::{ASN1Time, FromDer, ParsedExtension, X509Certificate};
use zeroize::Zeroizing;

use crate::error::AuthorityError;
use crate::folder::Guarded;
use crate::folder::OutputFolder;
use crate::key::P256KeyPair;
use crate::name::MAX_LENGTH;
use crate::serial::RandomSerial;
use crate::validity::{ValidityPeriod, calendar};

/// The private key: PKCS#8 in PEM.
pub(crate) const KEY_FILE: &str = "ca.key";
/// The certificate in DER.
pub(crate) const CERTIFICATE_FILE: &str = "ca.cer";
/// The certificate in PEM, for programs that require PEM.
pub(crate) const PEM_FILE: &str = "ca.pem";

/// A signing key and its CA certificate.
pub(crate) struct Ca {
    pub(crate) key: P256KeyPair,
    pub(crate) certificate: Vec<u8>,
    /// The common name.
    pub(crate) name: String,
    /// The subject key identifier; certificates and CRLs name their signer by it.
    pub(crate) key_id: Vec<u8>,
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
}

impl Ca {
    /// Makes a key and its self-signed certificate, with path length 0.
    ///
    /// Without a name it is called `sKnock CA` and a random number: servers distinguish authorities and their
    /// CRLs by name, so two of them should never have the same one. Also returns the certificate in PEM.
    pub(crate) fn generate(
        name: Option<&str>,
        validity: ValidityPeriod,
    ) -> Result<(Self, String), AuthorityError> {
        let serial = RandomSerial::random()?;
        let name = match name {
            Some(name) => checked(name)?,
            None => format!("sKnock CA {}", &serial.to_string()[..8]),
        };
        let key = P256KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.serial_number = Some(SerialNumber::from_slice(serial.as_bytes()));
        params.not_before = calendar(validity.not_before)?;
        params.not_after = calendar(validity.not_after)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, name.as_str());
        let certificate = params.self_signed(key.pair()).map_err(AuthorityError::certificate)?;
        let ca = Self {
            certificate: certificate.der().to_vec(),
            name,
            key_id: params.key_identifier(key.pair()),
            not_before: validity.not_before,
            not_after: validity.not_after,
            key,
        };
        Ok((ca, certificate.pem()))
    }

    /// Loads the authority in `folder`.
    pub(crate) fn load(folder: &OutputFolder) -> Result<Self, AuthorityError> {
        let damaged = |file, what: &str| AuthorityError::Damaged {
            path: folder.file(file),
            what: what.to_owned(),
        };
        let pem = Zeroizing::new(folder.read(KEY_FILE, Guarded::Reading)?);
        let key = std::str::from_utf8(&pem)
            .ok()
            .and_then(P256KeyPair::from_pem)
            .ok_or_else(|| damaged(KEY_FILE, "no P-256 key in PEM"))?;
        let certificate = folder.read(CERTIFICATE_FILE, Guarded::Writing)?;
        let facts = Facts::read(&certificate)
            .ok_or_else(|| damaged(CERTIFICATE_FILE, "no CA certificate in DER"))?;
        if facts.public_key != key.pair().public_key_raw() {
            return Err(damaged(CERTIFICATE_FILE, "not the certificate of ca.key"));
        }
        let Facts { name, key_id, not_before, not_after, .. } = facts;
        Ok(Self { key, certificate, name, key_id, not_before, not_after })
    }

    /// The issuer for signing certificates and CRLs.
    pub(crate) fn issuer(&self) -> Result<Issuer<'static, &KeyPair>, AuthorityError> {
        Issuer::from_ca_cert_der(&self.certificate.as_slice().into(), self.key.pair())
            .map_err(AuthorityError::certificate)
    }

    /// Signs a certificate with `params` for the holder of `key`.
    pub(crate) fn certify(
        &self,
        params: &CertificateParams,
        key: &P256KeyPair,
    ) -> Result<Vec<u8>, AuthorityError> {
        let certificate =
            params.signed_by(key.pair(), &self.issuer()?).map_err(AuthorityError::certificate)?;
        Ok(certificate.der().to_vec())
    }
}

/// Data from an authority's certificate.
struct Facts {
    name: String,
    key_id: Vec<u8>,
    not_before: Timestamp,
    not_after: Timestamp,
    public_key: Vec<u8>,
}

impl Facts {
    fn read(der: &[u8]) -> Option<Self> {
        let (rest, certificate) = X509Certificate::from_der(der).ok()?;
        let key_id = certificate.iter_extensions().find_map(|extension| {
            match extension.parsed_extension() {
                ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
                _ => None,
            }
        })?;
        let name = certificate.subject().iter_common_name().next()?.as_str().ok()?.to_owned();
        let seconds =
            |date: ASN1Time| u64::try_from(date.timestamp()).ok().map(Timestamp::from_secs);
        let not_before = seconds(certificate.validity().not_before)?;
        let not_after = seconds(certificate.validity().not_after)?;
        let public_key = certificate.public_key().subject_public_key.data.to_vec();
        (rest.is_empty() && certificate.is_ca()).then_some(Self {
            name,
            key_id,
            not_before,
            not_after,
            public_key,
        })
    }
}

/// A printable common name of 1 to 64 characters (RFC 5280, A.1, `ub-common-name`).
fn checked(name: &str) -> Result<String, AuthorityError> {
    let fits = (1..=MAX_LENGTH).contains(&name.chars().count());
    if !fits || name.trim().is_empty() || name.chars().any(char::is_control) {
        return Err(AuthorityError::AuthorityName { name: name.escape_debug().to_string() });
    }
    Ok(name.to_owned())
}
