//! What the library shows to a linker and to the loader.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use crate::installed::{file, finished, house, pkg_config};

/// The functions that a header declares: `TYPE name(...`.
fn declared(header: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(file(header)).unwrap();
    let code = text.lines().filter(|line| !line.starts_with(['/', '#', ' ']));
    let name = |line: &str| {
        let (before, _) = line.split_once('(')?;
        Some(before.rsplit([' ', '*']).next()?.to_owned())
    };
    code.filter_map(name).collect()
}

#[test]
fn exactly_the_declared_functions_are_exported() {
    let listed = finished(
        Command::new("nm")
            .args(["--dynamic", "--defined-only", "--format=posix"])
            .arg(file("lib/libsknock.so.0")),
    );
    let exported: BTreeSet<String> =
        listed.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect();
    let (ours, original) = (declared("include/sknock.h"), declared("include/knock.h"));
    let names = ["knock_init", "knock_new", "knock_default_new", "knock_knock", "knock_free"];
    assert_eq!(original, names.map(str::to_owned).into());
    assert!(ours.len() > 20, "the header looks otherwise now: {ours:?}");
    assert_eq!(exported, ours.union(&original).cloned().collect());
}

#[test]
fn programs_ask_for_the_soname_and_find_it() {
    let dynamic = finished(
        Command::new("readelf")
            .env("LC_ALL", "C") // it speaks the user's language otherwise
            .args(["--wide", "--dynamic"])
            .arg(file("lib/libsknock.so")),
    );
    assert!(dynamic.contains("Library soname: [libsknock.so.0]"), "{dynamic}");
    // A resolver's thread may outlive the call that wanted it.
    assert!(dynamic.contains("NODELETE"), "{dynamic}");
    for (link, target) in [
        ("libsknock.so", "libsknock.so.0"),
        ("libknock.so.0", "libknock.so.0.1.0"),
        ("libknock.so", "libsknock.so.0"),
        ("libknock.a", "libsknock.a"),
    ] {
        let found = fs::read_link(file(&format!("lib/{link}"))).unwrap();
        assert_eq!(found.to_str(), Some(target), "{link}");
    }
    let manifest = fs::read_to_string(house().join("Cargo.toml")).unwrap();
    let version = pkg_config(&["--modversion"]);
    assert!(manifest.contains(&format!("version = \"{}\"\n", version.trim())), "{version}");
}
