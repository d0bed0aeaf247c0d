//! The options of a client for C.

#![expect(unsafe_code, reason = "C finds functions by their names")]

use std::ffi::{c_int, c_uint};
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::time::Duration;

use sknock::{Address, ClientBuilder, Family, Protocol};

use crate::argument::{Shared, Text};
use crate::client::Client;
use crate::failure::{CallFailure, Outcome, caught};

/// Sets an option; running calls keep their options.
fn set(
    client: Shared<'_, Client>,
    change: impl FnOnce(ClientBuilder) -> Result<ClientBuilder, CallFailure>,
) -> Outcome {
    let set = caught(|| client.read("client")?.set(change));
    set.map_or_else(|failed| failed, |()| Outcome::Ok)
}

fn wrong(text: &str) -> CallFailure {
    CallFailure::new(Outcome::Argument, text)
}

/// The protocol version: 2, or 1 for servers of the original sKnock 1.0, which never answer. Protocol 1
/// requests one single port at a time, and keys must be on P-256. Default: 2.
#[unsafe(no_mangle)] // SAFETY: only this library calls its symbols sknock_
pub extern "C" fn sknock_client_set_protocol(
    client: Shared<'_, Client>,
    version: c_int,
) -> Outcome {
    set(client, |builder| match version {
        1 => Ok(builder.protocol_version(Protocol::V1)),
        2 => Ok(builder.protocol_version(Protocol::V2)),
        _ => Err(wrong("protocol must be 1 or 2")),
    })
}

/// The server's knock port, 1 to 65535. Default: 62344; with protocol 1 a random one from 10000 to 60000 for
/// each call.
#[unsafe(no_mangle)] // SAFETY: as above
pub extern "C" fn sknock_client_set_knock_port(client: Shared<'_, Client>, port: u16) -> Outcome {
    set(client, |builder| match port {
        0 => Err(wrong("port 0 cannot be used. Use a port from 1 to 65535")),
        port => Ok(builder.knock_port(port)),
    })
}

/// Maximum number of knocks to every address of a host, 1 to 255. Default: 3. With a clock that differs by less than
/// an hour from the server's, the server can log why it refuses the last one.
#[unsafe(no_mangle)] // SAFETY: as above
pub extern "C" fn sknock_client_set_attempts(
    client: Shared<'_, Client>,
    attempts: c_uint,
) -> Outcome {
    set(client, |builder| match u8::try_from(attempts) {
        Err(_) | Ok(0) => Err(wrong("attempts must be 1 to 255")),
        Ok(attempts) => Ok(builder.attempts(attempts)),
    })
}

/// How long the first attempt waits for the server's answer, and then for a connection, in milliseconds; each
/// following attempt waits twice as long as the one before. Default: 1000.
#[unsafe(no_mangle)] // SAFETY: as above
pub extern "C" fn sknock_client_set_attempt_timeout(
    client: Shared<'_, Client>,
    milliseconds: c_uint,
) -> Outcome {
    let wait = Duration::from_millis(milliseconds.into());
    set(client, |builder| Ok(builder.attempt_timeout(wait)))
}

/// Time limit of a whole call, in milliseconds. Default: 10000.
#[unsafe(no_mangle)] // SAFETY: as above
pub extern "C" fn sknock_client_set_timeout(
    client: Shared<'_, Client>,
    milliseconds: c_uint,
) -> Outcome {
    let whole = Duration::from_millis(milliseconds.into());
    set(client, |builder| Ok(builder.timeout(whole)))
}

/// Whether to verify that access was granted, by the server's answer or by a connection. Without
/// verification, `sknock_knock()` returns as soon as one knock is sent to each address. 0 disables it, every
/// other value enables it. Default: enabled.
#[unsafe(no_mangle)] // SAFETY: as above
pub extern "C" fn sknock_client_set_verify(client: Shared<'_, Client>, verify: c_int) -> Outcome {
    set(client, |builder| Ok(builder.verify(verify != 0)))
}

/// Which addresses of a host to use: 4 for IPv4 only, 6 for IPv6 only, 0 for all. Default: 0.
#[unsafe(no_mangle)] // SAFETY: as above
pub extern "C" fn sknock_client_set_family(client: Shared<'_, Client>, family: c_int) -> Outcome {
    set(client, |builder| match family {
        0 => Ok(builder.family(Family::Any)),
        4 => Ok(builder.family(Family::V4)),
        6 => Ok(builder.family(Family::V6)),
        _ => Err(wrong("family must be 0, 4 or 6")),
    })
}

/// The client address for the grant: an IPv4 or IPv6 address, "source" for the address from which the server
/// receives the knock, or "auto" for the local address if the server certainly sees it, else "source".
/// "source" works behind any NAT; an attacker on the path could use such a knock for their own address first.
/// Default: "auto".
#[unsafe(no_mangle)] // SAFETY: as above
pub extern "C" fn sknock_client_set_address(
    client: Shared<'_, Client>,
    address: Text<'_>,
) -> Outcome {
    set(client, |builder| {
        let address = match address.read("address")? {
            "auto" => Address::Auto,
            "source" => Address::Source,
            text => Address::Ip(ip(text, "address must be 'auto', 'source' or an IP address")?),
        };
        Ok(builder.address(address))
    })
}

/// The address that servers beyond the NAT see, for "auto"; one of each family. Default: unknown until a
/// server's answer contains it.
#[unsafe(no_mangle)] // SAFETY: as above
pub extern "C" fn sknock_client_set_public_address(
    client: Shared<'_, Client>,
    address: Text<'_>,
) -> Outcome {
    set(client, |builder| {
        let text = address.read("address")?;
        Ok(builder.public_address(ip(text, "address must be an IP address")?))
    })
}

/// Requested duration of the grant in seconds; the server may shorten it. 0 means the server's default.
/// Default: 0.
#[unsafe(no_mangle)] // SAFETY: as above
pub extern "C" fn sknock_client_set_lifetime(client: Shared<'_, Client>, seconds: u16) -> Outcome {
    set(client, |builder| Ok(builder.lifetime(NonZeroU16::new(seconds))))
}

/// Whether the grant ends with its first connection; single TCP ports only. Such a grant is not verified by a
/// connection. 0 disables it, every other value enables it. Default: disabled.
#[unsafe(no_mangle)] // SAFETY: as above
pub extern "C" fn sknock_client_set_single_use(
    client: Shared<'_, Client>,
    single_use: c_int,
) -> Outcome {
    set(client, |builder| Ok(builder.single_use(single_use != 0)))
}

fn ip(text: &str, otherwise: &str) -> Result<IpAddr, CallFailure> {
    text.parse().map_err(|_| wrong(otherwise))
}
