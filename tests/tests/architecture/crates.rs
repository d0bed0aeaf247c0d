//! What each crate says of itself: licence, lints, and that it builds by itself.

use std::fs;
use std::path::Path;

use crate::house;

/// The server links libnftnl (GPL-2.0-or-later) and is what the original is; what others link or
/// learn from is as free as Rust's own.
const LICENCES: &[(&str, &str)] = &[
    ("sknock", "MIT OR Apache-2.0"),
    ("sknock-bench", "GPL-3.0-or-later"),
    ("sknock-c", "MIT OR Apache-2.0"),
    ("sknock-certs", "MIT OR Apache-2.0"),
    ("sknock-cli", "MIT OR Apache-2.0"),
    ("sknock-gate", "GPL-3.0-or-later"),
    ("sknock-netfilter", "GPL-3.0-or-later"),
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
fn each_crate_keeps_the_lints_of_the_house() {
    for package in house::packages() {
        let path = package["manifest_path"].as_str().unwrap();
        let manifest = fs::read_to_string(path).unwrap();
        assert!(
            manifest.contains("[lints]\nworkspace = true"),
            "{path}: without the workspace's lints, `unsafe` and undocumented items pass unseen"
        );
    }
}

/// Dependencies that stand in the list of the workspace have their reason there, others have it in
/// their own crate: a comment on the line before, or at its end.
#[test]
fn every_dependency_has_its_reason_beside_it() {
    let root = house::root();
    let folders = house::packages();
    let manifests = folders.iter().map(|package| package["manifest_path"].as_str().unwrap());
    for path in
        manifests.map(Into::into).chain([root.join("Cargo.toml"), root.join("fuzz/Cargo.toml")])
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
