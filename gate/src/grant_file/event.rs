//! One entry of the grant file: what changed. Each begins with its length, so that an incomplete
//! entry is recognised. Decoding is strict; what it does not know ends the file.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::cert_id::{CertId, OwnerName};
use crate::grant_key::GrantKey;
use crate::grants::index::GrantEntry;
use crate::label::GrantLabel;
use crate::uptime::BootInstant;
use crate::wire::WireReader;
use sknock_netfilter::flow::FlowKey;
use sknock_types::{Serial, Transport};

/// A change of what is granted, was granted, or is blocked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SavedEvent {
    /// A certificate was granted this.
    Granted(GrantEntry),
    /// A grant on this flow has ended by itself.
    Ended(GrantLabel, FlowKey),
    /// All of this certificate was closed: it has nothing, and had nothing.
    Closed(CertId),
    /// What this certificate has or had on one flow was closed.
    ClosedFlow(CertId, FlowKey),
    /// No certificate has this grant any more.
    ClosedKey(GrantKey),
    /// This flow is blocked, or will be once it needs a grant.
    Blocked(FlowKey),
    /// This flow is not blocked any more.
    Unblocked(FlowKey),
    /// The rules in force are on trial until then.
    Trial(BootInstant),
}

const GRANTED: u8 = 1;
const ENDED: u8 = 2;
const CLOSED: u8 = 3;
const CLOSED_FLOW: u8 = 4;
const CLOSED_KEY: u8 = 5;
const BLOCKED: u8 = 6;
const UNBLOCKED: u8 = 7;
const TRIAL: u8 = 8;

impl SavedEvent {
    /// Appends it: u8 length, u8 kind, and so on as written here. At most 256 bytes.
    pub(super) fn write(&self, bytes: &mut Vec<u8>) {
        let at = bytes.len();
        bytes.push(0);
        match self {
            Self::Granted(GrantEntry { grant_key, until, label }) => {
                bytes.push(GRANTED);
                write_key(bytes, grant_key);
                bytes.extend(until.nanos().to_be_bytes());
                write_label(bytes, label);
            }
            Self::Ended(label, flow) => {
                bytes.push(ENDED);
                write_flow(bytes, flow);
                write_label(bytes, label);
            }
            Self::Closed(cert) => {
                bytes.push(CLOSED);
                write_cert(bytes, cert);
            }
            Self::ClosedFlow(cert, flow) => {
                bytes.push(CLOSED_FLOW);
                write_flow(bytes, flow);
                write_cert(bytes, cert);
            }
            Self::ClosedKey(grant_key) => {
                bytes.push(CLOSED_KEY);
                write_key(bytes, grant_key);
            }
            Self::Blocked(flow) => {
                bytes.push(BLOCKED);
                write_flow(bytes, flow);
            }
            Self::Unblocked(flow) => {
                bytes.push(UNBLOCKED);
                write_flow(bytes, flow);
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
        let mut fields = WireReader::new(entry);
        let entry = match fields.byte()? {
            GRANTED => {
                let (grant_key, until) = (read_key(&mut fields)?, read_time(&mut fields)?);
                Self::Granted(GrantEntry { grant_key, until, label: read_label(&mut fields)? })
            }
            ENDED => {
                let flow = read_flow(&mut fields)?;
                Self::Ended(read_label(&mut fields)?, flow)
            }
            CLOSED => Self::Closed(read_cert(&mut fields)?),
            CLOSED_FLOW => {
                let flow = read_flow(&mut fields)?;
                Self::ClosedFlow(read_cert(&mut fields)?, flow)
            }
            CLOSED_KEY => Self::ClosedKey(read_key(&mut fields)?),
            BLOCKED => Self::Blocked(read_flow(&mut fields)?),
            UNBLOCKED => Self::Unblocked(read_flow(&mut fields)?),
            TRIAL => Self::Trial(read_time(&mut fields)?),
            _ => return None,
        };
        fields.ends().then_some((entry, rest))
    }
}

fn write_flow(bytes: &mut Vec<u8>, flow: &FlowKey) {
    match flow.address {
        IpAddr::V4(v4) => {
            bytes.push(4);
            bytes.extend(v4.octets());
        }
        IpAddr::V6(v6) => {
            bytes.push(6);
            bytes.extend(v6.octets());
        }
    }
    bytes.push(flow.transport.number());
    bytes.extend(flow.port.to_be_bytes());
}

fn read_flow(fields: &mut WireReader<'_>) -> Option<FlowKey> {
    let address = match fields.byte()? {
        4 => Ipv4Addr::from(fields.array::<4>()?).into(),
        6 => Ipv6Addr::from(fields.array::<16>()?).into(),
        _ => return None,
    };
    let transport = Transport::from_number(fields.byte()?)?;
    Some(FlowKey { address, transport, port: fields.short()? })
}

fn write_key(bytes: &mut Vec<u8>, grant_key: &GrantKey) {
    write_flow(bytes, &grant_key.flow());
    bytes.push(grant_key.single_use.into());
}

fn read_key(fields: &mut WireReader<'_>) -> Option<GrantKey> {
    let FlowKey { address, transport, port } = read_flow(fields)?;
    let single_use = match fields.byte()? {
        0 => false,
        1 => true,
        _ => return None,
    };
    Some(GrantKey { address, transport, port, single_use })
}

/// As many bytes as it has: names and serial numbers are within 64.
fn write_counted(bytes: &mut Vec<u8>, field: &[u8]) {
    bytes.push(u8::try_from(field.len()).unwrap_or_default());
    bytes.extend(field);
}

fn write_cert(bytes: &mut Vec<u8>, cert: &CertId) {
    bytes.extend(cert.issuer);
    write_counted(bytes, cert.serial.as_bytes());
}

fn read_cert(fields: &mut WireReader<'_>) -> Option<CertId> {
    let issuer = fields.array()?;
    Some(CertId { issuer, serial: Serial::new(fields.counted()?)? })
}

fn write_label(bytes: &mut Vec<u8>, label: &GrantLabel) {
    bytes.extend(label.knock);
    write_cert(bytes, &label.cert);
    write_counted(bytes, label.name.as_bytes());
}

fn read_label(fields: &mut WireReader<'_>) -> Option<GrantLabel> {
    let (knock, cert) = (fields.array()?, read_cert(fields)?);
    Some(GrantLabel { knock, cert, name: OwnerName::new(fields.counted()?)? })
}

fn read_time(fields: &mut WireReader<'_>) -> Option<BootInstant> {
    fields.array().map(u64::from_be_bytes).map(BootInstant::from_nanos)
}
