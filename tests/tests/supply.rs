//! What comes from others: the bill of materials is complete and always the same, and what was looked at
//! is what is linked.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this crate lies in the workspace")
}

/// Checksums in Cargo.lock, by name and version; none for crates of ours.
fn locked() -> BTreeMap<(String, String), Option<String>> {
    let text = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let value = |package: &str, key: &str| {
        let line = package.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "));
        line.map(|value| value.trim_matches('"').to_owned())
    };
    let packages = text.split("[[package]]\n").skip(1);
    let entry = |package: &str| {
        let key = (value(package, "name").unwrap(), value(package, "version").unwrap());
        (key, value(package, "checksum"))
    };
    packages.map(entry).collect()
}

/// Of this system's crates: those of others need not have been fetched. `make lint`, after which they
/// are, makes that of all systems.
fn bill() -> Vec<u8> {
    let mut command = Command::new("python3");
    if let Some(cargo) = std::env::var_os("CARGO") {
        command.env("CARGO", cargo);
    }
    let printed = command.arg(root().join("packaging/sbom.py")).arg(host()).output().unwrap();
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    printed.stdout
}

/// As in `x86_64-unknown-linux-gnu`.
fn host() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let said = Command::new(rustc).arg("-vV").output().expect("it has built this test").stdout;
    let said = String::from_utf8(said).expect("rustc writes UTF-8");
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    host.expect("rustc names its host").to_owned()
}

#[test]
fn the_bill_of_materials_is_the_same_every_time() {
    assert!(bill() == bill());
}

#[test]
fn the_bill_of_materials_has_all_that_is_linked_with_its_checksum_and_nothing_else() {
    let bill: Value = serde_json::from_slice(&bill()).unwrap();
    let locked = locked();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut names = Vec::new();
    for component in bill["components"].as_array().unwrap() {
        let (name, version) = (text(&component["name"]), text(&component["version"]));
        let checksum = locked.get(&(name.clone(), version)).expect("it is locked");
        assert_eq!(component["hashes"][0]["content"].as_str(), checksum.as_deref(), "{name}");
        assert_ne!(component["licenses"][0]["expression"], "unknown", "{name}");
        names.push(name);
    }
    for name in
        ["sknock-server", "sknock-c", "aws-lc-sys", "nftnl-sys", "tokio", "libc", "serde_derive"]
    {
        assert!(names.iter().any(|known| known == name), "{name} is missing");
    }
    // What deny.toml refuses, and what only tests use.
    for name in ["ring", "openssl-sys", "proptest", "libtest-mimic", "sknock-tests", "sknock-bench"]
    {
        assert!(!names.iter().any(|known| known == name), "{name} is linked into nothing");
    }
    let known: Vec<&Value> = bill["components"].as_array().unwrap().iter().collect();
    let known = |reference: &Value| known.iter().any(|one| one["bom-ref"] == *reference);
    for dependency in bill["dependencies"].as_array().unwrap() {
        assert!(dependency["ref"] == "sknock" || known(&dependency["ref"]));
        assert!(dependency["dependsOn"].as_array().unwrap().iter().all(known), "{dependency}");
    }
}

#[test]
fn what_was_looked_at_is_what_is_locked() {
    let text = fs::read_to_string(root().join("docs/SUPPLY.md")).unwrap();
    let locked = locked();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let rows: Vec<(&str, &str)> =
        rows.map(|(name, rest)| (name, rest.split(" | ").next().unwrap())).collect();
    assert!(rows.len() > 15, "the table is not read rightly: {rows:?}");
    for (name, version) in rows {
        let key = (name.to_owned(), version.to_owned());
        assert!(
            locked.contains_key(&key),
            "docs/SUPPLY.md: {name} {version} is not what Cargo.lock has: look at the new version's \
             unsafe code and build script, then change the row"
        );
    }
}
