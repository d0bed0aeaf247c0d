//! Closes grants of certificates that are no longer trusted: revoked by a CRL, issued by a revoked authority,
//! or by one that is no longer configured.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use sknock_protocol::{Issuer, IssuerId, Revocation, RevocationLists, Timestamp, TrustStore};
use tracing::warn;

use super::Refresh;
use crate::knock::gate_client::{ClosedIssuer, GateClient, GateIssuer, UnknownIssuers, shortened};

/// Interval after which a failed close is repeated.
pub(super) const RETRY: Duration = Duration::from_secs(5);

/// The grants that this process has closed.
#[derive(Debug)]
pub(super) struct ClosedSoFar {
    /// Those of all certificates on these CRLs.
    lists: RevocationLists,
    /// Those of all certificates below these issuers.
    issuers: BTreeSet<IssuerId>,
    /// Those of certificates whose authorities are no longer configured.
    unknown: bool,
}

impl ClosedSoFar {
    pub(super) fn nothing() -> Self {
        let lists = RevocationLists::new(Duration::ZERO);
        Self { lists, issuers: BTreeSet::new(), unknown: false }
    }
}

impl Refresh {
    /// Closes the grants that are not trusted at `now` and not in `closed`. Returns whether all are closed.
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
        // Checked each time, because another path may have expired.
        let lost = lists.issuers_without_path(trust_store, now);
        // `&` and not `&&`: a failure of one must not skip the other.
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

/// Closes grants of certificates whose issuers are not configured: made by an earlier process with more
/// authorities. Returns whether it succeeded; during a trial, such an issuer may return.
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

/// Closes grants of certificates below `issuers`, which are revoked themselves. Returns whether all were
/// closed.
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

/// Closes grants of certificates that are revoked by `lists` and not by those `before`. Once is enough, if
/// all could be closed: with `lists` in force, no knock with such a certificate is on its way to the gate
/// (`in_force.rs`). Returns whether all were closed; closing twice is harmless.
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
            // So that a stop request is noticed.
            tokio::task::yield_now().await;
        }
    }
    Ok(done)
}

/// Closes grants of certificates by this issuer. Returns whether all were closed.
async fn close_below(issuer: GateIssuer, gate: &mut GateClient) -> io::Result<bool> {
    loop {
        match gate.close_issuer(issuer)? {
            ClosedIssuer::Some => tokio::task::yield_now().await,
            ClosedIssuer::All => return Ok(true),
            ClosedIssuer::Failed => return Ok(false),
        }
    }
}
