//! An authority, its lists, a server that believes it, and what the server logs.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer,
    CrlDistributionPoint, CrlIssuingDistributionPoint, DnType, IsCa, KeyIdMethod, KeyPair,
    RevokedCertParams, SerialNumber, date_time_ymd,
};
use sknock_protocol::{
    CertificateId, KnockRules, PrivateKey, Revocation, ServerKey, TrustStore, Verifier,
};
use sknock_server::config::{OnRevoke, RevocationSettings};
use sknock_server::crl::{Refresh, Timeouts};
use tracing::subscriber::DefaultGuard;

pub(crate) type Authority = CertifiedIssuer<'static, KeyPair>;

pub(crate) fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A list with this number that revokes this serial number, made in `made`, due in `due` (years).
pub(crate) fn list(authority: &Authority, number: u64, revoked: u8, years: (i32, i32)) -> Vec<u8> {
    list_at(authority, (number, revoked), years, None)
}

/// The same for the certificates that name this distribution point.
pub(crate) fn list_at(
    authority: &Authority,
    (number, revoked): (u64, u8),
    years: (i32, i32),
    point: Option<&str>,
) -> Vec<u8> {
    let point = point.map(|uri| CrlIssuingDistributionPoint {
        distribution_point: CrlDistributionPoint { uris: vec![uri.into()] },
        scope: None,
    });
    let params = CertificateRevocationListParams {
        this_update: date_time_ymd(years.0, 1, 1),
        next_update: date_time_ymd(years.1, 1, 1),
        crl_number: SerialNumber::from(number),
        issuing_distribution_point: point,
        revoked_certs: vec![RevokedCertParams {
            serial_number: SerialNumber::from_slice(&[revoked]),
            revocation_time: date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        }],
        key_identifier_method: KeyIdMethod::Sha256,
    };
    params.signed_by(authority).unwrap().der().to_vec()
}

/// Made before, due long after these tests run.
pub(crate) fn good(authority: &Authority, number: u64, revoked: u8) -> Vec<u8> {
    list(authority, number, revoked, (2021, 2090))
}

pub(crate) struct World {
    pub(crate) authority: Authority,
    verifier: Arc<Verifier>,
    folder: tempfile::TempDir,
    log: Log,
    _logging: DefaultGuard,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::believing(authority("authority"), &[])
    }

    pub(crate) fn believing(authority: Authority, others: &[&Authority]) -> Self {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::default();
        let certificate = params.signed_by(&key, &authority).unwrap().der().to_vec();
        let key = PrivateKey::from_pkcs8(key.serialize_der().into());
        let key = ServerKey::new(&key, &certificate).unwrap();
        let mut trusted = vec![authority.as_ref().der().to_vec()];
        trusted.extend(others.iter().map(|other| other.as_ref().der().to_vec()));
        let trust_store = TrustStore::new(&trusted, 16).unwrap();
        let window = Duration::from_secs(30);
        let rules = KnockRules { window, unsigned_address: true, second_address: false };
        let verifier = Arc::new(Verifier::new(key, trust_store, rules));
        let log = Log::default();
        let (writer, folder) = (log.clone(), tempfile::tempdir().unwrap());
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        let logging = tracing::subscriber::set_default(subscriber);
        Self { authority, verifier, folder, log, _logging: logging }
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("crl.der")
    }

    pub(crate) fn kept(&self) -> Vec<u8> {
        std::fs::read(self.file()).unwrap()
    }

    pub(crate) fn settings(&self, urls: &[&str]) -> RevocationSettings {
        RevocationSettings {
            file: Some(self.file()),
            saved: Some(self.file()),
            urls: urls.iter().map(ToString::to_string).collect(),
            interval: Duration::from_millis(50),
            grace: Duration::from_secs(3600),
            tls_authorities: None,
            ending: OnRevoke::Cut,
        }
    }

    pub(crate) fn refresh(&self, urls: &[&str]) -> Refresh {
        self.trusting(urls, None)
    }

    pub(crate) fn trusting(&self, urls: &[&str], web_authorities: Option<&[u8]>) -> Refresh {
        self.patient(urls, web_authorities, Timeouts::default())
    }

    pub(crate) fn patient(
        &self,
        urls: &[&str],
        web_authorities: Option<&[u8]>,
        timeouts: Timeouts,
    ) -> Refresh {
        let verifier = Arc::clone(&self.verifier);
        Refresh::new(&self.settings(urls), verifier, web_authorities, timeouts).unwrap()
    }

    /// Whether the authority's certificate with this serial number is revoked now.
    pub(crate) fn is_revoked(&self, refresh: &Refresh, serial: u8) -> bool {
        self.is_revoked_by(0, refresh, serial)
    }

    /// The same for one of several authorities; ours is number 0, the others follow.
    pub(crate) fn is_revoked_by(&self, number: usize, refresh: &Refresh, serial: u8) -> bool {
        let issuer = *self.verifier.trust_store().issuers()[number].id();
        let id = CertificateId { issuer, serial: vec![serial] };
        Revocation::is_revoked(&refresh.current().load(), &id)
    }

    /// What was logged since the last call.
    pub(crate) fn logged(&self) -> String {
        let bytes = std::mem::take(&mut *self.log.0.lock().unwrap());
        String::from_utf8(bytes).unwrap()
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
