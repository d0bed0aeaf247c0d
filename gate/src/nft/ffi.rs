//! What libnftnl can do and the `nftnl` crate does not wrap: sets with timeouts, flags and comments,
//! and expressions of any kind. Nothing in here decides anything.
//!
//! Every object is owned by one Rust value and freed by it, except where libnftnl takes it over.
//! libnftnl copies what it is given, so no pointer outlives its call.
#![expect(unsafe_code, reason = "libnftnl is a C library")]

use std::ffi::{CStr, c_int, c_void};
use std::ptr::NonNull;
use std::time::Duration;

use nftnl::expr::Expression;
use nftnl::{MsgType, NlMsg, ProtoFamily, Rule};
use nftnl_sys as sys;

use super::TABLE;
use super::key::SetKey;

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

/// How a set is to be made.
pub(super) struct SetShape {
    pub(super) key: SetKey,
    /// Whether packets change it.
    pub(super) dynamic: bool,
    pub(super) size: u32,
    /// Nothing: its elements stay.
    pub(super) ends: Option<Expiry>,
}

/// How a set's elements end.
pub(super) struct Expiry {
    /// For those that do not say otherwise.
    pub(super) timeout: Option<Duration>,
    pub(super) gc_interval: Duration,
}

/// A set of our table as libnftnl sees it: its name, perhaps its shape, perhaps some elements.
pub(super) struct RawSet(NonNull<sys::nftnl_set>);

impl RawSet {
    pub(super) fn named(name: &'static CStr) -> Self {
        // SAFETY: no argument.
        let set = Self(allocated(unsafe { sys::nftnl_set_alloc() }));
        set.number(sys::NFTNL_SET_FAMILY, ProtoFamily::Inet as u32);
        for (attribute, text) in [(sys::NFTNL_SET_TABLE, TABLE), (sys::NFTNL_SET_NAME, name)] {
            // SAFETY: the set is ours, and the text is a C string, which is copied.
            unsafe { sys::nftnl_set_set_str(set.0.as_ptr(), narrow(attribute), text.as_ptr()) };
        }
        set
    }

    pub(super) fn shaped(name: &'static CStr, shape: &SetShape) -> Self {
        let set = Self::named(name);
        let (key_type, key_length) = shape.key.shape();
        let dynamic = if shape.dynamic { libc::NFT_SET_EVAL } else { 0 };
        let ending = if shape.ends.is_some() { libc::NFT_SET_TIMEOUT } else { 0 };
        set.number(sys::NFTNL_SET_FLAGS, u32::from(narrow(ending | dynamic)));
        set.number(sys::NFTNL_SET_KEY_TYPE, key_type);
        set.number(sys::NFTNL_SET_KEY_LEN, key_length);
        set.number(sys::NFTNL_SET_DESC_SIZE, shape.size);
        set.describe(shape.key.userdata());
        let Some(ends) = &shape.ends else { return set };
        let gc_millis = u32::try_from(ends.gc_interval.as_millis()).unwrap_or(u32::MAX);
        set.number(sys::NFTNL_SET_GC_INTERVAL, gc_millis);
        if let Some(timeout) = ends.timeout {
            let millis = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
            let attribute = narrow(sys::NFTNL_SET_TIMEOUT);
            // SAFETY: the set is ours.
            unsafe { sys::nftnl_set_set_u64(set.0.as_ptr(), attribute, millis) };
        }
        set
    }

    /// Its number in a batch.
    pub(super) fn with_id(self, id: u32) -> Self {
        self.number(sys::NFTNL_SET_ID, id);
        self
    }

    fn describe(&self, userdata: &[u8]) {
        if userdata.is_empty() {
            return;
        }
        let attribute = narrow(sys::NFTNL_SET_USERDATA);
        // SAFETY: the set is ours, and the bytes are copied.
        unsafe {
            let data = userdata.as_ptr().cast();
            sys::nftnl_set_set_data(self.0.as_ptr(), attribute, data, length(userdata));
        }
    }

    fn number(&self, attribute: u32, value: u32) {
        // SAFETY: the set is ours.
        unsafe { sys::nftnl_set_set_u32(self.0.as_ptr(), narrow(attribute), value) };
    }

    /// Adds an element that says what to delete.
    pub(super) fn push_key(&mut self, key: &[u8]) {
        self.push_element(key);
    }

    /// Adds an element; without `userdata`, it has none.
    pub(super) fn push(&mut self, key: &[u8], timeout: Duration, userdata: &[u8]) {
        let element = self.push_element(key).as_ptr();
        let millis = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        // SAFETY: the element belongs to our set, which lives.
        unsafe {
            sys::nftnl_set_elem_set_u64(element, narrow(sys::NFTNL_SET_ELEM_TIMEOUT), millis);
        }
        if userdata.is_empty() {
            return;
        }
        // SAFETY: as above; the userdata is copied.
        unsafe {
            sys::nftnl_set_elem_set(
                element,
                narrow(sys::NFTNL_SET_ELEM_USERDATA),
                userdata.as_ptr().cast(),
                length(userdata),
            );
        }
    }

    fn push_element(&mut self, key: &[u8]) -> NonNull<sys::nftnl_set_elem> {
        // SAFETY: no argument.
        let element = allocated(unsafe { sys::nftnl_set_elem_alloc() });
        // SAFETY: the element was just allocated and the key, at most 24 of 64 bytes, is copied; then
        // the set takes the element over and frees it with itself.
        unsafe {
            sys::nftnl_set_elem_set(
                element.as_ptr(),
                narrow(sys::NFTNL_SET_ELEM_KEY),
                key.as_ptr().cast(),
                length(key),
            );
            sys::nftnl_set_elem_add(self.0.as_ptr(), element.as_ptr());
        }
        element
    }

    /// The set itself, for a batch.
    pub(super) fn definition(&self) -> Definition<'_> {
        Definition(self)
    }

    /// Its elements, for a batch.
    pub(super) fn elements(&self) -> ElementsMessage<'_> {
        ElementsMessage { set: self, new: false }
    }

    /// Its elements, for a batch that fails if one of them is there already.
    pub(super) fn new_elements(&self) -> ElementsMessage<'_> {
        ElementsMessage { set: self, new: true }
    }

    /// Asks for all its elements.
    pub(super) fn dump_request(&self) -> Vec<u8> {
        let mut buffer = vec![0; nftnl::nft_nlmsg_maxsize() as usize];
        let flags = libc::NLM_F_DUMP;
        // SAFETY: the buffer has room for the longest message, and this one is two names.
        let header = unsafe {
            let header = header(buffer.as_mut_ptr().cast(), libc::NFT_MSG_GETSETELEM, flags, 0);
            sys::nftnl_set_elems_nlmsg_build_payload(header, self.0.as_ptr());
            *header
        };
        buffer.truncate(header.nlmsg_len as usize);
        buffer
    }
}

impl Drop for RawSet {
    fn drop(&mut self) {
        // SAFETY: the set is ours and not used again.
        unsafe { sys::nftnl_set_free(self.0.as_ptr()) };
    }
}

/// Begins a message in `buffer`.
///
/// # Safety
/// `buffer` has room for the longest netlink message.
unsafe fn header(buffer: *mut c_void, kind: c_int, flags: c_int, seq: u32) -> *mut libc::nlmsghdr {
    let family = ProtoFamily::Inet as u16;
    // SAFETY: the caller's promise.
    unsafe { sys::nftnl_nlmsg_build_hdr(buffer.cast(), narrow(kind), family, narrow(flags), seq) }
}

/// A message that makes a set.
pub(super) struct Definition<'a>(&'a RawSet);

// SAFETY: a set's names and numbers are far below the longest message.
unsafe impl NlMsg for Definition<'_> {
    unsafe fn write(&self, buffer: *mut c_void, seq: u32, what: MsgType) {
        let kind = match what {
            MsgType::Add => libc::NFT_MSG_NEWSET,
            MsgType::Del => libc::NFT_MSG_DELSET,
        };
        let flags = libc::NLM_F_CREATE | libc::NLM_F_ACK;
        // SAFETY: the caller's buffer has room for the longest message; the set is alive.
        unsafe {
            let header = header(buffer, kind, flags, seq);
            sys::nftnl_set_nlmsg_build_payload(header, self.0.0.as_ptr());
        }
    }
}

/// A message that adds a set's elements, or deletes them.
pub(super) struct ElementsMessage<'a> {
    set: &'a RawSet,
    new: bool,
}

// SAFETY: `add_elements` puts so few elements into a set that they fit into one attribute of 64 KiB
// (`ELEMENTS_PER_MESSAGE`), and the longest message has a page more than that.
unsafe impl NlMsg for ElementsMessage<'_> {
    unsafe fn write(&self, buffer: *mut c_void, seq: u32, what: MsgType) {
        // Without NLM_F_EXCL, adding what is there is no error.
        let exclusive = if self.new { libc::NLM_F_EXCL } else { 0 };
        let (kind, flags) = match what {
            MsgType::Add => {
                (libc::NFT_MSG_NEWSETELEM, libc::NLM_F_CREATE | libc::NLM_F_ACK | exclusive)
            }
            MsgType::Del => (libc::NFT_MSG_DELSETELEM, libc::NLM_F_ACK),
        };
        // SAFETY: the caller's buffer has room for the longest message; the set is alive.
        unsafe {
            let header = header(buffer, kind, flags, seq);
            sys::nftnl_set_elems_nlmsg_build_payload(header, self.set.0.as_ptr());
        }
    }
}

/// An element as the kernel lists it.
pub(super) struct RawElement {
    pub(super) key: Vec<u8>,
    /// Nothing: it has no timeout.
    pub(super) remaining: Option<Duration>,
    pub(super) userdata: Vec<u8>,
}

/// The elements in one message of a listing, or in an event. `message` is whole and aligned, as `mnl`
/// hands it out.
#[expect(clippy::cast_ptr_alignment, reason = "checked before it is read")]
pub(super) fn elements(message: &[u8]) -> Vec<RawElement> {
    let header = message.as_ptr().cast::<libc::nlmsghdr>();
    if message.len() < size_of::<libc::nlmsghdr>() || !header.is_aligned() {
        return Vec::new();
    }
    let set = RawSet::named(c"");
    let mut found = Vec::new();
    // SAFETY: the header is aligned and inside `message`, whose length is the one it states; the
    // kernel wrote it and libnftnl checks each attribute against that length. The iterator and its
    // elements are used while the set lives, and the iterator is freed once.
    unsafe {
        if (*header).nlmsg_len as usize != message.len()
            || sys::nftnl_set_elems_nlmsg_parse(header, set.0.as_ptr()) < 0
        {
            return found;
        }
        let iterator = allocated(sys::nftnl_set_elems_iter_create(set.0.as_ptr())).as_ptr();
        while let Some(element) = NonNull::new(sys::nftnl_set_elems_iter_next(iterator)) {
            found.push(RawElement::read(element));
        }
        sys::nftnl_set_elems_iter_destroy(iterator);
    }
    found
}

impl RawElement {
    /// # Safety
    /// `element` is alive.
    unsafe fn read(element: NonNull<sys::nftnl_set_elem>) -> Self {
        let element = element.as_ptr();
        let expiration = narrow(sys::NFTNL_SET_ELEM_EXPIRATION);
        // SAFETY: the caller's promise; each value is copied before anything else happens.
        unsafe {
            let remaining = sys::nftnl_set_elem_is_set(element, expiration)
                .then(|| Duration::from_millis(sys::nftnl_set_elem_get_u64(element, expiration)));
            Self {
                key: bytes(element, sys::NFTNL_SET_ELEM_KEY),
                remaining,
                userdata: bytes(element, sys::NFTNL_SET_ELEM_USERDATA),
            }
        }
    }
}

/// A copy of what an attribute holds; empty if it is not there.
///
/// # Safety
/// `element` is alive.
unsafe fn bytes(element: *mut sys::nftnl_set_elem, attribute: u32) -> Vec<u8> {
    let mut length = 0;
    // SAFETY: the caller's promise; libnftnl returns null, or that many bytes that live as long as
    // the element.
    unsafe {
        let data = sys::nftnl_set_elem_get(element, narrow(attribute), &raw mut length);
        if data.is_null() {
            return Vec::new();
        }
        std::slice::from_raw_parts(data.cast::<u8>(), length as usize).to_vec()
    }
}
