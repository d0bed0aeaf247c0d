//! Why a knock is ignored.

use core::fmt;

use strum::VariantArray;

/// The reason a knock opened nothing.
///
/// A refusal is counted and perhaps logged. It is never sent back: to the network, every refused
/// knock looks like a host that is not there.
///
/// The order is the order of the checks.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, VariantArray)]
#[non_exhaustive]
pub enum Refusal {
    /// No dialect has datagrams of this length.
    WrongLength,
    /// Not veiled for this server: a stranger's bytes.
    NotVeiled,
    /// The one-time key is that of a knock already admitted: a captured datagram sent again.
    Repeated,
    /// Veiled, but not encrypted to this server's key.
    NotForThisServer,
    /// Decrypted, but not a message of this protocol.
    Malformed,
    /// The client's clock is behind ours by more than the window, or the datagram was held back.
    StampTooOld,
    /// The client's clock is ahead of ours by more than the window.
    StampInFuture,
    /// Not an X.509 certificate that we can use.
    BadCertificate,
    /// The certificate does not lead to a trusted authority.
    UnknownAuthority,
    /// The certificate, or one above it, is past its end.
    CertificateExpired,
    /// The certificate, or one above it, has not begun.
    CertificateNotYetValid,
    /// The certificate is not for client authentication.
    NotAClientCertificate,
    /// Revocation lists are configured, but none that still counts covers this certificate.
    RevocationUnknown,
    /// The certificate is on a revocation list.
    Revoked,
    /// The signature is not this certificate's over this message to this server.
    BadSignature,
    /// The signed address is not the one the datagram came from.
    AddressMismatch,
    /// The client left its address to the network, and the administrator wants it signed.
    AddressUnsigned,
    /// A second address, which the administrator does not allow.
    SecondAddress,
    /// An address that no client can have: multicast, loopback, link-local, unspecified.
    AddressUnusable,
    /// This knock was admitted before.
    Replayed,
    /// Stamped before what the server can still remember, so it may have been admitted before.
    BeforeMemory,
    /// The replay memory is full; nothing is ever forgotten early.
    ReplayMemoryFull,
    /// The certificate has its share of the replay memory.
    ShareOfCertificate,
    /// The source address, or the IPv6 /64 that it is in, has its share of the replay memory.
    ShareOfNetwork,
    /// Little of the replay memory is left, and that is for certificates that have less of it.
    ReplayMemoryReserved,
    /// The replay journal could not be written.
    ReplayJournalFailed,
    /// The certificate names no service at all.
    NothingAllowed,
    /// The certificate does not allow every service that was asked for.
    ServiceNotAllowed,
    /// The administrator does not allow every service that was asked for.
    ServiceNotOffered,
    /// More ports than one grant may have.
    TooManyPorts,
    /// Single use of UDP or of a port range.
    SingleUseUnfit,
}

impl Refusal {
    /// Every reason, in the order of the checks.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// A name for logs, counters and scripts; it never changes its meaning. Written out, not derived from the
    /// variant: to rename one in the code must not rename it in logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::WrongLength => "wrong-length",
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

    /// Whether only somebody with a certificate of ours and the matching key can have caused it.
    ///
    /// Such refusals deserve a line in the audit log; all others could be caused by anyone, at any
    /// rate, and are only counted.
    pub fn is_by_a_known_client(self) -> bool {
        self > Self::BadSignature
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
