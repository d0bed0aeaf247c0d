//! Ways that are cut, in the kernel: the sets `cut4` and `cut6`, and the table of connections.

use std::collections::BTreeSet;
use std::net::IpAddr;

use nftnl::{Batch, MsgType};
use nix::errno::Errno;

use super::ffi::{self, RawSet};
use super::table::CUT_OFF;
use super::{ELEMENTS_PER_MESSAGE, Firewall};
use crate::tracked::{self, Only, own};
use crate::{Error, Rules, Way, known};

/// The most connections that are deleted at one time. What is left over passes nothing all the same:
/// the sets see to that.
const MOST_DELETED: usize = 10_000;

/// So often the kernel looks through its connections for some of them, rather than once for all. Of
/// 250,000, all take it some 0.7 s on a busy machine, few of them 0.1 s.
const MOST_LISTINGS: usize = 6;

/// The listings that have all connections on these ways.
fn on_all(ways: &BTreeSet<Way>) -> BTreeSet<Only> {
    let to = |way: &Way| {
        let Way { address, transport, port } = *way;
        Only::To { v6: address.is_ipv6(), transport, port }
    };
    few(ways.iter().map(to).collect())
}

fn few(listings: BTreeSet<Only>) -> BTreeSet<Only> {
    if listings.len() > MOST_LISTINGS { BTreeSet::from([Only::Any]) } else { listings }
}

/// The listings that have all connections to ports that `rules` close.
fn to_closed(rules: &Rules) -> BTreeSet<Only> {
    if rules.protected.is_empty() {
        return BTreeSet::from([Only::Any]);
    }
    let ports = rules.protected.iter().flat_map(|range| {
        let to = |port| (range.transport(), port);
        range.ports().map(to)
    });
    let to = |(transport, port)| [false, true].map(|v6| Only::To { v6, transport, port });
    // One too many says as much as all.
    few(ports.take(MOST_LISTINGS).flat_map(to).collect())
}

/// Adds or deletes elements of the sets.
pub(super) fn add(batch: &mut Batch, ways: &[Way], what: MsgType) {
    for (v6, name) in [false, true].into_iter().zip(CUT_OFF) {
        let ours: Vec<&Way> = ways.iter().filter(|way| way.address.is_ipv6() == v6).collect();
        for some in ours.chunks(ELEMENTS_PER_MESSAGE) {
            let mut raw = RawSet::named(name);
            for way in some {
                raw.push_key(&way.key());
            }
            batch.add(&raw.elements(), what);
        }
    }
}

impl Firewall {
    /// Which ways are cut, by this or an earlier run. None if the table does not exist, or is older
    /// than these sets.
    pub fn cut_off(&mut self) -> Result<Vec<Way>, Error> {
        let mut ways = Vec::new();
        for (v6, name) in [false, true].into_iter().zip(CUT_OFF) {
            match self.netlink.dump(&RawSet::named(name).dump_request(), ffi::elements) {
                Ok(found) => {
                    ways.extend(found.iter().filter_map(|raw| Way::from_key(v6, &raw.key)));
                }
                Err(Errno::ENOENT) => {}
                Err(errno) => return Err(Error::while_doing("list who was cut off")(errno)),
            }
        }
        Ok(ways)
    }

    /// Every way that a connection to this host is known on, that `rules` close, and that is `wanted`:
    /// those that conntrack has, and TCP that it has not. `ENOBUFS` if they are more than `most`.
    pub(crate) fn connected(
        &mut self,
        rules: &Rules,
        wanted: impl Fn(&Way) -> bool,
        most: usize,
    ) -> Result<BTreeSet<Way>, Error> {
        let own = self.own()?;
        let mut found = BTreeSet::new();
        let mut note = |way: Way, to: IpAddr| {
            let closed = rules.closes(way.transport, way.port);
            if found.len() <= most && closed && own.contains(&to) && wanted(&way) {
                found.insert(way);
            }
        };
        for only in to_closed(rules) {
            tracked::list(&mut self.netlink, only, |one| note(one.way, one.to))?;
        }
        for (way, to) in known::served(&mut self.sockets)? {
            note(way, to);
        }
        if found.len() > most {
            return Err(Error::while_doing("remember so many connections")(Errno::ENOBUFS));
        }
        Ok(found)
    }

    /// Deletes the connections on these ways to this host; how many those were.
    pub(crate) fn sever(&mut self, ways: &BTreeSet<Way>) -> Result<usize, Error> {
        let own = self.own()?;
        let mut requests = Vec::new();
        for only in on_all(ways) {
            tracked::list(&mut self.netlink, only, |one| {
                let room = requests.len() < MOST_DELETED;
                if room && ways.contains(&one.way) && own.contains(&one.to) {
                    requests.push(one.deletion());
                }
            })?;
        }
        let mut severed = 0;
        for request in &requests {
            match self.netlink.ask(request) {
                Ok(()) => severed += 1,
                // It has just ended by itself.
                Err(Errno::ENOENT) => {}
                Err(errno) => return Err(Error::while_doing("end a connection")(errno)),
            }
        }
        Ok(severed)
    }

    /// What others send to these addresses is for this host.
    fn own(&mut self) -> Result<BTreeSet<IpAddr>, Error> {
        let unknown = Error::while_doing("ask for the addresses of this host");
        self.routes.as_mut().ok_or_else(|| unknown(Errno::ENOTCONN)).and_then(own::list)
    }
}
