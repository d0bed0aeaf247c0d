//! Closes what certificates have open that are revoked now and were not before.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use sknock_protocol::{Anchors, Revocation, RevocationLists};
use tracing::warn;

use super::Refresh;
use crate::gate::{ClosedBelow, Gate};

/// Until what the firewall would not close is tried again.
pub(super) const AGAIN: Duration = Duration::from_secs(5);

impl Refresh {
    /// Closes what is revoked by the lists in force and was not by those in `closed`, which are replaced by
    /// them once all of it is closed. Whether it is.
    pub(super) async fn close_revoked(
        &self,
        closed: &mut RevocationLists,
        gate: &mut Gate,
    ) -> io::Result<bool> {
        let Revocation::Lists(lists) = &**self.current.load() else { return Ok(true) };
        let done = revoked_since(closed, lists, self.verifier.anchors(), gate).await?;
        if done {
            *closed = lists.clone();
        } else {
            warn!("not all that is revoked could be closed; tried again in {} s", AGAIN.as_secs());
        }
        Ok(done)
    }
}

/// Closes what is open below issuers that are revoked themselves, and what certificates have open that
/// are, by `lists` and not by those `before`. Nothing that those let in is on its way to the gate any more,
/// as `lists` are in force (`in_force.rs`): so once is enough, if all could be closed. Whether it could;
/// what is closed already may be asked for again.
async fn revoked_since(
    before: &RevocationLists,
    lists: &RevocationLists,
    anchors: &Anchors,
    gate: &mut Gate,
) -> io::Result<bool> {
    let mut done = true;
    for issuer in lists.cut_off(anchors).difference(&before.cut_off(anchors)) {
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
    for list in lists.iter() {
        let before = before.list(list.issuer());
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
