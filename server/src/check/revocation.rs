//! Who is no longer welcome: is there a list, whose is it, and how long does it count.

use std::io;
use std::time::Duration;

use sknock_protocol::{Anchors, CrlError, IssuerId, Mark, Moment, RevocationList};
use x509_parser::time::ASN1Time;

use super::keys::{content, pem, told};
use super::{Content, Finding, Found, Host, Severity};
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
    let file = match &found.list {
        Some(Err(error)) if fetched && error.kind() == io::ErrorKind::NotFound => None,
        file => content("crlFile", file.as_ref(), findings),
    };
    // The server's own; it does without if it has to.
    let saved = found.saved.as_ref().and_then(|saved| saved.as_ref().ok());
    match (file, saved) {
        (None, None) if fetched => {
            let remedy =
                "make sure that it can be: a start without any list fails, and closes nothing";
            findings.push(Finding::note("no list is there yet; it will be fetched", remedy));
        }
        (None, None) if found.list.is_none() => findings.push(Finding::warning(
            "nobody can be revoked: neither crlFile nor crlUrl is set",
            "set one, or a stolen certificate opens doors until it ends",
        )),
        (None, None) => {}
        (file, saved) => {
            let Some(anchors) = anchors else { return };
            let places = [(SAVED, saved), ("crlFile", file)];
            let lists = newest(places, anchors, (host, fetched), findings);
            for (place, list) in &lists {
                age(settings, (place, list), now, findings);
            }
            if !lists.is_empty() {
                coverage(&lists, anchors, findings);
            }
        }
    }
}

/// How findings name the saved lists.
const SAVED: &str = "stateDir: the saved list";

/// The list of each issuer that a start would go by, and where it is. What is wrong with others is told;
/// that there is a newer one of the same issuer is not wrong.
fn newest(
    places: [(&'static str, Option<&Content>); 2],
    anchors: &Anchors,
    (host, fetched): (&Host, bool),
    findings: &mut Vec<Finding>,
) -> Vec<(&'static str, RevocationList)> {
    let mut newest: Vec<(&'static str, RevocationList)> = Vec::new();
    let mut below = Vec::new();
    for (place, content) in places {
        for der in content.iter().flat_map(|content| RevocationList::split(&content.bytes)) {
            let list = match RevocationList::verify(der, anchors) {
                Ok(list) => list,
                Err(error) => {
                    findings.push(untaken(place, &error));
                    continue;
                }
            };
            if let Some(Err(why)) = mark_of(&list, host).map(|newest| list.reaches(newest)) {
                below.push((place, list, why));
                continue;
            }
            match newest.iter_mut().find(|(_, known)| known.issuer() == list.issuer()) {
                None => newest.push((place, list)),
                Some(known) if list.mark() >= known.1.mark() => *known = (place, list),
                Some(_) => {}
            }
        }
    }
    let counts =
        |list: &RevocationList| newest.iter().any(|(_, one)| one.issuer() == list.issuer());
    let older = below.iter().filter(|(_, list, _)| !counts(list));
    findings.extend(older.map(|(place, list, why)| older_than_before(place, list, why, fetched)));
    newest
}

fn untaken(place: &str, error: &CrlError) -> Finding {
    if place == SAVED {
        let what = format!("{SAVED} does not count: {error}");
        return Finding::warning(what, "it is fetched again");
    }
    told(place, &error.to_string())
}

/// How new the newest list of this one's issuer was that was in force here.
fn mark_of<'a>(list: &RevocationList, host: &'a Host) -> Option<&'a Mark> {
    host.marks.get(&list.issuer().digest())
}

fn older_than_before(place: &str, list: &RevocationList, why: &CrlError, fetched: bool) -> Finding {
    let severity = if fetched || place == SAVED { Severity::Warning } else { Severity::Error };
    let what = format!("{place}: the list of {} is not taken: {why}", list.issuer_name());
    let remedy = "put the newest list into crlFile, or have a new one made";
    Finding { severity, what, remedy: remedy.into() }
}

fn age(
    settings: &Settings,
    (place, list): (&str, &RevocationList),
    now: Moment,
    findings: &mut Vec<Finding>,
) {
    let fetched = !settings.revocation.urls.is_empty();
    let remedy = if fetched {
        "check crlUrl, and whether the authority renews its list"
    } else {
        "put a newer one there, or set crlUrl"
    };
    let (made, next) = (list.this_update(), list.next_update());
    let end = next.after(settings.revocation.grace);
    if list.has_begun(now).is_err() {
        let what = format!("{place}: made on {}, which is in the future", date(made));
        findings.push(Finding::warning(what, "check the clocks of this host and of the authority"));
    }
    if now > end {
        let what = format!("{place}: ended on {}, too long ago: knocks are refused", date(next));
        let severity = if fetched { Severity::Warning } else { Severity::Error };
        findings.push(Finding { severity, what, remedy: remedy.into() });
    } else if now > next {
        let what = format!("{place}: ended on {}, counts until {}", date(next), date(end));
        findings.push(Finding::warning(what, remedy));
    } else if now.after(soon(made, next)) > next {
        let what = format!("{place}: ends on {}, and there is no newer one yet", date(next));
        findings.push(Finding::warning(what, remedy));
    }
}

/// How long before its end a list should have been replaced: some live for a day only.
fn soon(made: Moment, next: Moment) -> Duration {
    SOON.min(next.since(made) / 4)
}

/// Every authority that issues client certificates needs a list.
fn coverage(lists: &[(&str, RevocationList)], anchors: &Anchors, findings: &mut Vec<Finding>) {
    let mut covered: Vec<&IssuerId> = lists.iter().map(|(_, list)| list.issuer()).collect();
    for issuer in anchors.issuers() {
        if covered.contains(&issuer.id()) {
            continue;
        }
        covered.push(issuer.id());
        findings.push(Finding::warning(
            format!("no list of {}: who has a certificate from it is refused", issuer.name()),
            "add its list's address to crlUrl; fine if it issues no client certificates",
        ));
    }
}

fn date(moment: Moment) -> String {
    let seconds = i64::try_from(moment.as_secs()).ok();
    let time = seconds.and_then(|seconds| ASN1Time::from_timestamp(seconds).ok());
    time.map_or_else(|| "a day beyond all calendars".into(), |time| time.to_string())
}
