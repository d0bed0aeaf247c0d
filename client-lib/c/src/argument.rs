//! Arguments from C: text, bytes, our own objects, and a place for an output pointer. The only file here that
//! dereferences raw pointers. Only C can make these types, so Rust code cannot pass a wrong one.

#![expect(unsafe_code, reason = "in C, text and bytes are raw pointers")]

use std::ffi::{CStr, c_char};
use std::marker::PhantomData;
use std::{ptr, slice};

use crate::failure::{CallFailure, Outcome};

/// Maximum size of an identity or certificate in bytes, as in `sknock::open_identity`.
const LARGEST: usize = 1024 * 1024;

/// NULL, or a string that ends with a zero byte and does not change during the call.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Text<'a>(*const c_char, PhantomData<&'a ()>);

impl<'a> Text<'a> {
    /// The text; an error for NULL or invalid UTF-8.
    pub(crate) fn read(self, name: &str) -> Result<&'a str, CallFailure> {
        self.read_if_any(name)?.ok_or_else(|| CallFailure::null(name))
    }

    /// The text, or `None` for NULL; an error for invalid UTF-8.
    pub(crate) fn read_if_any(self, name: &str) -> Result<Option<&'a str>, CallFailure> {
        if self.0.is_null() {
            return Ok(None);
        }
        // SAFETY: not NULL, so C hands over a string, which ends with a zero byte and stays as it is
        // until the call returns: `'a` cannot outlive the call that got this argument.
        let text = unsafe { CStr::from_ptr(self.0) };
        let not_text = |_| CallFailure::new(Outcome::Argument, format!("{name} is not UTF-8"));
        text.to_str().map(Some).map_err(not_text)
    }
}

/// NULL, or bytes that do not change during the call.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct CallerBytes<'a>(*const u8, PhantomData<&'a ()>);

impl<'a> CallerBytes<'a> {
    /// The bytes; an error for NULL or for more than [`LARGEST`].
    pub(crate) fn read(self, length: usize, name: &str) -> Result<&'a [u8], CallFailure> {
        if self.0.is_null() {
            return Err(CallFailure::null(name));
        }
        if length > LARGEST {
            let text = format!(
                "{name}: larger than 1 MiB, so it is not an identity or \
                                certificate"
            );
            return Err(CallFailure::new(Outcome::Argument, text));
        }
        // SAFETY: not NULL, so C hands over `length` readable bytes, far fewer than `isize::MAX`,
        // which stay as they are until the call returns; `'a` cannot outlive that call.
        Ok(unsafe { slice::from_raw_parts(self.0, length) })
    }
}

/// NULL, or a `T` that we allocated and C has not freed. C may change it through this pointer, by our
/// functions, from several threads at a time: so `T` locks itself.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Shared<'a, T>(*mut T, PhantomData<&'a T>);

impl<'a, T: Sync> Shared<'a, T> {
    /// The `T`; an error for NULL.
    pub(crate) fn read(self, name: &str) -> Result<&'a T, CallFailure> {
        // SAFETY: NULL, or a pointer that one of our functions returned and that C does not free before this
        // call returns: `'a` cannot outlive it. No `&mut` to it exists, and `T` is `Sync`.
        unsafe { self.0.as_ref() }.ok_or_else(|| CallFailure::null(name))
    }
}

/// NULL, or a place for a pointer to a `T` that C will own.
#[derive(Debug)]
#[repr(transparent)]
pub struct Place<'a, T>(*mut *mut T, PhantomData<&'a mut Option<Box<T>>>);

impl<T> Place<'_, T> {
    /// Stores `value` or NULL there; the previous content is not read.
    pub(crate) fn put(&mut self, value: Option<T>) {
        if self.0.is_null() {
            return;
        }
        let pointer = value.map_or(ptr::null_mut(), |value| Box::into_raw(Box::new(value)));
        // SAFETY: not NULL, so C passes a place for one pointer, which no other code uses during the call. It
        // may be uninitialized, so it is written without being read.
        unsafe { self.0.write(pointer) }
    }
}

#[cfg(test)]
impl<'a> Text<'a> {
    /// As C passes it.
    pub(crate) fn of(text: Option<&'a CStr>) -> Self {
        Self(text.map_or(ptr::null(), CStr::as_ptr), PhantomData)
    }
}

#[cfg(test)]
impl<'a> CallerBytes<'a> {
    /// As C passes it.
    pub(crate) fn of(bytes: Option<&'a [u8]>) -> Self {
        Self(bytes.map_or(ptr::null(), <[u8]>::as_ptr), PhantomData)
    }
}

#[cfg(test)]
impl<'a, T> Place<'a, T> {
    /// As C passes it: `Option<Box<T>>` is a pointer that may be NULL.
    pub(crate) fn of(place: Option<&'a mut Option<Box<T>>>) -> Self {
        Self(place.map_or(ptr::null_mut(), |place| ptr::from_mut(place).cast()), PhantomData)
    }
}

#[cfg(test)]
impl<'a, T> Shared<'a, T> {
    /// As C passes it.
    pub(crate) fn of(value: Option<&'a T>) -> Self {
        Self(value.map_or(ptr::null_mut(), |value| ptr::from_ref(value).cast_mut()), PhantomData)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_neither_null_nor_anything_but_utf_8() {
        assert_eq!(Text::of(Some(c"gw")).read("host").unwrap(), "gw");
        assert_eq!(Text::of(Some(c"")).read_if_any("host").unwrap(), Some(""));
        assert_eq!(Text::of(None).read_if_any("host").unwrap(), None);
        for (text, said) in [(None, "host is NULL"), (Some(c"\xff"), "host is not UTF-8")] {
            let failure = Text::of(text).read("host").unwrap_err();
            assert_eq!((failure.outcome, failure.text.as_str()), (Outcome::Argument, said));
        }
    }

    #[test]
    fn bytes_are_neither_null_nor_endless() {
        assert_eq!(CallerBytes::of(Some(b"abc")).read(2, "pfx").unwrap(), b"ab");
        assert!(CallerBytes::of(None).read(0, "pfx").is_err());
        for length in [LARGEST + 1, usize::MAX] {
            assert!(CallerBytes::of(Some(b"abc")).read(length, "pfx").is_err());
        }
    }

    #[test]
    fn what_is_shared_is_not_null() {
        assert_eq!(Shared::of(Some(&7)).read("seven").unwrap(), &7);
        let failure = Shared::of(None::<&u8>).read("seven").unwrap_err();
        assert_eq!((failure.outcome, failure.text.as_str()), (Outcome::Argument, "seven is NULL"));
    }

    #[test]
    fn a_place_gets_a_value_or_null() {
        let mut place = None;
        Place::of(Some(&mut place)).put(Some(7));
        assert_eq!(place.as_deref(), Some(&7));
        drop(place.take());
        Place::of(Some(&mut place)).put(None::<i32>);
        assert_eq!(place, None);
        Place::of(None).put(Some(String::from("nowhere")));
    }
}
