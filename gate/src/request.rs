//! What the network process may say: one record of fixed size per request. Decoding is strict and
//! decides nothing; the [`Ceiling`](crate::Ceiling) does.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::cert_id::{CertId, OwnerName};
use crate::label::GrantLabel;
use crate::tags::KnockTag;
use crate::wire::{WireReader, Writer};
use sknock_types::{PortRange, Serial, Transport};

/// A request from the network process. Unchecked and not trusted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Request {
    /// The network process is ready for knocks: install the table.
    Activate,
    /// Open a grant.
    Open(GrantRequest),
    /// Close everything that these certificates were granted: they are revoked.
    Close {
        /// Their issuer, as in [`CertId`].
        issuer: [u8; CertId::ISSUER],
        /// Which they are: 1..=[`Request::SERIALS`].
        serials: Vec<Serial>,
    },
    /// Close what certificates by this issuer were granted: it is revoked itself. Some of them at a
    /// time; to be asked again until [`Response::Closed`](crate::Response::Closed) counts none.
    CloseIssuer([u8; CertId::ISSUER]),
    /// Name the next issuer, in the order of these bytes, whose certificates were granted anything. After
    /// zeros, the first one. Not while rules are on trial.
    NextIssuer([u8; CertId::ISSUER]),
    /// Keep these tags of knocks until [`Request::LoadTags`].
    StageTags {
        /// For how long the kernel is to have them, from now on.
        seconds: u32,
        /// 1..=[`Request::TAGS`].
        tags: Vec<KnockTag>,
    },
    /// Load all staged tags into the kernel.
    LoadTags {
        /// How many were staged, in all requests since the last of this kind.
        count: u32,
        /// Whether they take the place of those that are there.
        replace: bool,
        /// For how long the kernel refuses knocks without any of the tags. Zero: from now on it refuses none.
        seconds: u32,
    },
}

/// Addresses, services, duration, and whose they are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GrantRequest {
    /// From where: 1 or 2 addresses, the second of the other family.
    pub addresses: Vec<IpAddr>,
    /// To what: 1..=16 ranges of ports.
    pub services: Vec<PortRange>,
    /// For how many seconds.
    pub seconds: u32,
    /// Whether the first connection uses it up.
    pub single_use: bool,
    /// Which knock and whose certificate.
    pub label: GrantLabel,
}

const ACTIVATE: u8 = 1;
const OPEN: u8 = 2;
const CLOSE: u8 = 3;
const CLOSE_ISSUER: u8 = 4;
const NEXT_ISSUER: u8 = 5;
const STAGE_TAGS: u8 = 6;
const LOAD_TAGS: u8 = 7;

impl GrantRequest {
    /// The most addresses of a request.
    pub const ADDRESSES: usize = 2;
    /// The most services of a request: as many as a knock can name.
    pub const SERVICES: usize = 16;
}

/// A length and twenty bytes.
const SERIAL_WIDTH: usize = 1 + Serial::MAX_LEN;
/// A family and sixteen bytes.
const ADDRESS_WIDTH: usize = 17;
/// An IP protocol number, the first port and the last.
const SERVICE_WIDTH: usize = 5;

impl Request {
    /// Every request is this long.
    ///
    /// ```text
    /// u8 kind: 1 activate | 2 open | 3 close | 4 close issuer | 5 next issuer
    ///    | 6 stage tags | 7 load tags; what is not used is zero
    /// close: [12] issuer | u8 count, 11 x (u8 length, [20] serial)
    /// close issuer, next issuer: [12] issuer
    /// stage tags: u32 seconds | u8 count, 62 x [4] tag
    /// load tags: u32 count | u8 replace (0, 1) | u32 seconds
    /// open:  u8 flags (1 single use) | u32 seconds | [8] knock | [12] issuer | u8 length, [20] serial
    ///        | u8 length, [64] name | u8 count, 2 x (u8 family 4 or 6, [16]) | u8 count, 16 x (u8 protocol, u16 first, u16 last)
    /// ```
    ///
    /// Numbers are big-endian; an IPv4 address stands first in its sixteen bytes.
    pub const LEN: usize = 256;
    /// The most certificates that one request closes: as many as fit.
    pub const SERIALS: usize = 11;
    /// The most tags that one request stages: as many as fit.
    pub const TAGS: usize = 62;

    /// Closes everything that one certificate was granted.
    pub fn close(cert: CertId) -> Self {
        Self::Close { issuer: cert.issuer, serials: vec![cert.serial] }
    }

    /// The record, or nothing if there is more of anything than fits, or no certificate to close.
    pub fn encode(&self) -> Option<[u8; Self::LEN]> {
        let mut record = Writer::new();
        match self {
            Self::Activate => record.put(&[ACTIVATE])?,
            Self::Open(grant_request) => {
                record.put(&[OPEN])?;
                write_grant_request(&mut record, grant_request)?;
            }
            Self::Close { issuer, serials } => {
                record.put(&[CLOSE])?;
                record.put(issuer)?;
                write_serials(&mut record, serials)?;
            }
            Self::CloseIssuer(issuer) => {
                record.put(&[CLOSE_ISSUER])?;
                record.put(issuer)?;
            }
            Self::NextIssuer(issuer) => {
                record.put(&[NEXT_ISSUER])?;
                record.put(issuer)?;
            }
            Self::StageTags { seconds, tags } => {
                record.put(&[STAGE_TAGS])?;
                record.put(&seconds.to_be_bytes())?;
                write_tags(&mut record, tags)?;
            }
            Self::LoadTags { count, replace, seconds } => {
                record.put(&[LOAD_TAGS])?;
                record.put(&count.to_be_bytes())?;
                record.put(&[u8::from(*replace)])?;
                record.put(&seconds.to_be_bytes())?;
            }
        }
        Some(record.finish())
    }

    /// The request in these bytes, if they are exactly one.
    pub fn decode(record: &[u8]) -> Option<Self> {
        let mut fields = WireReader::new(record.first_chunk::<{ Self::LEN }>()?);
        let request = match fields.byte()? {
            ACTIVATE => Self::Activate,
            OPEN => Self::Open(read_grant_request(&mut fields)?),
            CLOSE => Self::Close { issuer: fields.array()?, serials: read_serials(&mut fields)? },
            CLOSE_ISSUER => Self::CloseIssuer(fields.array()?),
            NEXT_ISSUER => Self::NextIssuer(fields.array()?),
            STAGE_TAGS => {
                Self::StageTags { seconds: fields.long()?, tags: read_tags(&mut fields)? }
            }
            LOAD_TAGS => Self::LoadTags {
                count: fields.long()?,
                replace: read_flag(&mut fields)?,
                seconds: fields.long()?,
            },
            _ => return None,
        };
        (record.len() == Self::LEN && fields.ends()).then_some(request)
    }
}

fn write_grant_request<const N: usize>(
    record: &mut Writer<N>,
    grant_request: &GrantRequest,
) -> Option<()> {
    record.put(&[u8::from(grant_request.single_use)])?;
    record.put(&grant_request.seconds.to_be_bytes())?;
    record.put(&grant_request.label.knock)?;
    write_cert(record, &grant_request.label.cert)?;
    record.padded(grant_request.label.name.as_bytes(), OwnerName::MAX_LEN)?;

    record.put(&[u8::try_from(grant_request.addresses.len()).ok()?])?;
    grant_request.addresses.iter().try_for_each(|address| match address {
        IpAddr::V4(v4) => record.put(&[&[4], &v4.octets()[..], &[0; 12]].concat()),
        IpAddr::V6(v6) => record.put(&[&[6], &v6.octets()[..]].concat()),
    })?;
    record.skip(
        GrantRequest::ADDRESSES.checked_sub(grant_request.addresses.len())? * ADDRESS_WIDTH,
    )?;

    record.put(&[u8::try_from(grant_request.services.len()).ok()?])?;
    grant_request.services.iter().try_for_each(|service| {
        record.put(&[service.transport().number()])?;
        record.put(&service.first().to_be_bytes())?;
        record.put(&service.last().to_be_bytes())
    })?;
    record.skip(GrantRequest::SERVICES.checked_sub(grant_request.services.len())? * SERVICE_WIDTH)
}

fn read_grant_request(fields: &mut WireReader<'_>) -> Option<GrantRequest> {
    let single_use = read_flag(fields)?;
    let seconds = fields.long()?;
    let knock = fields.array()?;
    let cert = read_cert(fields)?;
    let name = OwnerName::new(fields.padded(OwnerName::MAX_LEN)?)?;
    Some(GrantRequest {
        addresses: fields.slots(GrantRequest::ADDRESSES, ADDRESS_WIDTH, read_address)?,
        services: fields.slots(GrantRequest::SERVICES, SERVICE_WIDTH, read_service)?,
        seconds,
        single_use,
        label: GrantLabel { knock, cert, name },
    })
}

fn write_cert<const N: usize>(record: &mut Writer<N>, cert: &CertId) -> Option<()> {
    record.put(&cert.issuer)?;
    record.padded(cert.serial.as_bytes(), Serial::MAX_LEN)
}

fn read_cert(fields: &mut WireReader<'_>) -> Option<CertId> {
    Some(CertId { issuer: fields.array()?, serial: Serial::new(fields.padded(Serial::MAX_LEN)?)? })
}

fn write_serials<const N: usize>(record: &mut Writer<N>, serials: &[Serial]) -> Option<()> {
    let empty = Request::SERIALS.checked_sub(serials.len())?;
    record.put(&[u8::try_from(serials.len()).ok().filter(|count| *count > 0)?])?;
    serials.iter().try_for_each(|serial| record.padded(serial.as_bytes(), Serial::MAX_LEN))?;
    record.skip(empty * SERIAL_WIDTH)
}

fn read_serials(fields: &mut WireReader<'_>) -> Option<Vec<Serial>> {
    let read = |slot: &mut WireReader<'_>| Serial::new(slot.padded(Serial::MAX_LEN)?);
    let serials = fields.slots(Request::SERIALS, SERIAL_WIDTH, read)?;
    Some(serials).filter(|serials| !serials.is_empty())
}

fn write_tags<const N: usize>(record: &mut Writer<N>, tags: &[KnockTag]) -> Option<()> {
    let empty = Request::TAGS.checked_sub(tags.len())?;
    record.put(&[u8::try_from(tags.len()).ok().filter(|count| *count > 0)?])?;
    tags.iter().try_for_each(|tag| record.put(tag))?;
    record.skip(empty * size_of::<KnockTag>())
}

fn read_tags(fields: &mut WireReader<'_>) -> Option<Vec<KnockTag>> {
    let tags = fields.slots(Request::TAGS, size_of::<KnockTag>(), WireReader::array)?;
    Some(tags).filter(|tags| !tags.is_empty())
}

fn read_flag(fields: &mut WireReader<'_>) -> Option<bool> {
    match fields.byte()? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

fn read_address(slot: &mut WireReader<'_>) -> Option<IpAddr> {
    match slot.byte()? {
        4 => {
            let octets = slot.array::<4>()?;
            slot.ends().then_some(Ipv4Addr::from(octets).into())
        }
        6 => slot.array::<16>().map(|octets| Ipv6Addr::from(octets).into()),
        _ => None,
    }
}

fn read_service(slot: &mut WireReader<'_>) -> Option<PortRange> {
    PortRange::new(Transport::from_number(slot.byte()?)?, slot.short()?, slot.short()?)
}
