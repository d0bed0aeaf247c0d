//! The identity for C: a key and its certificate.

#![expect(unsafe_code, reason = "C finds functions by their names")]

use std::sync::Arc;

use sknock::Bundle;

use crate::argument::{CallerBytes, Text};
use crate::failure::{caught, free};

/// The client's identity: a private key and its certificate.
#[derive(Debug)]
pub struct Identity(pub(crate) Arc<sknock::Identity>);

/// Opens an identity: a PKCS#12 file with one key (P-256, P-384 or Ed25519) and its certificate.
///
/// `password` is read during the call only; "" if there is none. Takes up to a second, depending on the key
/// derivation of the file.
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

/// Same as `sknock_identity_open()`, from the `length` bytes of such a file at `pfx`; at most 1 MiB.
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

/// The end of the certificate's validity, in seconds since 1970 (UTC); 0 if `identity` is NULL. Afterwards
/// every server refuses it, without an answer.
#[unsafe(no_mangle)] // SAFETY: as above
pub extern "C" fn sknock_identity_ends(identity: Option<&Identity>) -> u64 {
    identity.map_or(0, |identity| identity.0.validity().ends.as_secs())
}

/// Frees an identity; NULL does nothing. Clients that were made with it remain valid.
#[unsafe(no_mangle)] // SAFETY: as above
pub extern "C" fn sknock_identity_free(identity: Option<Box<Identity>>) {
    free(identity);
}
