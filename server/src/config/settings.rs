//! The configuration as values: one group for each part of the server. All values are within their limits,
//! and every path is absolute.
//!
//! Enumerated values of `config.ini`, one type for each set of words.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sknock_gate::Shares;
use sknock_protocol::{Service, v1};
use zeroize::Zeroizing;

use super::finding::Note;
use crate::sys::log::LogFormat;

/// A valid configuration. Only [`Settings::load`] and [`parse`](super::parse) make one.
///
/// It is serialized for the network process without the password, the notes and the places.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Settings {
    /// The server's identity, and the trusted CAs.
    pub keys: KeySettings,
    /// Revocation of certificates.
    pub revocation: RevocationSettings,
    /// The protected ports.
    pub firewall: FirewallSettings,
    /// The limits of grants.
    pub grants: GrantSettings,
    /// The reception of knocks.
    pub knocks: KnockSettings,
    /// The server's processes and log.
    pub process: ProcessSettings,
    /// Remarks for the administrator. Not serialized.
    #[serde(skip)]
    pub notes: Vec<Note>,
    /// The place where each key was set, by the key's name: `FILE:LINE`, or `environment variable NAME`. Not
    /// serialized.
    #[serde(skip)]
    pub places: BTreeMap<&'static str, String>,
}

impl Settings {
    /// Files that the network process reads once at its start and that other programs replace, such as root
    /// certificates. After changes of its keys and CRLs the administrator reloads.
    pub(crate) fn read_once(&self) -> impl Iterator<Item = &Path> {
        self.revocation.tls_authorities.as_deref().into_iter()
    }

    /// `said`, a message of the form `KEY: TEXT`, with the place where the key was set.
    pub(crate) fn located(&self, said: String) -> String {
        let place = said.split_once(':').and_then(|(key, _)| self.places.get(key));
        match place {
            Some(place) => format!("{place}: {said}"),
            None => said,
        }
    }
}

/// The server's identity, and the trusted CAs.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct KeySettings {
    /// PKCS#12 with the server's key, its certificate and the authorities.
    pub pfx: PathBuf,
    /// The source of its password. Not serialized; [`PasswordSource::None`] afterwards.
    #[serde(skip)]
    pub password: PasswordSource,
    /// PEM with further authorities and intermediates.
    pub authorities: Option<PathBuf>,
}

/// Revocation of certificates. Without `file` and `urls` revocation is off, and `saved` is empty.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct RevocationSettings {
    /// CRLs that the administrator provides, DER. Read only.
    pub file: Option<PathBuf>,
    /// The path for fetched CRLs, read at a start in addition to `file`.
    pub saved: Option<PathBuf>,
    /// URLs of CRLs, http or https; at most 16.
    pub urls: Vec<String>,
    /// Interval of fetches: six seconds to one week.
    pub interval: Duration,
    /// How long a CRL is accepted after its nextUpdate: zero to one year.
    pub grace: Duration,
    /// PEM with the only roots for https servers; `None` for the system's.
    pub tls_authorities: Option<PathBuf>,
    /// How connections of a revoked certificate are treated.
    pub ending: OnRevoke,
}

impl RevocationSettings {
    /// Whether every CRL of these settings would also be obtained with `others`: same URLs, same trust, same
    /// file, and same folder.
    pub(crate) fn come_by(&self, others: &Self) -> bool {
        let same = |ours: &Option<PathBuf>, theirs| ours.is_none() || ours == theirs;
        self.urls.iter().all(|url| others.urls.contains(url))
            && (self.urls.is_empty() || self.tls_authorities == others.tls_authorities)
            && same(&self.file, &others.file)
            && same(&self.saved, &others.saved)
    }
}

/// The protected ports.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct FirewallSettings {
    /// How packets without a grant are treated.
    pub policy: FirewallPolicy,
    /// The policy applies to these only; empty: to all traffic. Empty if the policy is `None`.
    #[serde(with = "services")]
    pub protected: Vec<Service>,
    /// Reachable without a grant; disjoint from `protected`.
    #[serde(with = "services")]
    pub always_open: Vec<Service>,
    /// The firewall state after a stop.
    pub on_exit: OnExit,
}

/// The limits of grants.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct GrantSettings {
    /// The services that certificates can get; empty: all that they allow.
    #[serde(with = "services")]
    pub services: Vec<Service>,
    /// Duration of a grant if the client requests none, in seconds: 1 to `max_lifetime`.
    pub lasts: u16,
    /// Maximum duration that a client may request, in seconds, at least 1.
    pub longest: u16,
    /// Maximum number of concurrent grants: 1 to 1,000,000.
    pub live: u32,
    /// Maximum number of new grants per second: 1 to 100,000.
    pub per_second: u32,
    /// Share of both limits, and of [`KnockSettings::remembered`], for one certificate, in percent: 1 to 100.
    pub certificate_share: u8,
    /// Share of the same limits for one IPv4 address or IPv6 /64, in percent: 1 to 100.
    pub network_share: u8,
}

impl GrantSettings {
    /// The shares of one certificate and one network.
    pub(crate) fn shares(&self) -> Shares {
        Shares { certificate: self.certificate_share, network: self.network_share }
    }
}

/// The reception of knocks.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct KnockSettings {
    /// UDP ports, at least one; exactly one if `intake` is [`Intake::Socket`].
    #[serde(with = "services")]
    pub ports: Vec<Service>,
    /// Protocol versions, each once; v2 is one of them.
    pub protocols: Vec<AcceptedProtocol>,
    /// The rules for the original's knocks, if v1 is one of the protocols.
    #[serde(with = "V1Settings")]
    pub original: v1::V1Rules,
    /// The intake.
    pub intake: Intake,
    /// The NFLOG group, for [`Intake::Nflog`].
    pub group: u16,
    /// Maximum number of datagrams per source and second: up to 1,000,000; 0: unlimited.
    pub per_source: u32,
    /// Permitted difference of a client's clock, in either direction: one second to one hour.
    pub window: Duration,
    /// Whether a knock may leave its address unsigned.
    pub source_address: bool,
    /// Whether a knock may name a second address.
    pub second_address: bool,
    /// Capacity of the replay memory: 1,000 to 10,000,000.
    pub remembered: u32,
}

impl KnockSettings {
    /// The rules for v1, if it is accepted.
    pub fn v1(&self) -> Option<v1::V1Rules> {
        self.protocols.contains(&AcceptedProtocol::V1).then_some(self.original)
    }
}

/// The fields of [`v1::V1Rules`]; the protocol crate does not depend on serde.
#[derive(Deserialize, Serialize)]
#[serde(remote = "v1::V1Rules")]
struct V1Settings {
    shortest_frame: u16,
    any_usage: bool,
}

/// The server's processes and log.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ProcessSettings {
    /// The user of the network process; not root.
    pub user: String,
    /// The state directory.
    pub state: PathBuf,
    /// Worker threads, up to 64; 0: one per core.
    pub workers: u8,
    /// The format of the log.
    pub log: LogFormat,
}

/// The name of the systemd credential with the password (`LoadCredential=`), a file in
/// `$CREDENTIALS_DIRECTORY`.
pub const CREDENTIAL: &str = "sknock-pfx-password";

/// A password in memory: overwritten when dropped, never printed.
#[derive(Clone, Eq, PartialEq)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// Takes ownership of a password.
    pub fn new(text: Zeroizing<String>) -> Self {
        Self(text)
    }

    /// The password as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// The source of the password.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum PasswordSource {
    /// The configuration itself.
    Inline(Password),
    /// The content of this file, without a trailing line end.
    File(PathBuf),
    /// The systemd credential [`CREDENTIAL`]: its copy for the unit, or the file from which systemd takes it.
    Credential(PathBuf),
    /// No source: the empty password.
    #[default]
    None,
}

/// Services in serialized settings, in the usual form: `tcp/22`.
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

/// How packets without a grant are treated.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FirewallPolicy {
    /// They pass: another firewall denies, ours only counts.
    None,
    /// A reset or "port unreachable", as from a closed port.
    #[default]
    Reject,
    /// No response.
    Drop,
}

/// The firewall state after a stop.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OnExit {
    /// The rules stay.
    #[default]
    Closed,
    /// The rules are removed.
    Open,
}

/// How connections of a revoked certificate are treated.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OnRevoke {
    /// They are terminated.
    #[default]
    Cut,
    /// They continue.
    Close,
}

/// An accepted protocol version.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AcceptedProtocol {
    /// Protocol v1, of the original sKnock 1.0.
    V1,
    /// Protocol v2.
    #[default]
    V2,
}

/// The intake: how knocks are received.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Intake {
    /// By copies from the kernel; no port is bound.
    #[default]
    Nflog,
    /// By a bound UDP socket.
    Socket,
}

/// A boolean as written in the file.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(super) enum YesNo {
    Yes,
    #[default]
    No,
}

/// A permission as written in the file.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(super) enum AllowDeny {
    Allow,
    #[default]
    Deny,
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
    fn crls_come_by_other_settings_that_have_all_their_sources() {
        let urls = |urls: &str| format!("crlUrl = {urls}\ncrlFile = /crl.der\n");
        let [one, both] = ["http://a/1", "http://a/1 http://a/2"].map(|some| lists(&urls(some)));
        assert!(one.come_by(&both) && both.come_by(&both) && !both.come_by(&one));
        let without = lists("crlUrl = http://a/1\n");
        assert!(without.come_by(&one) && !one.come_by(&without));
        for other in ["crlFile = /other.der\n", "stateDir = /other\n", "crlTlsCaFile = /ca.pem\n"] {
            let other = lists(&format!("crlUrl = http://a/1\n{other}"));
            assert!(!other.come_by(&one), "{other:?}");
        }
        // Other settings about CRLs do not add any.
        let more =
            "CRL_UPDATE_INTERVAL_IN_MINUTES = 1\nonRevoke = close\nprotectedPorts = tcp/81\n";
        assert!(lists(&[&urls("http://a/1"), more].concat()).come_by(&one));
    }
}
