//! `unsafe` stands in a few small files, each block with its argument.

use std::collections::BTreeSet;

use crate::house;

/// Where it may stand, and what for.
const ALLOWED: &[&str] = &[
    "netfilter/src/socket_option.rs", // setsockopt takes a pointer
    "netfilter/src/nft/ffi.rs",       // libnftnl is a C library: expressions, batches
    "netfilter/src/nft/ffi/sets.rs",  // the same: sets and their elements
    "server/src/commands/check/time_sync.rs", // adjtimex takes a pointer
    "server/src/network/inherited.rs", // a descriptor that came through exec is only a number
    "server/src/knock/intake/batch.rs", // recvmmsg takes pointers
    "server/src/control/peer.rs",     // getsockopt of a peer's groups takes a pointer
];

/// A folder where every file may: its functions are called from C, with pointers.
const C_API: &str = "client-lib/c/src/";

fn lifts_the_ban(source: &house::Source) -> bool {
    // Not this folder: it names the lint.
    !source.path.contains("/architecture") && !source.lines_with("unsafe_code").is_empty()
}

#[test]
fn unsafe_code_is_in_the_named_files_only() {
    let sources = house::sources();
    let found: BTreeSet<&str> = sources
        .iter()
        .filter(|source| lifts_the_ban(source))
        .map(|source| source.path.as_str())
        .filter(|path| !path.starts_with(C_API))
        .collect();
    assert_eq!(
        found,
        ALLOWED.iter().copied().collect(),
        "the compiler watches everything else; a file that it cannot watch is small and listed here"
    );
}

#[test]
fn the_map_names_the_files_with_unsafe_code() {
    let map = house::map();
    for path in ALLOWED.iter().chain([&C_API]) {
        assert!(map.contains(path), "docs/ARCHITECTURE.md: where is {path}? Reviewers begin there");
    }
}

#[test]
fn no_item_lifts_the_ban_for_itself() {
    for source in house::sources().iter().filter(|source| lifts_the_ban(source)) {
        let code = source.code();
        assert!(
            !code.contains("#[expect(unsafe_code") && !code.contains("#[allow(unsafe_code"),
            "{}: unsafe code has files of its own, which say so at their top",
            source.path
        );
    }
}

#[test]
fn every_unsafe_block_has_its_argument() {
    let sources = house::sources();
    for source in sources.iter().filter(|source| lifts_the_ban(source)) {
        let blocks = source.code().matches("unsafe {").count();
        let arguments = source.text.matches("// SAFETY:").count();
        assert!(
            arguments >= blocks,
            "{}: {blocks} blocks and {arguments} arguments: who cannot say why it is sound does not \
             know that it is",
            source.path
        );
    }
}
