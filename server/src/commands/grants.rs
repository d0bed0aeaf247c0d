//! `sknockd grants` and `sknockd close`: list grants, and close them by hand.
//!
//! Root reads the grants from the kernel's table, with or without a server, and their holders from the server. Other users get them from the running
//! server, if they may use its control socket. The server closes the grants that it knows, active or expired, and
//! terminates their connections. Grants that it does not know, and without a server all, are closed in the kernel.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use nix::errno::Errno;
use sknock_gate::{Change, Firewall, FirewallError, GrantElement, GrantKey};
use sknock_types::hex;

use crate::control::client::{ControlError, ask};
use crate::control::grants::{Closed, GrantFilter, ListedGrant};
use crate::control::messages::{ControlRequest, ControlResponse};

/// Active grants, as text or JSON.
#[derive(Clone, Debug)]
pub struct Grants {
    open: Vec<ListedGrant>,
    /// Whether the rules are loaded.
    protection: bool,
}

/// The result of `sknockd close`.
#[derive(Debug)]
pub struct CloseReport {
    /// The answer of the server.
    asked: Result<Closed, ControlError>,
    /// How many others were closed in the kernel.
    rest: usize,
}

/// Why grants could not be listed or closed.
#[derive(Debug)]
pub enum GrantsError {
    /// The kernel refused.
    Firewall(FirewallError),
    /// This user may not read the table, and the server did not answer.
    Control(ControlError),
    /// Certificates of these issuers have the serial number: nothing was closed.
    SeveralIssuers(Vec<String>),
    /// Only the kernel has these grants, and only the beginning of their names: the serial numbers. They stay.
    NamesCut(Vec<String>),
}

/// What is open, the first to end first.
pub fn list() -> Result<Grants, GrantsError> {
    let (mut open, protection) = match in_kernel() {
        Ok((elements, protection)) => (with_holders(&elements), protection),
        Err(error) if is_forbidden(&error) => (in_server().map_err(GrantsError::Control)?, true),
        Err(error) => return Err(GrantsError::Firewall(error)),
    };
    // None is for ever.
    open.sort_by_key(|grant: &ListedGrant| grant.seconds.unwrap_or(u64::MAX));
    Ok(Grants { open, protection })
}

/// All elements, in their order, and whether there is a table.
fn in_kernel() -> Result<(Vec<GrantElement>, bool), FirewallError> {
    let mut firewall = Firewall::open()?;
    let mut open = firewall.dump()?;
    open.sort_by_key(|element| (element.remaining, element.grant_key));
    Ok((open, firewall.exists()?))
}

/// For each element all holders that the server knows. Without them what the kernel has: the one with the longest time,
/// and the beginning of its name.
fn with_holders(elements: &[GrantElement]) -> Vec<ListedGrant> {
    let mut holders: BTreeMap<GrantKey, Vec<ListedGrant>> = BTreeMap::new();
    let known = if elements.is_empty() { Vec::new() } else { in_server().unwrap_or_default() };
    for grant in known {
        if let Some(grant_key) = grant.key().grant_key() {
            holders.entry(grant_key).or_default().push(grant);
        }
    }
    let all = elements.iter().flat_map(|element| match holders.remove(&element.grant_key) {
        Some(known) => known,
        None => vec![ListedGrant::in_kernel(element)],
    });
    all.collect()
}

/// It takes root to read the table.
fn is_forbidden(error: &FirewallError) -> bool {
    matches!(error.errno(), Some(Errno::EPERM | Errno::EACCES))
}

/// What the server has granted, page by page.
fn in_server() -> Result<Vec<ListedGrant>, ControlError> {
    let mut all: Vec<ListedGrant> = Vec::new();
    loop {
        match ask(ControlRequest::Grants { after: all.last().map(ListedGrant::key) })? {
            ControlResponse::Grants { open, more } => {
                // A page without anything is the last.
                let more = more && !open.is_empty();
                all.extend(open);
                if !more {
                    return Ok(all);
                }
            }
            other => return Err(ControlError::unexpected(&other)),
        }
    }
}

/// Closes what is true of `which`; nothing else changes.
pub fn close(which: &GrantFilter) -> Result<CloseReport, GrantsError> {
    let asked = match ask(ControlRequest::Close(which.clone())) {
        Ok(ControlResponse::Closed(closed)) => Ok(closed),
        Ok(ControlResponse::SeveralIssuers { issuers }) => {
            return Err(GrantsError::SeveralIssuers(issuers));
        }
        Ok(other) => Err(ControlError::unexpected(&other)),
        Err(error) => Err(error),
    };
    match close_in_kernel(which, asked.is_ok()) {
        Ok(rest) => Ok(CloseReport { asked, rest }),
        // Only the server could do it.
        Err(GrantsError::Firewall(error)) if is_forbidden(&error) => match asked {
            Ok(closed) => Ok(CloseReport { asked: Ok(closed), rest: 0 }),
            Err(error) => Err(GrantsError::Control(error)),
        },
        Err(error) => Err(error),
    }
}

/// How many that were. A server that has answered has closed those that it knows, and left those of other names.
fn close_in_kernel(which: &GrantFilter, has_server: bool) -> Result<usize, GrantsError> {
    let (mut rest, _) = in_kernel().map_err(GrantsError::Firewall)?;
    rest.retain(|element| which.may_be_true_of(&element.label, element.grant_key.address));
    if has_server && !rest.is_empty() {
        // After the kernel's listing: what the server has granted in between is in its answer only, and so is
        // not closed here (`e2e/cut/many.rs`).
        let known = in_server().map_err(GrantsError::Control)?;
        let known: BTreeSet<GrantKey> =
            known.iter().filter_map(|grant| grant.key().grant_key()).collect();
        rest.retain(|element| !known.contains(&element.grant_key));
    }
    must_be_clear(which, &rest)?;
    let doors: Vec<GrantKey> = rest.iter().map(|element| element.grant_key).collect();
    let mut firewall = Firewall::open().map_err(GrantsError::Firewall)?;
    for some in doors.chunks(AT_ONCE) {
        let change = Change { remove: some, ..Change::default() };
        firewall.change(&change).map_err(GrantsError::Firewall)?;
    }
    Ok(doors.len())
}

/// Refuses to guess whose grants are meant.
fn must_be_clear(which: &GrantFilter, rest: &[GrantElement]) -> Result<(), GrantsError> {
    let issuers: BTreeSet<_> = rest.iter().map(|element| element.label.cert.issuer).collect();
    if which.is_ambiguous(issuers.len()) {
        return Err(GrantsError::SeveralIssuers(
            issuers.iter().map(|issuer| hex(issuer)).collect(),
        ));
    }
    let cut = rest.iter().filter(|element| which.name.is_some() && element.label.may_be_cut());
    let serials: BTreeSet<String> = cut.map(|element| element.label.cert.serial_text()).collect();
    if !serials.is_empty() {
        return Err(GrantsError::NamesCut(serials.into_iter().collect()));
    }
    Ok(())
}

impl CloseReport {
    /// Whether anything was closed, and nothing has failed.
    pub fn is_done(&self) -> bool {
        match &self.asked {
            Err(ControlError::NoServer { .. }) => self.rest > 0,
            Err(_) => false,
            Ok(closed) => closed.open + closed.ended + self.rest > 0 && closed.failed.is_none(),
        }
    }
}

/// Grants that go into one transaction: 200 bytes each, twice, and `sendmsg` takes 32 MiB of them.
const AT_ONCE: usize = 10_000;

impl Grants {
    /// How many grants.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether nothing is open.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// An array of objects.
    pub fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(&self.open)
    }
}

impl GrantsError {
    /// What the program ends with.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Firewall(_) | Self::SeveralIssuers(_) | Self::NamesCut(_) => {
                crate::sys::exit::FAILURE
            }
            Self::Control(error) => error.exit_code(),
        }
    }
}

impl fmt::Display for GrantsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Firewall(error) => error.fmt(f),
            Self::Control(error @ ControlError::NoServer { .. }) => {
                write!(f, "{error}, or run this as root: only root can read the kernel's table")
            }
            Self::Control(error) => error.fmt(f),
            Self::SeveralIssuers(issuers) => write!(
                f,
                "certificates of several CAs have this serial number: nothing was closed. Add one of: --issuer {}",
                issuers.join(", --issuer ")
            ),
            Self::NamesCut(serials) => write!(
                f,
                "the kernel has only the beginning of the names of some grants, which may be of others: they stay. \
                 Start the server, which has the names, or close them with one of: --serial {}",
                serials.join(", --serial ")
            ),
        }
    }
}

impl fmt::Display for Grants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for grant in &self.open {
            let ListedGrant { service, address, seconds, name, issuer, serial, knock, .. } = grant;
            let span = seconds.map_or("ever".to_owned(), |seconds| format!("{seconds} s"));
            let once = if grant.single_use { " (single use)" } else { "" };
            write!(f, "{service} from {address} for {span}{once}")?;
            let cut = if grant.name_cut { " (cut)" } else { "" };
            writeln!(f, "  {name}{cut} serial={serial} issuer={issuer} knock={knock}")?;
        }
        match self.len() {
            0 if !self.protection => f.write_str("no rules are loaded"),
            0 => f.write_str("no active grants"),
            1 => f.write_str("1 active grant"),
            count => write!(f, "{count} active grants"),
        }
    }
}

impl fmt::Display for CloseReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { asked, rest } = self;
        match asked {
            Ok(closed) if closed.failed.is_none() => {
                if closed.open + closed.ended + rest == 0 {
                    return f.write_str(
                        "no grant matches, neither an active nor an expired one. `sknockd grants` lists the \
                         active grants",
                    );
                }
                write!(f, "{closed}")?;
                if *rest > 0 {
                    write!(f, "; closed in the kernel, unknown to the server: {rest}")?;
                }
            }
            Err(ControlError::NoServer { .. }) if *rest == 0 => {
                return f.write_str("no active grant matches. `sknockd grants` lists them");
            }
            Err(ControlError::NoServer { .. }) => {
                write!(f, "closed: {rest}. No server runs in this network namespace: ")?;
                f.write_str(
                    "connections of these and of expired grants continue. Start the server, ",
                )?;
                f.write_str("then run this command again")?;
            }
            Ok(Closed { failed, .. }) => {
                unclosed(f, &failed.as_deref().unwrap_or_default(), *rest)?;
            }
            Err(error) => unclosed(f, error, *rest)?,
        }
        f.write_str(". The client can knock again: to prevent that, revoke its certificate")
    }
}

fn unclosed(f: &mut fmt::Formatter<'_>, why: &dyn fmt::Display, rest: usize) -> fmt::Result {
    write!(f, "the server failed to close grants: {why}. Closed in the kernel: {rest}. ")?;
    f.write_str("Connections of expired grants continue")
}
