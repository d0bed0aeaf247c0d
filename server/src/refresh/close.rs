//! Closes what certificates have open that are revoked now and were not before.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use sknock_protocol::{Anchors, RevocationLists};

use crate::gate::Gate;

/// A knock that was believed just before a change has opened its door by then.
const UNDER_WAY: Duration = Duration::from_secs(1);

/// Closes what is open below issuers that are revoked themselves, and what certificates have open
/// that are; at once, and again when nothing that `before` let in can be under way any more.
pub(super) async fn newly_revoked(
    before: &RevocationLists,
    lists: &RevocationLists,
    anchors: &Anchors,
    gate: &mut Gate,
) -> io::Result<()> {
    if revoked_since(before, lists, anchors, gate).await? {
        tokio::time::sleep(UNDER_WAY).await;
        revoked_since(before, lists, anchors, gate).await?;
    }
    Ok(())
}

/// Closes at once; says whether `lists` name anybody that `before` does not.
pub(super) async fn revoked_since(
    before: &RevocationLists,
    lists: &RevocationLists,
    anchors: &Anchors,
    gate: &mut Gate,
) -> io::Result<bool> {
    let mut any = false;
    for issuer in lists.cut_off(anchors).difference(&before.cut_off(anchors)) {
        any = true;
        while gate.close_below(issuer)? {
            tokio::task::yield_now().await;
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
            gate.close(list.issuer(), &some)?;
            any = true;
            // Somebody may want us to stop.
            tokio::task::yield_now().await;
        }
    }
    Ok(any)
}
