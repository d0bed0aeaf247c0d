//! An authority, a server and clients, made anew for each test.

use core::net::SocketAddr;
use core::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams,
    CrlIssuingDistributionPoint, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519,
    RevokedCertParams, SanType, SerialNumber, SignatureAlgorithm, date_time_ymd,
};
use sknock_protocol::v2::{ClaimedAddress, KnockRequest, seal};
use sknock_protocol::{
    Datagram, Identity, KnockRules, PrivateKey, Refusal, Revocation, ServerCertificate, ServerKey,
    Timestamp, TrustStore, VerifiedKnock, Verifier,
};
use zeroize::Zeroizing;

/// 2025-06-15T15:06:40 UTC.
pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_750_000_000);
pub(crate) const SOURCE: &str = "192.0.2.7:40000";
pub(crate) const RULES: KnockRules =
    KnockRules { window: Duration::from_secs(7), unsigned_address: true, second_address: true };
pub(crate) const KINDS: [&SignatureAlgorithm; 3] =
    [&PKCS_ECDSA_P256_SHA256, &PKCS_ECDSA_P384_SHA384, &PKCS_ED25519];

/// A key and its certificate.
pub(crate) struct Pair {
    pub(crate) key: KeyPair,
    pub(crate) certificate: Vec<u8>,
}

impl Pair {
    pub(crate) fn private(&self) -> PrivateKey {
        PrivateKey::from_pkcs8(Zeroizing::new(self.key.serialize_der()))
    }

    pub(crate) fn identity(&self) -> Identity {
        Identity::new(&self.private(), &self.certificate).unwrap()
    }

    pub(crate) fn as_server(&self) -> ServerCertificate {
        ServerCertificate::from_der(&self.certificate).unwrap()
    }

    pub(crate) fn server_key(&self) -> ServerKey {
        ServerKey::new(&self.private(), &self.certificate).unwrap()
    }
}

pub(crate) struct Authority {
    name: String,
    issuer: Issuer<'static, KeyPair>,
    certificate: Vec<u8>,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        Self::made(name, None)
    }

    /// An intermediate.
    pub(crate) fn below(name: &str, above: &Self) -> Self {
        Self::made(name, Some(above))
    }

    pub(crate) fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    fn made(name: &str, above: Option<&Self>) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        // Ed25519 signatures have one length, so certificates of an exact size can be made
        let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let certificate = match above {
            None => params.self_signed(&key).unwrap(),
            Some(above) => params.signed_by(&key, &above.issuer).unwrap(),
        };
        let certificate = certificate.der().to_vec();
        Self { name: name.to_owned(), issuer: Issuer::new(params, key), certificate }
    }

    /// A certificate for this one's name and key, signed by `above`.
    pub(crate) fn certified_by(
        &self,
        above: &Self,
        serial: u8,
        edit: &dyn Fn(&mut CertificateParams),
    ) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, self.name.as_str());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.serial_number = Some(SerialNumber::from_slice(&[serial]));
        edit(&mut params);
        params.signed_by(self.issuer.key(), &above.issuer).unwrap().der().to_vec()
    }

    pub(crate) fn issue(
        &self,
        kind: &'static SignatureAlgorithm,
        params: &CertificateParams,
    ) -> Pair {
        let key = KeyPair::generate_for(kind).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().der().to_vec();
        Pair { key, certificate }
    }

    pub(crate) fn client(&self, kind: &'static SignatureAlgorithm) -> Pair {
        self.issue(kind, &client_params())
    }

    pub(crate) fn server(&self) -> Pair {
        let mut params = CertificateParams::default();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue(&PKCS_ECDSA_P256_SHA256, &params)
    }

    pub(crate) fn anchors(&self) -> TrustStore {
        TrustStore::new(core::slice::from_ref(&self.certificate), 16).unwrap()
    }

    /// A revocation list that names `serials`, valid for a year from January 2025.
    pub(crate) fn crl(&self, serials: &[u8]) -> Vec<u8> {
        self.crl_at(None, serials)
    }

    /// The same for one distribution point.
    pub(crate) fn crl_at(
        &self,
        issuing_distribution_point: Option<CrlIssuingDistributionPoint>,
        serials: &[u8],
    ) -> Vec<u8> {
        let revoked = |serial: &u8| RevokedCertParams {
            serial_number: SerialNumber::from_slice(&[*serial]),
            revocation_time: date_time_ymd(2025, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2025, 1, 1),
            next_update: date_time_ymd(2026, 1, 1),
            crl_number: SerialNumber::from_slice(&[1]),
            issuing_distribution_point,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().der().to_vec()
    }
}

/// A client certificate with serial number 7, for SSH.
pub(crate) fn client_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "laptop");
    params.serial_number = Some(SerialNumber::from_slice(&[7]));
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.subject_alt_names = vec![SanType::URI("sknock:tcp/22".try_into().unwrap())];
    params
}

/// One authority, one server, one client.
pub(crate) struct House {
    pub(crate) authority: Authority,
    pub(crate) server: Pair,
    pub(crate) client: Pair,
    pub(crate) verifier: Verifier,
}

impl House {
    pub(crate) fn new() -> Self {
        let authority = Authority::new("Test CA");
        let server = authority.server();
        let client = authority.client(&PKCS_ECDSA_P256_SHA256);
        let verifier = Verifier::new(server.server_key(), authority.anchors(), RULES);
        Self { authority, server, client, verifier }
    }

    pub(crate) fn judge(&self, datagram: &[u8]) -> Result<VerifiedKnock, Refusal> {
        self.judge_at(datagram, NOW)
    }

    pub(crate) fn judge_at(
        &self,
        datagram: &[u8],
        now: Timestamp,
    ) -> Result<VerifiedKnock, Refusal> {
        let source: SocketAddr = SOURCE.parse().unwrap();
        let unveiled = self.verifier.unveil(Datagram::new(source, datagram), now)?;
        self.verifier.verify(unveiled, &Revocation::NotConfigured, now)
    }

    /// What this client's knock comes to.
    pub(crate) fn judge_client(&self, client: &Pair) -> Result<VerifiedKnock, Refusal> {
        let sealed = seal(&client.identity(), &self.server.as_server(), &wish()).unwrap();
        self.judge(&sealed.datagram)
    }
}

/// SSH, from wherever the packet comes from, now.
pub(crate) fn wish() -> KnockRequest {
    KnockRequest {
        stamp: NOW,
        lifetime: None,
        single_use: false,
        answer: false,
        address: ClaimedAddress::Source,
        second: None,
        services: vec!["tcp/22".parse().unwrap()],
    }
}
