//! What the kernel has of the table, so that another description takes its place around base chains that
//! stay.
//!
//! A packet passes all base chains of one hook, and each looks for itself which description is in
//! force. Were a base chain replaced by another, a packet could pass the new one just before the change,
//! while it is still empty, and the old one just after, when it is gone: filtered by neither. A chain that
//! stays filters each packet by one description or by the other.

use libc::c_int;
use nftnl::{Batch, MsgType};

use super::TABLE;
use super::ffi::Written;
use super::rule::Chain;
use crate::message::{MessageBuilder, NetlinkMessage, about_table, attributes};
use crate::socket::Netlink;

/// `NFTA_CHAIN_NAME`, `NFTA_CHAIN_HOOK`; in the hook: `NFTA_HOOK_HOOKNUM`, `NFTA_HOOK_PRIORITY`.
const CHAIN_NAME: u16 = 3;
const CHAIN_HOOK: u16 = 4;
const HOOK_NUMBER: u16 = 1;
const HOOK_PRIORITY: u16 = 2;
/// `NFTA_SET_NAME`.
const SET_NAME: u16 = 2;

/// The chains and sets that are there. None, if there is no table.
#[derive(Debug, Default)]
pub(super) struct ExistingTable {
    chains: Vec<ExistingChain>,
    sets: Vec<Vec<u8>>,
}

#[derive(Debug)]
struct ExistingChain {
    /// With its terminator.
    name: Vec<u8>,
    /// The number of the hook and the priority there, if the kernel asks it by itself.
    hook: Option<(u32, i32)>,
}

impl ExistingTable {
    /// Asks the kernel.
    pub(super) fn list(netlink: &mut Netlink) -> nix::Result<Self> {
        let listing = |kind| {
            MessageBuilder::new(libc::NFNL_SUBSYS_NFTABLES, kind, libc::NFPROTO_INET, 0)
                .listing()
                .finish()
        };
        Ok(Self {
            chains: netlink.dump(&listing(libc::NFT_MSG_GETCHAIN), ExistingChain::read)?,
            sets: netlink.dump(&listing(libc::NFT_MSG_GETSET), set_name)?,
        })
    }

    /// Removes all but the base chains that `wanted` has at the same place, and every rule. The table
    /// is there.
    pub(super) fn clear(&self, batch: &mut Batch, wanted: &[Chain]) {
        // Without a chain it deletes the rules of all chains. First: the kernel refuses to delete a chain or
        // a set that a rule still uses (EBUSY).
        add(batch, libc::NFT_MSG_DELRULE, None);
        for chain in self.chains.iter().filter(|chain| !chain.stays(wanted)) {
            add(batch, libc::NFT_MSG_DELCHAIN, Some((CHAIN_NAME, &chain.name)));
        }
        for set in &self.sets {
            add(batch, libc::NFT_MSG_DELSET, Some((SET_NAME, set)));
        }
    }
}

impl ExistingChain {
    /// What a message of a listing says, if it is about our table.
    fn read(message: &[u8]) -> Vec<Self> {
        let mut chain = None;
        let mut hook = None;
        for (kind, content) in of_our_table(message) {
            match kind {
                CHAIN_NAME => chain = Some(content.to_vec()),
                CHAIN_HOOK => hook = Some(content),
                _ => {}
            }
        }
        let place = |hook: &[u8]| {
            let number = |wanted| {
                let found = attributes(hook).find(|(kind, _)| *kind == wanted);
                found.and_then(|(_, bytes)| Some(u32::from_be_bytes(*bytes.first_chunk()?)))
            };
            // Priorities are signed, and those of our base chains are below 0 but one.
            Some((number(HOOK_NUMBER)?, number(HOOK_PRIORITY)?.cast_signed()))
        };
        let hook = hook.and_then(place);
        chain
            .filter(|name| !is_nameless(name))
            .map(|name| Self { name, hook })
            .into_iter()
            .collect()
    }

    fn stays(&self, wanted: &[Chain]) -> bool {
        self.hook.is_some()
            && wanted.iter().any(|chain| {
                self.name == chain.name.to_c().as_bytes_with_nul()
                    // The kernel cannot move a base chain to another hook or priority.
                    && chain.hook.map(|(hook, priority)| (hook as u32, priority)) == self.hook
            })
    }
}

fn set_name(message: &[u8]) -> Vec<Vec<u8>> {
    let mut found = of_our_table(message).filter(|(kind, _)| *kind == SET_NAME);
    let name = found.next().map(|(_, name)| name.to_vec());
    name.filter(|name| !is_nameless(name)).into_iter().collect()
}

/// What belongs to a rule and goes with it.
fn is_nameless(name: &[u8]) -> bool {
    // nft names sets and chains within a rule `__set%d`, `__map%d` and so on. Ours have none; another program
    // may have added a rule that has, and the kernel deletes them with that rule.
    name.starts_with(b"__")
}

fn of_our_table(message: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let ours = NetlinkMessage::read(message).filter(|message| message.is_about(TABLE));
    ours.into_iter().flat_map(|message| message.attributes())
}

/// Adds a message about our table, or about something in it. A name that is longer than any that the
/// kernel has is passed over.
fn add(batch: &mut Batch, kind: c_int, what: Option<(u16, &[u8])>) {
    let mut message = about_table(kind, TABLE);
    if let Some((attribute, name)) = what {
        message = message.with(attribute, name);
    }
    if let Some(message) = Written::new(message.finish()) {
        batch.add(&message, MsgType::Del);
    }
}
