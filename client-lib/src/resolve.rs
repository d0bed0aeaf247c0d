//! Resolves a host's name to addresses.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::error::KnockError;
use crate::host::{check_host, unbracketed};
use crate::options::{Address, Family};

/// Maximum number of addresses of one host; further ones are ignored. Enough for both families of a few
/// machines, and a hostile zone cannot make the client send knocks to any number of hosts.
const MAX_ADDRESSES: usize = 8;

/// The addresses of `host` with `port`: at least one, in the resolver's order, canonical, none
/// twice. Takes no longer than `timeout`, whatever the resolver does.
pub(crate) fn resolve(
    host: &str,
    port: u16,
    family: Family,
    timeout: Duration,
) -> Result<Vec<SocketAddr>, KnockError> {
    check_host(host)?;
    let failed = |source| KnockError::Resolve { host: host.to_owned(), source };
    let found = look_up(host, timeout).map_err(failed)?;
    if found.is_empty() {
        return Err(failed(io::Error::new(io::ErrorKind::NotFound, "the name has no address")));
    }
    let fitting = select(found, port, family);
    if fitting.is_empty() {
        return Err(KnockError::NoAddress { host: host.to_owned(), family });
    }
    Ok(fitting)
}

/// Removes the family for which a fixed claim cannot be true, unless no address would remain: the path may
/// contain a translator.
pub(crate) fn fit_claim(destinations: &mut Vec<SocketAddr>, address: Address) {
    if let Address::Ip(claimed) = address {
        let fits = |destination: &SocketAddr| destination.is_ipv4() == claimed.is_ipv4();
        if destinations.iter().any(fits) {
            destinations.retain(fits);
        }
    }
}

/// The system's resolver cannot be interrupted: it runs in a thread, which is abandoned if it takes too long.
fn look_up(host: &str, timeout: Duration) -> io::Result<Vec<SocketAddr>> {
    let bare = unbracketed(host);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, 0)]);
    }
    let (answer, answered) = mpsc::channel();
    let name = bare.to_owned();
    let work = move || {
        let found = (name.as_str(), 0).to_socket_addrs().map(Vec::from_iter);
        answer.send(found).ok(); // fails if the caller has timed out
    };
    with_signals_blocked(|| thread::Builder::new().name("resolver".into()).spawn(work))?;
    let late = || io::Error::new(io::ErrorKind::TimedOut, "the resolver took too long");
    answered.recv_timeout(timeout).unwrap_or_else(|_| Err(late()))
}

fn select(found: Vec<SocketAddr>, port: u16, family: Family) -> Vec<SocketAddr> {
    let mut selected: Vec<SocketAddr> = Vec::new();
    for mut address in found {
        if let Some(mapped) = v4_mapped(address.ip()) {
            address.set_ip(mapped);
        }
        address.set_port(port);
        let wanted = match family {
            Family::Any => true,
            Family::V4 => address.is_ipv4(),
            Family::V6 => address.is_ipv6(),
        };
        if wanted && !selected.contains(&address) && selected.len() < MAX_ADDRESSES {
            selected.push(address);
        }
    }
    selected
}

/// Set only where needed: setting the address would drop the scope of a link-local one.
fn v4_mapped(address: IpAddr) -> Option<IpAddr> {
    let canonical = address.to_canonical();
    (canonical != address).then_some(canonical)
}

/// Runs `start`, which starts a thread. The thread inherits a mask that blocks all signals, so it never runs
/// signal handlers of the program: these may assume that they run in its own threads. The caller's own mask
/// is restored afterwards.
#[cfg(unix)]
fn with_signals_blocked<T>(start: impl FnOnce() -> T) -> T {
    use nix::sys::signal::{SigSet, SigmaskHow};
    // Cannot fail for a valid set; on failure the mask is unchanged.
    let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK).ok();
    let started = start();
    if let Some(before) = before {
        let _ = before.thread_set_mask();
    }
    started
}

/// This system has no signals.
#[cfg(not(unix))]
fn with_signals_blocked<T>(start: impl FnOnce() -> T) -> T {
    start()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    fn addresses(list: &str) -> Vec<SocketAddr> {
        list.split(' ').map(|one| one.parse().unwrap()).collect()
    }

    #[test]
    fn literals_need_no_resolver() {
        for (host, expected) in [
            ("192.0.2.1", "192.0.2.1:7"),
            ("2001:db8::1", "[2001:db8::1]:7"),
            ("[2001:db8::1]", "[2001:db8::1]:7"),
            ("::ffff:192.0.2.1", "192.0.2.1:7"),
        ] {
            assert_eq!(
                resolve(host, 7, Family::Any, Duration::ZERO).unwrap(),
                addresses(expected),
                "{host}"
            );
        }
    }

    #[test]
    fn names_are_resolved() {
        let found = resolve("localhost", 7, Family::Any, LONG).unwrap();
        assert!(found.iter().all(|address| address.ip().is_loopback() && address.port() == 7));
    }

    #[test]
    fn the_family_is_kept_to() {
        let both = addresses("[::1]:0 127.0.0.1:0");
        assert_eq!(select(both.clone(), 7, Family::Any), addresses("[::1]:7 127.0.0.1:7"));
        assert_eq!(select(both.clone(), 7, Family::V4), addresses("127.0.0.1:7"));
        assert_eq!(select(both, 7, Family::V6), addresses("[::1]:7"));
        let error = resolve("192.0.2.1", 7, Family::V6, LONG).unwrap_err();
        assert!(matches!(error, KnockError::NoAddress { .. }), "{error}");
        assert!(error.to_string().contains("IPv6"), "{error}");
    }

    #[test]
    fn addresses_are_unique_and_few() {
        let many = (0..=255).flat_map(|last| [SocketAddr::from(([192, 0, 2, last], 0)); 2]);
        let selected = select(many.collect(), 7, Family::Any);
        assert_eq!(selected.len(), MAX_ADDRESSES);
        assert_eq!(selected[1], SocketAddr::from(([192, 0, 2, 1], 7)));
    }

    #[test]
    fn an_unknown_name_says_so() {
        let error = resolve("no.such.host.invalid", 7, Family::Any, LONG).unwrap_err();
        assert!(matches!(error, KnockError::Resolve { .. }), "{error}");
        let error = resolve("alice@localhost", 7, Family::Any, LONG).unwrap_err();
        assert!(matches!(error, KnockError::Host(_)), "{error}");
    }

    #[test]
    fn a_fixed_address_keeps_to_its_family_where_it_can() {
        let claim = Address::Ip([192, 0, 2, 9].into());
        let mut both = addresses("[::1]:7 127.0.0.1:7");
        fit_claim(&mut both, claim);
        assert_eq!(both, addresses("127.0.0.1:7"));
        let mut translated = addresses("[64:ff9b::1]:7");
        fit_claim(&mut translated, claim);
        assert_eq!(translated, addresses("[64:ff9b::1]:7"));
        let mut any = addresses("[::1]:7 127.0.0.1:7");
        fit_claim(&mut any, Address::Auto);
        assert_eq!(any.len(), 2);
    }
}
