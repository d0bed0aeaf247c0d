//! Who else has a knock port. With `intake = nflog` nobody holds it, so that it looks like any port where
//! nobody listens, and an answer binds it for the moment in which it leaves. A local user who binds it
//! first keeps answers in. That harms no one who can do without an answer: doors open all the same; but
//! somebody has to be told.

use std::collections::BTreeSet;
use std::time::Duration;

use nix::unistd::Uid;
use sknock_gate::BootInstant;
use sknock_netfilter::host::Bound;
use tracing::{info, warn};

use crate::config::{Intake, Settings};

/// How often to look.
const PAUSE: Duration = Duration::from_secs(60);

/// How many are named in one look. Where `knockPort` is a range, others' sockets may be many.
const NAMED: usize = 4;

/// Looks for them, and tells of each once.
#[derive(Debug, Default)]
pub(crate) struct PortHolders {
    due: BootInstant,
    /// By their inode.
    known: BTreeSet<u64>,
}

impl PortHolders {
    /// Look at the next opportunity.
    pub(crate) fn look_soon(&mut self) {
        self.due = BootInstant::default();
    }

    /// Looks, if it is time to. Sockets of `own` are answers on their way.
    pub(crate) fn look(&mut self, settings: &Settings, own: Option<Uid>, now: BootInstant) {
        if now < self.due {
            return;
        }
        self.due = now.after(PAUSE);
        // A socket of our own is there: nobody else can bind that port.
        if settings.knocks.intake == Intake::Socket {
            self.known.clear();
            return;
        }
        let ports = &settings.knocks.ports;
        let is_ours =
            |port| ports.iter().any(|range| (range.first()..=range.last()).contains(&port));
        match Bound::list(is_ours) {
            Ok(mut found) => {
                found.retain(|one| own.is_none_or(|own| own.as_raw() != one.uid));
                self.tell(&found);
            }
            Err(error) => warn!(%error, "cannot determine whether other programs hold the knock \
                                         port"),
        }
    }

    fn tell(&mut self, found: &[Bound]) {
        let new: Vec<&Bound> =
            found.iter().filter(|one| !self.known.contains(&one.inode)).collect();
        for Bound { local, uid, inode } in new.iter().take(NAMED) {
            let port = local.port();
            warn!(
                port, uid, inode, address = %local.ip(),
                "another program holds udp/{port}: answers from this port cannot be sent. `ss \
                 -aunpe sport = :{port}` shows the program"
            );
        }
        if let Some(more @ 1..) = new.len().checked_sub(NAMED) {
            warn!(more, "more sockets of other programs hold knock ports");
        }
        if found.is_empty() && !self.known.is_empty() {
            info!("no other program holds a knock port now");
        }
        self.known = found.iter().map(|one| one.inode).collect();
    }
}
