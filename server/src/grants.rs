//! `sknockd grants` and `sknockd close`: what is open by the kernel's own word, and closing it by hand.
//! A server that runs closes what it knows, also what has ended by itself, and ends the connections. What
//! it does not know, and without a server everything, is closed in the kernel.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sknock_gate::{Change, Firewall, FirewallError, GrantElement, GrantKey, GrantLabel, OwnerName};

use crate::audit::hex;
use crate::closing::{Answered, CloseAttempt, ask};

/// Which grants: those that all of it is true of.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct GrantFilter {
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
pub struct Grants {
    open: Vec<GrantElement>,
    /// Whether there is a table that closes anything.
    protection: bool,
}

/// What closing came to.
#[derive(Clone, Debug)]
pub struct CloseReport {
    /// What the server has done.
    asked: CloseAttempt,
    /// What else was open.
    rest: Grants,
}

impl GrantFilter {
    /// Whether all of it is true of a grant with this label to this address.
    pub(crate) fn is_true_of(&self, label: &GrantLabel, from: IpAddr) -> bool {
        let all = [
            self.knock.as_ref().is_none_or(|knock| same(knock, &hex(&label.knock))),
            self.serial.as_ref().is_none_or(|serial| same(serial, &label.cert.serial_text())),
            // As it stands on a door: cut and cleaned.
            self.name.as_ref().is_none_or(|name| {
                GrantLabel { name: OwnerName::truncated(name), ..*label }.comment()
                    == label.comment()
            }),
            self.address.is_none_or(|address| address.to_canonical() == from),
        ];
        all.into_iter().all(|one| one)
    }
}

/// Hexadecimal digits, whatever their case, colons and leading zeros. No digits of ours are no number.
fn same(wanted: &str, ours: &str) -> bool {
    let digits: String = wanted.chars().filter(|c| *c != ':').collect();
    !ours.is_empty()
        && digits.trim_start_matches('0').eq_ignore_ascii_case(ours.trim_start_matches('0'))
}

/// What is open, the first to end first.
pub fn list() -> Result<Grants, FirewallError> {
    let mut firewall = Firewall::open()?;
    let mut open = firewall.dump()?;
    open.sort_by_key(|element| (element.remaining, element.grant_key));
    Ok(Grants { open, protection: firewall.exists()? })
}

/// Closes what is true of `which`; nothing else changes.
pub fn close(which: &GrantFilter) -> Result<CloseReport, FirewallError> {
    let asked = ask(which);
    let mut rest = list()?;
    rest.open.retain(|element| which.is_true_of(&element.label, element.grant_key.address));
    let doors: Vec<GrantKey> = rest.open.iter().map(|element| element.grant_key).collect();
    let mut firewall = Firewall::open()?;
    for some in doors.chunks(AT_ONCE) {
        firewall.change(&Change { remove: some, ..Change::default() })?;
    }
    Ok(CloseReport { asked, rest })
}

impl CloseReport {
    /// Whether anything was closed, and nothing has failed.
    pub fn is_done(&self) -> bool {
        match &self.asked {
            CloseAttempt::NoServer => !self.rest.is_empty(),
            CloseAttempt::Silent(_) => false,
            CloseAttempt::Answered(answered) => {
                let some = answered.open + answered.ended + self.rest.len() > 0;
                some && answered.failed.is_none()
            }
        }
    }
}

/// Doors that go into one transaction: 200 bytes each, twice, and `sendmsg` takes 32 MiB of them.
const AT_ONCE: usize = 10_000;

impl Grants {
    /// How many doors.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether nothing is open.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// An array of objects.
    pub fn json(&self) -> serde_json::Result<String> {
        let all: Vec<GrantJson> = self.open.iter().map(GrantJson::of).collect();
        serde_json::to_string_pretty(&all)
    }
}

/// A grant in JSON.
#[derive(Serialize)]
struct GrantJson {
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

impl GrantJson {
    fn of(element: &GrantElement) -> Self {
        let GrantElement { grant_key, remaining, label } = element;
        Self {
            service: format!("{}/{}", grant_key.transport, grant_key.port),
            address: grant_key.address,
            seconds: (*remaining != Duration::MAX).then_some(remaining.as_secs()),
            single_use: grant_key.single_use,
            name: label.name.to_string(),
            issuer: hex(&label.cert.issuer),
            serial: label.cert.serial_text(),
            knock: hex(&label.knock),
        }
    }
}

impl fmt::Display for Grants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for told in self.open.iter().map(GrantJson::of) {
            let GrantJson { service, address, seconds, name, serial, knock, .. } = told;
            let span = seconds.map_or("ever".to_owned(), |seconds| format!("{seconds} s"));
            let once = if told.single_use { " (single use)" } else { "" };
            write!(f, "{service} from {address} for {span}{once}")?;
            writeln!(f, "  {name} serial={serial} knock={knock}")?;
        }
        match self.len() {
            0 if !self.protection => f.write_str("no protection is in force"),
            0 => f.write_str("nothing is open"),
            1 => f.write_str("1 door is open"),
            count => write!(f, "{count} doors are open"),
        }
    }
}

impl fmt::Display for CloseReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { asked, rest } = self;
        match asked {
            CloseAttempt::Answered(answered) if answered.failed.is_none() => {
                if answered.open + answered.ended + rest.len() == 0 {
                    return f.write_str(
                        "nothing of that is open, or has ended that the server remembers; \
                         `sknockd grants` tells what is open",
                    );
                }
                write!(f, "{answered}")?;
                if !rest.is_empty() {
                    write!(f, "; closed that the server had not granted: {}", rest.len())?;
                }
            }
            CloseAttempt::NoServer if rest.is_empty() => {
                return f.write_str("nothing of that is open; `sknockd grants` tells what is");
            }
            CloseAttempt::NoServer => {
                write!(f, "closed: {}. No server runs here: connections ", rest.len())?;
                f.write_str("through them go on until they end by themselves, as do those of ")?;
                f.write_str("grants that have ended. Start the server, and close again")?;
            }
            CloseAttempt::Silent(error)
            | CloseAttempt::Answered(Answered { failed: Some(error), .. }) => {
                write!(f, "the server was asked, and has not closed: {error}. ")?;
                write!(f, "Closed in the kernel: {}. What has ended by itself was ", rest.len())?;
                f.write_str("not looked for: its connections go on")?;
            }
            CloseAttempt::Answered(_) => {}
        }
        f.write_str(". Who has a valid certificate can knock again: to keep them out, revoke it")
    }
}
