//! Single expressions of the kernel, as attributes for libnftnl. Registers of 4 bytes are numbered from
//! 8 on, and number 1 is the first sixteen bytes of them.

use std::ffi::CStr;

use nftnl_sys as sys;

use crate::nft::ffi::{Attribute, Expr};

/// `NFT_FIB_RESULT_OIF`.
const OUTPUT_INTERFACE: u32 = 1;
/// `NFTA_FIB_F_IIF` and `NFTA_FIB_F_PRESENT`.
const BY_INPUT: u32 = 8;
const PRESENT: u32 = 32;
/// `NFT_FIB_RESULT_ADDRTYPE`.
const ADDRESS_TYPE: u32 = 3;
/// `NFT_DYNSET_OP_ADD`, `NFT_DYNSET_OP_UPDATE` and `NFT_DYNSET_OP_DELETE`.
pub(super) const ADD: u32 = 0;
const UPDATE: u32 = 1;
pub(super) const DELETE: u32 = 2;
/// `NFT_LIMIT_F_INV`: matches what is over the limit.
const OVER: u32 = 1;
/// `NFT_BYTEORDER_HTON`.
const HTON: u32 = 1;
/// `NFT_LOOKUP_F_INV`: matches what is not in the set.
const NOT_IN: u32 = 1;

pub(super) fn payload(base: libc::c_int, offset: u32, length: u32, register: u32) -> Expr {
    Expr {
        name: c"payload",
        attributes: vec![
            (sys::NFTNL_EXPR_PAYLOAD_DREG, Attribute::Number(register)),
            (sys::NFTNL_EXPR_PAYLOAD_BASE, number(base)),
            (sys::NFTNL_EXPR_PAYLOAD_OFFSET, Attribute::Number(offset)),
            (sys::NFTNL_EXPR_PAYLOAD_LEN, Attribute::Number(length)),
        ],
    }
}

pub(super) fn fib(of: u32) -> Expr {
    Expr {
        name: c"fib",
        attributes: vec![
            (sys::NFTNL_EXPR_FIB_DREG, Attribute::Number(1)),
            (sys::NFTNL_EXPR_FIB_RESULT, Attribute::Number(ADDRESS_TYPE)),
            (sys::NFTNL_EXPR_FIB_FLAGS, Attribute::Number(of)),
        ],
    }
}

/// Whether there is a route by the interface through which the packet came: 0 or 1.
pub(super) fn route(of: u32) -> Expr {
    let flags = of | BY_INPUT | PRESENT;
    Expr {
        name: c"fib",
        attributes: vec![
            (sys::NFTNL_EXPR_FIB_DREG, Attribute::Number(1)),
            (sys::NFTNL_EXPR_FIB_RESULT, Attribute::Number(OUTPUT_INTERFACE)),
            (sys::NFTNL_EXPR_FIB_FLAGS, Attribute::Number(flags)),
        ],
    }
}

pub(super) fn lookup(set: &'static CStr) -> Expr {
    Expr {
        name: c"lookup",
        attributes: vec![
            (sys::NFTNL_EXPR_LOOKUP_SREG, Attribute::Number(1)),
            (sys::NFTNL_EXPR_LOOKUP_SET, Attribute::Name(set)),
        ],
    }
}

/// Whether what is loaded is not in the set.
pub(super) fn lookup_not(set: &'static CStr) -> Expr {
    let Expr { name, mut attributes } = lookup(set);
    attributes.push((sys::NFTNL_EXPR_LOOKUP_FLAGS, Attribute::Number(NOT_IN)));
    Expr { name, attributes }
}

/// Adds to or deletes from a set what is loaded.
pub(super) fn change(how: u32, set: &'static CStr) -> Expr {
    dynset(how, set, None)
}

/// Adds what is loaded to the set, with a limit that passes one packet.
pub(super) fn first(set: &'static CStr) -> Expr {
    const DAY: u64 = 24 * 60 * 60;
    // One packet at once, and the next after a day, when the element has long expired. A burst of 0 would
    // mean 5 (`NFT_LIMIT_PKT_BURST_DEFAULT`).
    dynset(ADD, set, Some(limit((1, DAY), 1, 0)))
}

/// Adds what is loaded to the set, or renews it, with a limit that passes what is over this.
pub(super) fn over(set: &'static CStr, per_second: u32, burst: u32) -> Expr {
    dynset(UPDATE, set, Some(limit((per_second.into(), 1), burst, OVER)))
}

/// This number of packets in this number of seconds, and in the beginning a burst.
fn limit((packets, seconds): (u64, u64), burst: u32, flags: u32) -> Expr {
    Expr {
        name: c"limit",
        attributes: vec![
            (sys::NFTNL_EXPR_LIMIT_RATE, Attribute::Long(packets)),
            (sys::NFTNL_EXPR_LIMIT_UNIT, Attribute::Long(seconds)),
            (sys::NFTNL_EXPR_LIMIT_BURST, Attribute::Number(burst)),
            (sys::NFTNL_EXPR_LIMIT_FLAGS, Attribute::Number(flags)),
        ],
    }
}

fn dynset(how: u32, set: &'static CStr, with: Option<Expr>) -> Expr {
    let mut attributes = vec![
        (sys::NFTNL_EXPR_DYNSET_SREG_KEY, Attribute::Number(1)),
        (sys::NFTNL_EXPR_DYNSET_OP, Attribute::Number(how)),
        (sys::NFTNL_EXPR_DYNSET_SET_NAME, Attribute::Name(set)),
    ];
    attributes.extend(with.map(|expr| (sys::NFTNL_EXPR_DYNSET_EXPR, Attribute::Inner(expr))));
    Expr { name: c"dynset", attributes }
}

pub(super) fn meta(what: libc::c_int, register: u32) -> Expr {
    Expr {
        name: c"meta",
        attributes: vec![
            (sys::NFTNL_EXPR_META_KEY, number(what)),
            (sys::NFTNL_EXPR_META_DREG, Attribute::Number(register)),
        ],
    }
}

pub(super) fn conntrack(what: libc::c_int, register: u32, direction: Option<u8>) -> Expr {
    let mut attributes = vec![
        (sys::NFTNL_EXPR_CT_KEY, number(what)),
        (sys::NFTNL_EXPR_CT_DREG, Attribute::Number(register)),
    ];
    // The kernel refuses a direction with keys that have none, and demands one for ports.
    attributes.extend(direction.map(|one| (sys::NFTNL_EXPR_CT_DIR, Attribute::Byte(one))));
    Expr { name: c"ct", attributes }
}

/// Sets these bits in the label of the conntrack entry, and leaves the others.
pub(super) fn set_label() -> Expr {
    Expr {
        name: c"ct",
        attributes: vec![
            (sys::NFTNL_EXPR_CT_KEY, number(libc::NFT_CT_LABELS)),
            // The kernel takes the value as the mask, too (`nft_ct_set_eval`): bits that are 0 in it stay as
            // they are.
            (sys::NFTNL_EXPR_CT_SREG, Attribute::Number(1)),
        ],
    }
}

/// The number that is loaded, so that it can be compared by size.
pub(super) fn to_network_order() -> Expr {
    Expr {
        name: c"byteorder",
        attributes: vec![
            (sys::NFTNL_EXPR_BYTEORDER_SREG, Attribute::Number(1)),
            (sys::NFTNL_EXPR_BYTEORDER_DREG, Attribute::Number(1)),
            (sys::NFTNL_EXPR_BYTEORDER_OP, Attribute::Number(HTON)),
            (sys::NFTNL_EXPR_BYTEORDER_LEN, Attribute::Number(4)),
            (sys::NFTNL_EXPR_BYTEORDER_SIZE, Attribute::Number(4)),
        ],
    }
}

pub(super) fn immediate(value: Attribute) -> Expr {
    Expr {
        name: c"immediate",
        attributes: vec![
            (sys::NFTNL_EXPR_IMM_DREG, Attribute::Number(1)),
            (sys::NFTNL_EXPR_IMM_DATA, value),
        ],
    }
}

/// Writes what is loaded to the beginning of the network header, whose checksum may be there.
pub(super) fn write(length: u32, checksum: Option<u32>) -> Expr {
    // `NFT_PAYLOAD_CSUM_NONE` or `NFT_PAYLOAD_CSUM_INET`.
    let kind = u32::from(checksum.is_some());
    Expr {
        name: c"payload",
        attributes: vec![
            (sys::NFTNL_EXPR_PAYLOAD_SREG, Attribute::Number(1)),
            (sys::NFTNL_EXPR_PAYLOAD_BASE, number(libc::NFT_PAYLOAD_NETWORK_HEADER)),
            (sys::NFTNL_EXPR_PAYLOAD_OFFSET, Attribute::Number(0)),
            (sys::NFTNL_EXPR_PAYLOAD_LEN, Attribute::Number(length)),
            (sys::NFTNL_EXPR_PAYLOAD_CSUM_TYPE, Attribute::Number(kind)),
            (sys::NFTNL_EXPR_PAYLOAD_CSUM_OFFSET, Attribute::Number(checksum.unwrap_or(0))),
        ],
    }
}

/// Each copy goes out at once: a lone knock must not wait for others.
pub(super) fn log(group: u16, snaplen: u32) -> Expr {
    Expr {
        name: c"log",
        attributes: vec![
            (sys::NFTNL_EXPR_LOG_GROUP, Attribute::Short(group)),
            (sys::NFTNL_EXPR_LOG_SNAPLEN, Attribute::Number(snaplen)),
            (sys::NFTNL_EXPR_LOG_QTHRESHOLD, Attribute::Short(1)),
        ],
    }
}

/// A constant of the kernel's interface; none is negative.
fn number(constant: libc::c_int) -> Attribute {
    Attribute::Number(constant.unsigned_abs())
}
