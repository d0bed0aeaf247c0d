//! Whose the folder is, who may write to it and read the key, and what lies there in place of files.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::program::{OTHER_USER, WorkFolder};

const COMMANDS: [&str; 5] =
    ["list", "crl", "revoke alice", "server other", "client bob --allow tcp/22"];

fn permit(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn root_is_refused_in_a_folder_of_another_user_who_can_continue() {
    let folder = WorkFolder::of(OTHER_USER);
    folder.run("init").done();
    folder.run("client alice --allow tcp/22").done();
    for command in COMMANDS {
        let refused = folder.run(command).by(0).refused();
        assert!(refused.contains(&format!("sudo -u '#{OTHER_USER}'")), "{refused}");
    }
    for name in folder.names() {
        assert_eq!(fs::metadata(folder.file(&name)).unwrap().uid(), OTHER_USER, "{name}");
    }
    folder.run("crl").done();
    folder.run("revoke alice").done();
}

#[test]
fn root_makes_no_ca_in_a_folder_of_another_user() {
    let folder = WorkFolder::of(OTHER_USER);
    fs::create_dir(folder.dir()).unwrap();
    chown(folder.dir(), Some(OTHER_USER), Some(OTHER_USER)).unwrap();
    let refused = folder.run("init").by(0).refused();
    assert!(refused.contains("is owned by"), "{refused}");
    assert!(folder.names().is_empty());
    folder.run("init").done();
}

#[test]
fn a_file_owned_by_root_is_reported_with_the_chown_command() {
    for name in ["ca.key", "ca.cer", "register.json", "crl.der"] {
        let folder = WorkFolder::of(OTHER_USER);
        folder.run("init").done();
        chown(folder.file(name), Some(0), Some(0)).unwrap();
        let refused = folder.run("crl").refused();
        assert!(refused.contains("chown") && refused.contains(name), "{refused}");
    }
}

#[test]
fn what_others_may_write_to_or_a_key_they_may_read_is_refused_with_the_chmod_to_run() {
    let folder = WorkFolder::with_authority();
    for (name, wrong, right, advice) in [
        ("", 0o777, 0o711, "chmod go-w ca"),
        ("", 0o771, 0o711, "chmod go-w ca"),
        ("ca.key", 0o640, 0o600, "chmod go-rwx ca/ca.key"),
        ("ca.key", 0o604, 0o600, "chmod go-rwx ca/ca.key"),
        ("register.json", 0o620, 0o600, "chmod go-w ca/register.json"),
        ("ca.cer", 0o666, 0o644, "chmod go-w ca/ca.cer"),
        ("ca.pem", 0o646, 0o644, "chmod go-w ca/ca.pem"),
    ] {
        permit(&folder.file(name), wrong);
        for command in COMMANDS {
            let refused = folder.run(command).refused();
            assert!(refused.contains(advice), "{name} {wrong:o} {command}: {refused}");
        }
        permit(&folder.file(name), right);
        folder.run("list").done();
    }
    assert_eq!(folder.number(), 1, "nothing was changed");
    let open = WorkFolder::empty();
    fs::create_dir(open.dir()).unwrap();
    permit(&open.dir(), 0o777);
    assert!(open.run("init").refused().contains("chmod go-w ca"));
    assert!(open.names().is_empty());
}

#[test]
fn a_file_that_is_replaced_keeps_its_group_and_mode() {
    let folder = WorkFolder::with_authority();
    for (name, mode) in [("crl.der", 0o640), ("register.json", 0o640), ("gate.cer", 0o444)] {
        chown(folder.file(name), None, Some(OTHER_USER)).unwrap();
        permit(&folder.file(name), mode);
    }
    folder.run("revoke gate").done();
    folder.run("server gate").done();
    for (name, mode) in [("crl.der", 0o640), ("register.json", 0o640), ("gate.cer", 0o444)] {
        let found = fs::metadata(folder.file(name)).unwrap();
        assert_eq!((found.gid(), found.mode() & 0o7777), (OTHER_USER, mode), "{name}");
    }
}

#[test]
fn every_certificate_is_registered_also_if_the_lock_file_is_removed() {
    let folder = WorkFolder::with_authority();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let remover = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let _ = fs::remove_file(folder.file(".lock"));
                thread::yield_now();
            }
        });
        let issue = |worker: usize| {
            for turn in 0..8 {
                folder.run(&format!("client client-{worker}-{turn} --allow tcp/22")).done();
            }
        };
        let workers: Vec<_> = (0..4).map(|worker| scope.spawn(move || issue(worker))).collect();
        let outcomes: Vec<_> = workers.into_iter().map(thread::ScopedJoinHandle::join).collect();
        over.store(true, Ordering::Relaxed);
        remover.join().unwrap();
        assert!(outcomes.iter().all(Result::is_ok));
    });
    assert_eq!(folder.list().len(), 2 + 32);
}

#[test]
fn a_link_or_a_pipe_in_place_of_a_file_is_refused_at_once() {
    for name in ["ca.key", "ca.cer", "register.json", "crl.der"] {
        let folder = WorkFolder::with_authority();
        let elsewhere = folder.beside("elsewhere");
        fs::rename(folder.file(name), &elsewhere).unwrap();
        symlink(&elsewhere, folder.file(name)).unwrap();
        let before = fs::read(&elsewhere).unwrap();
        let refused = folder.run("crl").refused();
        assert!(refused.contains(name) && refused.contains("symbolic link"), "{refused}");
        assert_eq!(fs::read(&elsewhere).unwrap(), before);

        fs::remove_file(folder.file(name)).unwrap();
        assert!(Command::new("mkfifo").arg(folder.file(name)).status().unwrap().success());
        let refused = folder.run("crl").refused();
        assert!(refused.contains(name) && refused.contains("regular file"), "{refused}");
    }
}

#[test]
fn nothing_called_lock_is_followed_or_waited_for() {
    let folder = WorkFolder::with_authority();
    let elsewhere = folder.beside("elsewhere");
    let _ = fs::remove_file(folder.file(".lock"));
    symlink(&elsewhere, folder.file(".lock")).unwrap();
    folder.run("crl").done();
    assert!(!elsewhere.exists());
    fs::remove_file(folder.file(".lock")).unwrap();
    assert!(Command::new("mkfifo").arg(folder.file(".lock")).status().unwrap().success());
    folder.run("crl").done();
}

#[test]
fn a_folder_that_nobody_can_write_to_can_be_listed() {
    let folder = WorkFolder::of(OTHER_USER);
    folder.run("init").done();
    folder.run("client alice --allow tcp/22").done();
    permit(&folder.dir(), 0o500);
    assert_eq!(folder.list().len(), 1);
    let refused = folder.run("crl").refused();
    assert!(refused.contains("Permission denied"), "{refused}");
}
