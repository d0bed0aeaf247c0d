//! The result of a knock for C.

#![expect(unsafe_code, reason = "C finds functions by their names")]

use std::ffi::{CString, c_char};

use crate::failure::free;

/// The result of a knock.
#[derive(Debug)]
pub struct Opened {
    destination: CString,
    observed: Option<CString>,
    seconds: u16,
    verified: Verified,
}

/// How the client knows that access was granted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(C)]
pub enum Verified {
    /// Unknown: verification was disabled.
    No = 0,
    /// The server answered.
    Answer = 1,
    /// No answer arrived, but a connection succeeded: the port may not be protected at all.
    Connection = 2,
}

impl From<&sknock::OpenPort> for Opened {
    fn from(opened: &sknock::OpenPort) -> Self {
        // The text of an address contains no zero byte.
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

/// The address of the server that granted access, as text. A host may have several: connect to this one.
///
/// The text belongs to `opened` and is freed with it. NULL if `opened` is NULL.
#[unsafe(no_mangle)] // SAFETY: only this library calls its symbols sknock_
pub extern "C" fn sknock_opened_destination(opened: Option<&Opened>) -> *const c_char {
    opened.map_or(std::ptr::null(), |opened| opened.destination.as_ptr())
}

/// The client's address as the server sees it, as text: the grant is for this address. NULL if no answer
/// arrived, or if `opened` is NULL.
///
/// The text belongs to `opened` and is freed with it. The server blocks connections from any other address,
/// for example through a proxy or by another route.
#[unsafe(no_mangle)] // SAFETY: as above
pub extern "C" fn sknock_opened_observed(opened: Option<&Opened>) -> *const c_char {
    let observed = opened.and_then(|opened| opened.observed.as_ref());
    observed.map_or(std::ptr::null(), |address| address.as_ptr())
}

/// Duration of the grant in seconds, counted from the server's answer; 0 if there was none, or if `opened` is
/// NULL.
#[unsafe(no_mangle)] // SAFETY: as above
pub extern "C" fn sknock_opened_seconds(opened: Option<&Opened>) -> u16 {
    opened.map_or(0, |opened| opened.seconds)
}

/// How the client knows that access was granted; `SKNOCK_VERIFIED_NO` if `opened` is NULL.
#[unsafe(no_mangle)] // SAFETY: as above
pub extern "C" fn sknock_opened_verified(opened: Option<&Opened>) -> Verified {
    opened.map_or(Verified::No, |opened| opened.verified)
}

/// Frees the result of `sknock_knock()`; NULL does nothing. The grant remains.
#[unsafe(no_mangle)] // SAFETY: as above
pub extern "C" fn sknock_opened_free(opened: Option<Box<Opened>>) {
    free(opened);
}
