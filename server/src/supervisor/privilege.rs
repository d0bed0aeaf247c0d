//! Capabilities of the privileged process, and the user of the network process.

use std::io;

use caps::{CapSet, Capability, CapsHashSet};
use nix::unistd::{Gid, Uid, User, geteuid};

use crate::sys::capabilities::{clear_inheritable, set};

/// Capabilities that stay in the permitted set: `CAP_NET_ADMIN` is always effective, the others only in
/// [`with_capabilities`].
const KEPT: &[Capability] = &[
    Capability::CAP_NET_ADMIN,
    Capability::CAP_SETUID, // to start the network process as another user
    Capability::CAP_SETGID, // likewise
    Capability::CAP_KILL,   // to end it
    Capability::CAP_DAC_READ_SEARCH, // to read key files that belong to others, on reload
    Capability::CAP_CHOWN,  // to give it its state directory, on reload
    Capability::CAP_NET_BIND_SERVICE, // to bind a low knock port, on reload
];

/// Drops all other capabilities, and makes only `CAP_NET_ADMIN` effective.
///
/// The bounding set is emptied, so a program that is started from here cannot regain any.
pub(crate) fn drop_capabilities() -> io::Result<()> {
    let held = caps::read(None, CapSet::Permitted).map_err(io::Error::other)?;
    // PR_CAPBSET_DROP needs it (capabilities(7)). In the unit the bounding set is CAP_NET_ADMIN already.
    if held.contains(&Capability::CAP_SETPCAP) {
        caps::clear(None, CapSet::Bounding).map_err(io::Error::other)?;
    }
    let kept: CapsHashSet = KEPT.iter().copied().filter(|cap| held.contains(cap)).collect();
    // The network process would inherit ambient capabilities.
    caps::clear(None, CapSet::Ambient).map_err(io::Error::other)?;
    // Before the permitted set: capset(2) refuses an effective set that is not within the permitted one.
    set_effective(&[])?;
    set(CapSet::Permitted, &kept)?;
    clear_inheritable()
}

/// Runs `work` with `wanted` capabilities effective as well, as far as they were kept.
pub(crate) fn with_capabilities<T>(
    wanted: &[Capability],
    work: impl FnOnce() -> io::Result<T>,
) -> io::Result<T> {
    set_effective(wanted)?;
    let result = work();
    set_effective(&[])?;
    result
}

fn set_effective(wanted: &[Capability]) -> io::Result<()> {
    let held = caps::read(None, CapSet::Permitted).map_err(io::Error::other)?;
    let effective: CapsHashSet = wanted
        .iter()
        .copied()
        .chain([Capability::CAP_NET_ADMIN])
        .filter(|cap| held.contains(cap))
        .collect();
    set(CapSet::Effective, &effective)
}

/// The user of the network process.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Account {
    pub(crate) uid: Uid,
    pub(crate) gid: Gid,
}

impl Account {
    /// The account with this name or number.
    ///
    /// Without root, the process cannot change its user: then the account is its own.
    pub(crate) fn find(name: &str) -> io::Result<Self> {
        if !geteuid().is_root() {
            return Ok(Self { uid: geteuid(), gid: nix::unistd::getegid() });
        }
        let user = match name.parse().map(Uid::from_raw) {
            Ok(uid) => User::from_uid(uid),
            Err(_) => User::from_name(name),
        };
        let user = user?.ok_or_else(|| {
            let what = format!("there is no user {name:?}");
            let remedy = "Create it (useradd --system --no-create-home sknock) or set `user`";
            io::Error::new(io::ErrorKind::NotFound, format!("{what}. {remedy}"))
        })?;
        if user.uid.is_root() {
            let text = "`user` must not be root: the network process parses datagrams of \
                        unauthenticated senders";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        Ok(Self { uid: user.uid, gid: user.gid })
    }

    /// The uid of the network process with this `user`, if it exists. It may own what a unit's sknockd wrote.
    pub(crate) fn uid_of(user: &str) -> Option<Uid> {
        Self::find(user).ok().map(|account| account.uid)
    }
}
