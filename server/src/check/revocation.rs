//! Who is no longer welcome: is there a list, whose is it, and how long does it count.

use std::io;
use std::time::Duration;

use sknock_protocol::{Anchors, IssuerId, Moment, RevocationList};
use x509_parser::time::ASN1Time;

use super::keys::{content, pem, told};
use super::{Finding, Folder, Found, Host, Severity};
use crate::config::Settings;

/// A list is to be replaced before its end, by hand or by the web server; say so a day before.
const SOON: Duration = Duration::from_secs(24 * 3600);

/// Adds what is wrong with revocation.
pub(super) fn examine(
    settings: &Settings,
    (found, host): (&Found, &Host),
    anchors: Option<&Anchors>,
    now: Moment,
    findings: &mut Vec<Finding>,
) {
    let revocation = &settings.revocation;
    findings.extend(host.unreachable.iter().map(|url| {
        Finding::warning(
            format!("crlUrl: cannot be reached: {url}"),
            "correct it, or look at the web server and at firewalls on the way: without a new list all \
             knocks are refused in the end",
        )
    }));
    if let Some(content) = content("crlTlsCaFile", found.tls_authorities.as_ref(), findings) {
        pem("crlTlsCaFile", content, findings);
        if !revocation.urls.iter().any(|url| url.starts_with("https:")) {
            let what = "crlTlsCaFile has no effect: no crlUrl begins with https:";
            findings.push(Finding::note(what, "remove it, or correct crlUrl"));
        }
    }
    let fetched = !revocation.urls.is_empty();
    if let (true, Some(folder)) = (fetched, found.list_folder) {
        findings.extend(folder_finding(folder, found.user.as_ref().ok().copied().flatten()));
    }
    match &found.list {
        None => findings.push(Finding::warning(
            "nobody can be revoked: neither crlFile nor crlUrl is set",
            "set one, or a stolen certificate opens doors until it ends",
        )),
        Some(Err(error)) if fetched && error.kind() == io::ErrorKind::NotFound => {
            let remedy =
                "make sure that it can be: a start without any list fails, and closes nothing";
            findings.push(Finding::note("crlFile is not there yet and will be fetched", remedy));
        }
        file => {
            let Some(content) = content("crlFile", file.as_ref(), findings) else { return };
            let Some(anchors) = anchors else { return };
            let mut covered = Vec::new();
            for list in RevocationList::split(&content.bytes) {
                match RevocationList::verify(list, anchors) {
                    Ok(list) if is_older(&list, host) => findings.push(older(&list, host, fetched)),
                    Ok(list) => {
                        age(settings, &list, now, findings);
                        covered.push(*list.issuer());
                    }
                    Err(error) => findings.push(told("crlFile", &error.to_string())),
                }
            }
            if !covered.is_empty() {
                coverage(covered, anchors, findings);
            }
        }
    }
}

/// Whether a newer list of its issuer was in force here.
fn is_older(list: &RevocationList, host: &Host) -> bool {
    let newest = host.marks.get(&list.issuer().digest());
    newest.is_some_and(|newest| list.reaches(newest).is_err())
}

fn older(list: &RevocationList, host: &Host, fetched: bool) -> Finding {
    let why = host.marks.get(&list.issuer().digest()).map(|newest| list.reaches(newest));
    let why = why.and_then(Result::err).map_or_else(String::new, |why| why.to_string());
    let severity = if fetched { Severity::Warning } else { Severity::Error };
    let what = format!("crlFile: the list of {} is not taken: {why}", list.issuer_name());
    Finding { severity, what, remedy: "put the newest list there, or have a new one made".into() }
}

fn age(settings: &Settings, list: &RevocationList, now: Moment, findings: &mut Vec<Finding>) {
    let fetched = !settings.revocation.urls.is_empty();
    let remedy = if fetched {
        "check crlUrl, and whether the authority renews its list"
    } else {
        "put a newer one there, or set crlUrl"
    };
    let (made, next) = (list.this_update(), list.next_update());
    let end = next.after(settings.revocation.grace);
    if list.has_begun(now).is_err() {
        let what = format!("crlFile: made on {}, which is in the future", date(made));
        findings.push(Finding::warning(what, "check the clocks of this host and of the authority"));
    }
    if now > end {
        let what = format!("crlFile: ended on {}, too long ago: knocks are refused", date(next));
        let severity = if fetched { Severity::Warning } else { Severity::Error };
        findings.push(Finding { severity, what, remedy: remedy.into() });
    } else if now > next {
        let what = format!("crlFile: ended on {}, counts until {}", date(next), date(end));
        findings.push(Finding::warning(what, remedy));
    } else if now.after(soon(made, next)) > next {
        let what = format!("crlFile: ends on {}, and there is no newer one yet", date(next));
        findings.push(Finding::warning(what, remedy));
    }
}

/// How long before its end a list should have been replaced: some live for a day only.
fn soon(made: Moment, next: Moment) -> Duration {
    SOON.min(next.since(made) / 4)
}

/// Every authority that issues client certificates needs a list.
fn coverage(mut covered: Vec<IssuerId>, anchors: &Anchors, findings: &mut Vec<Finding>) {
    for issuer in anchors.issuers() {
        if covered.contains(issuer.id()) {
            continue;
        }
        covered.push(*issuer.id());
        findings.push(Finding::warning(
            format!("no list of {}: who has a certificate from it is refused", issuer.name()),
            "add its list's address to crlUrl; fine if it issues no client certificates",
        ));
    }
}

fn folder_finding(folder: Folder, user: Option<u32>) -> Option<Finding> {
    match folder {
        Folder::NotAFolder => Some(Finding::error(
            "crlFile: what should be its folder is none",
            "correct crlFile, or leave it empty for a file in stateDir",
        )),
        Folder::Present { owner, .. } if user.is_some_and(|user| user != owner) => {
            Some(Finding::warning(
                "crlFile: its folder does not belong to `user`, so a fetched list may not be kept",
                "leave crlFile empty for a file in stateDir, or give it a folder of its own",
            ))
        }
        Folder::Missing | Folder::Present { .. } => None,
    }
}

fn date(moment: Moment) -> String {
    let seconds = i64::try_from(moment.as_secs()).ok();
    let time = seconds.and_then(|seconds| ASN1Time::from_timestamp(seconds).ok());
    time.map_or_else(|| "a day beyond all calendars".into(), |time| time.to_string())
}
