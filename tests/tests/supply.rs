//! What comes from others: the bill of materials is complete and always the same, and what was looked at
//! is what is linked.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

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
    bill_in(&mut Command::new("python3"))
}

/// The same, by `command`, which runs python3.
fn bill_in(command: &mut Command) -> Vec<u8> {
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

/// What differs between machines and users: a shell's words before a command, and variables.
const SURROUNDINGS: [(&str, &[(&str, &str)]); 9] = [
    ("umask 077", &[]),
    ("umask 000", &[]),
    ("cd /", &[]),
    (":", &[("TZ", "Pacific/Kiritimati"), ("SOURCE_DATE_EPOCH", "1")]),
    (":", &[("LC_ALL", "C"), ("PYTHONIOENCODING", "latin-1"), ("PYTHONUTF8", "0")]),
    (":", &[("LANG", "tr_TR.UTF-8"), ("PYTHONHASHSEED", "7")]),
    (":", &[("CARGO_TERM_COLOR", "always"), ("CARGO_TERM_VERBOSE", "true")]),
    (":", &[("CARGO_TERM_QUIET", "true"), ("RUSTFLAGS", "--cfg other"), ("COLUMNS", "20")]),
    (":", &[("CARGO_TARGET_DIR", "/dev/null/none"), ("GZIP", "-1"), ("TAR_OPTIONS", "--owner=7")]),
];

#[test]
fn the_bill_of_materials_is_the_same_in_every_surrounding() {
    let usual = bill();
    for (before, variables) in SURROUNDINGS {
        let script = format!("{before}; exec python3 \"$@\"");
        let mut command = Command::new("sh");
        command.args(["-c", &script, "sh"]).envs(variables.iter().copied());
        assert!(bill_in(&mut command) == usual, "{before} {variables:?}");
    }
}

/// A repository with one commit, whose files differ in mode and line ends.
fn repository() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let script = "umask 022; export GIT_CONFIG_GLOBAL=/dev/null; git init -q . && mkdir a && printf 'x\\r\\ny\\n$Id$\\n' > a/text.md && \
        echo '#!/bin/sh' > run && chmod 755 run && ln -s run link && git add . && \
        git -c user.name=a -c user.email=a@b commit -q -m one --date='2026-01-02 03:04:05 +0100'";
    let made = Command::new("sh").args(["-c", script]).current_dir(folder.path()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    folder
}

/// What `make dist` makes of it, the shell having been told this before.
fn sources(repository: &Path, before: &str, variables: &[(&str, &str)]) -> Output {
    let script = format!("{before}; exec bash \"$@\" name");
    let mut command = Command::new("sh");
    command.args(["-c", &script, "sh"]).arg(root().join("packaging/sources.sh"));
    command.current_dir(repository).envs(variables.iter().copied()).output().unwrap()
}

#[test]
fn the_sources_are_the_same_in_every_surrounding() {
    let repository = repository();
    let of = |before: &str, variables: &[(&str, &str)]| {
        let output = sources(repository.path(), before, variables);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{before} {variables:?}: {errors}");
        output.stdout
    };
    let usual = of(":", &[]);
    assert!(usual.len() > 2048 && usual.windows(6).any(|part| part == b"x\r\ny\n$"));
    for (before, variables) in SURROUNDINGS.iter().filter(|(before, _)| *before != "cd /") {
        assert!(of(before, variables) == usual, "{before} {variables:?}");
    }
    // The user's settings, then those of the repository.
    fs::write(repository.path().join("attributes"), "*.md eol=crlf ident\nrun export-ignore\n")
        .unwrap();
    let settings = "core.autocrlf=true tar.umask=0077 core.eol=crlf core.fileMode=false";
    for scope in ["--global", "--local"] {
        let set = settings
            .split(' ')
            .filter_map(|one| one.split_once('='))
            .map(|(key, value)| format!("git config {scope} {key} {value}; "));
        let set: String = set.collect();
        let attributes = format!("git config {scope} core.attributesFile \"$PWD/attributes\"");
        let before = format!("export HOME=$PWD XDG_CONFIG_HOME=$PWD; {set}{attributes}");
        assert!(of(&before, &[]) == usual, "{scope}");
    }
    let inherited = [
        ("GIT_CONFIG_COUNT", "1"),
        ("GIT_CONFIG_KEY_0", "tar.umask"),
        ("GIT_CONFIG_VALUE_0", "0077"),
    ];
    assert!(of(":", &inherited) == usual);
    fs::write(repository.path().join(".git/info/attributes"), "run export-ignore\n").unwrap();
    assert!(of(":", &[]) == usual, "attributes of the repository");
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
    for name in ["ring", "openssl-sys", "proptest", "libtest-mimic", "sknock-tests"] {
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
fn the_reviewed_versions_of_dependencies_are_the_locked_ones() {
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
