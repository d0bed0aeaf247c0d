//! Closes what certificates have open that are not trusted any more: revoked by a list, issued by an
//! authority that is revoked itself, or by one that is not configured any more.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use sknock_protocol::{Issuer, IssuerId, Revocation, RevocationLists, Timestamp, TrustStore};
use tracing::warn;

use super::Refresh;
use crate::knock::gate_client::{ClosedIssuer, GateClient, GateIssuer, UnknownIssuers, shortened};

/// Until what the firewall would not close is tried again.
pub(super) const RETRY: Duration = Duration::from_secs(5);

/// What this process has closed.
#[derive(Debug)]
pub(super) struct ClosedSoFar {
    /// All that these lists revoke.
    lists: RevocationLists,
    /// All below these.
    issuers: BTreeSet<IssuerId>,
    /// What certificates of authorities have open that are not configured any more.
    unknown: bool,
}

impl ClosedSoFar {
    /// Nothing yet.
    pub(super) fn nothing() -> Self {
        let lists = RevocationLists::new(Duration::ZERO);
        Self { lists, issuers: BTreeSet::new(), unknown: false }
    }
}

impl Refresh {
    /// Closes what is not trusted at `now` and is not in `closed`. Whether all of it is.
    pub(super) async fn close_untrusted(
        &self,
        closed: &mut ClosedSoFar,
        gate: &mut GateClient,
        now: Timestamp,
    ) -> io::Result<bool> {
        let trust_store = self.verifier.trust_store();
        if !closed.unknown {
            closed.unknown = close_unknown(trust_store, gate).await?;
        }
        let Revocation::Lists(lists) = &**self.current.load() else { return Ok(closed.unknown) };
        // Asked at each turn, as another path may have ended.
        let lost = lists.issuers_without_path(trust_store, now);
        let done = below_all(lost.difference(&closed.issuers), gate).await?
            & revoked_since(&closed.lists, lists, gate).await?;
        if done {
            (closed.lists, closed.issuers) = (lists.clone(), lost);
        } else {
            warn!(
                "cannot close all grants of revoked certificates. Trying again in {} s",
                RETRY.as_secs()
            );
        }
        Ok(done && closed.unknown)
    }
}

/// Closes what certificates have open by issuers that are not configured: by an earlier process that knew
/// more of them. Whether it could; while rules are on trial, such an issuer may come back.
async fn close_unknown(trust_store: &TrustStore, gate: &mut GateClient) -> io::Result<bool> {
    let known = trust_store.issuers().iter().map(Issuer::id);
    let others = match gate.issuers_but(known)? {
        UnknownIssuers::All(others) => others,
        UnknownIssuers::OnTrial | UnknownIssuers::Failed => return Ok(false),
    };
    let mut done = true;
    for issuer in others {
        done &= close_below(issuer, gate).await?;
    }
    Ok(done)
}

/// Closes what is open below `issuers`, which are revoked themselves. Whether all could be closed.
async fn below_all(
    issuers: impl Iterator<Item = &IssuerId>,
    gate: &mut GateClient,
) -> io::Result<bool> {
    let mut done = true;
    for issuer in issuers {
        done &= close_below(shortened(issuer), gate).await?;
    }
    Ok(done)
}

/// Closes what certificates have open that are revoked by `lists` and not by those `before`. Nothing that those
/// let in is on its way to the gate any more, as `lists` are in force (`in_force.rs`): so once is enough, if all
/// could be closed. Whether it could; what is closed already may be asked for again.
async fn revoked_since(
    before: &RevocationLists,
    lists: &RevocationLists,
    gate: &mut GateClient,
) -> io::Result<bool> {
    let mut done = true;
    for list in lists.iter() {
        let before = before.list(list.issuer());
        if before.is_some_and(|before| Arc::ptr_eq(before, list)) {
            continue;
        }
        let is_new = |serial: &&[u8]| !before.is_some_and(|before| before.contains(serial));
        let mut revoked = list.serials().filter(is_new);
        loop {
            let some: Vec<_> = revoked.by_ref().take(GateClient::AT_ONCE).collect();
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

/// Closes what certificates by this issuer have open. Whether all could be closed.
async fn close_below(issuer: GateIssuer, gate: &mut GateClient) -> io::Result<bool> {
    loop {
        match gate.close_issuer(issuer)? {
            ClosedIssuer::Some => tokio::task::yield_now().await,
            ClosedIssuer::All => return Ok(true),
            ClosedIssuer::Failed => return Ok(false),
        }
    }
}
