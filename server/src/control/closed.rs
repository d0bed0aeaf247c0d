//! What `sknockd close` has closed, as the server reports it.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use sknock_gate::{ClosedGrant, GrantLabel};
use sknock_types::hex;

/// How many grants are listed one by one: at most 700 bytes each.
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
            knock: hex(knock),
            open: *was_open,
            cut: *cut,
        }
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ClosedEntry { service, address, name, serial, knock, open, cut } in &self.grants {
            let was = if *open { "closed" } else { "expired already" };
            let then = if *cut { "connections terminated" } else { "connections continue" };
            write!(f, "{service} from {address}  {name} serial={serial} knock={knock}: ")?;
            writeln!(f, "{was}; {then}")?;
        }
        match (self.open + self.ended).saturating_sub(self.grants.len()) {
            0 => {}
            more => writeln!(f, "and {more} more")?,
        }
        f.write_str(&self.summary())
    }
}
