//! Which boot of the machine and which network namespace something was written for. What a file or a
//! saved ruleset says of another boot, or of a namespace that is gone, counts for nothing.

use std::fmt;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::statfs::{TMPFS_MAGIC, statfs};

use sknock_netfilter::socket_option::namespace_cookie;

/// A boot, and a network namespace in it.
///
/// What lies on a tmpfs cannot be of another boot, so there the boot's id is not asked: a container may have
/// one of its own in its `/proc`, and a unit with a `/proc` of its own another.
///
/// The number of a namespace is used again once it is gone; its cookie is not, in one boot. Linux before
/// 5.14 has no cookies: there a new namespace with an old number is taken for the old one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Origin {
    /// Zeros: on a tmpfs.
    boot: [u8; 16],
    number: u64,
    /// 0: the kernel has none.
    cookie: u64,
}

impl Origin {
    /// This number of bytes.
    pub(crate) const LEN: usize = 32;

    /// This boot and the calling thread's network namespace, for files in `folder`. An error if `/proc` does
    /// not tell them.
    pub fn here(folder: &Path) -> io::Result<Self> {
        let boot = if statfs(folder)?.filesystem_type() == TMPFS_MAGIC {
            [0; 16]
        } else {
            let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
            read_uuid(&boot).ok_or_else(|| io::Error::other("the boot id is no UUID"))?
        };
        let number = fs::metadata(Path::new("/proc/thread-self/ns/net"))?.ino();
        // Any socket will do: it is in the namespace of the thread that makes it.
        let cookie = match namespace_cookie(UnixDatagram::unbound()?.as_fd()) {
            Err(Errno::ENOPROTOOPT) => 0,
            other => other?,
        };
        Ok(Self { boot, number, cookie })
    }

    pub(crate) fn encode(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        let (boot, rest) = bytes.split_at_mut(self.boot.len());
        boot.copy_from_slice(&self.boot);
        let (number, cookie) = rest.split_at_mut(size_of::<u64>());
        number.copy_from_slice(&self.number.to_be_bytes());
        cookie.copy_from_slice(&self.cookie.to_be_bytes());
        bytes
    }
}

/// 32 hexadecimal digits and 4 hyphens.
fn read_uuid(text: &str) -> Option<[u8; 16]> {
    let digits: String = text.trim_end().chars().filter(|c| *c != '-').collect();
    let all_hex = digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    let number = all_hex.then(|| u128::from_str_radix(&digits, 16).ok())??;
    Some(number.to_be_bytes())
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { boot, number, cookie } = self;
        write!(f, "{:032x}-{number}-{cookie}", u128::from_be_bytes(*boot))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_id_is_read() {
        let read = read_uuid("00112233-4455-6677-8899-aabbccddeeff\n").unwrap();
        assert_eq!((read[0], read[1], read[15]), (0, 0x11, 0xff));
        for wrong in [
            "",
            "00112233",
            "00112233-4455-6677-8899-aabbccddeefg",
            "+0112233445566778899aabbccddeeff",
        ] {
            assert_eq!(read_uuid(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn here_is_the_same_twice() {
        let here = Origin::here(Path::new("/")).unwrap();
        assert_eq!(Origin::here(Path::new("/")).unwrap(), here);
        assert_eq!(here.encode().len(), Origin::LEN);
        // Here the boot counts.
        assert_ne!(here_on_proc().boot, [0; 16]);
    }

    fn here_on_proc() -> Origin {
        Origin::here(Path::new("/proc")).unwrap()
    }
}
