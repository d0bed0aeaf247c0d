//! Which files the network process may touch (Landlock).

use std::collections::BTreeSet;
use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, NetPort, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetError, RulesetStatus, Scope, path_beneath_rules,
};

use super::readable;

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

/// Refuses every file but those of [`readable`], and writing anywhere but below `writable`.
///
/// Also refuses to listen on TCP, to connect to others than these TCP ports (Linux 6.7 or later) and to
/// signal anyone outside. Returns whether the kernel has
/// Landlock at all (5.13 and later, unless switched off): without it the other walls must do.
pub(crate) fn restrict(writable: &[&Path], ports: &BTreeSet<u16>) -> Result<bool, RulesetError> {
    let abi = ABI::V6;
    let ports =
        ports.iter().map(|port| Ok::<_, RulesetError>(NetPort::new(*port, AccessNet::ConnectTcp)));
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(abi))?
        .handle_access(AccessNet::BindTcp)?
        .handle_access(AccessNet::ConnectTcp)?
        .scope(Scope::from_all(abi))?
        .create()?
        .add_rules(path_beneath_rules(readable::granted(), AccessFs::from_read(abi)))?
        .add_rules(path_beneath_rules(writable, kept()))?
        .add_rules(ports)?
        .restrict_self()?;
    Ok(status.ruleset != RulesetStatus::NotEnforced)
}
