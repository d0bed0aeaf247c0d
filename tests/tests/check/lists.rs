//! Revocation lists, as `sknockd check` judges them.

use super::*;

#[test]
fn a_crl_is_evaluated_by_its_age() {
    let here = Installation::new();
    here.authority.crl(10, NOW).unwrap();
    let at = |now| here.check_at(now, &Host::default());
    assert_eq!(at(days(8)).findings(), []);
    let nearly = days(10).before(Duration::from_secs(3600));
    assert_found(
        &at(nearly),
        Severity::Warning,
        "crlFile: expires on",
        "Replace it with a newer one",
    );
    assert_found(&at(days(11)), Severity::Warning, "accepted until", "Replace it with a newer one");
    let late = at(days(18));
    assert_found(
        &late,
        Severity::Error,
        "and its grace period is over: knocks are refused",
        "set crlUrl",
    );
    let early = at(NOW.before(Duration::from_secs(24 * 3600)));
    assert_found(&early, Severity::Warning, "is in the future", "Check the clocks");
    here.configure("crlUrl = http://ca.example.org/crl.der\n");
    assert_eq!(at(days(18)).exit_code(), 0, "it will be fetched");
    assert!(!at(days(8)).to_string().contains("expires on"));
    assert_found(
        &at(nearly),
        Severity::Warning,
        "no newer one is available yet",
        "the CA issues new CRLs",
    );
}

#[test]
fn of_the_saved_crl_and_crl_file_the_newer_one_is_evaluated() {
    let here = Installation::new();
    let at = |now| here.check_at(now, &Host::default());
    here.authority.crl(10, NOW).unwrap();
    fs::create_dir(here.path("state")).unwrap();
    fs::set_permissions(here.path("state"), fs::Permissions::from_mode(0o700)).unwrap();
    let first = fs::read(here.path("ca/crl.der")).unwrap();
    here.configure("crlUrl = http://ca.example.org/crl.der\n");
    here.authority.crl(30, days(9)).unwrap();
    let newer = fs::read(here.path("ca/crl.der")).unwrap();
    here.write("ca/crl.der", &first);
    assert_found(&at(days(12)), Severity::Warning, "crlFile: expired on", "the CA issues new CRLs");
    here.write("state/crl.der", &newer);
    assert_eq!(at(days(12)).findings(), [], "what was fetched counts");
    assert_found(&at(days(40)), Severity::Warning, "stateDir: the saved CRL: expired on", "crlUrl");
    here.write("state/crl.der", "junk");
    assert_found(&at(days(2)), Severity::Warning, "the saved CRL is not used", "fetches it again");
    assert_eq!(at(days(2)).exit_code(), 0);
    here.write("ca/crl.der", &newer);
    here.write("state/crl.der", &first);
    assert_eq!(at(days(12)).findings(), [], "what was put there by hand counts");
}

#[test]
fn a_missing_or_foreign_crl_is_reported() {
    let here = Installation::new();
    here.reconfigure(&["crlFile = none.der"]);
    let missing = here.check();
    assert_found(&missing, Severity::Error, "crlFile: cannot read the file", "Put the file");
    here.reconfigure(&["crlFile ="]);
    assert_found(&here.check(), Severity::Warning, "no certificate can be revoked", "stolen");
    here.reconfigure(&["crlFile =", "crlUrl = https://ca.example.org/crl.der"]);
    let unfetched = here.check();
    assert_found(
        &unfetched,
        Severity::Note,
        "sknockd fetches it at the start",
        "without any CRL the start fails",
    );
    assert_eq!(unfetched.exit_code(), 0);

    let other = Authority::init(&here.path("other"), Some("Other"), 365, NOW).unwrap();
    here.reconfigure(&["crlFile = other/crl.der"]);
    assert_found(
        &here.check(),
        Severity::Error,
        "crlFile: its issuer, CN=Other, is not a trusted CA",
        "caFile",
    );
    // A start goes by ours; the other one is left over.
    let list = |path: &str| fs::read(here.path(path)).unwrap();
    here.write("both.der", [list("ca/crl.der"), list("other/crl.der")].concat());
    here.reconfigure(&["crlFile = both.der"]);
    let check = here.check();
    assert_found(&check, Severity::Warning, "its issuer, CN=Other, is not a trusted CA", "caFile");
    assert_eq!(check.exit_code(), 0);
    drop(other);
    here.reconfigure(&["crlFile = config.ini"]);
    assert_found(&here.check(), Severity::Error, "crlFile: it is not a CRL", "");
}
