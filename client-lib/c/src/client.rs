//! The client for C: options, knock and connect.

#![expect(unsafe_code, reason = "C finds functions by their names")]

use std::ffi::c_int;
use std::os::fd::IntoRawFd;
use std::sync::{Arc, Mutex, PoisonError};

use sknock::{ClientBuilder, Misspelt, Service};

use crate::argument::{Place, Shared, Text};
use crate::failure::{CallFailure, Outcome, caught, free};
use crate::identity::Identity;
use crate::opened::Opened;
use crate::server::Server;

/// Requests access to services of one server, or of several that share one certificate.
///
/// Several threads may use one client at a time, for everything but `sknock_client_free()`.
#[derive(Debug)]
pub struct Client(Mutex<Options>);

/// The options, and the client built from them. A running call keeps the client with which it began.
#[derive(Debug)]
struct Options {
    builder: ClientBuilder,
    client: Arc<sknock::Client>,
}

impl Client {
    fn new(builder: ClientBuilder) -> Self {
        let client = Arc::new(builder.clone().build());
        Self(Mutex::new(Options { builder, client }))
    }

    fn current(&self) -> Arc<sknock::Client> {
        let options = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&options.client)
    }

    /// Changes options, for calls that begin later.
    pub(crate) fn set(
        &self,
        change: impl FnOnce(ClientBuilder) -> Result<ClientBuilder, CallFailure>,
    ) -> Result<(), CallFailure> {
        let mut options = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let builder = change(options.builder.clone())?;
        let client = Arc::new(builder.clone().build());
        *options = Options { builder, client };
        Ok(())
    }
}

/// A client for one identity and one server, with every option at its default.
///
/// It keeps what it needs of both: they may be freed or used again.
///
/// Returns a client to be freed with `sknock_client_free()`, or NULL: see `sknock_error()`.
#[unsafe(no_mangle)] // SAFETY: only this library calls its symbols sknock_
pub extern "C" fn sknock_client_new(
    identity: Option<&Identity>,
    server: Option<&Server>,
) -> Option<Box<Client>> {
    caught(|| {
        let identity = identity.ok_or_else(|| CallFailure::null("identity"))?;
        let server = server.ok_or_else(|| CallFailure::null("server"))?;
        let builder = sknock::Client::builder(Arc::clone(&identity.0), server.0.clone());
        Ok(Box::new(Client::new(builder)))
    })
    .ok()
}

/// Frees a client; NULL is nothing to do. No other thread may be using it.
#[unsafe(no_mangle)] // SAFETY: as above
pub extern "C" fn sknock_client_free(client: Option<Box<Client>>) {
    free(client);
}

/// Requests access to `services` on `host` (a name or an address), and verifies that it was granted.
///
/// `services` are separated by spaces or commas: "tcp/22 udp/60000-60010". "" means all that the certificate
/// allows. The server grants all or nothing.
///
/// `opened` may be NULL. Otherwise it receives the result, to be freed with `sknock_opened_free()`, or NULL
/// if the call fails; its previous content is not freed.
///
/// Blocks until access is granted, or until every attempt has failed.
#[unsafe(no_mangle)] // SAFETY: as above
pub extern "C" fn sknock_knock(
    client: Shared<'_, Client>,
    host: Text<'_>,
    services: Text<'_>,
    mut opened: Place<'_, Opened>,
) -> Outcome {
    // First: C may free what is there after an error, and may have left it uninitialized.
    opened.put(None);
    let knocked = caught(|| {
        let client = client.read("client")?.current();
        let services = parse(services.read("services")?)?;
        let door = client.knock(host.read("host")?, &services)?;
        opened.put(Some(Opened::from(&door)));
        Ok(())
    });
    knocked.map_or_else(|failed| failed, |()| Outcome::Ok)
}

/// Requests access to the TCP `port` on `host` (a name or an address), and connects to it.
///
/// A connection that fails is tried again, with new knocks in between, until one succeeds or the
/// time is over.
///
/// Returns the socket: 0 or greater, blocking, closed on exec, to be closed by you. Else a negative
/// number: one of `sknock_result`.
#[unsafe(no_mangle)] // SAFETY: as above
pub extern "C" fn sknock_connect(client: Shared<'_, Client>, host: Text<'_>, port: u16) -> c_int {
    let connected = caught(|| {
        let client = client.read("client")?.current();
        Ok(client.connect(host.read("host")?, port)?)
    });
    connected.map_or_else(|failed| failed as c_int, IntoRawFd::into_raw_fd)
}

/// Services, separated by spaces or commas.
fn parse(services: &str) -> Result<Vec<Service>, CallFailure> {
    let items = services.split([' ', ',']).filter(|item| !item.is_empty());
    let service = |item: &str| {
        Service::spelt(item).map_err(|error: Misspelt| {
            CallFailure::new(Outcome::Argument, format!("'{item}': {error}"))
        })
    };
    items.map(service).collect()
}
