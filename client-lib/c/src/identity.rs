//! Who knocks: a key and its certificate, from C's point of view.

#![expect(unsafe_code, reason = "C finds functions by their names")]

use std::sync::Arc;

use sknock::Bundle;

use crate::argument::{CallerBytes, Text};
use crate::failure::{caught, free};

/// Who knocks: a private key and its certificate.
#[derive(Debug)]
pub struct Identity(pub(crate) Arc<sknock::Identity>);

/// Opens an identity: a PKCS#12 file with one key (P-256, P-384 or Ed25519) and its certificate.
///
/// `password` is read during the call only; "" if there is none. Takes up to a second: the file
/// says how hard passwords are to try.
///
/// Returns an identity to be freed with `sknock_identity_free()`, or NULL: see `sknock_error()`.
#[unsafe(no_mangle)] // SAFETY: only this library calls its symbols sknock_
pub extern "C" fn sknock_identity_open(
    path: Text<'_>,
    password: Text<'_>,
) -> Option<Box<Identity>> {
    caught(|| {
        let identity = sknock::open_identity(path.read("path")?, password.read("password")?)?;
        Ok(Box::new(Identity(Arc::new(identity))))
    })
    .ok()
}

/// As `sknock_identity_open()`, from the `length` bytes of such a file at `pfx`; at most 1 MiB.
///
/// The bytes are read during the call only.
#[unsafe(no_mangle)] // SAFETY: as above
pub extern "C" fn sknock_identity_read(
    pfx: CallerBytes<'_>,
    length: usize,
    password: Text<'_>,
) -> Option<Box<Identity>> {
    caught(|| {
        let bundle = Bundle::open(pfx.read(length, "pfx")?, password.read("password")?)?;
        let identity = sknock::Identity::from_bundle(&bundle)?;
        Ok(Box::new(Identity(Arc::new(identity))))
    })
    .ok()
}

/// When the identity's certificate ends, in seconds since 1970 (UTC); 0 if `identity` is NULL. From then on no
/// server opens for it, and none says so.
#[unsafe(no_mangle)] // SAFETY: as above
pub extern "C" fn sknock_identity_ends(identity: Option<&Identity>) -> u64 {
    identity.map_or(0, |identity| identity.0.validity().ends.as_secs())
}

/// Frees an identity; NULL is nothing to do. Clients that were made with it go on.
#[unsafe(no_mangle)] // SAFETY: as above
pub extern "C" fn sknock_identity_free(identity: Option<Box<Identity>>) {
    free(identity);
}
