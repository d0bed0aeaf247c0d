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
mod datagram;
mod der;
mod hpke;
mod identity;
mod issuer_id;
mod knock;
mod letter;
mod memo;
mod moment;
mod p256;
mod private_key;
mod refusal;
mod revocation;
mod server_key;
pub mod service;
mod sha256;
mod signed;
mod spelling;
mod subject;
mod symmetric;
mod trust;
pub mod v1;
pub mod v2;
mod validity;
mod verifier;

pub use answer::{ANSWER_LENGTH, Answer, AnswerKey};
pub use authorization::{UnreadableCertificate, allowed_services};
pub use bundle::{Bundle, BundleError, MAX_BUNDLE};
pub use datagram::Datagram;
pub use identity::{Identity, IdentityError};
pub use issuer_id::IssuerId;
pub use knock::{AddressClaim, Encapsulation, KnockId, VerifiedKnock};
pub use memo::{Disbelieved, Memo, Second, Unfounded};
pub use moment::Moment;
pub use private_key::PrivateKey;
pub use refusal::Refusal;
#[cfg(fuzzing)]
pub use revocation::fuzzing as revocation_fuzzing;
pub use revocation::{
    Announced, CrlError, FUTURE_SLACK, Mark, Revocation, RevocationList, RevocationLists, Scope,
};
pub use server_key::{ServerCertificate, ServerCertificateError, ServerKey, ServerKeyError};
pub use service::{NotAService, Service, Transport};
pub use spelling::Misspelt;
pub use subject::{CertificateId, Subject};
pub use trust::{Anchors, Issuer, TrustError, Unfit, UnfitAuthority};
pub use validity::Validity;
pub use verifier::{Rules, Unveiled, Verifier};

/// The UDP port that servers listen on unless told otherwise: unassigned by IANA, and outside the
/// range from which Linux picks ports for outgoing connections (32768 to 60999).
pub const DEFAULT_KNOCK_PORT: u16 = 62344;
