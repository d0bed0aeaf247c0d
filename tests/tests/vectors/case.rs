//! A vector as its file says it.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use serde::{Deserialize, Deserializer, de::Error};

/// One file. Intermediate values are for whoever writes an implementation; they are not read here.
#[derive(Deserialize)]
pub(crate) struct Case {
    pub(crate) server: String,
    pub(crate) authorities: Vec<String>,
    /// `None`: revocation is not configured. Empty: it is, but no list has come.
    pub(crate) crls: Option<Vec<String>>,
    /// They come, but are not accepted.
    #[serde(default)]
    pub(crate) refused_crls: Vec<String>,
    pub(crate) rules: Rules,
    pub(crate) policy: Option<Policy>,
    #[serde(default)]
    pub(crate) before: Vec<Received>,
    /// Whether all of `before` is proven before any of it is admitted.
    #[serde(default)]
    pub(crate) race: bool,
    #[serde(flatten)]
    pub(crate) knock: Received,
    pub(crate) expected: Option<Expected>,
    pub(crate) grant: Option<Grant>,
    pub(crate) answer: Option<Answer>,
    pub(crate) refused_answer: Option<RefusedAnswer>,
}

impl Case {
    pub(crate) fn read(path: &Path) -> Self {
        let text = fs::read(path).unwrap();
        serde_json::from_slice(&text).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
    }
}

#[derive(Deserialize)]
pub(crate) struct Rules {
    pub(crate) window_ms: u64,
    pub(crate) source_address: Choice,
    pub(crate) second_address: Choice,
    pub(crate) crl_grace_s: u64,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Choice {
    Allow,
    Deny,
}

#[derive(Deserialize)]
pub(crate) struct Policy {
    pub(crate) offered: Option<Vec<String>>,
    pub(crate) usual_s: u64,
    pub(crate) longest_s: u64,
}

/// A datagram, when and from where.
#[derive(Deserialize)]
pub(crate) struct Received {
    #[serde(rename = "received_at_ms")]
    pub(crate) at_ms: u64,
    pub(crate) source: SocketAddr,
    pub(crate) datagram: Hex,
}

#[derive(Deserialize)]
pub(crate) struct Expected {
    pub(crate) knock_id: Hex,
    pub(crate) stamp_ms: u64,
    pub(crate) services: Vec<String>,
    pub(crate) lifetime_s: Option<u16>,
    pub(crate) single_use: bool,
    pub(crate) answer_wanted: bool,
    pub(crate) address: IpAddr,
    pub(crate) address_signed: bool,
    pub(crate) second_address: Option<IpAddr>,
    pub(crate) subject: Subject,
}

#[derive(Deserialize)]
pub(crate) struct Subject {
    pub(crate) name: String,
    pub(crate) serial: Hex,
    pub(crate) issuer_sha256: Hex,
    pub(crate) fingerprint_sha256: Hex,
    pub(crate) not_after_ms: u64,
    pub(crate) allowed: Vec<String>,
}

#[derive(Debug, Deserialize, PartialEq)]
pub(crate) struct Grant {
    pub(crate) services: Vec<String>,
    pub(crate) seconds: u64,
    pub(crate) clipped: bool,
}

#[derive(Deserialize)]
pub(crate) struct Answer {
    pub(crate) clipped: bool,
    pub(crate) seconds: u16,
    pub(crate) server_ms: u64,
    pub(crate) observed: SocketAddr,
    pub(crate) sealed: Hex,
}

/// Bytes that are no answer to the knock.
#[derive(Deserialize)]
pub(crate) struct RefusedAnswer {
    pub(crate) sealed: Hex,
}

/// Bytes, written as lower-case hexadecimal digits.
#[derive(Clone)]
pub(crate) struct Hex(pub(crate) Vec<u8>);

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Ok(byte - b'0'),
            b'a'..=b'f' => Ok(byte - b'a' + 10),
            _ => Err(D::Error::custom("not lower-case hexadecimal")),
        };
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if !rest.is_empty() {
            return Err(D::Error::custom("half a byte"));
        }
        pairs
            .iter()
            .map(|&[high, low]| Ok(digit(high)? << 4 | digit(low)?))
            .collect::<Result<_, _>>()
            .map(Hex)
    }
}
