//! What libnftnl can do and the `nftnl` crate does not wrap: expressions of any kind, messages of our own in a
//! batch, and sets with timeouts, flags and comments. Nothing in here decides anything.
//!
//! Every object is owned by one Rust value and freed by it, except where libnftnl takes it over.
//! libnftnl copies what it is given, so no pointer outlives its call.
#![expect(unsafe_code, reason = "libnftnl is a C library")]

pub(super) mod sets;

use std::ffi::{CStr, c_void};
use std::ptr::NonNull;

use nftnl::expr::Expression;
use nftnl::{MsgType, NlMsg, Rule};
use nftnl_sys as sys;

/// A constant of the kernel's or libnftnl's interface, as the width that a call wants.
fn narrow(constant: impl TryInto<u16>) -> u16 {
    constant.try_into().unwrap_or_else(|_| unreachable!("interface constants are below 65536"))
}

/// Out of memory, for a few bytes: nothing can be saved. The standard library does the same.
fn allocated<T>(object: *mut T) -> NonNull<T> {
    NonNull::new(object).unwrap_or_else(|| std::process::abort())
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

/// One attribute of an expression.
pub(super) enum Attribute {
    Byte(u8),
    Number(u32),
    Short(u16),
    Long(u64),
    Bytes([u8; 16]),
    Name(&'static CStr),
    /// Another expression, which this one applies.
    Inner(Expr),
}

/// An expression by its name in the kernel and its attributes' numbers in libnftnl.
pub(super) struct Expr {
    pub(super) name: &'static CStr,
    pub(super) attributes: Vec<(u32, Attribute)>,
}

impl Expression for Expr {
    fn to_expr(&self, _rule: &Rule<'_>) -> NonNull<sys::nftnl_expr> {
        self.allocate()
    }
}

impl Expr {
    fn allocate(&self) -> NonNull<sys::nftnl_expr> {
        // SAFETY: the name is a C string.
        let expr = allocated(unsafe { sys::nftnl_expr_alloc(self.name.as_ptr()) });
        for (attribute, value) in &self.attributes {
            let attribute = narrow(*attribute);
            match value {
                // SAFETY: the expression was just allocated; libnftnl ignores what it does not know.
                Attribute::Byte(number) => unsafe {
                    sys::nftnl_expr_set_u8(expr.as_ptr(), attribute, *number);
                },
                // SAFETY: as above.
                Attribute::Number(number) => unsafe {
                    sys::nftnl_expr_set_u32(expr.as_ptr(), attribute, *number);
                },
                // SAFETY: as above.
                Attribute::Short(number) => unsafe {
                    sys::nftnl_expr_set_u16(expr.as_ptr(), attribute, *number);
                },
                // SAFETY: as above.
                Attribute::Long(number) => unsafe {
                    sys::nftnl_expr_set_u64(expr.as_ptr(), attribute, *number);
                },
                // SAFETY: as above, and the bytes are copied.
                Attribute::Bytes(bytes) => unsafe {
                    let data = bytes.as_ptr().cast();
                    sys::nftnl_expr_set(expr.as_ptr(), attribute, data, length(bytes));
                },
                // SAFETY: as above, and the name is a C string, which is copied.
                Attribute::Name(name) => unsafe {
                    sys::nftnl_expr_set_str(expr.as_ptr(), attribute, name.as_ptr());
                },
                // SAFETY: as above; libnftnl takes the inner expression over and frees it with ours.
                Attribute::Inner(inner) => unsafe {
                    let inner = inner.allocate();
                    sys::nftnl_expr_add_expr(expr.as_ptr(), attribute.into(), inner.as_ptr());
                },
            }
        }
        expr
    }
}

/// A netlink message of ours in a batch of libnftnl's, but for its number in the batch. At most [`Written::LONGEST`] bytes.
pub(super) struct Written(Vec<u8>);

/// `struct nlmsghdr`: u32 length, u16 type, u16 flags, u32 sequence, u32 port.
const SEQUENCE: std::ops::Range<usize> = 8..12;

impl Written {
    /// Names of a table and of something in it: 256 bytes each, and what is around them.
    const LONGEST: usize = 1024;

    /// A message that [`MessageBuilder`](crate::message::MessageBuilder) has made. Nothing, if it is too long
    /// or no message.
    pub(super) fn new(bytes: Vec<u8>) -> Option<Self> {
        (SEQUENCE.end..=Self::LONGEST).contains(&bytes.len()).then_some(Self(bytes))
    }
}

// SAFETY: the message is no longer than `LONGEST`, far below the longest netlink message, for which
// there is room.
unsafe impl NlMsg for Written {
    /// The message's own type says what it does: `_what` says nothing.
    unsafe fn write(&self, buffer: *mut c_void, seq: u32, _what: MsgType) {
        let mut bytes = self.0.clone();
        if let Some(sequence) = bytes.get_mut(SEQUENCE) {
            sequence.copy_from_slice(&seq.to_ne_bytes());
        }
        // SAFETY: the caller's buffer has room for the longest message, and is not ours.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), buffer.cast(), bytes.len()) }
    }
}
