//! The most the gate will ever do, whoever asks.

mod excess;
pub(crate) mod rate;

use std::net::IpAddr;
use std::time::Duration;

pub use self::excess::Excess;
use crate::{
    Bucket, Door, Label, Lack, Live, Network, Pace, Party, PortRange, Room, Shares, Transport,
    Uptime, Wish,
};

/// The most ports that one grant opens, and so the most elements per address. 64 is what a knock
/// may ask for.
pub const MOST_PORTS: usize = 64;

/// Bounds every wish. Made from the configuration by the privileged process, never from what the
/// network process says.
#[derive(Clone, Debug)]
pub struct Ceiling {
    /// The services that may be opened at all.
    pub services: Vec<PortRange>,
    /// The longest that one may stay open; longer wishes are clipped to it.
    pub longest: Duration,
    /// The most doors that may be open at a time, each counted once for every certificate it is
    /// open for.
    pub live: usize,
    /// How many wishes per second in the long run; ten times as many at once.
    pub per_second: u32,
    /// How much of both one certificate and one network may have. Fairness only: the network process
    /// names certificate and address.
    pub shares: Shares,
}

/// The most doors of one opening: two addresses.
const MOST_DOORS: usize = 2 * MOST_PORTS;

impl Ceiling {
    /// Lets `wish` through if it stays within bounds; `live` is what is open already.
    pub fn check(
        &self,
        wish: &Wish,
        live: &Live,
        bucket: &mut Bucket,
        now: Uptime,
    ) -> Result<Opening, Excess> {
        addresses_are_possible(&wish.addresses)?;
        let ports = self.ports(wish)?;
        let (seconds, clipped) = self.lifetime(wish.seconds)?;
        let opening = Opening {
            addresses: wish.addresses.clone(),
            services: wish.services.clone(),
            ports,
            seconds,
            clipped,
            single_use: wish.single_use,
            label: wish.label,
        };
        let certificate = Party::Certificate(wish.label.holder);
        let network = |address: &IpAddr| Party::Network(Network::from(*address));
        let networks: Vec<Party> = wish.addresses.iter().map(network).collect();
        self.places(&opening, live, certificate, &networks).map_err(Excess::of_places)?;
        let pace = Pace { per_second: self.per_second, shares: self.shares };
        bucket.take(pace, certificate, &networks, now).map_err(Excess::of_rate)?;
        Ok(opening)
    }

    /// How many doors one certificate may have open.
    pub(crate) fn live_of_one(&self) -> usize {
        let (size, used, shares) = (self.live, 0, self.shares);
        Room { size, used, least: MOST_DOORS, shares }.of_certificate()
    }

    /// Whether there is room for the doors that `opening` adds.
    fn places(
        &self,
        opening: &Opening,
        live: &Live,
        certificate: Party,
        networks: &[Party],
    ) -> Result<(), Lack> {
        let (size, used, shares) = (self.live, live.len(), self.shares);
        let room = Room { size, used, least: MOST_DOORS, shares };
        let more = opening.addresses.iter().map(|address| live.additional(opening, *address));
        let more: Vec<usize> = more.collect();
        room.fits(live.held(&certificate), more.iter().sum())?;
        let mut each = networks.iter().zip(more);
        each.try_for_each(|(network, more)| room.fits_network(live.held(network), more))
    }

    /// Whether a door may be open under this ceiling, however it came to be.
    pub(crate) fn permits(&self, transport: Transport, port: u16) -> bool {
        self.services.iter().any(|service| service.contains(transport, port))
    }

    fn ports(&self, wish: &Wish) -> Result<Vec<(Transport, u16)>, Excess> {
        let wanted: usize = wish.services.iter().map(PortRange::width).sum();
        if wanted == 0 || wanted > MOST_PORTS {
            return Err(Excess::Ports);
        }
        let single =
            |service: &PortRange| service.transport() == Transport::Tcp && service.width() == 1;
        if wish.single_use && !wish.services.iter().all(single) {
            return Err(Excess::SingleUse);
        }
        let mut ports: Vec<_> = wish
            .services
            .iter()
            .flat_map(|service| service.ports().map(|port| (service.transport(), port)))
            .collect();
        if !ports.iter().all(|&(transport, port)| self.permits(transport, port)) {
            return Err(Excess::Service);
        }
        ports.sort_unstable();
        ports.dedup();
        Ok(ports)
    }

    fn lifetime(&self, wanted: u32) -> Result<(u32, bool), Excess> {
        let longest = u32::try_from(self.longest.as_secs()).unwrap_or(u32::MAX);
        let seconds = wanted.min(longest);
        if seconds == 0 { Err(Excess::Lifetime) } else { Ok((seconds, seconds < wanted)) }
    }
}

fn addresses_are_possible(addresses: &[IpAddr]) -> Result<(), Excess> {
    let families_differ = match addresses {
        [_] => true,
        [one, other] => one.is_ipv4() != other.is_ipv4(),
        _ => false,
    };
    let possible = |address: &IpAddr| match address {
        IpAddr::V4(v4) => {
            !(v4.is_unspecified()
                || v4.is_multicast()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_broadcast())
        }
        IpAddr::V6(v6) => {
            !(v6.is_unspecified()
                || v6.is_multicast()
                || v6.is_loopback()
                || v6.is_unicast_link_local()
                || v6.to_ipv4_mapped().is_some())
        }
    };
    if families_differ && addresses.iter().all(possible) { Ok(()) } else { Err(Excess::Address) }
}

/// Something the firewall may do. Only [`Ceiling::check`] makes one.
///
/// ```compile_fail,E0451
/// # fn forge(label: sknock_gate::Label) {
/// let unchecked = sknock_gate::Opening {
///     addresses: vec![], services: vec![], ports: vec![],
///     seconds: 1, clipped: false, single_use: false, label,
/// };
/// # }
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub struct Opening {
    addresses: Vec<IpAddr>,
    services: Vec<PortRange>,
    ports: Vec<(Transport, u16)>,
    seconds: u32,
    clipped: bool,
    single_use: bool,
    label: Label,
}

impl Opening {
    /// Whom to let in: one address of a family at most.
    pub fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    /// To what, as it was wished.
    pub fn services(&self) -> &[PortRange] {
        &self.services
    }

    /// For how long, in seconds, at least 1.
    pub fn seconds(&self) -> u32 {
        self.seconds
    }

    /// Whether that is less than was wished.
    pub fn clipped(&self) -> bool {
        self.clipped
    }

    /// Whether the first connection uses it up.
    pub fn single_use(&self) -> bool {
        self.single_use
    }

    /// Which knock and whose certificate.
    pub fn label(&self) -> &Label {
        &self.label
    }

    /// Every door of it, none twice; at most [`MOST_PORTS`] for each address.
    pub fn doors(&self) -> impl Iterator<Item = Door> {
        self.addresses.iter().flat_map(move |&address| {
            self.ports.iter().map(move |&(transport, port)| Door {
                address,
                transport,
                port,
                single_use: self.single_use,
            })
        })
    }
}
