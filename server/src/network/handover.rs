//! The handover from the privileged process to a new network process.
//!
//! Values are JSON in a memory file, all else open descriptors: the network process opens no key,
//! configuration or knock socket itself. The values never contain the password.

use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use nix::sys::memfd::{MFdFlags, memfd_create};
use serde::{Deserialize, Serialize};

use crate::config::Settings;
use crate::knock::replay::state_dir::LastInForce;

/// The content of the handover.
#[derive(Debug, Deserialize, Serialize)]
pub struct Handover {
    /// The checked configuration, without the password.
    pub settings: Settings,
    /// The pid of the privileged process; if our parent is another, it has exited.
    pub parent: i32,
    /// The boot id of the machine.
    pub boot: String,
    /// The state directory that was last in force.
    pub last_state: LastInForce,
    /// The CRL high-water mark of each issuer: entries of `crl/mark_record.rs`.
    pub marks: Vec<Vec<u8>>,
    /// The open descriptors, by number.
    pub descriptors: Descriptors,
}

/// Descriptor numbers, each taken once.
#[derive(Debug, Deserialize, Serialize)]
pub struct Descriptors {
    /// Orders from the privileged process, and our reports to it.
    pub orders: RawFd,
    /// Links to the gate, one for each thread that sends requests.
    pub links: Vec<RawFd>,
    /// Sources of knocks: bound UDP sockets, one for each worker, or the socket of an NFLOG group.
    pub knock_sockets: Vec<RawFd>,
    /// The server's PKCS#12 file.
    pub bundle: RawFd,
    /// The password of that file.
    pub password: RawFd,
    /// Certificates of further authorities (PEM).
    pub authorities: Option<RawFd>,
    /// The saved CRLs (DER).
    pub revocation: Option<RawFd>,
    /// The trusted roots for the web server of the CRLs (PEM).
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
    /// Writes the handover to a memory file.
    pub fn pack(&self) -> std::io::Result<OwnedFd> {
        let mut file = std::fs::File::from(memory_file(c"sknock handover")?);
        serde_json::to_writer(&mut file, self)?;
        Ok(file.into())
    }

    /// Reads a handover.
    pub fn unpack(file: OwnedFd) -> std::io::Result<Self> {
        let mut file = std::fs::File::from(file);
        // The offset is shared with the process that wrote it: both have the same open file description.
        file.seek(SeekFrom::Start(0))?;
        let mut text = String::new();
        file.take(MAX_SIZE).read_to_string(&mut text)?;
        Ok(serde_json::from_str(&text)?)
    }
}

/// Writes a secret to a memory file that only holders of the descriptor can read.
pub fn secret_file(secret: &[u8]) -> std::io::Result<OwnedFd> {
    let mut file = std::fs::File::from(memory_file(c"sknock password")?);
    file.write_all(secret)?;
    Ok(file.into())
}

fn memory_file(name: &std::ffi::CStr) -> std::io::Result<OwnedFd> {
    Ok(memfd_create(name, MFdFlags::MFD_CLOEXEC)?)
}

/// The number of a descriptor, for [`Descriptors`].
pub fn number(descriptor: &impl AsRawFd) -> RawFd {
    descriptor.as_raw_fd()
}

/// Settings take a few kilobytes, even with a thousand port ranges.
const MAX_SIZE: u64 = 1 << 20;
