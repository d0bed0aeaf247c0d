//! What each crate says of itself: licence, lints, and that it builds by itself.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::house;

/// The server links libnftnl (GPL-2.0-or-later) and is what the original is; what others link or
/// learn from is as free as Rust's own.
const LICENCES: &[(&str, &str)] = &[
    ("sknock", "MIT OR Apache-2.0"),
    ("sknock-c", "MIT OR Apache-2.0"),
    ("sknock-certs", "MIT OR Apache-2.0"),
    ("sknock-cli", "MIT OR Apache-2.0"),
    ("sknock-gate", "GPL-3.0-or-later"),
    ("sknock-manual", "MIT OR Apache-2.0"),
    ("sknock-netfilter", "GPL-3.0-or-later"),
    ("sknock-prompt", "MIT OR Apache-2.0"),
    ("sknock-protocol", "MIT OR Apache-2.0"),
    ("sknock-server", "GPL-3.0-or-later"),
    ("sknock-storage", "MIT OR Apache-2.0"),
    ("sknock-tests", "GPL-3.0-or-later"),
    ("sknock-types", "MIT OR Apache-2.0"),
];

#[test]
fn each_crate_has_its_licence() {
    let packages = house::packages();
    let mut found: Vec<(&str, &str)> = packages
        .iter()
        .map(|p| (p["name"].as_str().unwrap(), p["license"].as_str().unwrap_or("none")))
        .collect();
    found.sort_unstable();
    assert_eq!(
        found, LICENCES,
        "what links libnftnl is GPL; clients and the authority must stay free of it, so that any \
         program can knock"
    );
}

#[test]
fn no_crate_runs_code_while_it_builds() {
    for package in house::packages() {
        for target in package["targets"].as_array().unwrap() {
            let kinds = target["kind"].as_array().unwrap();
            let kinds: Vec<&str> = kinds.iter().filter_map(|kind| kind.as_str()).collect();
            assert!(
                !kinds.contains(&"custom-build") && !kinds.contains(&"proc-macro"),
                "{}: no build script and no macro crate of ours, so that reading the sources is \
                 enough to know what is built",
                package["name"]
            );
        }
    }
}

#[test]
fn each_crate_uses_the_lints_of_the_workspace() {
    for package in house::packages() {
        let path = package["manifest_path"].as_str().unwrap();
        let manifest = fs::read_to_string(path).unwrap();
        assert!(
            manifest.contains("[lints]\nworkspace = true"),
            "{path}: without the workspace's lints, `unsafe` and undocumented items pass unseen"
        );
    }
}

/// A workspace inherits nothing from another one.
#[test]
fn the_bench_has_the_lints_and_build_profile_of_the_workspace() {
    let manifest = |folder: &str| {
        let path = house::root().join(folder).join("Cargo.toml");
        fs::read_to_string(path).expect("a workspace has a manifest")
    };
    let (house, bench) = (manifest(""), manifest("bench"));
    let from_lints =
        |text: &str| text.split_once("[workspace.lints.rust]").map(|(_, rest)| rest.to_owned());
    let (house, bench) = (from_lints(&house).unwrap(), from_lints(&bench).unwrap());
    let (house, ours) = house.split_once("[profile.dev.package]\n").unwrap();
    let (bench, its) = bench.split_once("[profile.dev.package]\n").unwrap();
    assert_eq!(bench, house, "bench/Cargo.toml: lints, and how releases are built, are the same");
    assert!(ours.starts_with(its), "bench/Cargo.toml: how others' crates are built is the same");
}

/// Else the bench would measure other versions than those that are shipped.
#[test]
fn the_bench_locks_the_same_versions_as_the_workspace() {
    let locked = |folder: &str| -> BTreeSet<String> {
        let path = house::root().join(folder).join("Cargo.lock");
        let text = fs::read_to_string(path).expect("it is committed");
        let packages = text.split("[[package]]\n").skip(1);
        packages.map(|package| package.lines().take(2).collect::<Vec<_>>().join(" ")).collect()
    };
    let (house, bench) = (locked(""), locked("bench"));
    let alone = bench.difference(&house);
    let alone: Vec<_> = alone.filter(|package| !package.contains("plotters")).collect();
    assert_eq!(alone, ["name = \"sknock-bench\" version = \"0.0.0\""], "cargo update in both");
}

/// Dependencies that stand in the list of the workspace have their reason there, others have it in
/// their own crate: a comment on the line before, or at its end.
#[test]
fn every_dependency_has_its_reason_beside_it() {
    let root = house::root();
    let folders = house::packages();
    let manifests = folders.iter().map(|package| package["manifest_path"].as_str().unwrap());
    for path in manifests
        .map(Into::into)
        .chain(["", "fuzz", "bench"].map(|one| root.join(one).join("Cargo.toml")))
    {
        let text = fs::read_to_string(&path).unwrap();
        let (mut listing, mut reason) = (false, false);
        for line in text.lines() {
            if line.starts_with('[') {
                listing = line.contains("dependencies]");
            } else if line.starts_with('#') {
                reason = true;
            } else if line.trim().is_empty() {
                reason = false;
            } else if listing && !line.starts_with([' ', ']']) {
                let elsewhere = line.ends_with(".workspace = true");
                assert!(
                    reason || elsewhere || line.contains(" # "),
                    "{}: why is this needed? `{line}`: who reads the list must be able to judge it",
                    path.display()
                );
                // One comment may stand for a group, so it holds until an empty line.
            }
        }
    }
}

#[test]
fn the_map_shows_every_crate() {
    let map = house::map();
    for package in house::packages() {
        let manifest = package["manifest_path"].as_str().unwrap();
        let folder = Path::new(manifest).parent().unwrap();
        let folder = folder.strip_prefix(house::root()).unwrap().display();
        assert!(
            map.contains(&format!("{folder}/")) || map.contains(&format!("`{folder}`")),
            "docs/ARCHITECTURE.md does not mention {folder}/: who comes in needs the whole map"
        );
    }
}
