//! The reference vectors of protocol v2: one test for each file, named after it.
//!
//! The files were made by an implementation that shares no code with this one. What they say is in
//! `tests/vectors/v2/README.md`.

#[path = "vectors/case.rs"]
mod case;
#[path = "vectors/scene.rs"]
mod scene;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use sknock_protocol::{Answer, Refusal, Timestamp, VerifiedKnock};

use case::{Case, Expected, Subject};
use scene::{Scene, Verdict};

/// Reasons that depend on what a server has lived through, so that no file can cause them.
const WITHOUT_VECTORS: [Refusal; 6] = [
    Refusal::BeforeMemory,
    Refusal::ReplayMemoryFull,
    Refusal::ShareOfCertificate,
    Refusal::ShareOfNetwork,
    Refusal::ReplayMemoryReserved,
    Refusal::ReplayJournalFailed,
];

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/v2");
    let mut trials = good(&root.join("good"));
    trials.extend(good(&root.join("refused-answers")));
    for folder in entries(&root.join("refused")) {
        trials.extend(refused(&folder));
    }
    for reason in Refusal::ALL.iter().filter(|reason| !WITHOUT_VECTORS.contains(reason)) {
        let folder = root.join("refused").join(reason.name());
        trials.push(Trial::test(format!("{reason} has vectors"), move || {
            if folder.is_dir() { Ok(()) } else { Err("no such folder".into()) }
        }));
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// Believed knocks, also those with an answer that is to be refused.
fn good(folder: &Path) -> Vec<Trial> {
    let trial = |path: PathBuf| {
        let title = format!("{}/{}", name(folder), name(&path));
        Trial::test(title, move || believed(&Case::read(&path)))
    };
    entries(folder).into_iter().map(trial).collect()
}

fn refused(folder: &Path) -> Vec<Trial> {
    let reason = name(folder);
    let trial = |path: PathBuf| {
        let (title, reason) = (format!("refused/{reason}/{}", name(&path)), reason.clone());
        Trial::test(title, move || is_refused(&Case::read(&path), &reason))
    };
    entries(folder).into_iter().map(trial).collect()
}

/// What is in `folder`, by name. A missing or empty folder is a failure, not a success of nothing.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let listed = fs::read_dir(folder).unwrap_or_else(|why| panic!("{}: {why}", folder.display()));
    let mut paths: Vec<PathBuf> = listed.map(|entry| entry.unwrap().path()).collect();
    assert!(!paths.is_empty(), "{} is empty", folder.display());
    paths.sort();
    paths
}

/// The file's name without `.json`.
fn name(path: &Path) -> String {
    path.file_stem().and_then(|stem| stem.to_str()).expect("a name in ASCII").to_owned()
}

/// Twice, as the second time the certificate comes from the cache.
fn believed(case: &Case) -> Result<(), Failed> {
    let expected = case.expected.as_ref().expect("good cases say what to expect");
    let scene = Scene::new(case);
    for _ in 0..2 {
        let knock = scene.verify(&case.knock).map_err(|reason| format!("refused: {reason}"))?;
        same_knock(&knock, expected);
        same_answer(&knock, case);
    }
    if let Some(grant) = &case.grant {
        let Verdict::Granted(granted) = scene.judge(case) else { panic!("no grant") };
        assert_eq!(granted, *grant);
    }
    Ok(())
}

fn is_refused(case: &Case, reason: &str) -> Result<(), Failed> {
    for _ in 0..2 {
        match Scene::new(case).judge(case) {
            Verdict::Refused(found) if found.name() == reason => {}
            verdict => return Err(format!("{verdict:?}").into()),
        }
    }
    Ok(())
}

fn same_knock(knock: &VerifiedKnock, expected: &Expected) {
    assert_eq!(knock.id().0[..], expected.knock_id.0[..]);
    assert_eq!(knock.stamp(), Timestamp::from_millis(expected.stamp_ms));
    let services: Vec<String> = knock.services().iter().map(ToString::to_string).collect();
    assert_eq!(services, expected.services);
    assert_eq!(knock.lifetime(), expected.lifetime_s);
    assert_eq!(knock.single_use(), expected.single_use);
    assert_eq!(knock.answer_key().is_some(), expected.answer_wanted);
    assert_eq!(knock.claim().first(), expected.address);
    assert_eq!(knock.claim().signed(), expected.address_signed);
    assert_eq!(knock.claim().second(), expected.second_address);
    assert_eq!(knock.not_after(), Timestamp::from_millis(expected.subject.not_after_ms));
    same_subject(knock.subject(), &expected.subject);
}

fn same_subject(subject: &sknock_protocol::Subject, expected: &Subject) {
    assert_eq!(subject.name, expected.name);
    assert_eq!(subject.certificate.serial, expected.serial.0);
    assert_eq!(subject.certificate.issuer.name[..], expected.issuer_sha256.0[..]);
    assert_eq!(subject.fingerprint[..], expected.fingerprint_sha256.0[..]);
    let allowed: Vec<String> = subject.allowed.iter().map(ToString::to_string).collect();
    assert_eq!(allowed, expected.allowed);
}

fn same_answer(knock: &VerifiedKnock, case: &Case) {
    let Some(expected) = &case.answer else { return };
    let key = knock.answer_key().expect("the client wants an answer");
    let answer = Answer {
        clipped: expected.clipped,
        seconds: expected.seconds,
        server_time: Timestamp::from_millis(expected.server_ms),
        observed: expected.observed,
    };
    assert_eq!(key.open(&expected.sealed.0), Some(answer));
    assert_eq!(key.open(&key.seal(&answer).expect("random bytes")), Some(answer));
    if let Some(refused) = &case.refused_answer {
        assert_ne!(refused.sealed.0[..], expected.sealed.0[..]);
        assert_eq!(key.open(&refused.sealed.0), None);
    }
}
