//! Closes what certificates have open that are revoked now and were not before.

use std::io;
use std::sync::Arc;

use sknock_protocol::{Anchors, RevocationLists};

use crate::gate::Gate;

/// Closes what is open below issuers that are revoked themselves, and what certificates have open that
/// are, by `lists` and not by those `before`. Nothing that those let in is on its way to the gate any more,
/// as `lists` are in force (`in_force.rs`): so once is enough.
pub(super) async fn revoked_since(
    before: &RevocationLists,
    lists: &RevocationLists,
    anchors: &Anchors,
    gate: &mut Gate,
) -> io::Result<()> {
    for issuer in lists.cut_off(anchors).difference(&before.cut_off(anchors)) {
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
            // Somebody may want us to stop.
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}
