//! Who may depend on whom.

use std::collections::BTreeSet;

use crate::house;

/// Each crate that users run or link, and all that it may name in `[dependencies]`.
const DIRECT: &[(&str, &[&str])] = &[
    (
        "sknock-protocol",
        &[
            "aws-lc-rs",
            "p12-keystore",
            "rustls",
            "rustls-pki-types",
            "rustls-webpki",
            "thiserror",
            "x509-parser",
            "zeroize",
        ],
    ),
    ("sknock-gate", &["libc", "mnl", "nftnl", "nftnl-sys", "nix"]),
    ("sknock-storage", &["crc32fast", "libc", "nix"]),
    (
        "sknock-server",
        &[
            "arc-swap",
            "caps",
            "clap",
            "config",
            "crc32fast",
            "landlock",
            "libc",
            "nix",
            "reqwest",
            "rustls-pki-types",
            "sd-notify",
            "seccompiler",
            "serde",
            "serde_json",
            "sknock-gate",
            "sknock-protocol",
            "sknock-storage",
            "strsim",
            "thiserror",
            "tokio",
            "tracing",
            "tracing-subscriber",
            "x509-parser",
            "zeroize",
        ],
    ),
    ("sknock", &["if-addrs", "rustls-pki-types", "sknock-protocol", "thiserror", "zeroize"]),
    ("sknock-c", &["sknock"]),
    ("sknock-cli", &["clap", "rpassword", "serde", "serde_json", "sknock", "thiserror", "zeroize"]),
    (
        "sknock-certs",
        &[
            "aws-lc-rs",
            "clap",
            "nix",
            "p12-keystore",
            "rcgen",
            "rpassword",
            "serde",
            "serde_json",
            "sknock-protocol",
            "sknock-storage",
            "thiserror",
            "time",
            "x509-parser",
            "zeroize",
        ],
    ),
];

/// Crates that may see what they need, as no user runs them.
const UNBOUND: [&str; 2] = ["sknock-bench", "sknock-tests"];

/// Everything that is linked into the privileged half. `log`, because nftnl and mnl write there.
const GATE: &[&str] = &[
    "bitflags",
    "cfg-if",
    "libc",
    "log",
    "memoffset",
    "mnl",
    "mnl-sys",
    "nftnl",
    "nftnl-sys",
    "nix",
];

/// A crate, what must not be anywhere below it, and why.
const NEVER: &[(&str, &[&str], &str)] = &[
    (
        "sknock-protocol",
        &["hyper", "log", "mio", "nix", "reqwest", "socket2", "tokio", "tracing"],
        "the protocol is bytes and time in, values out: no socket, no async and no log below it, \
         so that it can be tested exhaustively and linked anywhere",
    ),
    (
        "sknock",
        &["mnl", "nftnl", "reqwest", "sknock-gate", "sknock-server", "tokio", "tracing"],
        "the client library is linked into other programs, under their licences: std only, \
         and nothing of the server (which is GPL)",
    ),
    (
        "sknock-c",
        &["mnl", "nftnl", "reqwest", "sknock-gate", "sknock-server", "tokio", "tracing"],
        "what is linked into C programs is the client library and nothing more",
    ),
    (
        "sknock-cli",
        &["mnl", "nftnl", "reqwest", "sknock-gate", "sknock-server", "tokio", "tracing"],
        "the client must build where there is no netfilter, and its licence is not the server's",
    ),
    (
        "sknock-certs",
        &["mnl", "nftnl", "reqwest", "sknock", "sknock-gate", "sknock-server", "tokio", "tracing"],
        "the authority's machine needs no network, and its licence is not the server's",
    ),
];

/// Every crate below `package`, itself included, on any system, as a dependent would get it.
fn tree(package: &str) -> BTreeSet<String> {
    let arguments = ["tree", "-p", package, "-e", "normal", "--target", "all", "--prefix", "none"];
    let text = house::cargo(&arguments);
    text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

#[test]
fn each_crate_names_exactly_what_it_may() {
    for package in house::packages() {
        let name = package["name"].as_str().unwrap();
        let Some((_, allowed)) = DIRECT.iter().find(|(known, _)| *known == name) else { continue };
        let direct = package["dependencies"].as_array().unwrap().iter();
        let normal = direct.filter(|dependency| dependency["kind"].is_null());
        let actual: BTreeSet<&str> = normal.map(|found| found["name"].as_str().unwrap()).collect();
        let allowed = allowed.iter().copied().collect();
        assert_eq!(
            actual, allowed,
            "{name}: every dependency is trusted with a user's door. A new one needs its reason in \
             Cargo.toml and its place here; one that is gone is struck out"
        );
    }
}

#[test]
fn every_crate_is_known_here() {
    let packages = house::packages();
    let found: BTreeSet<&str> = packages.iter().map(|p| p["name"].as_str().unwrap()).collect();
    let known = DIRECT.iter().map(|(name, _)| *name).chain(UNBOUND);
    assert_eq!(found, known.collect(), "a new crate needs its own list, or it may do anything");
}

#[test]
fn the_privileged_half_is_no_more_than_libc_and_netlink() {
    let mut tree = tree("sknock-gate");
    tree.remove("sknock-gate");
    let allowed = GATE.iter().map(ToString::to_string).collect();
    assert_eq!(tree, allowed, "whatever is below sknock-gate runs with CAP_NET_ADMIN");
}

#[test]
fn nothing_forbidden_is_below_a_crate() {
    for (name, forbidden, reason) in NEVER {
        let tree = tree(name);
        let found: Vec<_> = forbidden.iter().filter(|other| tree.contains(**other)).collect();
        assert!(
            found.is_empty(),
            "{name} reaches {found:?}: {reason} (cargo tree -p {name} -i ...)"
        );
    }
}

#[test]
fn the_protocol_does_not_know_who_uses_it() {
    for ours in ["sknock", "sknock-certs", "sknock-gate", "sknock-server", "sknock-tests"] {
        assert!(
            !tree("sknock-protocol").contains(ours),
            "sknock-protocol reaches {ours}: client and server meet in the protocol, not beyond it"
        );
    }
}
