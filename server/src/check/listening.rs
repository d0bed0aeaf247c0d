//! Which UDP ports programs of this host listen at: a knock port is better for knocks alone.

use std::collections::BTreeSet;
use std::fs;

/// The UDP ports that programs of this network namespace listen at, for other hosts. Where `/proc`
/// cannot be read: none.
pub(crate) fn at() -> BTreeSet<u16> {
    let files = ["/proc/thread-self/net/udp", "/proc/thread-self/net/udp6"];
    let tables = files.map(|file| fs::read_to_string(file).unwrap_or_default());
    tables.iter().flat_map(|table| listed(table)).collect()
}

/// Of the kernel's list: sockets that have no peer, and are not for loopback only.
fn listed(table: &str) -> impl Iterator<Item = u16> + '_ {
    table.lines().skip(1).filter_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let (local, remote) = (words.next()?, words.next()?);
        let (address, port) = local.split_once(':')?;
        let (_, remote_port) = remote.split_once(':')?;
        // Addresses are words of four bytes, the lowest first on most machines.
        let loopback = address.len() == 8 && (address.ends_with("7F") || address.starts_with("7F"))
            || address == "00000000000000000000000001000000"
            || address == "00000000000000000000000000000001";
        let port = u16::from_str_radix(port, 16).ok()?;
        (remote_port == "0000" && !loopback).then_some(port)
    })
}

#[cfg(test)]
mod tests {
    use super::listed;

    #[test]
    fn sockets_for_everybody_are_listed_and_no_others() {
        let table = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
 1: 00000000:CA6C 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1 2 0 0
 2: 0100007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1 2 0 0
 3: 0201A8C0:9C40 0101A8C0:0035 01 00000000:00000000 00:00000000 00000000     0        0 1 2 0 0
 4: 00000000000000000000000000000000:0202 00000000000000000000000000000000:0000 07 0:0
 5: 00000000000000000000000001000000:0203 00000000000000000000000000000000:0000 07 0:0
 6: odd";
        assert_eq!(listed(table).collect::<Vec<_>>(), [51820, 514]);
        assert_eq!(listed("").count(), 0);
    }
}
