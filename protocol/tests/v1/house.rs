//! An authority, a server that speaks both dialects, and clients, made anew for each test.

use core::net::SocketAddr;
use core::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    PKCS_ECDSA_P256_SHA256, SanType, SignatureAlgorithm,
};
use sknock_protocol::v1::{self, V1KnockRequest};
use sknock_protocol::{
    Datagram, Identity, PrivateKey, Refusal, Revocation, ServerCertificate, ServerKey, Timestamp,
    TrustStore, VerifiedKnock, Verifier,
};
use zeroize::Zeroizing;

/// 2025-06-15T15:06:40 UTC.
pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_750_000_000);
pub(crate) const SOURCE: &str = "192.0.2.7:40000";
pub(crate) const SOURCE6: &str = "[2001:db8::7]:40000";
pub(crate) const RULES: v1::V1Rules = v1::V1Rules { shortest_frame: 800, any_usage: false };

/// A key and its certificate.
pub(crate) struct Pair {
    pub(crate) key: KeyPair,
    pub(crate) certificate: Vec<u8>,
}

impl Pair {
    fn private(&self) -> PrivateKey {
        PrivateKey::from_pkcs8(Zeroizing::new(self.key.serialize_der()))
    }

    pub(crate) fn identity(&self) -> Identity {
        Identity::new(&self.private(), &self.certificate).unwrap()
    }
}

pub(crate) struct House {
    issuer: Issuer<'static, KeyPair>,
    authority: Vec<u8>,
    pub(crate) server: Pair,
    pub(crate) client: Pair,
    pub(crate) verifier: Verifier,
}

impl House {
    pub(crate) fn new() -> Self {
        Self::with(Some(RULES))
    }

    pub(crate) fn with(rules: Option<v1::V1Rules>) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Test CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let authority = params.self_signed(&key).unwrap().der().to_vec();
        let issuer = Issuer::new(params, key);
        let server = issue(&issuer, &PKCS_ECDSA_P256_SHA256, &CertificateParams::default());
        let client = issue(&issuer, &PKCS_ECDSA_P256_SHA256, &client_params());
        let verifier = verifier(&server, &authority, rules);
        Self { issuer, authority, server, client, verifier }
    }

    /// The same authority's verifier for another server.
    pub(crate) fn verifier_of(&self, server: &Pair) -> Verifier {
        verifier(server, &self.authority, Some(RULES))
    }

    pub(crate) fn issue(
        &self,
        kind: &'static SignatureAlgorithm,
        params: &CertificateParams,
    ) -> Pair {
        issue(&self.issuer, kind, params)
    }

    pub(crate) fn certificate(&self) -> ServerCertificate {
        ServerCertificate::from_der(&self.server.certificate).unwrap()
    }

    pub(crate) fn seal(&self, wish: &V1KnockRequest) -> Vec<u8> {
        v1::seal(&self.client.identity(), &self.certificate(), wish).unwrap()
    }

    pub(crate) fn judge(&self, datagram: &[u8]) -> Result<VerifiedKnock, Refusal> {
        self.judge_from(SOURCE, datagram, NOW)
    }

    pub(crate) fn judge_from(
        &self,
        source: &str,
        datagram: &[u8],
        now: Timestamp,
    ) -> Result<VerifiedKnock, Refusal> {
        judge(&self.verifier, source, datagram, now)
    }
}

pub(crate) fn judge(
    verifier: &Verifier,
    source: &str,
    datagram: &[u8],
    now: Timestamp,
) -> Result<VerifiedKnock, Refusal> {
    let source: SocketAddr = source.parse().unwrap();
    let unveiled = verifier.unveil(Datagram::new(source, datagram), now)?;
    verifier.verify(unveiled, &Revocation::NotConfigured, now)
}

/// A client certificate for SSH.
pub(crate) fn client_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "laptop");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.subject_alt_names = vec![SanType::URI("sknock:tcp/22".try_into().unwrap())];
    params
}

/// SSH, from [`SOURCE`], now.
pub(crate) fn wish() -> V1KnockRequest {
    let address = SOURCE.parse::<SocketAddr>().unwrap().ip();
    V1KnockRequest { stamp: NOW, service: "tcp/22".parse().unwrap(), address }
}

/// SSH, from [`SOURCE6`], now.
pub(crate) fn wish6() -> V1KnockRequest {
    V1KnockRequest { address: SOURCE6.parse::<SocketAddr>().unwrap().ip(), ..wish() }
}

fn issue(
    issuer: &Issuer<'static, KeyPair>,
    kind: &'static SignatureAlgorithm,
    params: &CertificateParams,
) -> Pair {
    let key = KeyPair::generate_for(kind).unwrap();
    let certificate = params.signed_by(&key, issuer).unwrap().der().to_vec();
    Pair { key, certificate }
}

fn verifier(server: &Pair, authority: &[u8], rules: Option<v1::V1Rules>) -> Verifier {
    let key = ServerKey::new(&server.private(), &server.certificate).unwrap();
    let anchors = TrustStore::new(&[authority.to_vec()], 16).unwrap();
    let window = Duration::from_secs(7);
    // v2's permissions: this dialect must not need them
    let general =
        sknock_protocol::KnockRules { window, unsigned_address: false, second_address: false };
    let verifier = Verifier::new(key, anchors, general);
    match rules {
        Some(rules) => verifier.with_v1(rules),
        None => verifier,
    }
}
