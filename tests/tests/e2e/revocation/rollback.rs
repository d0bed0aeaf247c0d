//! An older list, in the place of the one that was in force: in the file, with the web server down, across
//! reloads, `kill -9` of both processes, and reboots. Whoever was revoked stays out.

use std::fs;
use std::os::unix::fs::MetadataExt;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rcgen::SerialNumber;
use sknock_protocol::{CrlMark, Timestamp, TrustStore};
use sknock_server::crl::mark_record;
use sknock_tests::forge::{Forge, HOUR, List};
use sknock_tests::wait::{now, some};
use sknock_tests::{Captive, Client, Config, Daemon, Page, Reply, process};

use super::scene::Scene;

/// What a refused list is told by.
const OLDER: &str = "it is older than one that was in force here";

struct Rollback {
    scene: Scene,
    forge: Forge,
    begun: Timestamp,
}

/// Puts a list where the server looks for it.
fn put(daemon: &Daemon<'_>, list: &[u8]) {
    fs::write(daemon.file("crl.der"), list).unwrap();
}

impl Rollback {
    fn new() -> Self {
        let scene = Scene::new();
        let forge = Forge::with_key_of(&scene.authority);
        Self { scene, forge, begun: now() }
    }

    /// Made so many hours before the test began.
    fn list(&self, number: u64, hours: u32, revoked: &[&[u8]]) -> Vec<u8> {
        let (made, due) = (self.begun.before(hours * HOUR), self.begun.after(100 * HOUR));
        self.forge.list(&List { number, made, due, revoked })
    }

    fn config(&self) -> Config {
        self.scene.config().without("crlUrl").set("crlFile", "crl.der")
    }

    /// A server that has taken number 7, by which mallory (number 66) is revoked.
    fn daemon(&self) -> Daemon<'_> {
        self.serving(Daemon::stopped(&self.scene.world.gateway, &self.config()))
    }

    fn serving<'a>(&self, mut daemon: Daemon<'a>) -> Daemon<'a> {
        daemon.settle();
        put(&daemon, &self.list(7, 10, &[&[66]]));
        daemon.begin();
        daemon.wait_for("\"accepting knocks\"");
        assert_eq!(self.verdicts(&daemon), ["granted", "revoked"]);
        daemon
    }

    fn mallory(&self) -> Client<'_> {
        let number = Some(SerialNumber::from_slice(&[66]));
        let made = self.forge.client("mallory", |params| params.serial_number = number);
        self.scene.client("alice").posing_as(made.identity())
    }

    /// What becomes of knocks of alice and mallory.
    #[track_caller]
    fn verdicts(&self, daemon: &Daemon<'_>) -> [String; 2] {
        [self.scene.client("alice"), self.mallory()].map(|who| self.scene.verdict(daemon, &who))
    }
}

#[test]
fn an_older_crl_file_is_refused_at_a_reload_and_revocations_stay() {
    let rollback = Rollback::new();
    let daemon = rollback.daemon();
    // Number 6, made before; number 6 of the same second; number 7, made before.
    for (number, hours) in [(6, 20), (6, 10), (7, 20)] {
        put(&daemon, &rollback.list(number, hours, &[]));
        let mark = daemon.mark();
        daemon.signal(Signal::SIGHUP);
        let refused = daemon.wait_since(mark, OLDER);
        assert!(refused.contains(&format!("number {number:02x}")), "{refused}");
        assert!(refused.contains("number 07"), "both are named: {refused}");
        daemon.wait_since(mark, "The previous configuration stays in force");
        assert_eq!(rollback.verdicts(&daemon), ["granted", "revoked"]);
    }
}

#[test]
fn after_kill_9_of_both_an_older_crl_file_is_refused() {
    let rollback = Rollback::new();
    let mut daemon = rollback.daemon();
    daemon.crash();
    put(&daemon, &rollback.list(6, 20, &[]));
    daemon.begin();
    let ended = daemon.wait_for_end();
    assert_eq!(ended.code, Some(69), "{}", ended.said);
    assert!(ended.said.contains(OLDER), "{}", ended.said);
    let checked = daemon.ask("check", &[]);
    assert!(checked.code != Some(0) && checked.answer.contains(OLDER), "{checked:?}");
    // Protection is still up, and nobody is let in by the older list.
    assert!(rollback.scene.world.gateway.table().is_some());
    put(&daemon, &rollback.list(7, 10, &[&[66]]));
    daemon.begin();
    daemon.wait_for("\"accepting knocks\"");
    assert_eq!(rollback.verdicts(&daemon), ["granted", "revoked"]);
}

#[test]
fn an_older_crl_file_does_not_replace_a_fetched_crl_without_web_server() {
    let rollback = Rollback::new();
    let scene = &rollback.scene;
    let config = scene.config().set("crlFile", "crl.der");
    scene.web.reply(Reply::Page(Page::plain(rollback.list(7, 10, &[&[66]]))));
    let mut daemon = Daemon::stopped(&scene.world.gateway, &config);
    daemon.settle();
    daemon.begin();
    daemon.wait_for("\"accepting knocks\"");
    daemon.wait_for("new CRL in force");
    assert_eq!(rollback.verdicts(&daemon), ["granted", "revoked"]);
    scene.web.reply(Reply::Status(503));
    put(&daemon, &rollback.list(6, 20, &[]));
    daemon.crash();
    daemon.begin();
    daemon.wait_for("\"accepting knocks\"");
    assert_eq!(rollback.verdicts(&daemon), ["granted", "revoked"], "by the one that was saved");
    assert_eq!(daemon.times_said(OLDER), 0, "that crlFile has an older one is no fault");
    // Without that one, too, nobody is let in by the older.
    daemon.crash();
    fs::remove_file(daemon.file("state/crl.der")).unwrap();
    daemon.begin();
    let ended = daemon.wait_for_end();
    assert_eq!(ended.code, Some(69), "{}", ended.said);
    assert!(ended.said.contains(OLDER), "{}", ended.said);
}

#[test]
fn an_older_saved_crl_is_refused_and_a_later_file_is_used() {
    let rollback = Rollback::new();
    let scene = &rollback.scene;
    let config = scene.config().set("crlFile", "crl.der");
    scene.web.reply(Reply::Page(Page::plain(rollback.list(7, 10, &[&[66]]))));
    let mut daemon = Daemon::stopped(&scene.world.gateway, &config);
    daemon.settle();
    daemon.begin();
    daemon.wait_for("\"accepting knocks\"");
    scene.web.reply(Reply::Status(503));
    daemon.crash();
    let saved = daemon.file("state/crl.der");
    let seventh = fs::read(&saved).unwrap();
    fs::write(&saved, rollback.list(6, 20, &[])).unwrap();
    daemon.begin();
    let ended = daemon.wait_for_end();
    assert_eq!(ended.code, Some(69), "no list is left: {}", ended.said);
    let checked = daemon.ask("check", &[]);
    assert!(checked.answer.contains(OLDER), "{checked:?}");
    // The authority counts anew; by its date this list is the newer, and the saved one is no hindrance.
    for before in [&seventh, &rollback.list(6, 20, &[])] {
        fs::write(&saved, before).unwrap();
        put(&daemon, &rollback.list(1, 5, &[&[66]]));
        daemon.begin();
        daemon.wait_for("\"accepting knocks\"");
        assert_eq!(rollback.verdicts(&daemon), ["granted", "revoked"]);
        let checked = daemon.ask("check", &[]);
        assert!(!checked.answer.contains(OLDER), "another one counts: {checked:?}");
        daemon.crash();
    }
}

#[test]
fn the_older_crl_of_a_former_state_dir_is_refused() {
    let rollback = Rollback::new();
    let scene = &rollback.scene;
    let config = scene.config().set("CRL_UPDATE_INTERVAL_IN_MINUTES", "0.1");
    let serve = |list| scene.web.reply(Reply::Page(Page::plain(list)));
    serve(rollback.list(6, 20, &[]));
    let mut daemon = Daemon::stopped(&scene.world.gateway, &config);
    daemon.settle();
    daemon.begin();
    daemon.wait_for("\"accepting knocks\"");
    daemon.stop();
    // Its saved list, number 6, stays behind.
    daemon.configure(&config.clone().set("stateDir", "state2"));
    serve(rollback.list(7, 10, &[&[66]]));
    daemon.begin();
    daemon.wait_for("\"accepting knocks\"");
    assert_eq!(rollback.verdicts(&daemon), ["granted", "revoked"]);
    daemon.crash();
    daemon.configure(&config);
    scene.web.reply(Reply::Status(503));
    daemon.begin();
    let ended = daemon.wait_for_end();
    assert_eq!(ended.code, Some(69), "{}", ended.said);
}

#[test]
fn a_network_process_restarted_for_changed_files_knows_the_crl_marks() {
    let rollback = Rollback::new();
    let daemon = Daemon::stopped(
        &rollback.scene.world.gateway,
        &rollback.config().set("crlTlsCaFile", "web-ca.pem"),
    );
    let authority = |of: &str| Forge::root(of).pem().to_owned();
    fs::write(daemon.file("web-ca.pem"), authority("one")).unwrap();
    let daemon = rollback.serving(daemon);
    put(&daemon, &rollback.list(6, 20, &[]));
    let mark = daemon.mark();
    fs::write(daemon.file("web-ca.pem"), authority("other")).unwrap();
    daemon.wait_since(mark, "Starting a new network process, which reads them");
    daemon.wait_since(mark, OLDER);
    daemon.wait_since(mark, "The previous configuration stays in force");
    assert_eq!(rollback.verdicts(&daemon), ["granted", "revoked"]);
}

#[test]
fn a_ca_that_restarts_its_crl_numbers_is_accepted_with_later_dates() {
    let rollback = Rollback::new();
    let mut daemon = rollback.daemon();
    put(&daemon, &rollback.list(1, 5, &[&[66]]));
    daemon.reload();
    assert_eq!(rollback.verdicts(&daemon), ["granted", "revoked"]);
    daemon.crash();
    daemon.begin();
    daemon.wait_for("\"accepting knocks\"");
    assert_eq!(rollback.verdicts(&daemon), ["granted", "revoked"]);
}

/// Somebody speaks in the network process's name, and says of the authority's lists what they like.
fn claim(rollback: &Rollback, captive: &Captive, made: Timestamp, number: u8) {
    let pem = fs::read(rollback.scene.authority.file("ca.pem")).unwrap();
    let anchors =
        TrustStore::new(&sknock_server::config::keys::certificates(&pem).unwrap(), 2).unwrap();
    let issuer = anchors.issuers()[0].id().digest();
    let record = mark_record::report(&issuer, &CrlMark::new(made, [number; CrlMark::NUMBER]));
    assert!(Captive::ask(&captive.links[0], &record).is_some(), "each record is answered");
}

#[test]
fn a_compromised_process_lowers_no_mark_and_raises_none_beyond_now() {
    let rollback = Rollback::new();
    let mut daemon = rollback.daemon();
    let captive = Captive::take_in_peace(daemon.network());
    claim(&rollback, &captive, rollback.begun.before(20 * HOUR), 255);
    claim(&rollback, &captive, Timestamp::EPOCH, 0);
    // As high as can be of the same second: only lists of that second are kept out.
    claim(&rollback, &captive, rollback.begun.before(10 * HOUR), 255);
    claim(&rollback, &captive, rollback.begun.after(HOUR), 255);
    claim(&rollback, &captive, Timestamp::from_secs(u64::MAX), 255);
    daemon.wait_for("its date is in the future");
    daemon.crash();
    put(&daemon, &rollback.list(6, 20, &[]));
    daemon.begin();
    assert_eq!(daemon.wait_for_end().code, Some(69), "nothing was lowered");
    put(&daemon, &rollback.list(8, 9, &[&[66]]));
    daemon.begin();
    daemon.wait_for("\"accepting knocks\"");
    assert_eq!(rollback.verdicts(&daemon), ["granted", "revoked"]);
}

#[test]
fn a_mark_raised_during_a_restart_reaches_the_new_network_process() {
    let rollback = Rollback::new();
    let daemon = rollback.daemon();
    let old = daemon.network();
    let mark = daemon.mark();
    daemon.signal(Signal::SIGHUP);
    // It has been given its file, and the marks of now.
    let new = some("another network process", || {
        let begun = |pid: &Pid| *pid != old && process::has_begun(daemon.parent(), *pid);
        process::children(daemon.parent()).into_iter().find(begun)
    });
    process::stop(new);
    let captive = Captive::take(old);
    claim(&rollback, &captive, rollback.begun.before(5 * HOUR), 8);
    captive.release();
    kill(new, Signal::SIGCONT).unwrap();
    daemon.wait_since(mark, "Starting the new network process again");
    daemon.wait_since(mark, OLDER);
    daemon.wait_since(mark, "The previous configuration stays in force");
    assert_eq!(rollback.verdicts(&daemon), ["granted", "revoked"]);
}

#[test]
fn marks_are_kept_where_the_network_process_cannot_write() {
    let rollback = Rollback::new();
    let daemon = rollback.daemon();
    let (folder, file) = (daemon.file("state-marks"), daemon.file("state-marks/marks"));
    for path in [&folder, &file] {
        let found = fs::metadata(path).unwrap();
        assert_eq!((found.uid(), found.mode() & 0o077), (0, 0), "{}", path.display());
    }
    let state = fs::metadata(daemon.file("state")).unwrap();
    assert_ne!(state.uid(), 0, "the network process has another user");
}
