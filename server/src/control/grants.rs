//! Grants as requests and answers name them: those that `close` means, those that `grants` lists, and what was closed.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sknock_gate::{
    CertId, ClosedGrant, GrantElement, GrantKey, GrantLabel, OwnerName, Serial, Transport,
};

use sknock_types::{from_hex, hex};

/// Which grants: those that all of it is true of. All grants only if that is said.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct GrantFilter {
    /// The beginning of the knock's id: 16 hexadecimal digits.
    pub knock: Option<String>,
    /// The certificate's serial number, in hexadecimal digits. Certificates of several CAs may have the same.
    pub serial: Option<String>,
    /// The beginning of the hash of the certificate's issuer: 24 hexadecimal digits.
    #[serde(default)]
    pub issuer: Option<String>,
    /// What the certificate calls its owner.
    pub name: Option<String>,
    /// From where.
    pub address: Option<IpAddr>,
    /// All grants; then nothing else.
    #[serde(default)]
    pub all: bool,
}

impl GrantFilter {
    /// Why this is no request.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        let Self { knock, serial, issuer, name, address, all } = self;
        let texts = [knock, serial, issuer, name];
        let is_empty = texts.into_iter().all(Option::is_none) && address.is_none();
        (is_empty != *all).then_some("`close` needs a condition, or \"all\":true without any")
    }

    /// Whether all of it is true of a grant with this label to this address.
    pub(crate) fn is_true_of(&self, label: &GrantLabel, from: IpAddr) -> bool {
        self.name.as_ref().is_none_or(|name| *name == label.name.to_string())
            && self.is_true_but_for_the_name(label, from)
    }

    /// The same of what the kernel has, where the name may be cut: then it may also be another name.
    pub(crate) fn may_be_true_of(&self, label: &GrantLabel, from: IpAddr) -> bool {
        let as_comment = |name: &String| {
            GrantLabel { name: OwnerName::truncated(name), ..*label }.comment() == label.comment()
        };
        self.name.as_ref().is_none_or(as_comment) && self.is_true_but_for_the_name(label, from)
    }

    fn is_true_but_for_the_name(&self, label: &GrantLabel, from: IpAddr) -> bool {
        let all = [
            self.knock.as_ref().is_none_or(|knock| same(knock, &hex(&label.knock))),
            self.serial.as_ref().is_none_or(|serial| same(serial, &label.cert.serial_text())),
            self.issuer.as_ref().is_none_or(|issuer| same(issuer, &hex(&label.cert.issuer))),
            self.address.is_none_or(|address| address.to_canonical() == from),
        ];
        all.into_iter().all(|one| one)
    }

    /// Whether it means the certificates of several CAs that happen to have the same serial number; a CA can give its
    /// certificates those of another CA.
    pub(crate) fn is_ambiguous(&self, issuers: usize) -> bool {
        self.serial.is_some() && self.issuer.is_none() && issuers > 1
    }
}

/// Hexadecimal digits, whatever their case, colons and leading zeros. No digits of ours are no number.
fn same(wanted: &str, ours: &str) -> bool {
    let digits: String = wanted.chars().filter(|c| *c != ':').collect();
    !ours.is_empty()
        && digits.trim_start_matches('0').eq_ignore_ascii_case(ours.trim_start_matches('0'))
}

/// What identifies a grant: one address, one port, one certificate.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ListedKey {
    /// The client.
    pub address: IpAddr,
    /// `tcp/22`.
    pub service: String,
    /// Whether the first connection uses it up.
    pub single_use: bool,
    /// The issuer of the holder's certificate, as in [`ListedGrant`].
    pub issuer: String,
    /// Its serial number.
    pub serial: String,
}

/// An active grant of one holder. Several may hold the same: the kernel has one element for them.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ListedGrant {
    /// `tcp/22`.
    pub service: String,
    /// From where.
    pub address: IpAddr,
    /// The remaining time; nothing: without end, as an administrator added it.
    pub seconds: Option<u64>,
    /// Whether the first connection uses it up.
    pub single_use: bool,
    /// What the certificate calls its owner: up to 64 characters.
    pub name: String,
    /// Whether the name is only the beginning, as the kernel has no room for more.
    pub name_cut: bool,
    /// The beginning of the hash of its issuer, in hexadecimal digits.
    pub issuer: String,
    /// Its serial number, in hexadecimal digits.
    pub serial: String,
    /// The knock's id, in hexadecimal digits.
    pub knock: String,
}

/// The most grants in one page: at most 800 bytes each.
pub const PAGE: usize = 64;

impl From<&GrantElement> for ListedGrant {
    fn from(element: &GrantElement) -> Self {
        let GrantElement { grant_key, remaining, label } = element;
        Self {
            service: format!("{}/{}", grant_key.transport, grant_key.port),
            address: grant_key.address,
            seconds: (*remaining != Duration::MAX).then_some(remaining.as_secs()),
            single_use: grant_key.single_use,
            name: label.name.to_string(),
            name_cut: false,
            issuer: hex(&label.cert.issuer),
            serial: label.cert.serial_text(),
            knock: hex(&label.knock),
        }
    }
}

impl ListedGrant {
    /// As the kernel has it.
    pub(crate) fn in_kernel(element: &GrantElement) -> Self {
        Self { name_cut: element.label.may_be_cut(), ..Self::from(element) }
    }

    /// What identifies it.
    pub fn key(&self) -> ListedKey {
        let Self { service, address, single_use, issuer, serial, .. } = self.clone();
        ListedKey { address, service, single_use, issuer, serial }
    }
}

impl ListedKey {
    /// The holder's certificate, as the gate has it; nothing if there can be no such certificate.
    pub fn cert(&self) -> Option<CertId> {
        let issuer = from_hex(&self.issuer)?.try_into().ok()?;
        let serial = match self.serial.as_str() {
            // `Serial` has the number 0 without bytes; `Serial::new(&[0])` would be another value.
            "00" => Serial::ZERO,
            digits => Serial::new(&from_hex(digits)?)?,
        };
        Some(CertId { issuer, serial })
    }

    /// The element, as the gate has it; nothing if there is no such service.
    pub fn grant_key(&self) -> Option<GrantKey> {
        let (transport, port) = self.service.split_once('/')?;
        let transport = Transport::from_name(transport)?;
        let Self { address, single_use, .. } = *self;
        Some(GrantKey { address, transport, port: port.parse().ok()?, single_use })
    }
}

/// How many grants are listed one by one: at most 800 bytes each.
const MAX_SHOWN: usize = 150;

/// The grants that the server has closed.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Closed {
    grants: Vec<ClosedEntry>,
    /// How many were active, and how many had expired.
    pub(crate) open: usize,
    pub(crate) ended: usize,
    /// How many connections were terminated.
    pub(crate) connections: usize,
    /// Why the server failed.
    pub(crate) failed: Option<String>,
}

/// A grant that was closed.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct ClosedEntry {
    service: String,
    address: IpAddr,
    name: String,
    serial: String,
    issuer: String,
    knock: String,
    open: bool,
    cut: bool,
}

impl Closed {
    /// These, and this number of connections.
    pub(crate) fn of(closed: &[ClosedGrant], connections: usize) -> Self {
        let open = closed.iter().filter(|one| one.was_open).count();
        let ended = closed.len() - open;
        let grants = closed.iter().take(MAX_SHOWN).map(ClosedEntry::of).collect();
        Self { grants, open, ended, connections, failed: None }
    }

    /// And these.
    pub(crate) fn add(&mut self, more: Self) {
        let room = MAX_SHOWN.saturating_sub(self.grants.len());
        self.grants.extend(more.grants.into_iter().take(room));
        self.open += more.open;
        self.ended += more.ended;
        self.connections += more.connections;
    }

    /// The numbers, in one line.
    pub(crate) fn summary(&self) -> String {
        let Self { open, ended, connections, .. } = self;
        format!("closed: {open}; already expired: {ended}; connections terminated: {connections}")
    }

    /// Not all matching grants were closed.
    pub(crate) fn failed(error: impl fmt::Display) -> Self {
        Self { failed: Some(error.to_string()), ..Self::default() }
    }
}

impl ClosedEntry {
    fn of(closed: &ClosedGrant) -> Self {
        let ClosedGrant { flow, label: GrantLabel { knock, cert, name }, was_open, cut } = closed;
        Self {
            service: format!("{}/{}", flow.transport, flow.port),
            address: flow.address,
            name: name.to_string(),
            serial: cert.serial_text(),
            issuer: hex(&cert.issuer),
            knock: hex(knock),
            open: *was_open,
            cut: *cut,
        }
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ClosedEntry { service, address, name, serial, issuer, knock, open, cut } in &self.grants
        {
            let was = if *open { "closed" } else { "expired already" };
            let then = if *cut { "connections terminated" } else { "connections continue" };
            write!(
                f,
                "{service} from {address}  {name} serial={serial} issuer={issuer} knock={knock}: "
            )?;
            writeln!(f, "{was}; {then}")?;
        }
        match (self.open + self.ended).saturating_sub(self.grants.len()) {
            0 => {}
            more => writeln!(f, "and {more} more")?,
        }
        f.write_str(&self.summary())
    }
}
