//! One entry of the grant file: what changed. Each begins with its length, so that an entry that was cut
//! short is known as such. Decoding is strict; what it does not know ends the file.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::live::Claim;
use crate::record::Reader;
use crate::{Door, Holder, Label, Name, Serial, Transport, Uptime, Way};

/// A change of what is granted, was granted, or is cut.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Entry {
    /// A door is open for somebody.
    Granted(Claim),
    /// Somebody was let in on this way, and the grant has ended.
    Ended(Label, Way),
    /// All of this certificate was closed: it has nothing, and had nothing.
    Closed(Holder),
    /// What this certificate has or had on one way was closed.
    ClosedWay(Holder, Way),
    /// Nobody has this door open.
    ClosedDoor(Door),
    /// Nothing passes on this way.
    Cut(Way),
    /// This way is cut no more.
    Uncut(Way),
    /// The rules in force are on trial until then.
    Trial(Uptime),
}

const GRANTED: u8 = 1;
const ENDED: u8 = 2;
const CLOSED: u8 = 3;
const CLOSED_WAY: u8 = 4;
const CLOSED_DOOR: u8 = 5;
const CUT: u8 = 6;
const UNCUT: u8 = 7;
const TRIAL: u8 = 8;

impl Entry {
    /// Appends it: u8 length, u8 kind, and so on as written here. At most 256 bytes.
    pub(super) fn write(&self, bytes: &mut Vec<u8>) {
        let at = bytes.len();
        bytes.push(0);
        match self {
            Self::Granted(Claim { door, until, label }) => {
                bytes.push(GRANTED);
                write_door(bytes, door);
                bytes.extend(until.nanos().to_be_bytes());
                write_label(bytes, label);
            }
            Self::Ended(label, way) => {
                bytes.push(ENDED);
                write_way(bytes, way);
                write_label(bytes, label);
            }
            Self::Closed(holder) => {
                bytes.push(CLOSED);
                write_holder(bytes, holder);
            }
            Self::ClosedWay(holder, way) => {
                bytes.push(CLOSED_WAY);
                write_way(bytes, way);
                write_holder(bytes, holder);
            }
            Self::ClosedDoor(door) => {
                bytes.push(CLOSED_DOOR);
                write_door(bytes, door);
            }
            Self::Cut(way) => {
                bytes.push(CUT);
                write_way(bytes, way);
            }
            Self::Uncut(way) => {
                bytes.push(UNCUT);
                write_way(bytes, way);
            }
            Self::Trial(until) => {
                bytes.push(TRIAL);
                bytes.extend(until.nanos().to_be_bytes());
            }
        }
        let length = bytes.len() - at - 1;
        if let (Some(slot), Ok(length)) = (bytes.get_mut(at), u8::try_from(length)) {
            *slot = length;
        }
    }

    /// The first entry in these bytes, and what follows it.
    pub(super) fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (&length, rest) = bytes.split_first()?;
        let (entry, rest) = rest.split_at_checked(length.into())?;
        let mut fields = Reader::new(entry);
        let entry = match fields.byte()? {
            GRANTED => {
                let (door, until) = (read_door(&mut fields)?, read_time(&mut fields)?);
                Self::Granted(Claim { door, until, label: read_label(&mut fields)? })
            }
            ENDED => {
                let way = read_way(&mut fields)?;
                Self::Ended(read_label(&mut fields)?, way)
            }
            CLOSED => Self::Closed(read_holder(&mut fields)?),
            CLOSED_WAY => {
                let way = read_way(&mut fields)?;
                Self::ClosedWay(read_holder(&mut fields)?, way)
            }
            CLOSED_DOOR => Self::ClosedDoor(read_door(&mut fields)?),
            CUT => Self::Cut(read_way(&mut fields)?),
            UNCUT => Self::Uncut(read_way(&mut fields)?),
            TRIAL => Self::Trial(read_time(&mut fields)?),
            _ => return None,
        };
        fields.ends().then_some((entry, rest))
    }
}

fn write_way(bytes: &mut Vec<u8>, way: &Way) {
    match way.address {
        IpAddr::V4(v4) => {
            bytes.push(4);
            bytes.extend(v4.octets());
        }
        IpAddr::V6(v6) => {
            bytes.push(6);
            bytes.extend(v6.octets());
        }
    }
    bytes.push(way.transport.number());
    bytes.extend(way.port.to_be_bytes());
}

fn read_way(fields: &mut Reader<'_>) -> Option<Way> {
    let address = match fields.byte()? {
        4 => Ipv4Addr::from(fields.array::<4>()?).into(),
        6 => Ipv6Addr::from(fields.array::<16>()?).into(),
        _ => return None,
    };
    let transport = Transport::from_number(fields.byte()?)?;
    Some(Way { address, transport, port: fields.short()? })
}

fn write_door(bytes: &mut Vec<u8>, door: &Door) {
    write_way(bytes, &door.way());
    bytes.push(door.single_use.into());
}

fn read_door(fields: &mut Reader<'_>) -> Option<Door> {
    let Way { address, transport, port } = read_way(fields)?;
    let single_use = match fields.byte()? {
        0 => false,
        1 => true,
        _ => return None,
    };
    Some(Door { address, transport, port, single_use })
}

/// As many bytes as it has: names and serial numbers are within 64.
fn write_counted(bytes: &mut Vec<u8>, field: &[u8]) {
    bytes.push(u8::try_from(field.len()).unwrap_or_default());
    bytes.extend(field);
}

fn write_holder(bytes: &mut Vec<u8>, holder: &Holder) {
    bytes.extend(holder.issuer);
    write_counted(bytes, holder.serial.as_bytes());
}

fn read_holder(fields: &mut Reader<'_>) -> Option<Holder> {
    let issuer = fields.array()?;
    Some(Holder { issuer, serial: Serial::new(fields.counted()?)? })
}

fn write_label(bytes: &mut Vec<u8>, label: &Label) {
    bytes.extend(label.knock);
    write_holder(bytes, &label.holder);
    write_counted(bytes, label.name.as_bytes());
}

fn read_label(fields: &mut Reader<'_>) -> Option<Label> {
    let (knock, holder) = (fields.array()?, read_holder(fields)?);
    Some(Label { knock, holder, name: Name::new(fields.counted()?)? })
}

fn read_time(fields: &mut Reader<'_>) -> Option<Uptime> {
    fields.array().map(u64::from_be_bytes).map(Uptime::from_nanos)
}
