//! Who is no longer welcome: is there a list, whose is it, and how long does it count.

mod web;

use std::fmt;
use std::io;
use std::time::Duration;

use sknock_protocol::{CrlError, CrlMark, FUTURE_SLACK, RevocationList, Timestamp, TrustStore};
use x509_parser::time::ASN1Time;

use super::keys::{LoadedKeys, content, pem, told};
use super::{ConfiguredFiles, FileContent, Finding, Host, Severity};
use crate::config::Settings;
use sknock_types::hex;

/// A list is to be replaced before its end, by hand or by the web server; say so a day before.
const EXPIRY_NOTICE: Duration = Duration::from_secs(24 * 3600);

/// Adds what is wrong with revocation. Gives the lists that a start would go by, in words.
pub(super) fn examine(
    settings: &Settings,
    (found, host): (&ConfiguredFiles, &Host),
    keys: Option<&LoadedKeys>,
    now: Timestamp,
    findings: &mut Vec<Finding>,
) -> Vec<String> {
    tls(settings, found, findings);
    let fetched = !settings.revocation.urls.is_empty();
    let file = match &found.list {
        Some(Err(error)) if fetched && error.kind() == io::ErrorKind::NotFound => None,
        file => content("crlFile", file.as_ref(), findings),
    };
    // The server's own; it does without if it has to.
    let saved = found.saved.as_ref().and_then(|saved| saved.as_ref().ok());
    let mut lists = match keys {
        Some(LoadedKeys { trust_store, own }) => {
            let places = [(SAVED, saved), ("crlFile", file)];
            let newest = newest(places, trust_store, (host, fetched), findings);
            let own = own.as_ref();
            let names_us = |list| own.is_some_and(|own| own.is_on(list));
            let naming = newest.iter().find(|(_, list)| names_us(list));
            findings.extend(naming.map(|(place, _)| {
                ourselves(if *place == SAVED { "the saved CRL" } else { "the CRL in crlFile" })
            }));
            newest.iter().map(|(place, list)| KnownList::of(place, list)).collect()
        }
        None => Vec::new(),
    };
    web::examine((settings, host), &mut lists, now, findings);
    match (file, saved) {
        (None, None) if fetched => {}
        (None, None) if found.list.is_none() => findings.push(Finding::warning(
            "no certificate can be revoked: neither crlFile nor crlUrl is set",
            "Set one of them. Otherwise a stolen certificate remains usable until it expires",
        )),
        _ => {}
    }
    for list in &lists {
        age(settings, (list, host), now, findings);
    }
    if let Some(keys) = keys.filter(|_| !lists.is_empty()) {
        coverage(&lists, &keys.trust_store, findings);
    }
    lists.iter().map(ToString::to_string).collect()
}

/// Our own certificate on a list. Clients look at none, and knock on as before.
fn ourselves(list: &str) -> Finding {
    let what = format!("serverPFXFile: the server certificate is on {list}: it is revoked");
    let remedy = "Clients do not check CRLs. Replace the server key, and give clients the \
                  new certificate (OPERATIONS, \"Another key for the server\")";
    Finding::warning(what, remedy)
}

/// `crlTlsCaFile`
fn tls(settings: &Settings, found: &ConfiguredFiles, findings: &mut Vec<Finding>) {
    let Some(content) = content("crlTlsCaFile", found.tls_authorities.as_ref(), findings) else {
        return;
    };
    pem("crlTlsCaFile", content, findings);
    if !settings.revocation.urls.iter().any(|url| url.starts_with("https:")) {
        let what = "crlTlsCaFile has no effect: no crlUrl begins with https:";
        findings.push(Finding::note(what, "Remove it, or correct crlUrl"));
    }
}

/// What is to be known of a list that a start would go by.
#[derive(Debug)]
struct KnownList {
    place: String,
    /// As `IssuerId::digest` has it.
    issuer: [u8; 32],
    issuer_name: String,
    /// In hexadecimal digits.
    number: Option<String>,
    made: Timestamp,
    ends: Timestamp,
}

/// `CRL of CN=ca: number 1f, valid until 2026-12-01T00:00:00Z; crlFile`
impl fmt::Display for KnownList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, issuer_name, number, ends, .. } = self;
        let number = number.as_deref().unwrap_or("none");
        write!(f, "CRL of {issuer_name}: number {number}, valid until {}; {place}", ends.date())
    }
}

impl KnownList {
    fn of(place: &str, list: &RevocationList) -> Self {
        let (made, ends) = (list.this_update(), list.next_update());
        Self {
            place: place.to_owned(),
            issuer: list.issuer().digest(),
            issuer_name: list.issuer_name().to_owned(),
            number: list.number().map(hex),
            made,
            ends,
        }
    }
}

/// How findings name the saved lists.
const SAVED: &str = "stateDir: the saved CRL";

/// The list of each issuer that a start would go by, and where it is. What is wrong with others is told;
/// that there is a newer one of the same issuer is not wrong.
fn newest(
    places: [(&'static str, Option<&FileContent>); 2],
    trust_store: &TrustStore,
    (host, fetched): (&Host, bool),
    findings: &mut Vec<Finding>,
) -> Vec<(&'static str, RevocationList)> {
    let mut newest: Vec<(&'static str, RevocationList)> = Vec::new();
    let (mut below, mut strangers) = (Vec::new(), Vec::new());
    for (place, content) in places {
        for der in content.iter().flat_map(|content| RevocationList::split(&content.bytes)) {
            let list = match RevocationList::verify(der, trust_store) {
                Ok(list) => list,
                Err(error @ CrlError::UnknownIssuer { .. }) => {
                    strangers.push(untaken(place, &error));
                    continue;
                }
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
    // A start goes by the others.
    let severity = |finding: &Finding| {
        if newest.is_empty() { finding.severity } else { Severity::Warning }
    };
    findings.extend(strangers.into_iter().map(|one| Finding { severity: severity(&one), ..one }));
    let counts =
        |list: &RevocationList| newest.iter().any(|(_, one)| one.issuer() == list.issuer());
    let older = below.iter().filter(|(_, list, _)| !counts(list));
    findings.extend(older.map(|(place, list, why)| older_than_before(place, list, why, fetched)));
    newest
}

fn untaken(place: &str, error: &CrlError) -> Finding {
    if place == SAVED {
        let what = format!("{SAVED} is not used: {error}");
        return Finding::warning(what, "sknockd fetches it again");
    }
    told(place, &error.to_string())
}

/// How new the newest list of this one's issuer was that was in force here.
fn mark_of<'a>(list: &RevocationList, host: &'a Host) -> Option<&'a CrlMark> {
    host.marks.get(&list.issuer().digest())
}

fn older_than_before(place: &str, list: &RevocationList, why: &CrlError, fetched: bool) -> Finding {
    let severity = if fetched || place == SAVED { Severity::Warning } else { Severity::Error };
    let what = format!("{place}: the CRL of {} is rejected: {why}", list.issuer_name());
    let remedy = "Put the newest CRL into crlFile, or issue a new one";
    Finding { severity, what, remedy: remedy.into() }
}

fn age(
    settings: &Settings,
    (list, host): (&KnownList, &Host),
    now: Timestamp,
    findings: &mut Vec<Finding>,
) {
    let KnownList { place, made, ends: next, .. } = list;
    let (made, next) = (*made, *next);
    let fetched = !settings.revocation.urls.is_empty();
    let remedy = if fetched {
        "Check crlUrl, and whether the CA issues new CRLs"
    } else {
        "Replace it with a newer one, or set crlUrl"
    };
    let end = next.after(settings.revocation.grace);
    if made > now.after(FUTURE_SLACK) {
        let what = format!("{place}: its date {} is in the future", date(made));
        findings.push(Finding::warning(what, "Check the clocks of this host and of the CA"));
    }
    if now > end {
        let what = format!(
            "{place}: expired on {}, and its grace period is over: knocks are \
                            refused",
            date(next)
        );
        // What was not asked for yet may come.
        let hope = fetched && host.attempts.is_empty();
        let severity = if hope { Severity::Warning } else { Severity::Error };
        findings.push(Finding { severity, what, remedy: remedy.into() });
    } else if now > next {
        let what = format!("{place}: expired on {}, accepted until {}", date(next), date(end));
        findings.push(Finding::warning(what, remedy));
    } else if now.after(soon(made, next)) > next {
        let what = format!("{place}: expires on {}, and no newer one is available yet", date(next));
        findings.push(Finding::warning(what, remedy));
    }
}

/// How long before its end a list should have been replaced: some live for a day only.
fn soon(made: Timestamp, next: Timestamp) -> Duration {
    EXPIRY_NOTICE.min(next.since(made) / 4)
}

/// Every authority that issues client certificates needs a list.
fn coverage(lists: &[KnownList], trust_store: &TrustStore, findings: &mut Vec<Finding>) {
    let mut covered: Vec<[u8; 32]> = lists.iter().map(|list| list.issuer).collect();
    for issuer in trust_store.issuers() {
        let id = issuer.id().digest();
        if covered.contains(&id) {
            continue;
        }
        covered.push(id);
        findings.push(Finding::warning(
            format!("no CRL of {}: knocks with its certificates are refused", issuer.name()),
            "Add the URL of its CRL to crlUrl. No change is needed if it issues no client \
             certificates",
        ));
    }
}

fn date(timestamp: Timestamp) -> String {
    let seconds = i64::try_from(timestamp.as_secs()).ok();
    let time = seconds.and_then(|seconds| ASN1Time::from_timestamp(seconds).ok());
    time.map_or_else(|| "a date out of range".into(), |time| time.to_string())
}
