//! How a request went over the ceiling.

use std::fmt;

use crate::share::ShareExceeded;

/// How a request went over the ceiling. The number is what an [`Response`](crate::Response) carries.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum DenyReason {
    /// The bytes were no request.
    NotARequest = 1,
    /// The protection was not asked for yet.
    NotInstalled = 2,
    /// Not an address that a client can have, or two of one family.
    Address = 3,
    /// No port, or more than [`MAX_PORTS`](crate::MAX_PORTS).
    Ports = 4,
    /// Not a service that may be opened.
    Service = 5,
    /// Single use of UDP or of a range.
    SingleUse = 6,
    /// No time at all.
    Lifetime = 7,
    /// Too many grants are open.
    Live = 8,
    /// Too many requests in a short time.
    Rate = 9,
    /// The certificate would have more than its share of the grants.
    ShareOfCertificate = 10,
    /// An address, or the IPv6 /64 that it is in, would have more than its share of the grants.
    ShareOfNetwork = 11,
    /// Few grants are left, and they are for certificates that have less.
    Reserved = 12,
    /// The certificate has had its share of the requests.
    RateOfCertificate = 13,
    /// An address, or the IPv6 /64 that it is in, has had its share of the requests.
    RateOfNetwork = 14,
    /// Few requests are left, and they are for certificates that had less.
    RateReserved = 15,
    /// Tags of knocks: too many, for too long, or other than were staged.
    Tags = 16,
}

impl DenyReason {
    const ALL: [Self; 16] = [
        Self::NotARequest,
        Self::NotInstalled,
        Self::Address,
        Self::Ports,
        Self::Service,
        Self::SingleUse,
        Self::Lifetime,
        Self::Live,
        Self::Rate,
        Self::ShareOfCertificate,
        Self::ShareOfNetwork,
        Self::Reserved,
        Self::RateOfCertificate,
        Self::RateOfNetwork,
        Self::RateReserved,
        Self::Tags,
    ];

    pub(super) fn of_places(lack: ShareExceeded) -> Self {
        match lack {
            ShareExceeded::Room => Self::Live,
            ShareExceeded::OfCertificate => Self::ShareOfCertificate,
            ShareExceeded::OfNetwork => Self::ShareOfNetwork,
            ShareExceeded::Reserved => Self::Reserved,
        }
    }

    pub(super) fn of_rate(lack: ShareExceeded) -> Self {
        match lack {
            ShareExceeded::Room => Self::Rate,
            ShareExceeded::OfCertificate => Self::RateOfCertificate,
            ShareExceeded::OfNetwork => Self::RateOfNetwork,
            ShareExceeded::Reserved => Self::RateReserved,
        }
    }

    /// A name for logs and scripts; it never changes its meaning.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotARequest => "not-a-request",
            Self::NotInstalled => "not-raised",
            Self::Address => "address",
            Self::Ports => "ports",
            Self::Service => "service",
            Self::SingleUse => "single-use",
            Self::Lifetime => "lifetime",
            Self::Live => "too-many-grants",
            Self::Rate => "too-many-a-second",
            Self::ShareOfCertificate => "share-of-certificate",
            Self::ShareOfNetwork => "share-of-network",
            Self::Reserved => "last-grants-reserved",
            Self::RateOfCertificate => "rate-of-certificate",
            Self::RateOfNetwork => "rate-of-network",
            Self::RateReserved => "rate-reserved",
            Self::Tags => "tags",
        }
    }

    pub(crate) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|&deny_reason| deny_reason as u8 == number)
    }
}

impl fmt::Display for DenyReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotARequest => "not a request",
            Self::NotInstalled => "the rules are not loaded yet",
            Self::Address => "not a valid client address",
            Self::Ports => "no port, or more than 64 ports",
            Self::Service => "not a service that may be granted",
            Self::SingleUse => "single use is only possible for single TCP ports",
            Self::Lifetime => "the duration is 0",
            Self::Live => "too many grants are active",
            Self::Rate => "too many grants in a short time",
            Self::ShareOfCertificate => {
                "this certificate has reached its share of the grants \
                                         (shareOfCertificate)"
            }
            Self::ShareOfNetwork => {
                "this network has reached its share of the grants \
                                     (shareOfNetwork)"
            }
            Self::Reserved => {
                "the limit of grants is nearly reached, and the rest is reserved \
                               for certificates that hold fewer"
            }
            Self::RateOfCertificate => {
                "this certificate has reached its share of the grants in ten seconds \
                 (shareOfCertificate)"
            }
            Self::RateOfNetwork => {
                "this network has reached its share of the grants in ten seconds (shareOfNetwork)"
            }
            Self::RateReserved => {
                "the limit of grants in ten seconds is nearly reached, and the rest is reserved \
                 for certificates that had fewer"
            }
            Self::Tags => "too many tags of knocks, for too long, or incomplete",
        })
    }
}
