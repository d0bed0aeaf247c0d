//! Revocation lists written by hand, so that each can be wrong in its own way.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    SigningKey,
};
use sknock_protocol::TrustStore;
use x509_parser::asn1_rs::FromDer;
use x509_parser::prelude::X509Certificate;

pub(crate) type Authority = CertifiedIssuer<'static, KeyPair>;

pub(crate) fn authority(name: &str) -> Authority {
    authority_with(name, &[])
}

pub(crate) fn authority_with(name: &str, usages: &[KeyUsagePurpose]) -> Authority {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = usages.to_vec();
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

pub(crate) fn anchors(authorities: &[&Authority]) -> TrustStore {
    let certificates: Vec<_> =
        authorities.iter().map(|authority| authority.as_ref().der().to_vec()).collect();
    TrustStore::new(&certificates, 2).unwrap()
}

/// What stands in a list; made on 2026-07-01, due on 2026-08-01.
pub(crate) struct MadeList {
    pub(crate) version: Option<u8>,
    pub(crate) this_update: String,
    pub(crate) next_update: Option<String>,
    pub(crate) number: Option<Vec<u8>>,
    pub(crate) entries: Vec<u8>,
    pub(crate) extensions: Vec<Vec<u8>>,
}

impl MadeList {
    pub(crate) fn new() -> Self {
        Self {
            version: Some(1),
            this_update: "260701000000Z".into(),
            next_update: Some("260801000000Z".into()),
            number: Some(vec![1]),
            entries: Vec::new(),
            extensions: Vec::new(),
        }
    }

    pub(crate) fn revoke(&mut self, serial: &[u8]) -> &mut Self {
        let entry = [element(2, serial), time("260601000000Z")].concat();
        self.entries.extend(element(0x30, &entry));
        self
    }

    pub(crate) fn revoke_with(&mut self, serial: &[u8], extension: &[u8]) {
        let extensions = element(0x30, extension);
        let entry = [element(2, serial), time("260601000000Z"), extensions].concat();
        self.entries.extend(element(0x30, &entry));
    }

    pub(crate) fn signed(&self, authority: &Authority) -> Vec<u8> {
        self.signed_with(authority, authority.key())
    }

    /// In the name of `authority`, but with this key.
    pub(crate) fn signed_with(&self, authority: &Authority, key: &KeyPair) -> Vec<u8> {
        let (_, certificate) = X509Certificate::from_der(authority.as_ref().der()).unwrap();
        let ecdsa_with_sha256 = [0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
        let mut fields: Vec<u8> =
            self.version.map(|version| element(2, &[version])).unwrap_or_default();
        fields.extend(ecdsa_with_sha256);
        fields.extend(certificate.subject().as_raw());
        fields.extend(time(&self.this_update));
        fields.extend(self.next_update.as_deref().map(time).unwrap_or_default());
        if !self.entries.is_empty() {
            fields.extend(element(0x30, &self.entries));
        }
        let number = self.number.as_ref().map(|number| element(2, number));
        let number = number.map(|number| extension(&[0x55, 0x1d, 20], false, &number));
        let extensions = [number.unwrap_or_default(), self.extensions.concat()].concat();
        if !extensions.is_empty() {
            fields.extend(element(0xa0, &element(0x30, &extensions)));
        }
        let signed = element(0x30, &fields);
        let signature = [vec![0], key.sign(&signed).unwrap()].concat();
        element(0x30, &[signed, ecdsa_with_sha256.to_vec(), element(3, &signature)].concat())
    }
}

pub(crate) fn extension(oid: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
    let critical = if critical { element(1, &[0xff]) } else { Vec::new() };
    element(0x30, &[element(6, oid), critical, element(4, value)].concat())
}

fn time(text: &str) -> Vec<u8> {
    element(if text.len() == 15 { 0x18 } else { 0x17 }, text.as_bytes())
}

pub(crate) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    let head = match length {
        [0, 0, 0, short @ 0..=0x7f] => vec![tag, short],
        [0, 0, 0, one] => vec![tag, 0x81, one],
        [0, 0, one, two] => vec![tag, 0x82, one, two],
        [one, two, three, four] => vec![tag, 0x84, one, two, three, four],
    };
    [head, content.to_vec()].concat()
}
