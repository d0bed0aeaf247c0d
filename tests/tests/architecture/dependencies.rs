//! Who may depend on whom.
//!
//! Read from the manifests and Cargo.lock, which name what any system would build. Cargo's own tree of
//! other systems needs their crates, which a machine that only builds and tests never fetches.

use std::collections::BTreeSet;

use crate::house;
use crate::locked::Locked;

/// Each crate that users run or link, and all that it may name in `[dependencies]`.
const DIRECT: &[(&str, &[&str])] = &[
    ("sknock-types", &[]),
    (
        "sknock-protocol",
        &[
            "aws-lc-rs",
            "p12-keystore",
            "pkcs12",
            "pkcs5",
            "rustls-pki-types",
            "rustls-webpki",
            "sha1",
            "sha2",
            "sknock-types",
            "strum",
            "thiserror",
            "time",
            "x509-parser",
            "zeroize",
        ],
    ),
    ("sknock-netfilter", &["libc", "mnl", "nftnl", "nftnl-sys", "nix", "sknock-types"]),
    ("sknock-gate", &["libc", "nix", "sknock-netfilter", "sknock-types"]),
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
            "sknock-netfilter",
            "sknock-protocol",
            "sknock-storage",
            "sknock-types",
            "strsim",
            "thiserror",
            "tokio",
            "tracing",
            "tracing-subscriber",
            "x509-parser",
            "zeroize",
        ],
    ),
    (
        "sknock",
        &[
            "if-addrs",
            "nix",
            "rustix",
            "rustls-pki-types",
            "sknock-protocol",
            "sknock-types",
            "thiserror",
            "zeroize",
        ],
    ),
    ("sknock-prompt", &["nix", "rpassword"]),
    ("sknock-c", &["sknock"]),
    (
        "sknock-cli",
        &["clap", "nix", "serde", "serde_json", "sknock", "sknock-prompt", "thiserror", "zeroize"],
    ),
    (
        "sknock-certs",
        &[
            "aws-lc-rs",
            "clap",
            "nix",
            "p12-keystore",
            "rcgen",
            "serde",
            "serde_json",
            "sknock-prompt",
            "sknock-protocol",
            "sknock-storage",
            "sknock-types",
            "thiserror",
            "time",
            "x509-parser",
            "zeroize",
        ],
    ),
];

/// Crates that may see what they need, as no user runs them.
const UNBOUND: [&str; 2] = ["sknock-manual", "sknock-tests"];

/// Everything that is linked into the privileged half, which is Linux's only. `log`, because nftnl and
/// mnl write there.
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
    "sknock-netfilter",
    "sknock-types",
];

/// What runs while it is built: build scripts that find the libraries and the compiler's abilities.
const GATE_BUILDS_WITH: &[&str] = &["autocfg", "cfg_aliases", "pkg-config"];

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
        &[
            "mnl",
            "nftnl",
            "reqwest",
            "sknock-gate",
            "sknock-netfilter",
            "sknock-server",
            "tokio",
            "tracing",
        ],
        "the client library is linked into other programs, under their licences: little, \
         and nothing of the server (which is GPL)",
    ),
    (
        "sknock-c",
        &[
            "mnl",
            "nftnl",
            "reqwest",
            "sknock-gate",
            "sknock-netfilter",
            "sknock-server",
            "tokio",
            "tracing",
        ],
        "what is linked into C programs is the client library and nothing more",
    ),
    (
        "sknock-cli",
        &[
            "mnl",
            "nftnl",
            "reqwest",
            "sknock-gate",
            "sknock-netfilter",
            "sknock-server",
            "tokio",
            "tracing",
        ],
        "the client must build where there is no netfilter, and its licence is not the server's",
    ),
    (
        "sknock-certs",
        &[
            "mnl",
            "nftnl",
            "reqwest",
            "sknock",
            "sknock-gate",
            "sknock-netfilter",
            "sknock-server",
            "tokio",
            "tracing",
        ],
        "the authority's machine needs no network, and its licence is not the server's",
    ),
];

/// Every crate that is linked below `package` on this system, itself included.
fn linked(package: &str) -> BTreeSet<String> {
    let text = house::cargo(&["tree", "-p", package, "-e", "normal", "--prefix", "none"]);
    text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

/// Every crate that is linked below `package` or runs while it is built, on any system, itself
/// included; perhaps more: with the features that all of the workspace asks for.
fn reachable(package: &str) -> BTreeSet<String> {
    Locked::read().below(package)
}

/// What a package of ours names in `[dependencies]`, for any system.
fn direct(package: &serde_json::Value) -> BTreeSet<&str> {
    let named = package["dependencies"].as_array().unwrap().iter();
    let normal = named.filter(|dependency| dependency["kind"].is_null());
    normal.map(|found| found["name"].as_str().unwrap()).collect()
}

#[test]
fn each_crate_names_exactly_what_it_may() {
    for package in house::packages() {
        let name = package["name"].as_str().unwrap();
        let Some((_, allowed)) = DIRECT.iter().find(|(known, _)| *known == name) else { continue };
        let allowed = allowed.iter().copied().collect();
        assert_eq!(
            direct(&package),
            allowed,
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
fn the_gate_links_only_libc_and_netlink_crates() {
    let named = |names: &[&[&str]]| names.concat().into_iter().map(str::to_owned).collect();
    let without_itself = |mut tree: BTreeSet<String>| {
        assert!(tree.remove("sknock-gate"), "it is its own root");
        tree
    };
    let linked: BTreeSet<String> = without_itself(linked("sknock-gate"));
    assert_eq!(linked, named(&[GATE]), "whatever is below sknock-gate runs with CAP_NET_ADMIN");
    let built: BTreeSet<String> = without_itself(reachable("sknock-gate"));
    assert_eq!(
        built,
        named(&[GATE, GATE_BUILDS_WITH]),
        "what builds the privileged half could change it, and so could what another system links"
    );
}

#[test]
fn nothing_forbidden_is_below_a_crate() {
    for (name, forbidden, reason) in NEVER {
        let tree = reachable(name);
        let found: Vec<_> = forbidden.iter().filter(|other| tree.contains(**other)).collect();
        assert!(
            found.is_empty(),
            "{name} reaches {found:?}: {reason} (cargo tree -p {name} --target all -i ...)"
        );
    }
}

#[test]
fn the_protocol_crate_depends_on_no_crate_that_uses_it() {
    for ours in [
        "sknock",
        "sknock-certs",
        "sknock-gate",
        "sknock-netfilter",
        "sknock-server",
        "sknock-tests",
    ] {
        assert!(
            !reachable("sknock-protocol").contains(ours),
            "sknock-protocol reaches {ours}: client and server meet in the protocol, not beyond it"
        );
    }
}
