//! Which files the network process may touch (Landlock).

use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetError, RulesetStatus, Scope, path_beneath_rules,
};

/// What the resolver of the C library and the TLS root store read. All of it is public.
const READABLE: &[&str] = &[
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/localtime",
    "/etc/ld.so.cache",
    "/etc/ssl",
    "/etc/pki",
    "/etc/ca-certificates",
    "/usr/lib",
    "/usr/lib64",
    "/lib",
    "/lib64",
    "/usr/share/ca-certificates",
    "/run/systemd/resolve",
    "/proc/sys/vm/overcommit_memory",
    "/sys/fs/cgroup",
    "/dev/urandom",
];

/// What the network process does below `stateDir`: regular files, and nothing that would be in the way
/// of a later start, such as a folder, a link, a socket or a FIFO.
fn kept() -> BitFlags<AccessFs> {
    AccessFs::ReadFile
        | AccessFs::ReadDir
        | AccessFs::WriteFile
        | AccessFs::Truncate
        | AccessFs::MakeReg
        | AccessFs::RemoveFile
}

/// Refuses every file but those, and writing anywhere but below `writable`.
///
/// Also refuses to listen on TCP and to signal anyone outside. Returns whether the kernel has
/// Landlock at all (5.13 and later, unless switched off): without it the other walls must do.
pub(crate) fn restrict(writable: &[&Path]) -> Result<bool, RulesetError> {
    let abi = ABI::V6;
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(abi))?
        .handle_access(AccessNet::BindTcp)?
        .scope(Scope::from_all(abi))?
        .create()?
        .add_rules(path_beneath_rules(READABLE, AccessFs::from_read(abi)))?
        .add_rules(path_beneath_rules(writable, kept()))?
        .restrict_self()?;
    Ok(status.ruleset != RulesetStatus::NotEnforced)
}
