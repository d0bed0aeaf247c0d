//! A connection as conntrack wants to be told of it (`nfnetlink_conntrack.h`).

use std::net::{IpAddr, SocketAddr};

use super::HostConnection;
use crate::nft::message::attribute;

/// `NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW`.
const NEW: u16 = 1 << 8;
/// `NLM_F_REQUEST | NLM_F_ACK | NLM_F_EXCL | NLM_F_CREATE`.
const FLAGS: u16 = 0x1 | 0x4 | 0x200 | 0x400;
/// `IPS_SEEN_REPLY | IPS_ASSURED | IPS_CONFIRMED`: both sides have spoken.
const STATUS: u32 = 2 | 4 | 8;
/// Five days, as the kernel keeps an idle connection (`nf_conntrack_tcp_timeout_established`).
const SECONDS: u32 = 5 * 24 * 3600;
/// `TCP_CONNTRACK_ESTABLISHED`.
const ESTABLISHED: u8 = 3;
/// `IP_CT_TCP_FLAG_BE_LIBERAL`, as value and mask: nobody saw the windows being agreed on.
const LIBERAL: [u8; 2] = [8, 8];

const NESTED: u16 = 1 << 15;
const TUPLE_ORIG: u16 = 1 | NESTED;
const TUPLE_REPLY: u16 = 2 | NESTED;
const STATUS_BITS: u16 = 3;
const PROTOINFO: u16 = 4 | NESTED;
const TIMEOUT: u16 = 7;

/// The request that enters `connection`; `EEXIST` if it is known already.
pub(super) fn request(connection: &HostConnection) -> Vec<u8> {
    let HostConnection { remote, local } = *connection;
    let family = if local.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    let mut body = vec![u8::try_from(family).unwrap_or_default(), 0, 0, 0];
    body.extend(attribute(TUPLE_ORIG, &tuple(remote, local)));
    body.extend(attribute(TUPLE_REPLY, &tuple(local, remote)));
    body.extend(attribute(STATUS_BITS, &STATUS.to_be_bytes()));
    body.extend(attribute(TIMEOUT, &SECONDS.to_be_bytes()));
    let liberal = [attribute(4, &LIBERAL), attribute(5, &LIBERAL)].concat();
    let tcp = [attribute(1, &[ESTABLISHED]), liberal].concat();
    body.extend(attribute(PROTOINFO, &attribute(1 | NESTED, &tcp)));

    let mut message = Vec::with_capacity(HEADER + body.len());
    message.extend(u32::try_from(HEADER + body.len()).unwrap_or_default().to_ne_bytes());
    message.extend(NEW.to_ne_bytes());
    message.extend(FLAGS.to_ne_bytes());
    message.extend([0; 8]);
    message.extend(body);
    message
}

/// `struct nlmsghdr`.
const HEADER: usize = 16;

fn tuple(source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    let addresses = match (source.ip(), destination.ip()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            [attribute(1, &source.octets()), attribute(2, &destination.octets())].concat()
        }
        (source, destination) => {
            [attribute(3, &v6(source)), attribute(4, &v6(destination))].concat()
        }
    };
    let ports = [
        attribute(1, &[6]),
        attribute(2, &source.port().to_be_bytes()),
        attribute(3, &destination.port().to_be_bytes()),
    ];
    [attribute(1 | NESTED, &addresses), attribute(2 | NESTED, &ports.concat())].concat()
}

fn v6(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}
