//! The configuration as values: one group for each part of the server, so that each sees only its
//! own. Everything in it is within its bounds and every path is absolute.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sknock_gate::Shares;
use sknock_protocol::{Service, v1};
use zeroize::Zeroizing;

use super::finding::Note;
use super::words::{AcceptedProtocol, FirewallPolicy, Intake, OnExit, OnRevoke};
use crate::sys::log::LogFormat;

/// A configuration without problems. Only [`Settings::load`] and [`parse`](super::parse) make one.
///
/// It serialises without the password, the notes and the places: that is how the network process
/// gets it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Settings {
    /// Our identity, and the CAs to trust.
    pub keys: KeySettings,
    /// Revocation of certificates.
    pub revocation: RevocationSettings,
    /// What is hidden.
    pub firewall: FirewallSettings,
    /// What a knock may get.
    pub grants: GrantSettings,
    /// How knocks are captured.
    pub knocks: KnockSettings,
    /// How the server runs.
    pub process: ProcessSettings,
    /// What the administrator should know. Not serialised.
    #[serde(skip)]
    pub notes: Vec<Note>,
    /// Where each key was set, by the key's name: `FILE:LINE`, or `environment variable NAME`. Not
    /// serialised.
    #[serde(skip)]
    pub places: BTreeMap<&'static str, String>,
}

impl Settings {
    /// Files that the network process has read at its start and that others replace by themselves, as
    /// they do with root certificates. After a change of our own keys and lists the administrator reloads.
    pub(crate) fn read_once(&self) -> impl Iterator<Item = &Path> {
        self.revocation.tls_authorities.as_deref().into_iter()
    }

    /// What was said about a key, as `KEY: WHAT`, after the place where the key was set.
    pub(crate) fn located(&self, said: String) -> String {
        let place = said.split_once(':').and_then(|(key, _)| self.places.get(key));
        match place {
            Some(place) => format!("{place}: {said}"),
            None => said,
        }
    }
}

/// Our identity, and the CAs to trust.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct KeySettings {
    /// PKCS#12 with our key, our certificate and the authorities.
    pub pfx: PathBuf,
    /// How to open it. Not serialised; [`PasswordSource::None`] after that.
    #[serde(skip)]
    pub password: PasswordSource,
    /// PEM with more authorities and intermediates.
    pub authorities: Option<PathBuf>,
}

/// Revocation of certificates. Neither `file` nor `urls`: revocation is off, and nothing is `saved`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct RevocationSettings {
    /// CRLs that the administrator puts there, DER. Only read.
    pub file: Option<PathBuf>,
    /// Where lists that were fetched are saved, and read at a start beside `file`.
    pub saved: Option<PathBuf>,
    /// Where to fetch it, http or https; at most 16.
    pub urls: Vec<String>,
    /// How often: six seconds to one week.
    pub interval: Duration,
    /// How long a CRL is accepted after its nextUpdate: zero to one year.
    pub grace: Duration,
    /// PEM with the only authorities that an https server may have; `None` = the system's.
    pub tls_authorities: Option<PathBuf>,
    /// What becomes of connections of a certificate that is revoked.
    pub ending: OnRevoke,
}

impl RevocationSettings {
    /// Whether every list that these settings can bring would also come by `others`: from the same addresses,
    /// with the same trust in them, the same file, and the same folder.
    pub(crate) fn come_by(&self, others: &Self) -> bool {
        let same = |ours: &Option<PathBuf>, theirs| ours.is_none() || ours == theirs;
        self.urls.iter().all(|url| others.urls.contains(url))
            && (self.urls.is_empty() || self.tls_authorities == others.tls_authorities)
            && same(&self.file, &others.file)
            && same(&self.saved, &others.saved)
    }
}

/// What is hidden.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct FirewallSettings {
    /// How packets without a grant are treated.
    pub policy: FirewallPolicy,
    /// The policy is over these only; empty: over all traffic. Empty if the policy is `None`.
    #[serde(with = "services")]
    pub protected: Vec<Service>,
    /// Open to everybody, and none of `protected`.
    #[serde(with = "services")]
    pub always_open: Vec<Service>,
    /// What a stopped server leaves behind.
    pub on_exit: OnExit,
}

/// What a knock may get.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct GrantSettings {
    /// The most that certificates can get; empty: what each allows.
    #[serde(with = "services")]
    pub services: Vec<Service>,
    /// How long an opening lasts if the client does not say, in seconds: 1 to `max_lifetime`.
    pub lasts: u16,
    /// The longest that a client may ask for, in seconds, at least 1.
    pub longest: u16,
    /// Openings at one time: 1 to 1,000,000.
    pub live: u32,
    /// New openings per second: 1 to 100,000.
    pub per_second: u32,
    /// The most of both, and of [`KnockSettings::remembered`], for one certificate, in percent: 1 to 100.
    pub certificate_share: u8,
    /// The most of the same for one IPv4 address or IPv6 /64, in percent: 1 to 100.
    pub network_share: u8,
}

impl GrantSettings {
    /// How much of what is bounded one certificate and one network may have.
    pub(crate) fn shares(&self) -> Shares {
        Shares { certificate: self.certificate_share, network: self.network_share }
    }
}

/// How knocks are captured.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct KnockSettings {
    /// UDP ports, at least one; exactly one if `intake` is [`Intake::Socket`].
    #[serde(with = "services")]
    pub ports: Vec<Service>,
    /// Dialects, each once; v2 is one of them.
    pub protocols: Vec<AcceptedProtocol>,
    /// Which knocks of the original are accepted, if v1 is one of the protocols.
    #[serde(with = "V1Settings")]
    pub original: v1::V1Rules,
    /// How they are received.
    pub intake: Intake,
    /// The NFLOG group, if that is how.
    pub group: u16,
    /// How many datagrams of one source count per second: up to 1,000,000; 0: all.
    pub per_source: u32,
    /// How far a client's clock may be off, either way: one second to one hour.
    pub window: Duration,
    /// Whether a knock may leave its address to the network.
    pub source_address: bool,
    /// Whether a knock may also open for a second address.
    pub second_address: bool,
    /// How many are remembered at one time: 1,000 to 10,000,000.
    pub remembered: u32,
}

impl KnockSettings {
    /// How v1 is to be understood, if it is.
    pub fn v1(&self) -> Option<v1::V1Rules> {
        self.protocols.contains(&AcceptedProtocol::V1).then_some(self.original)
    }
}

/// The fields of [`v1::V1Rules`]; the protocol crate knows nothing of serialisation.
#[derive(Deserialize, Serialize)]
#[serde(remote = "v1::V1Rules")]
struct V1Settings {
    shortest_frame: u16,
    any_usage: bool,
}

/// How the server runs.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ProcessSettings {
    /// The user of the network process; not root.
    pub user: String,
    /// Where knocks are remembered across restarts.
    pub state: PathBuf,
    /// Threads that process knocks, up to 64; 0: one per core.
    pub workers: u8,
    /// The format of the log.
    pub log: LogFormat,
}

/// The name under which systemd hands over the password (`LoadCredential=`), a file in
/// `$CREDENTIALS_DIRECTORY`.
pub const CREDENTIAL: &str = "sknock-pfx-password";

/// A password in memory: wiped when dropped, never printed.
#[derive(Clone, Eq, PartialEq)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// Takes over what was read elsewhere.
    pub fn new(text: Zeroizing<String>) -> Self {
        Self(text)
    }

    /// What to open the file with.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// Where to get the password.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum PasswordSource {
    /// It is in the configuration.
    Inline(Password),
    /// It is the content of this file, but for one line end at its end.
    File(PathBuf),
    /// The same, of the systemd credential [`CREDENTIAL`]: of its copy for the unit, or where systemd takes it from.
    Credential(PathBuf),
    /// None was given: the empty password.
    #[default]
    None,
}

/// Services in serialised settings, written as everywhere: `tcp/22`.
mod services {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};
    use sknock_protocol::Service;

    pub(super) fn serialize<S: Serializer>(
        list: &[Service],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(list.iter().map(ToString::to_string))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<Service>, D::Error> {
        let texts = Vec::<String>::deserialize(from)?;
        texts.iter().map(|text| text.parse().map_err(D::Error::custom)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    fn lists(set: &str) -> RevocationSettings {
        let text = format!("[DEFAULT]\nserverPFXFile = /gate.pfx\n{set}");
        parse(&text, Path::new("/config.ini"), []).unwrap().revocation
    }

    #[test]
    fn lists_come_by_others_if_each_of_their_sources_is_there() {
        let urls = |urls: &str| format!("crlUrl = {urls}\ncrlFile = /crl.der\n");
        let [one, both] = ["http://a/1", "http://a/1 http://a/2"].map(|some| lists(&urls(some)));
        assert!(one.come_by(&both) && both.come_by(&both) && !both.come_by(&one));
        let without = lists("crlUrl = http://a/1\n");
        assert!(without.come_by(&one) && !one.come_by(&without));
        for other in ["crlFile = /other.der\n", "stateDir = /other\n", "crlTlsCaFile = /ca.pem\n"] {
            let other = lists(&format!("crlUrl = http://a/1\n{other}"));
            assert!(!other.come_by(&one), "{other:?}");
        }
        // What else is said of lists brings no others.
        let more =
            "CRL_UPDATE_INTERVAL_IN_MINUTES = 1\nonRevoke = close\nprotectedPorts = tcp/81\n";
        assert!(lists(&[&urls("http://a/1"), more].concat()).come_by(&one));
    }
}
