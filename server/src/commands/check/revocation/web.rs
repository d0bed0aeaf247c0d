//! What the web servers of `crlUrl` have sent, as a start would judge it.

use sknock_protocol::Timestamp;

use super::KnownList;
use crate::commands::check::{Finding, Host, Severity};
use crate::config::Settings;
use crate::crl::{Attempt, Sighted};

/// Adds what came to the lists that a start would go by, and what is wrong with the rest to the findings:
/// an error if that leaves a start without any list that counts.
pub(super) fn examine(
    (settings, host): (&Settings, &Host),
    lists: &mut Vec<KnownList>,
    now: Timestamp,
    findings: &mut Vec<Finding>,
) {
    let revocation = &settings.revocation;
    if revocation.urls.is_empty() {
        return;
    }
    for Attempt { url, outcome } in &host.attempts {
        let Ok(sighted) = outcome else { continue };
        take(url, sighted, lists);
        if sighted.names_server {
            findings.push(super::ourselves(&format!("the CRL from {url}")));
        }
    }
    let usable = lists.iter().any(|list| now <= list.ends.after(revocation.grace));
    let severity = if usable { Severity::Warning } else { Severity::Error };
    for Attempt { url, outcome } in &host.attempts {
        let Err(why) = outcome else { continue };
        let (why, remedy) = why.split_once(". ").unwrap_or((why, REMEDY));
        let what = format!("crlUrl: cannot get a CRL from {url}: {why}");
        findings.push(Finding { severity, what, remedy: remedy.to_owned() });
    }
    if !lists.is_empty() {
        return;
    }
    let what = "crlUrl: no CRL is available yet";
    findings.push(if host.attempts.is_empty() {
        let remedy = "Make sure that this works: without any CRL the start fails, and no rules \
                      are loaded";
        Finding::note(format!("{what}. sknockd fetches it at the start"), remedy)
    } else {
        let remedy = "Correct crlUrl, or put a CRL into crlFile";
        Finding::error(format!("{what}, and none can be fetched: a start would fail"), remedy)
    });
}

/// What to do if the error does not say.
const REMEDY: &str = "Check crlUrl, the web server and firewalls on the path. Without a new CRL \
                      the server will refuse all knocks with certificates of that CA";

/// The process that has fetched it knew those in the files, too: it is not older than they are.
fn take(url: &str, sighted: &Sighted, lists: &mut Vec<KnownList>) {
    lists.retain(|known| known.issuer != sighted.issuer);
    lists.push(KnownList {
        place: format!("crlUrl: {url}"),
        issuer: sighted.issuer,
        issuer_name: sighted.issuer_name.clone(),
        number: sighted.number.clone(),
        made: Timestamp::from_secs(sighted.made),
        ends: Timestamp::from_secs(sighted.ends),
    });
}
