//! A server's certificate for C.

#![expect(unsafe_code, reason = "C finds functions by their names")]

use sknock::ServerCertificate;

use crate::argument::{CallerBytes, Text};
use crate::failure::{caught, free};

/// A server, identified by its certificate.
#[derive(Debug)]
pub struct Server(pub(crate) ServerCertificate);

/// Reads a server's certificate from a file, DER or PEM. Its key must be on P-256.
///
/// Only the key is checked: the file must come from a trusted source.
///
/// Returns a server to be freed with `sknock_server_free()`, or NULL: see `sknock_error()`.
#[unsafe(no_mangle)] // SAFETY: only this library calls its symbols sknock_
pub extern "C" fn sknock_server_open(path: Text<'_>) -> Option<Box<Server>> {
    caught(|| Ok(Box::new(Server(sknock::open_server_certificate(path.read("path")?)?)))).ok()
}

/// Same as `sknock_server_open()`, from the `length` bytes of such a file at `certificate`; at most 1 MiB.
///
/// The bytes are read during the call only.
#[unsafe(no_mangle)] // SAFETY: as above
pub extern "C" fn sknock_server_read(
    certificate: CallerBytes<'_>,
    length: usize,
) -> Option<Box<Server>> {
    caught(|| {
        let bytes = certificate.read(length, "certificate")?;
        Ok(Box::new(Server(sknock::read_server_certificate(bytes)?)))
    })
    .ok()
}

/// The end of the certificate's validity, in seconds since 1970 (UTC); 0 if `server` is NULL.
///
/// Knocks do not depend on it. But a renewed certificate may have another key.
#[unsafe(no_mangle)] // SAFETY: as above
pub extern "C" fn sknock_server_ends(server: Option<&Server>) -> u64 {
    server.map_or(0, |server| server.0.validity().ends.as_secs())
}

/// Frees a server; NULL does nothing. Clients that were made with it remain valid.
#[unsafe(no_mangle)] // SAFETY: as above
pub extern "C" fn sknock_server_free(server: Option<Box<Server>>) {
    free(server);
}
