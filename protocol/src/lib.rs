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
mod datagram;
mod decrypted;
mod der;
mod hpke;
mod identity;
mod issuer_id;
mod knock;
mod p256;
mod private_key;
mod refusal;
mod refusal_memo;
mod server_key;
pub mod service;
mod sha256;
mod signed;
mod subject;
mod symmetric;
mod timestamp;
mod trust;
pub mod v1;
pub mod v2;
mod validity;
mod verifier;

pub use answer::{ANSWER_LENGTH, Answer, AnswerKey};
pub use authorization::{UnreadableCertificate, allowed_services};
pub use bundle::{Bundle, BundleError, MAX_BUNDLE};
#[cfg(fuzzing)]
pub use crl::fuzzing as revocation_fuzzing;
pub use crl::{
    CrlError, CrlHeader, CrlMark, FUTURE_SLACK, Revocation, RevocationList, RevocationLists, Scope,
};
pub use datagram::Datagram;
pub use identity::{Identity, IdentityError};
pub use issuer_id::IssuerId;
pub use knock::{AddressClaim, Encapsulation, KnockId, VerifiedKnock};
pub use private_key::PrivateKey;
pub use refusal::Refusal;
pub use refusal_memo::{Disbelieved, RefusalMemo, Second, Unfounded};
pub use server_key::{ServerCertificate, ServerCertificateError, ServerKey, ServerKeyError};
pub use sknock_types::{Misspelt, NotAService, PortRange as Service, Transport};
pub use subject::{CertificateId, Subject};
pub use timestamp::Timestamp;
pub use trust::{Issuer, TrustError, TrustStore, UnfitAuthority, UnusableCa};
pub use validity::Validity;
pub use verifier::{KnockRules, Unveiled, Verifier};

/// The UDP port that servers listen on unless told otherwise: unassigned by IANA, and outside the
/// range from which Linux picks ports for outgoing connections (32768 to 60999).
pub const DEFAULT_KNOCK_PORT: u16 = 62344;
