//! `sknockd grants` and `sknockd close`: what is open by the kernel's own word, and closing it by hand.
//! Doors are closed in the kernel only; a server that runs notices, and ends the connections through
//! them.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use sknock_gate::{Change, Claim, Door, Element, Error, Firewall, Label, Name};

use crate::audit::hex;

/// Which grants: those that all of it is true of.
#[derive(Clone, Debug, Default)]
pub struct Which {
    /// The beginning of the knock's id: 16 hexadecimal digits.
    pub knock: Option<String>,
    /// The certificate's serial number, in hexadecimal digits.
    pub serial: Option<String>,
    /// What the certificate calls its owner.
    pub name: Option<String>,
    /// From where.
    pub address: Option<IpAddr>,
}

/// Doors that are open, to be told to people or programs.
#[derive(Clone, Debug)]
pub struct Grants(Vec<Element>);

/// What closing came to.
#[derive(Clone, Debug)]
pub struct Closed {
    /// Those that were open.
    pub grants: Grants,
    /// Whether a server runs, who ends their connections.
    pub noticed: bool,
}

impl Which {
    fn is_true_of(&self, element: &Element) -> bool {
        let label = &element.label;
        let all = [
            self.knock.as_ref().is_none_or(|knock| same(knock, &hex(&label.knock))),
            self.serial
                .as_ref()
                .is_none_or(|serial| same(serial, &label.holder.serial.to_string())),
            // As it stands on a door: cut and cleaned.
            self.name.as_ref().is_none_or(|name| {
                Label { name: Name::cut(name), ..*label }.comment() == label.comment()
            }),
            self.address.is_none_or(|address| address.to_canonical() == element.door.address),
        ];
        all.into_iter().all(|one| one)
    }
}

/// Hexadecimal digits, whatever their case, colons and leading zeros.
fn same(wanted: &str, ours: &str) -> bool {
    let digits: String = wanted.chars().filter(|c| *c != ':').collect();
    digits.trim_start_matches('0').eq_ignore_ascii_case(ours.trim_start_matches('0'))
}

/// What is open, the first to end first.
pub fn list() -> Result<Grants, Error> {
    let mut elements = Firewall::open()?.dump()?;
    elements.sort_by_key(|element| (element.remaining, element.door));
    Ok(Grants(elements))
}

/// Closes what is true of `which`; nothing else changes.
pub fn close(which: &Which) -> Result<Closed, Error> {
    let mut grants = list()?;
    grants.0.retain(|element| which.is_true_of(element));
    // Asked before: a server that begins now takes over what is left.
    let noticed = Claim::holder(Path::new(Claim::DIRECTORY)).is_ok_and(|holder| holder.is_some());
    let doors: Vec<Door> = grants.0.iter().map(|element| element.door).collect();
    let mut firewall = Firewall::open()?;
    for some in doors.chunks(AT_ONCE) {
        firewall.change(&Change { remove: some, ..Change::default() })?;
    }
    Ok(Closed { grants, noticed })
}

/// Doors that go into one transaction: 200 bytes each, twice, and `sendmsg` takes 32 MiB of them.
const AT_ONCE: usize = 10_000;

impl Grants {
    /// How many doors.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is open.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// An array of objects.
    pub fn json(&self) -> serde_json::Result<String> {
        let all: Vec<Told> = self.0.iter().map(Told::of).collect();
        serde_json::to_string_pretty(&all)
    }
}

/// A grant in JSON.
#[derive(Serialize)]
struct Told {
    service: String,
    address: IpAddr,
    /// None: for ever, as somebody added it by hand.
    seconds: Option<u64>,
    single_use: bool,
    name: String,
    issuer: String,
    serial: String,
    knock: String,
}

impl Told {
    fn of(element: &Element) -> Self {
        let Element { door, remaining, label } = element;
        Self {
            service: format!("{}/{}", door.transport, door.port),
            address: door.address,
            seconds: (*remaining != Duration::MAX).then_some(remaining.as_secs()),
            single_use: door.single_use,
            name: label.name.to_string(),
            issuer: hex(&label.holder.issuer),
            serial: label.holder.serial.to_string(),
            knock: hex(&label.knock),
        }
    }
}

impl fmt::Display for Grants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for told in self.0.iter().map(Told::of) {
            let Told { service, address, seconds, name, serial, knock, .. } = told;
            let span = seconds.map_or("ever".to_owned(), |seconds| format!("{seconds} s"));
            let once = if told.single_use { " (single use)" } else { "" };
            write!(f, "{service} from {address} for {span}{once}")?;
            writeln!(f, "  {name} serial={serial} knock={knock}")?;
        }
        match self.len() {
            0 => f.write_str("nothing is open"),
            1 => f.write_str("1 door is open"),
            count => write!(f, "{count} doors are open"),
        }
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { grants, noticed } = self;
        if grants.is_empty() {
            return f.write_str("nothing of that is open; `sknockd grants` tells what is");
        }
        write!(f, "closed: {}. ", grants.len())?;
        f.write_str(if *noticed {
            "The server ends connections through them (onRevoke)"
        } else {
            "No server runs here: connections through them go on until they end by themselves"
        })?;
        f.write_str(". Who has a valid certificate can knock again: to keep them out, revoke it")
    }
}
