//! Sets and their elements as libnftnl sees them: made, changed and listed.
#![expect(unsafe_code, reason = "libnftnl is a C library")]

use std::ffi::{CStr, c_int, c_void};
use std::ptr::NonNull;
use std::time::Duration;

use nftnl::{MsgType, NlMsg, ProtoFamily};
use nftnl_sys as sys;

use super::{allocated, length, narrow};
use crate::nft::TABLE;
use crate::nft::set::{Element, SetSpec};

/// How many elements go into one message, at most. Each takes up to 184 bytes (a 16-byte address,
/// the longest comment) and a message holds them in one attribute of at most 65535.
pub(in crate::nft) const ELEMENTS_PER_MESSAGE: usize = 256;

/// The shortest timeout. The kernel counts in jiffies of up to 10 ms, and takes one that it rounds
/// to none as "for ever".
const MIN_TIMEOUT: Duration = Duration::from_millis(100);

/// A set of our table as libnftnl sees it: its name, perhaps its shape, perhaps some elements.
pub(in crate::nft) struct RawSet(NonNull<sys::nftnl_set>);

impl RawSet {
    pub(in crate::nft) fn named(name: &'static CStr) -> Self {
        // SAFETY: no argument.
        let set = Self(allocated(unsafe { sys::nftnl_set_alloc() }));
        set.number(sys::NFTNL_SET_FAMILY, ProtoFamily::Inet as u32);
        for (attribute, text) in [(sys::NFTNL_SET_TABLE, TABLE), (sys::NFTNL_SET_NAME, name)] {
            // SAFETY: the set is ours, and the text is a C string, which is copied.
            unsafe { sys::nftnl_set_set_str(set.0.as_ptr(), narrow(attribute), text.as_ptr()) };
        }
        set
    }

    pub(in crate::nft) fn shaped(shape: &SetSpec) -> Self {
        let set = Self::named(shape.name);
        let (key_type, key_length) = shape.key.shape();
        // Without `NFT_SET_EVAL` the kernel may choose a kind of set that packets cannot change.
        let dynamic = if shape.dynamic { libc::NFT_SET_EVAL } else { 0 };
        let ending = if shape.expiry.is_some() { libc::NFT_SET_TIMEOUT } else { 0 };
        set.number(sys::NFTNL_SET_FLAGS, u32::from(narrow(ending | dynamic)));
        // The kernel only keeps the type: nft prints elements by it.
        set.number(sys::NFTNL_SET_KEY_TYPE, key_type);
        set.number(sys::NFTNL_SET_KEY_LEN, key_length);
        set.number(sys::NFTNL_SET_DESC_SIZE, shape.size);
        set.describe(shape.key.userdata());
        let Some(expiry) = &shape.expiry else { return set };
        let gc_millis = u32::try_from(expiry.gc_interval.as_millis()).unwrap_or(u32::MAX);
        set.number(sys::NFTNL_SET_GC_INTERVAL, gc_millis);
        if let Some(timeout) = expiry.timeout {
            let millis = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
            let attribute = narrow(sys::NFTNL_SET_TIMEOUT);
            // SAFETY: the set is ours.
            unsafe { sys::nftnl_set_set_u64(set.0.as_ptr(), attribute, millis) };
        }
        set
    }

    /// Its number in a batch.
    pub(in crate::nft) fn with_id(self, id: u32) -> Self {
        // The kernel refuses a new set without one (EINVAL).
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

    /// Adds an element's key only, which says what to delete.
    pub(in crate::nft) fn push_key(&mut self, key: &[u8]) {
        self.push_element(key);
    }

    /// Adds an element.
    pub(in crate::nft) fn push(&mut self, new: &Element) {
        let element = self.push_element(&new.key).as_ptr();
        if let Some(remaining) = new.remaining {
            // Also of a grant that has ended since `now` was read: a timeout of 0 would never end.
            let timeout = remaining.max(MIN_TIMEOUT).as_millis();
            let (attribute, millis) = (narrow(sys::NFTNL_SET_ELEM_TIMEOUT), timeout.try_into());
            // SAFETY: the element belongs to our set, which lives.
            unsafe { sys::nftnl_set_elem_set_u64(element, attribute, millis.unwrap_or(u64::MAX)) };
        }
        if new.userdata.is_empty() {
            return;
        }
        // SAFETY: as above; the userdata is copied.
        unsafe {
            sys::nftnl_set_elem_set(
                element,
                narrow(sys::NFTNL_SET_ELEM_USERDATA),
                new.userdata.as_ptr().cast(),
                length(&new.userdata),
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
    pub(in crate::nft) fn definition(&self) -> Definition<'_> {
        Definition(self)
    }

    /// Its elements, for a batch.
    pub(in crate::nft) fn elements(&self) -> ElementsMessage<'_> {
        ElementsMessage { set: self, new: false }
    }

    /// Its elements, for a batch that fails if one of them is there already.
    pub(in crate::nft) fn new_elements(&self) -> ElementsMessage<'_> {
        ElementsMessage { set: self, new: true }
    }

    /// Asks for all its elements.
    pub(in crate::nft) fn dump_request(&self) -> Vec<u8> {
        self.request(libc::NLM_F_DUMP)
    }

    /// Asks for the elements that were pushed, by their keys.
    pub(in crate::nft) fn elements_request(&self) -> Vec<u8> {
        self.request(libc::NLM_F_ACK)
    }

    fn request(&self, flags: c_int) -> Vec<u8> {
        let mut buffer = vec![0; nftnl::nft_nlmsg_maxsize() as usize];
        // SAFETY: the buffer has room for the longest message; this one is two names and the elements pushed.
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
pub(in crate::nft) struct Definition<'a>(&'a RawSet);

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
pub(in crate::nft) struct ElementsMessage<'a> {
    set: &'a RawSet,
    new: bool,
}

// SAFETY: `Transaction` puts so few elements into a set that they fit into one attribute of 64 KiB
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

/// The elements in one message of a listing, or in an event. `message` is whole and aligned, as `mnl`
/// hands it out.
#[expect(clippy::cast_ptr_alignment, reason = "checked before it is read")]
pub(in crate::nft) fn elements(message: &[u8]) -> Vec<Element> {
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
            found.push(read(element));
        }
        sys::nftnl_set_elems_iter_destroy(iterator);
    }
    found
}

/// # Safety
/// `element` is alive.
unsafe fn read(element: NonNull<sys::nftnl_set_elem>) -> Element {
    let element = element.as_ptr();
    let expiration = narrow(sys::NFTNL_SET_ELEM_EXPIRATION);
    // SAFETY: the caller's promise; each value is copied before anything else happens.
    unsafe {
        // EXPIRATION is what is left, TIMEOUT what the element had at first.
        let remaining = sys::nftnl_set_elem_is_set(element, expiration)
            .then(|| Duration::from_millis(sys::nftnl_set_elem_get_u64(element, expiration)));
        Element {
            key: bytes(element, sys::NFTNL_SET_ELEM_KEY),
            remaining,
            userdata: bytes(element, sys::NFTNL_SET_ELEM_USERDATA),
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
