//! Closes what certificates have open that are not trusted any more: revoked by a list, or issued by an
//! authority that is revoked itself or is not configured any more.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use sknock_protocol::{Anchors, Issuer, IssuerId, Revocation, RevocationLists};
use tracing::warn;

use super::Refresh;
use crate::gate::{ClosedBelow, Gate};

/// Until what the firewall would not close is tried again.
pub(super) const AGAIN: Duration = Duration::from_secs(5);

impl Refresh {
    /// Closes what the lists in force and the configured authorities do not allow, and those in `closed` did.
    /// These are replaced by the lists in force once all of it is closed. `closed` is nothing in a process
    /// that has closed nothing yet: what an earlier one let in is closed, too. Whether all could be closed.
    pub(super) async fn close_untrusted(
        &self,
        closed: &mut Option<RevocationLists>,
        gate: &mut Gate,
    ) -> io::Result<bool> {
        let lists = match &**self.current.load() {
            Revocation::Lists(lists) => lists.clone(),
            Revocation::NotConfigured => RevocationLists::new(Duration::ZERO),
        };
        let anchors = self.verifier.anchors();
        let trusted = trusted(&lists, anchors);
        let mut done = true;
        if closed.as_ref().is_none_or(|closed| self::trusted(closed, anchors) != trusted) {
            done &= close_all_but(&trusted, gate).await?;
        }
        done &= close_revoked(closed.as_ref(), &lists, gate).await?;
        if done {
            *closed = Some(lists);
        } else {
            warn!("not all that is revoked could be closed; tried again in {} s", AGAIN.as_secs());
        }
        Ok(done)
    }
}

/// The issuers whose certificates can be believed.
fn trusted(lists: &RevocationLists, anchors: &Anchors) -> BTreeSet<IssuerId> {
    let lost = lists.cut_off(anchors);
    anchors.issuers().iter().map(Issuer::id).filter(|id| !lost.contains(id)).copied().collect()
}

/// Closes what certificates by other issuers have open. Whether all could be closed.
async fn close_all_but(trusted: &BTreeSet<IssuerId>, gate: &mut Gate) -> io::Result<bool> {
    let Some(others) = gate.issuers_but(trusted)? else { return Ok(false) };
    let mut done = true;
    for issuer in others {
        loop {
            match gate.close_below(issuer)? {
                ClosedBelow::Some => tokio::task::yield_now().await,
                ClosedBelow::All => break,
                ClosedBelow::Failed => {
                    done = false;
                    break;
                }
            }
        }
    }
    Ok(done)
}

/// Closes what certificates have open that are revoked by `lists` and not by those `before`. Nothing that
/// those let in is on its way to the gate any more, as `lists` are in force (`in_force.rs`): so once is
/// enough, if all could be closed. Whether it could; what is closed already may be asked for again.
async fn close_revoked(
    before: Option<&RevocationLists>,
    lists: &RevocationLists,
    gate: &mut Gate,
) -> io::Result<bool> {
    let mut done = true;
    for list in lists.iter() {
        let before = before.and_then(|before| before.list(list.issuer()));
        if before.is_some_and(|before| Arc::ptr_eq(before, list)) {
            continue;
        }
        let is_new = |serial: &&[u8]| !before.is_some_and(|before| before.contains(serial));
        let mut revoked = list.serials().filter(is_new);
        loop {
            let some: Vec<_> = revoked.by_ref().take(Gate::AT_ONCE).collect();
            if some.is_empty() {
                break;
            }
            done &= gate.close(list.issuer(), &some)?;
            // Somebody may want us to stop.
            tokio::task::yield_now().await;
        }
    }
    Ok(done)
}
