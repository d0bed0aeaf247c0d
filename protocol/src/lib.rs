//! What a knock looks like and how one is believed.
//!
//! ```text
//! Datagram -> Unveiled -> VerifiedKnock        (this crate)
//!  anyone      ours?        who, what, when, from where
//! ```
//!
//! Bytes and time come in as arguments, values go out. There is no socket, no file, no clock, no
//! log and no async here; `tests/tests/architecture.rs` keeps it so.

mod answer;
pub mod authorization;
mod bundle;
mod bytes;
mod crl;
mod crypto;
mod decrypted;
mod der;
mod hpke;
mod identity;
mod knock;
pub mod plain_text;
mod refusal;
mod refusal_memo;
mod server_certificate;
mod server_key;
pub mod service;
mod subject;
mod timestamp;
mod trust;
pub mod v1;
pub mod v2;
mod verifier;

pub use answer::{ANSWER_LENGTH, Answer, AnswerKey};
pub use authorization::{UnreadableCertificate, allowed_services};
pub use bundle::{Bundle, BundleError, MAX_BUNDLE};
#[cfg(fuzzing)]
pub use crl::fuzzing as revocation_fuzzing;
pub use crl::{
    CrlError, CrlHeader, CrlMark, FUTURE_SLACK, Revocation, RevocationList, RevocationLists, Scope,
};
pub use crypto::PrivateKey;
pub use decrypted::{Datagram, Encapsulation, KnockId, ProvenSender};
pub use identity::{Identity, IdentityError};
pub use knock::{AddressClaim, VerifiedKnock};
pub use refusal::Refusal;
pub use refusal_memo::{Disbelieved, RefusalMemo, Second, Unfounded};
pub use server_certificate::{ServerCertificate, ServerCertificateError};
pub use server_key::{ServerKey, ServerKeyError};
pub use sknock_types::{Misspelt, NotAService, PortRange as Service, Transport};
pub use subject::{CertificateId, IssuerId, Subject};
pub use timestamp::{Timestamp, Validity};
pub use trust::{Issuer, TrustError, TrustStore, UnfitAuthority, UnusableCa};
pub use verifier::{KnockRules, Unveiled, Verifier};

/// The UDP port that servers listen on unless told otherwise: unassigned by IANA, and outside the
/// range from which Linux picks ports for outgoing connections (32768 to 60999).
pub const DEFAULT_KNOCK_PORT: u16 = 62344;
