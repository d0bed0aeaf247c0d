//! What the network process may say: one record of fixed size per request. Decoding is strict and
//! decides nothing; the [`Ceiling`](crate::Ceiling) does.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::record::{Reader, Writer};
use crate::{Holder, Label, Name, PortRange, Serial, Transport};

/// A request from the network process. Unchecked, trusted by nobody.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Request {
    /// The network process is ready for knocks: put the protection up.
    Raise,
    /// Let somebody in.
    Open(Wish),
    /// Close everything that these certificates were granted: they are revoked.
    Close {
        /// Who issued them, as in [`Holder`].
        issuer: [u8; Holder::ISSUER],
        /// Which they are: 1..=[`Request::SERIALS`].
        serials: Vec<Serial>,
    },
    /// Close what certificates by this issuer were granted: it is revoked itself. Some of them at a
    /// time; to be asked again until [`Answer::Closed`](crate::Answer::Closed) counts none.
    CloseBelow([u8; Holder::ISSUER]),
    /// Name the next issuer, in the order of these bytes, whose certificates were granted anything. After
    /// zeros, the first one. Not while rules are on trial.
    IssuerAfter([u8; Holder::ISSUER]),
}

/// Whom to let in, to what, for how long, and who that is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Wish {
    /// From where: 1 or 2 addresses, the second of the other family.
    pub addresses: Vec<IpAddr>,
    /// To what: 1..=16 ranges of ports.
    pub services: Vec<PortRange>,
    /// For how many seconds.
    pub seconds: u32,
    /// Whether the first connection uses it up.
    pub single_use: bool,
    /// Which knock and whose certificate.
    pub label: Label,
}

const RAISE: u8 = 1;
const OPEN: u8 = 2;
const CLOSE: u8 = 3;
const CLOSE_BELOW: u8 = 4;
const ISSUER_AFTER: u8 = 5;

const SINGLE_USE: u8 = 1;

impl Wish {
    /// The most addresses of a wish.
    pub const ADDRESSES: usize = 2;
    /// The most services of a wish: as many as a knock can name.
    pub const SERVICES: usize = 16;
}

/// A length and twenty bytes.
const SERIAL_WIDTH: usize = 1 + Serial::MOST;
/// A family and sixteen bytes.
const ADDRESS_WIDTH: usize = 17;
/// An IP protocol number, the first port and the last.
const SERVICE_WIDTH: usize = 5;

impl Request {
    /// Every request is this long.
    ///
    /// ```text
    /// u8 kind: 1 raise | 2 open | 3 close | 4 close below | 5 issuer after; what is not used is zero
    /// close: [12] issuer | u8 count, 11 x (u8 length, [20] serial)
    /// close below, issuer after: [12] issuer
    /// open:  u8 flags (1 single use) | u32 seconds | [8] knock | [12] issuer | u8 length, [20] serial
    ///        | u8 length, [64] name | u8 count, 2 x (u8 family 4 or 6, [16]) | u8 count, 16 x (u8 protocol, u16 first, u16 last)
    /// ```
    ///
    /// Numbers are big-endian; an IPv4 address stands first in its sixteen bytes.
    pub const LEN: usize = 256;
    /// The most certificates that one request closes: as many as fit.
    pub const SERIALS: usize = 11;

    /// Closes everything that one certificate was granted.
    pub fn close(holder: Holder) -> Self {
        Self::Close { issuer: holder.issuer, serials: vec![holder.serial] }
    }

    /// The record, or nothing if there is more of anything than fits, or nobody to close.
    pub fn encode(&self) -> Option<[u8; Self::LEN]> {
        let mut record = Writer::new();
        match self {
            Self::Raise => record.put(&[RAISE])?,
            Self::Open(wish) => {
                record.put(&[OPEN])?;
                write_wish(&mut record, wish)?;
            }
            Self::Close { issuer, serials } => {
                record.put(&[CLOSE])?;
                record.put(issuer)?;
                write_serials(&mut record, serials)?;
            }
            Self::CloseBelow(issuer) => {
                record.put(&[CLOSE_BELOW])?;
                record.put(issuer)?;
            }
            Self::IssuerAfter(issuer) => {
                record.put(&[ISSUER_AFTER])?;
                record.put(issuer)?;
            }
        }
        Some(record.finish())
    }

    /// The request in these bytes, if they are exactly one.
    pub fn decode(record: &[u8]) -> Option<Self> {
        let mut fields = Reader::new(record.first_chunk::<{ Self::LEN }>()?);
        let request = match fields.byte()? {
            RAISE => Self::Raise,
            OPEN => Self::Open(read_wish(&mut fields)?),
            CLOSE => Self::Close { issuer: fields.array()?, serials: read_serials(&mut fields)? },
            CLOSE_BELOW => Self::CloseBelow(fields.array()?),
            ISSUER_AFTER => Self::IssuerAfter(fields.array()?),
            _ => return None,
        };
        (record.len() == Self::LEN && fields.ends()).then_some(request)
    }
}

fn write_wish<const N: usize>(record: &mut Writer<N>, wish: &Wish) -> Option<()> {
    record.put(&[if wish.single_use { SINGLE_USE } else { 0 }])?;
    record.put(&wish.seconds.to_be_bytes())?;
    record.put(&wish.label.knock)?;
    write_holder(record, &wish.label.holder)?;
    record.padded(wish.label.name.as_bytes(), Name::MOST)?;

    record.put(&[u8::try_from(wish.addresses.len()).ok()?])?;
    wish.addresses.iter().try_for_each(|address| match address {
        IpAddr::V4(v4) => record.put(&[&[4], &v4.octets()[..], &[0; 12]].concat()),
        IpAddr::V6(v6) => record.put(&[&[6], &v6.octets()[..]].concat()),
    })?;
    record.skip(Wish::ADDRESSES.checked_sub(wish.addresses.len())? * ADDRESS_WIDTH)?;

    record.put(&[u8::try_from(wish.services.len()).ok()?])?;
    wish.services.iter().try_for_each(|service| {
        record.put(&[service.transport().number()])?;
        record.put(&service.first().to_be_bytes())?;
        record.put(&service.last().to_be_bytes())
    })?;
    record.skip(Wish::SERVICES.checked_sub(wish.services.len())? * SERVICE_WIDTH)
}

fn read_wish(fields: &mut Reader<'_>) -> Option<Wish> {
    let single_use = match fields.byte()? {
        0 => false,
        SINGLE_USE => true,
        _ => return None,
    };
    let seconds = fields.long()?;
    let knock = fields.array()?;
    let holder = read_holder(fields)?;
    let name = Name::new(fields.padded(Name::MOST)?)?;
    Some(Wish {
        addresses: fields.slots(Wish::ADDRESSES, ADDRESS_WIDTH, read_address)?,
        services: fields.slots(Wish::SERVICES, SERVICE_WIDTH, read_service)?,
        seconds,
        single_use,
        label: Label { knock, holder, name },
    })
}

fn write_holder<const N: usize>(record: &mut Writer<N>, holder: &Holder) -> Option<()> {
    record.put(&holder.issuer)?;
    record.padded(holder.serial.as_bytes(), Serial::MOST)
}

fn read_holder(fields: &mut Reader<'_>) -> Option<Holder> {
    Some(Holder { issuer: fields.array()?, serial: Serial::new(fields.padded(Serial::MOST)?)? })
}

fn write_serials<const N: usize>(record: &mut Writer<N>, serials: &[Serial]) -> Option<()> {
    let empty = Request::SERIALS.checked_sub(serials.len())?;
    record.put(&[u8::try_from(serials.len()).ok().filter(|count| *count > 0)?])?;
    serials.iter().try_for_each(|serial| record.padded(serial.as_bytes(), Serial::MOST))?;
    record.skip(empty * SERIAL_WIDTH)
}

fn read_serials(fields: &mut Reader<'_>) -> Option<Vec<Serial>> {
    let read = |slot: &mut Reader<'_>| Serial::new(slot.padded(Serial::MOST)?);
    let serials = fields.slots(Request::SERIALS, SERIAL_WIDTH, read)?;
    Some(serials).filter(|serials| !serials.is_empty())
}

fn read_address(slot: &mut Reader<'_>) -> Option<IpAddr> {
    match slot.byte()? {
        4 => {
            let octets = slot.array::<4>()?;
            slot.ends().then_some(Ipv4Addr::from(octets).into())
        }
        6 => slot.array::<16>().map(|octets| Ipv6Addr::from(octets).into()),
        _ => None,
    }
}

fn read_service(slot: &mut Reader<'_>) -> Option<PortRange> {
    PortRange::new(Transport::from_number(slot.byte()?)?, slot.short()?, slot.short()?)
}
