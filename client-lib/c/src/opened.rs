//! A door that was opened, from C's point of view.

#![expect(unsafe_code, reason = "C finds functions by their names")]

use std::ffi::{CString, c_char};

use crate::failure::free;

/// A door that was opened, and what is known about it.
#[derive(Debug)]
pub struct Opened {
    destination: CString,
    observed: Option<CString>,
    seconds: u16,
    verified: Verified,
}

/// How a client knows that the door is open.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(C)]
pub enum Verified {
    /// It does not: verification was not wanted.
    No = 0,
    /// The server said so.
    Answer = 1,
    /// No answer arrived, but a connection succeeded: the port may not be protected at all.
    Connection = 2,
}

impl From<&sknock::OpenPort> for Opened {
    fn from(opened: &sknock::OpenPort) -> Self {
        // An address has no zero byte in it.
        let destination = CString::new(opened.destination.to_string()).unwrap_or_default();
        let observed = opened.granted.map(|granted| granted.observed.ip().to_string());
        let observed = observed.and_then(|address| CString::new(address).ok());
        let seconds = opened.granted.map_or(0, |granted| granted.seconds);
        let verified = match opened.verified {
            sknock::Verified::No => Verified::No,
            sknock::Verified::Answer => Verified::Answer,
            sknock::Verified::Connection => Verified::Connection,
        };
        Self { destination, observed, seconds, verified }
    }
}

/// The address on which the door is open, as text. A host may have several: connect to this one.
///
/// The text belongs to `opened` and is freed with it. NULL if `opened` is NULL.
#[unsafe(no_mangle)] // SAFETY: only this library calls its symbols sknock_
pub extern "C" fn sknock_opened_destination(opened: Option<&Opened>) -> *const c_char {
    opened.map_or(std::ptr::null(), |opened| opened.destination.as_ptr())
}

/// Our address as the server sees it, as text: the door is open to this one. NULL if no answer arrived, or if
/// `opened` is NULL.
///
/// The text belongs to `opened` and is freed with it. A connection that leaves by another address, as through a
/// proxy or by another route, finds the door closed.
#[unsafe(no_mangle)] // SAFETY: as above
pub extern "C" fn sknock_opened_observed(opened: Option<&Opened>) -> *const c_char {
    let observed = opened.and_then(|opened| opened.observed.as_ref());
    observed.map_or(std::ptr::null(), |address| address.as_ptr())
}

/// For how many seconds the door is open to new connections, counted from the server's answer; 0
/// if there was none, or if `opened` is NULL.
#[unsafe(no_mangle)] // SAFETY: as above
pub extern "C" fn sknock_opened_seconds(opened: Option<&Opened>) -> u16 {
    opened.map_or(0, |opened| opened.seconds)
}

/// How sure it is that the door is open; `SKNOCK_VERIFIED_NO` if `opened` is NULL.
#[unsafe(no_mangle)] // SAFETY: as above
pub extern "C" fn sknock_opened_verified(opened: Option<&Opened>) -> Verified {
    opened.map_or(Verified::No, |opened| opened.verified)
}

/// Frees what `sknock_knock()` told; NULL is nothing to do. The door stays as it is.
#[unsafe(no_mangle)] // SAFETY: as above
pub extern "C" fn sknock_opened_free(opened: Option<Box<Opened>>) {
    free(opened);
}
