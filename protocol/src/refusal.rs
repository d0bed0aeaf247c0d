//! Reasons why a knock is refused.

use core::fmt;

use strum::VariantArray;

/// The reason for a refused knock.
///
/// A refusal is counted and, if the sender is known, logged. It is never sent back: the network sees no
/// difference between a refused knock and an absent host.
///
/// The order is the order of the checks.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, VariantArray)]
#[non_exhaustive]
pub enum Refusal {
    /// No protocol version has datagrams of this length.
    WrongLength,
    /// The nonce does not begin with a tag that this server accepts now: an unauthenticated sender, or a client whose
    /// clock is far from ours.
    NotTagged,
    /// Not veiled for this server: an unauthenticated sender.
    NotVeiled,
    /// The one-time key is that of a knock already admitted: a copied datagram sent again.
    Repeated,
    /// Veiled, but not encrypted to this server's key.
    NotForThisServer,
    /// Decrypted, but not a message of this protocol.
    Malformed,
    /// The client's clock is behind ours by more than the window, or the datagram was delayed.
    StampTooOld,
    /// The client's clock is ahead of ours by more than the window.
    StampInFuture,
    /// Not an X.509 certificate that the server can use.
    BadCertificate,
    /// The certificate does not lead to a trusted authority.
    UnknownAuthority,
    /// The certificate, or one above it, has expired.
    CertificateExpired,
    /// The certificate, or one above it, is not valid yet.
    CertificateNotYetValid,
    /// The certificate is not for client authentication, or not for signatures.
    NotAClientCertificate,
    /// CRLs are configured, but no current one covers this certificate.
    RevocationUnknown,
    /// The certificate is on a CRL.
    Revoked,
    /// The certificate's key did not sign this message to this server.
    BadSignature,
    /// The signed address is not the source address of the datagram.
    AddressMismatch,
    /// The address is unsigned, and the administrator requires a signed one.
    AddressUnsigned,
    /// A second address, which the administrator does not allow.
    SecondAddress,
    /// An address that no client can have: multicast, loopback, link-local, unspecified.
    AddressUnusable,
    /// This knock was admitted before.
    Replayed,
    /// The timestamp is below the floor of the replay memory, so the knock may have been admitted before.
    BeforeMemory,
    /// The replay memory is full; no knock is forgotten early.
    ReplayMemoryFull,
    /// The certificate has used up its share of the replay memory.
    ShareOfCertificate,
    /// The source address, or its IPv6 /64, has used up its share of the replay memory.
    ShareOfNetwork,
    /// The rest of the replay memory is reserved for certificates that use less of it.
    ReplayMemoryReserved,
    /// The replay journal could not be written.
    ReplayJournalFailed,
    /// The certificate names no service.
    NothingAllowed,
    /// The certificate does not allow every requested service.
    ServiceNotAllowed,
    /// The configuration does not offer every requested service.
    ServiceNotOffered,
    /// More ports than one grant may contain.
    TooManyPorts,
    /// Single use of UDP or of a port range.
    SingleUseUnfit,
}

impl Refusal {
    /// Every reason, in the order of the checks.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// The name in logs, counters and scripts; its meaning never changes. Not derived from the variant:
    /// renaming a variant must not change logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::WrongLength => "wrong-length",
            Self::NotTagged => "not-tagged",
            Self::NotVeiled => "not-veiled",
            Self::Repeated => "repeated",
            Self::NotForThisServer => "not-for-this-server",
            Self::Malformed => "malformed",
            Self::StampTooOld => "stamp-too-old",
            Self::StampInFuture => "stamp-in-future",
            Self::BadCertificate => "bad-certificate",
            Self::UnknownAuthority => "unknown-authority",
            Self::CertificateExpired => "certificate-expired",
            Self::CertificateNotYetValid => "certificate-not-yet-valid",
            Self::NotAClientCertificate => "not-a-client-certificate",
            Self::RevocationUnknown => "revocation-unknown",
            Self::Revoked => "revoked",
            Self::BadSignature => "bad-signature",
            Self::AddressMismatch => "address-mismatch",
            Self::AddressUnsigned => "address-unsigned",
            Self::SecondAddress => "second-address",
            Self::AddressUnusable => "address-unusable",
            Self::Replayed => "replayed",
            Self::BeforeMemory => "before-memory",
            Self::ReplayMemoryFull => "replay-memory-full",
            Self::ShareOfCertificate => "share-of-certificate",
            Self::ShareOfNetwork => "share-of-network",
            Self::ReplayMemoryReserved => "replay-memory-reserved",
            Self::ReplayJournalFailed => "replay-journal-failed",
            Self::NothingAllowed => "nothing-allowed",
            Self::ServiceNotAllowed => "service-not-allowed",
            Self::ServiceNotOffered => "service-not-offered",
            Self::TooManyPorts => "too-many-ports",
            Self::SingleUseUnfit => "single-use-unfit",
        }
    }

    /// Whether only a holder of one of our certificates and its key can have caused it.
    ///
    /// Such refusals are written to the audit log; any sender can cause all others at any rate, so they are
    /// only counted.
    pub fn is_by_a_known_client(self) -> bool {
        self > Self::BadSignature
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
