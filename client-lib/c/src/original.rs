//! The API of the original's C library: apps written for `libknock` find the functions that they call.
//!
//! Its faults are fixed: a wrong password does not end the process, a knock does not wait longer than needed,
//! an unknown protocol is an error, handles can be freed and used by several threads.

#![expect(unsafe_code, reason = "C finds functions by their names")]

mod surroundings;

use std::ffi::{c_int, c_uint, c_ushort};
use std::sync::Arc;
use std::time::Duration;

use sknock::{Client, Identity, ServerCertificate, Service, paths};

use self::surroundings::Surroundings;
use crate::argument::{Shared, Text};
use crate::failure::{CallFailure, Outcome, caught, free};

/// `protocol` of `knock_knock()`: a UDP port.
pub const KNOCK_UDP: c_int = 0;
/// `protocol` of `knock_knock()`: a TCP port.
pub const KNOCK_TCP: c_int = 1;

/// How long an attempt waits for the server's answer: the time that the original slept.
const ANSWER: Duration = Duration::from_secs(1);

/// The defaults of the original's client: seconds, attempts, verification.
const DEFAULT: (c_uint, c_uint, bool) = (10, 3, true);

/// A configured client: the original's `struct KNOCK_Handle`.
///
/// Several threads may use one handle at a time, for everything but `knock_free()`.
#[derive(Debug)]
pub struct Knocker {
    /// Sends one knock, and verifies the grant.
    sure: Client,
    /// Sends one knock without verification.
    trusting: Client,
    attempts: c_uint,
    verify: bool,
}

impl Knocker {
    fn new(
        identity: Identity,
        server: ServerCertificate,
        (timeout, attempts, verify): (c_uint, c_uint, bool),
        surroundings: &Surroundings,
    ) -> Result<Box<Self>, CallFailure> {
        let whole = Duration::from_secs(timeout.into()) + ANSWER;
        let one = surroundings
            .apply(Client::builder(Arc::new(identity), server))?
            // `knock` repeats: the original's timeout is that of one connection, not of all attempts.
            .attempts(1)
            .attempt_timeout(ANSWER)
            .timeout(whole);
        let trusting = one.clone().verify(false).build();
        Ok(Box::new(Self { sure: one.build(), trusting, attempts: attempts.max(1), verify }))
    }

    /// Knocks; an error if nothing could be tried, or if verification failed.
    fn knock(&self, host: &str, port: c_ushort, protocol: c_int) -> Result<(), CallFailure> {
        let (service, client) = match protocol {
            KNOCK_UDP => (Service::udp(port), &self.trusting),
            KNOCK_TCP if self.verify => (Service::tcp(port), &self.sure),
            KNOCK_TCP => (Service::tcp(port), &self.trusting),
            _ => return Err(wrong("protocol must be KNOCK_UDP or KNOCK_TCP")),
        };
        let service = service.ok_or_else(|| wrong("port 0 cannot be opened"))?;
        let mut attempt = 1;
        loop {
            match client.knock(host, &[service]).map_err(CallFailure::from) {
                Ok(_) => return Ok(()),
                Err(failure) if attempt < self.attempts && is_no(failure.outcome) => attempt += 1,
                Err(failure) => return Err(failure),
            }
        }
    }
}

fn wrong(text: &str) -> CallFailure {
    CallFailure::new(Outcome::Argument, text)
}

/// Whether a knock was sent, and the port stayed closed.
fn is_no(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::NotConfirmed | Outcome::NothingListens)
}

/// Prepares the library. Does nothing; calling it is optional.
///
/// Returns 0.
#[unsafe(no_mangle)] // SAFETY: only this library calls its symbols knock_
pub extern "C" fn knock_init() -> c_int {
    0
}

/// Opens an identity (PKCS#12) and a server's certificate (DER or PEM).
///
/// `timeout` is for the connection that verifies a TCP port, in seconds. `retries` is the number of attempts,
/// each with a new knock; 0 is treated as 1. Without `verify` (0), one knock is sent and success is assumed.
/// `client_cert_passwd` may be NULL for the empty password. All text is read during the call only.
///
/// Returns a handle to be freed with `knock_free()`, or NULL: `sknock_error_text()` of sknock.h has the
/// reason.
#[unsafe(no_mangle)] // SAFETY: as above
pub extern "C" fn knock_new(
    timeout: c_uint,
    retries: c_uint,
    verify: c_int,
    server_cert_path: Text<'_>,
    client_cert_path: Text<'_>,
    client_cert_passwd: Text<'_>,
) -> Option<Box<Knocker>> {
    caught(|| {
        let server = sknock::open_server_certificate(server_cert_path.read("server_cert_path")?)?;
        let client = client_cert_path.read("client_cert_path")?;
        let password = client_cert_passwd.read_if_any("client_cert_passwd")?.unwrap_or_default();
        let identity = sknock::open_identity(client, password)?;
        Knocker::new(identity, server, (timeout, retries, verify != 0), &Surroundings::read())
    })
    .ok()
}

/// Same as `knock_new()` with files at their default paths, 10 seconds, 3 attempts and verification.
///
/// If `KNOCKPATH` is set: client/certificates/devclient.pfx and devserver.cer there, as in the original. Else
/// those of the command line: identity.pfx and server.cer in `$XDG_CONFIG_HOME/sknock` or `~/.config/sknock`.
/// Not for programs that run with more rights than their user: the user controls the environment.
#[unsafe(no_mangle)] // SAFETY: as above
pub extern "C" fn knock_default_new(client_cert_passwd: Text<'_>) -> Option<Box<Knocker>> {
    caught(|| {
        let password = client_cert_passwd.read_if_any("client_cert_passwd")?.unwrap_or_default();
        let surroundings = Surroundings::read();
        let (identity, server) = surroundings.files(paths::folder)?;
        let server = sknock::open_server_certificate(server)?;
        let identity = sknock::open_identity(identity, password)?;
        Knocker::new(identity, server, DEFAULT, &surroundings)
    })
    .ok()
}

/// Requests access to `port` on `host` (a name or an address).
///
/// `protocol` is `KNOCK_UDP` or `KNOCK_TCP`. Verification is for TCP only; it takes no longer than
/// retries * (timeout + 1) seconds.
///
/// Returns 1 if the port is open, or a knock was sent without verification; 0 if no attempt opened it; -1 if
/// nothing could be tried: the name has no address, no packet leaves this machine, an argument is wrong. For
/// 0 and -1, `sknock_error_text()` of sknock.h has the reason.
#[unsafe(no_mangle)] // SAFETY: as above
pub extern "C" fn knock_knock(
    handle: Shared<'_, Knocker>,
    host: Text<'_>,
    port: c_ushort,
    protocol: c_int,
) -> c_int {
    let knocked = caught(|| {
        let knocker = handle.read("handle")?;
        knocker.knock(host.read("host")?, port, protocol)
    });
    match knocked {
        Ok(()) => 1,
        Err(outcome) if is_no(outcome) => 0,
        Err(_) => -1,
    }
}

/// Frees a handle; NULL does nothing. No other thread may be using it. The original had no such function.
#[unsafe(no_mangle)] // SAFETY: as above
pub extern "C" fn knock_free(handle: Option<Box<Knocker>>) {
    free(handle);
}
