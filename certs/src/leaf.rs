//! The content of server and client certificates.

use std::net::Ipv4Addr;

use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, OtherNameValue,
    SanType, SerialNumber,
};
use sknock_protocol::{Service, authorization};

use crate::ca::Ca;
use crate::entry::{CertificateKind, RegisterEntry};
use crate::error::AuthorityError;
use crate::key::P256KeyPair;
use crate::name::CertificateName;
use crate::name::is_dns_name;
use crate::validity::calendar;

/// Maximum size of a client's certificate in DER, so that it fits into every knock.
///
/// A knock of protocol v2 has 1076 bytes for addresses (35 at worst: their number, and two of 17),
/// services (81: their number, and sixteen of 5), certificate and signature (72, P-256).
pub const MAX_CLIENT_CERTIFICATE: usize = 1076 - 35 - 81 - 72;

/// The certificate (DER) for the holder of `key` with the data of `entry`.
pub(crate) fn certify(
    entry: &RegisterEntry,
    key: &P256KeyPair,
    ca: &Ca,
) -> Result<Vec<u8>, AuthorityError> {
    let mut params = params(entry)?;
    match entry.kind {
        CertificateKind::Server => {
            params.key_usages =
                vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyAgreement];
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            params.subject_alt_names = host(&entry.name)?.into_iter().collect();
        }
        CertificateKind::Client => {
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            params.subject_alt_names = allowance(&entry.services)?;
        }
    }
    let certificate = ca.certify(&params, key)?;
    if entry.kind == CertificateKind::Client && certificate.len() > MAX_CLIENT_CERTIFICATE {
        let (size, limit) = (certificate.len(), MAX_CLIENT_CERTIFICATE);
        return Err(AuthorityError::TooLarge { size, limit });
    }
    Ok(certificate)
}

/// Parameters common to all holders.
fn params(entry: &RegisterEntry) -> Result<CertificateParams, AuthorityError> {
    let mut params = CertificateParams::default();
    params.serial_number = Some(SerialNumber::from_slice(entry.serial.as_bytes()));
    params.not_before = calendar(entry.not_before)?;
    params.not_after = calendar(entry.not_after)?;
    params.distinguished_name.push(DnType::CommonName, entry.name.as_str());
    // explicit, because rcgen only then writes the subject key identifier
    params.is_ca = IsCa::ExplicitNoCa;
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// The server's name as an address or a DNS name, if it is one.
fn host(name: &CertificateName) -> Result<Option<SanType>, AuthorityError> {
    if let Ok(address) = name.as_str().parse::<Ipv4Addr>() {
        return Ok(Some(SanType::IpAddress(address.into())));
    }
    let dns = is_dns_name(name.as_str()).then(|| name.as_str().try_into().map(SanType::DnsName));
    dns.transpose().map_err(AuthorityError::certificate)
}

/// The services of a client, in both forms that servers read: the original's first, because the original only
/// reads the first name, and URIs, which can express ranges.
fn allowance(services: &[Service]) -> Result<Vec<SanType>, AuthorityError> {
    let single_ports = authorization::other_name_text(services);
    let original = (!single_ports.is_empty()).then(|| {
        let kind = authorization::OTHER_NAME_OID.to_vec();
        Ok(SanType::OtherName((kind, OtherNameValue::Utf8String(single_ports))))
    });
    let uris = services.iter().map(|service| {
        authorization::uri(service)
            .try_into()
            .map(SanType::URI)
            .map_err(AuthorityError::certificate)
    });
    original.into_iter().chain(uris).collect()
}
