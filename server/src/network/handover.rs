//! What the privileged process hands to the network process when it starts it.
//!
//! Values travel as JSON in a memory file, everything else as open descriptors: the network process
//! opens no key, no configuration and no socket of its own. The password is never in here.

use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use nix::sys::memfd::{MFdFlags, memfd_create};
use serde::{Deserialize, Serialize};

use crate::config::Settings;
use crate::knock::replay::state_in_force::LastInForce;

/// Everything that the network process is given.
#[derive(Debug, Deserialize, Serialize)]
pub struct Handover {
    /// The checked configuration, without the password.
    pub settings: Settings,
    /// The process that must be our parent; if it is another, ours has exited already.
    pub parent: i32,
    /// Which boot of the machine this is.
    pub boot: String,
    /// Which state directory was in force last.
    pub last_state: LastInForce,
    /// How new each issuer's newest revocation list was: entries of `crl/mark_record.rs`.
    pub marks: Vec<Vec<u8>>,
    /// The open descriptors, by number.
    pub descriptors: Descriptors,
}

/// Descriptor numbers, each good for one taking.
#[derive(Debug, Deserialize, Serialize)]
pub struct Descriptors {
    /// Orders from the privileged process, and what we report to it.
    pub orders: RawFd,
    /// Links to the gate, one for each thread that asks for something.
    pub links: Vec<RawFd>,
    /// Where knocks arrive: bound UDP sockets, one for each worker, or the socket of an NFLOG group.
    pub knock_sockets: Vec<RawFd>,
    /// The server's PKCS#12 file.
    pub bundle: RawFd,
    /// The password of that file.
    pub password: RawFd,
    /// Certificates of more authorities (PEM).
    pub authorities: Option<RawFd>,
    /// The last good revocation list (DER).
    pub revocation: Option<RawFd>,
    /// The authorities of the web server that publishes revocation lists (PEM).
    pub web_authorities: Option<RawFd>,
}

impl Descriptors {
    /// All numbers.
    pub fn all(&self) -> impl Iterator<Item = RawFd> {
        let optional = [self.authorities, self.revocation, self.web_authorities];
        [self.orders, self.bundle, self.password]
            .into_iter()
            .chain(self.links.iter().copied())
            .chain(self.knock_sockets.iter().copied())
            .chain(optional.into_iter().flatten())
    }
}

impl Handover {
    /// Writes the handover into a memory file.
    pub fn pack(&self) -> std::io::Result<OwnedFd> {
        let mut file = std::fs::File::from(memory_file(c"sknock handover")?);
        serde_json::to_writer(&mut file, self)?;
        Ok(file.into())
    }

    /// Reads a handover back.
    pub fn unpack(file: OwnedFd) -> std::io::Result<Self> {
        let mut file = std::fs::File::from(file);
        file.seek(SeekFrom::Start(0))?;
        let mut text = String::new();
        file.take(MAX_SIZE).read_to_string(&mut text)?;
        Ok(serde_json::from_str(&text)?)
    }
}

/// Puts a secret into a memory file that only its holder can read.
pub fn secret_file(secret: &[u8]) -> std::io::Result<OwnedFd> {
    let mut file = std::fs::File::from(memory_file(c"sknock password")?);
    file.write_all(secret)?;
    Ok(file.into())
}

fn memory_file(name: &std::ffi::CStr) -> std::io::Result<OwnedFd> {
    Ok(memfd_create(name, MFdFlags::MFD_CLOEXEC)?)
}

/// The number of a descriptor, to be put into [`Descriptors`].
pub fn number(descriptor: &impl AsRawFd) -> RawFd {
    descriptor.as_raw_fd()
}

/// Settings are a few kilobytes; a thousand port ranges still fit.
const MAX_SIZE: u64 = 1 << 20;
