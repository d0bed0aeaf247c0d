//! The format of knocks, and their verification.
//!
//! ```text
//! Datagram -> Unveiled -> VerifiedKnock        (this crate)
//!  anyone      our veil?    sender, time, request, source address
//! ```
//!
//! Bytes and time are arguments, values are results. There is no socket, file, clock, log or async here;
//! `tests/tests/architecture.rs` enforces it.

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
pub use refusal_memo::{RefusalMemo, RefusedDatagram, Second, Unfounded};
pub use server_certificate::{ServerCertificate, ServerCertificateError};
pub use server_key::{ServerKey, ServerKeyError};
pub use sknock_types::{Misspelt, NotAService, PortRange as Service, Transport};
pub use subject::{CertificateId, IssuerId, Subject};
pub use timestamp::{Timestamp, Validity};
pub use trust::{Issuer, TrustError, TrustStore, UnfitAuthority, UnusableCa};
pub use verifier::{KnockRules, Unveiled, Verifier};

/// The default UDP port of servers: unassigned by IANA, and outside the range from which Linux picks ports
/// for outgoing connections (32768 to 60999).
pub const DEFAULT_KNOCK_PORT: u16 = 62344;
