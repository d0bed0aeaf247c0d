//! Values on the command line. Who writes one as other programs have it is told how it is written here.

use std::num::NonZeroU16;

use sknock::{Service, check_host};

/// A host's name or address, and nothing else.
pub(crate) fn host(text: &str) -> Result<String, String> {
    check_host(text).map(|()| text.to_owned()).map_err(|error| error.to_string())
}

/// A TCP or UDP port.
pub(crate) fn port(text: &str) -> Result<u16, String> {
    let number = text.parse::<NonZeroU16>().map(NonZeroU16::get);
    number.map_err(|_| match text.to_ascii_lowercase().parse::<Service>() {
        Ok(service) if service.width() == 1 => {
            format!("this is only a port: write {}", service.first())
        }
        _ if text.eq_ignore_ascii_case("ssh") => "write the port as a number: SSH is 22".into(),
        _ => "write a port number from 1 to 65535".into(),
    })
}

/// For how long to try.
pub(crate) fn timeout(text: &str) -> Result<u32, String> {
    let seconds = text.parse().ok().filter(|seconds| *seconds > 0);
    seconds.ok_or_else(|| "write whole seconds, at least 1, without a unit".into())
}

/// For how long to open.
pub(crate) fn lifetime(text: &str) -> Result<NonZeroU16, String> {
    text.parse().map_err(|_| "write whole seconds from 1 to 65535, without a unit".into())
}

/// How often.
pub(crate) fn attempts(text: &str) -> Result<u8, String> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| "write a number from 1 to 255".into())
}
