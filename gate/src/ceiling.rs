//! Request limits: the most that the gate grants, whatever the network process asks for.

pub(crate) mod deny_reason;
pub(crate) mod rate;

use std::net::IpAddr;
use std::time::Duration;

use sknock_types::is_grantable;

use self::deny_reason::DenyReason;
use self::rate::{Pace, TokenBucket};
use crate::grant_key::GrantKey;
use crate::label::GrantLabel;
use crate::request::GrantRequest;
use crate::share::{Capacity, Party, ShareExceeded, Shares, SourceNetwork};
use crate::uptime::BootInstant;
use sknock_types::{PortRange, Transport};

/// The most ports that one grant opens, and so the most elements per address. 64 is what a knock
/// may ask for.
pub const MAX_PORTS: usize = 64;

/// What is open already, as far as the limits ask for it. [`GrantTable`](crate::grants::GrantTable) answers; it
/// is named here by a trait because it is made of what the limits approve.
pub trait OpenGrants {
    /// How many grants are open, each counted once for every certificate it is open for.
    fn open(&self) -> usize;

    /// How many of them a certificate or a network holds.
    fn held(&self, party: &Party) -> usize;

    /// How many more `grant` adds for one of its addresses: what its certificate has open already is only
    /// renewed.
    fn additional(&self, grant: &ApprovedGrant, address: IpAddr) -> usize;
}

/// Bounds every request. Made from the configuration by the privileged process, never from what the
/// network process says.
#[derive(Clone, Debug)]
pub struct Ceiling {
    /// The services that may be opened at all.
    pub services: Vec<PortRange>,
    /// The longest that a grant lasts; longer requests are clipped to it.
    pub longest: Duration,
    /// The most grants that may be open at a time, each counted once for every certificate it is
    /// open for.
    pub live: usize,
    /// How many requests per second in the long run; ten times as many at once.
    pub per_second: u32,
    /// How much of both one certificate and one network may have. Fairness only: the network process
    /// names certificate and address.
    pub shares: Shares,
}

/// The most elements of one grant: two addresses.
const MAX_GRANTS: usize = 2 * MAX_PORTS;

impl Ceiling {
    /// Approves `grant_request` if it is within the limits; `live` has the open grants.
    pub fn check(
        &self,
        grant_request: &GrantRequest,
        live: &impl OpenGrants,
        bucket: &mut TokenBucket,
        now: BootInstant,
    ) -> Result<ApprovedGrant, DenyReason> {
        addresses_are_possible(&grant_request.addresses)?;
        let ports = self.ports(grant_request)?;
        let (seconds, clipped) = self.lifetime(grant_request.seconds)?;
        let grant = ApprovedGrant {
            addresses: grant_request.addresses.clone(),
            services: grant_request.services.clone(),
            ports,
            seconds,
            clipped,
            single_use: grant_request.single_use,
            label: grant_request.label,
        };
        let certificate = Party::Certificate(grant_request.label.cert);
        let network = |address: &IpAddr| Party::Network(SourceNetwork::from(*address));
        let networks: Vec<Party> = grant_request.addresses.iter().map(network).collect();
        self.places(&grant, live, certificate, &networks).map_err(DenyReason::of_places)?;
        let pace = Pace { per_second: self.per_second, shares: self.shares };
        // Last: what is refused for another reason takes no token of the certificate and its networks.
        bucket.take(pace, certificate, &networks, now).map_err(DenyReason::of_rate)?;
        Ok(grant)
    }

    /// How many grants one certificate may have open.
    pub(crate) fn live_of_one(&self) -> usize {
        let (size, used, shares) = (self.live, 0, self.shares);
        Capacity { size, used, least: MAX_GRANTS, shares }.of_certificate()
    }

    /// Whether there is room for what `grant` adds.
    fn places(
        &self,
        grant: &ApprovedGrant,
        live: &impl OpenGrants,
        certificate: Party,
        networks: &[Party],
    ) -> Result<(), ShareExceeded> {
        let (size, used, shares) = (self.live, live.open(), self.shares);
        let room = Capacity { size, used, least: MAX_GRANTS, shares };
        let more = grant.addresses.iter().map(|address| live.additional(grant, *address));
        let more: Vec<usize> = more.collect();
        room.fits(live.held(&certificate), more.iter().sum())?;
        let mut each = networks.iter().zip(more);
        each.try_for_each(|(network, more)| room.fits_network(live.held(network), more))
    }

    /// Whether this port may be granted under this ceiling.
    pub(crate) fn permits(&self, transport: Transport, port: u16) -> bool {
        self.services.iter().any(|service| service.contains(transport, port))
    }

    fn ports(&self, grant_request: &GrantRequest) -> Result<Vec<(Transport, u16)>, DenyReason> {
        // Counted before ranges become lists: 16 ranges may have a million ports.
        let wanted: usize = grant_request.services.iter().map(|one| usize::from(one.width())).sum();
        if wanted == 0 || wanted > MAX_PORTS {
            return Err(DenyReason::Ports);
        }
        let single =
            |service: &PortRange| service.transport() == Transport::Tcp && service.width() == 1;
        if grant_request.single_use && !grant_request.services.iter().all(single) {
            return Err(DenyReason::SingleUse);
        }
        let mut ports: Vec<_> = grant_request
            .services
            .iter()
            .flat_map(|service| service.ports().map(|port| (service.transport(), port)))
            .collect();
        if !ports.iter().all(|&(transport, port)| self.permits(transport, port)) {
            return Err(DenyReason::Service);
        }
        ports.sort_unstable();
        // Services may overlap, and the kernel refuses a new element that occurs twice in a transaction
        // (EEXIST).
        ports.dedup();
        Ok(ports)
    }

    fn lifetime(&self, wanted: u32) -> Result<(u32, bool), DenyReason> {
        let longest = u32::try_from(self.longest.as_secs()).unwrap_or(u32::MAX);
        let seconds = wanted.min(longest);
        if seconds == 0 { Err(DenyReason::Lifetime) } else { Ok((seconds, seconds < wanted)) }
    }
}

/// The same as of a knock that was verified (`sknock-protocol`, `verifier/address.rs`), which this crate cannot ask. A
/// loopback address passes, as a host may knock at itself; it gets no element.
fn addresses_are_possible(addresses: &[IpAddr]) -> Result<(), DenyReason> {
    let families_differ = match addresses {
        [_] => true,
        [one, other] => one.is_ipv4() != other.is_ipv4(),
        _ => false,
    };
    if families_differ && addresses.iter().copied().all(is_grantable) {
        Ok(())
    } else {
        Err(DenyReason::Address)
    }
}

/// Something the firewall may do. Only [`Ceiling::check`] makes one.
///
/// ```compile_fail,E0451
/// # fn forge(label: sknock_gate::GrantLabel) {
/// let unchecked = sknock_gate::ApprovedGrant {
///     addresses: vec![], services: vec![], ports: vec![],
///     seconds: 1, clipped: false, single_use: false, label,
/// };
/// # }
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub struct ApprovedGrant {
    addresses: Vec<IpAddr>,
    services: Vec<PortRange>,
    ports: Vec<(Transport, u16)>,
    seconds: u32,
    clipped: bool,
    single_use: bool,
    label: GrantLabel,
}

impl ApprovedGrant {
    /// The sources: one address of a family at most.
    pub fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    /// The services, as requested.
    pub fn services(&self) -> &[PortRange] {
        &self.services
    }

    /// For how long, in seconds, at least 1.
    pub fn seconds(&self) -> u32 {
        self.seconds
    }

    /// Whether that is less than was requested.
    pub fn clipped(&self) -> bool {
        self.clipped
    }

    /// Whether the first connection uses it up.
    pub fn single_use(&self) -> bool {
        self.single_use
    }

    /// Which knock and whose certificate.
    pub fn label(&self) -> &GrantLabel {
        &self.label
    }

    /// Every key of it, none twice; at most [`MAX_PORTS`] for each address, and none for a loopback address:
    /// `lo` is never filtered, and a forged one on another interface gets nothing.
    pub fn grant_keys(&self) -> impl Iterator<Item = GrantKey> {
        self.addresses.iter().filter(|address| !address.is_loopback()).flat_map(move |&address| {
            self.ports.iter().map(move |&(transport, port)| GrantKey {
                address,
                transport,
                port,
                single_use: self.single_use,
            })
        })
    }
}
