//! The permitted socket types, options and flags of the network process.
//!
//! Landlock checks the TCP port of `bind` and `connect`, and only for sockets of plain TCP. So other
//! protocols are forbidden, and so are calls that connect in another way.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{SeccompCmpOp, SeccompRule};

use super::{FilterError, argument, condition, unsigned};

/// The system calls that make sockets, set options and send.
pub(super) fn rules() -> Result<BTreeMap<c_long, Vec<SeccompRule>>, FilterError> {
    Ok(BTreeMap::from([
        (libc::SYS_socket, sockets()?),
        (libc::SYS_socketpair, pairs()?),
        (libc::SYS_setsockopt, options()?),
        (libc::SYS_sendto, vec![flags(3)?]),
        (libc::SYS_sendmsg, vec![flags(2)?]),
        (libc::SYS_sendmmsg, vec![flags(3)?]),
    ]))
}

/// TCP and UDP to DNS and web servers, and streams and datagrams to the local name service. No raw, packet
/// or netlink socket, no multipath TCP, SCTP, SMC or UDP-Lite.
fn sockets() -> Result<Vec<SeccompRule>, FilterError> {
    let (stream, datagram) = (unsigned(libc::SOCK_STREAM), unsigned(libc::SOCK_DGRAM));
    let (tcp, udp) = (unsigned(libc::IPPROTO_TCP), unsigned(libc::IPPROTO_UDP));
    let mut rules = Vec::new();
    for family in [libc::AF_INET, libc::AF_INET6].map(unsigned) {
        for (kind, protocol) in [(stream, 0), (stream, tcp), (datagram, 0), (datagram, udp)] {
            rules.push(socket(family, kind, protocol)?);
        }
    }
    for kind in [stream, datagram] {
        rules.push(socket(unsigned(libc::AF_UNIX), kind, 0)?);
    }
    Ok(rules)
}

/// Socket pairs, by which threads wake each other.
fn pairs() -> Result<Vec<SeccompRule>, FilterError> {
    Ok(vec![socket(unsigned(libc::AF_UNIX), unsigned(libc::SOCK_STREAM), 0)?])
}

fn socket(family: u64, kind: u64, protocol: u64) -> Result<SeccompRule, FilterError> {
    Ok(SeccompRule::new(vec![
        condition(0, SeccompCmpOp::Eq, family)?,
        // The upper bits are SOCK_CLOEXEC and SOCK_NONBLOCK.
        condition(1, SeccompCmpOp::MaskedEq(0xf), kind)?,
        condition(2, SeccompCmpOp::Eq, protocol)?,
    ])?)
}

/// Permitted flags of sending calls; they are argument `index`. `MSG_FASTOPEN` is excluded because with it a
/// send connects.
fn flags(index: u8) -> Result<SeccompRule, FilterError> {
    let known = unsigned(libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT);
    argument(index, SeccompCmpOp::MaskedEq(!known & u64::from(u32::MAX)), 0)
}

/// Options that answers, web clients and resolvers set. No socket filters: the next process reads the same
/// knock sockets. Not `TCP_FASTOPEN_CONNECT`, with which a later send connects.
fn options() -> Result<Vec<SeccompRule>, FilterError> {
    let known = [
        (libc::SOL_SOCKET, libc::SO_REUSEADDR),
        (libc::SOL_SOCKET, libc::SO_KEEPALIVE),
        (libc::IPPROTO_TCP, libc::TCP_NODELAY),
        (libc::IPPROTO_TCP, libc::TCP_KEEPIDLE),
        (libc::IPPROTO_TCP, libc::TCP_KEEPINTVL),
        (libc::IPPROTO_TCP, libc::TCP_KEEPCNT),
        (libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT),
        (libc::IPPROTO_IP, libc::IP_RECVERR),
        (libc::IPPROTO_IPV6, libc::IPV6_RECVERR),
    ];
    let both = |(level, option)| {
        Ok(SeccompRule::new(vec![
            condition(1, SeccompCmpOp::Eq, unsigned(level))?,
            condition(2, SeccompCmpOp::Eq, unsigned(option))?,
        ])?)
    };
    known.into_iter().map(both).collect()
}
