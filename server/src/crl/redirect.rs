//! Permitted targets of a fetch. The configured address may be anywhere, also in a private network. A
//! redirect may lead from there to public addresses, or to the first server itself.
//!
//! The check applies to the address that is connected to: names are resolved here, once for each connection,
//! and forbidden addresses are removed from the result.

use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::reach::{is_own, is_public};

/// Reasons why a redirect is not followed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RedirectRefused {
    /// Its target is not a valid URL.
    #[error("redirected to an address that is neither http nor https")]
    NoAddress,
    /// From https to http.
    #[error("redirected from https to http")]
    Downgrade,
    /// To a port that the configuration does not name.
    #[error("redirected to port {0}, which no crlUrl has. Set crlUrl to the new address")]
    Port(u16),
    /// To this host, or to one in a private network.
    #[error(
        "redirected to {0}, which is this host or not a public address. To allow that, set \
         crlUrl to it"
    )]
    NotPublic(String),
    /// More redirects than are allowed.
    #[error("redirected more than {0} times")]
    Often(usize),
}

/// One fetch with its redirects.
#[derive(Clone, Debug)]
pub(super) struct Route {
    /// The TCP ports of all configured addresses.
    ports: Arc<[u16]>,
    /// The address of the first server, once it has answered.
    home: Arc<OnceLock<IpAddr>>,
}

impl Route {
    /// A route before the first request.
    pub(super) fn new(ports: &Arc<[u16]>) -> Self {
        Self { ports: Arc::clone(ports), home: Arc::default() }
    }

    /// Records the address of the first answer.
    pub(super) fn has_answered(&self, address: Option<SocketAddr>) {
        // An answer without a known address: redirects may only lead to public addresses.
        let unspecified = IpAddr::from([0, 0, 0, 0]);
        self.home
            .get_or_init(|| address.map_or(unspecified, |address| address.ip().to_canonical()));
    }

    /// The target of `location` in an answer from `from`. The address of a name is checked when it is
    /// resolved.
    pub(super) fn next(&self, from: &Url, location: &str) -> Result<Url, RedirectRefused> {
        let to = from.join(location).map_err(|_| RedirectRefused::NoAddress)?;
        match (from.scheme(), to.scheme()) {
            ("https", "http") => return Err(RedirectRefused::Downgrade),
            (_, "http" | "https") => {}
            _ => return Err(RedirectRefused::NoAddress),
        }
        let port = to.port_or_known_default().ok_or(RedirectRefused::NoAddress)?;
        if !self.ports.contains(&port) {
            return Err(RedirectRefused::Port(port));
        }
        let host = to.host_str().ok_or(RedirectRefused::NoAddress)?;
        match host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(address) if !self.allows(address) => {
                Err(RedirectRefused::NotPublic(address.to_string()))
            }
            _ => Ok(to),
        }
    }

    fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        (is_public(address) && !is_own(address)) || self.home.get() == Some(&address)
    }

    /// The permitted addresses in `found`, for `name`.
    fn choose(&self, name: &str, found: &[SocketAddr]) -> Result<Vec<SocketAddr>, RedirectRefused> {
        let some = |allowed: &dyn Fn(IpAddr) -> bool| -> Vec<SocketAddr> {
            found.iter().copied().filter(|address| allowed(address.ip())).collect()
        };
        if self.home.get().is_none() {
            // As configured. If a name has public addresses, its private ones are dropped.
            let public = some(&is_public);
            return Ok(if public.is_empty() { found.to_vec() } else { public });
        }
        let allowed = some(&|address| self.allows(address));
        match found.first() {
            Some(first) if allowed.is_empty() => {
                Err(RedirectRefused::NotPublic(format!("{name} ({})", first.ip())))
            }
            _ => Ok(allowed),
        }
    }
}

impl Resolve for Route {
    fn resolve(&self, name: Name) -> Resolving {
        let route = self.clone();
        Box::pin(async move {
            let name = name.as_str();
            // The connector sets the port.
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name, 0)).await?.collect();
            let chosen =
                route.choose(name, &found).map_err(Box::<dyn Error + Send + Sync>::from)?;
            Ok::<Addrs, _>(Box::new(chosen.into_iter()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A route after an answer from `home`, for these ports.
    fn route(home: &str, ports: &[u16]) -> Route {
        let route = Route::new(&Arc::from(ports));
        route.has_answered(Some(SocketAddr::new(home.parse().unwrap(), 80)));
        route
    }

    #[track_caller]
    fn leads(route: &Route, from: &str, location: &str) -> Result<String, RedirectRefused> {
        route.next(&from.parse().unwrap(), location).map(Into::into)
    }

    #[test]
    fn a_redirect_leads_to_public_addresses_or_to_who_was_asked_first() {
        let route = route("::ffff:10.0.0.5", &[80, 443]);
        for location in ["/other", "http://10.0.0.5/other", "http://[::ffff:a00:5]/", "//8.8.8.8/"]
        {
            assert!(leads(&route, "http://10.0.0.5/a", location).is_ok(), "{location}");
        }
        for (location, host) in [
            ("http://10.0.0.6/", "10.0.0.6"),
            ("http://127.1/", "127.0.0.1"),
            ("http://2130706433/", "127.0.0.1"),
            ("http://0x7f.0.0.1/", "127.0.0.1"),
            ("http://0/", "0.0.0.0"),
            ("http://[::]/", "::"),
            ("http://[::ffff:7f00:1]/", "::ffff:127.0.0.1"),
            ("//169.254.169.254/latest", "169.254.169.254"),
        ] {
            let refused = Err(RedirectRefused::NotPublic(host.to_owned()));
            assert_eq!(leads(&route, "http://10.0.0.5/a", location), refused, "{location}");
        }
    }

    #[test]
    fn a_redirect_keeps_to_the_ports_and_to_the_protection_of_what_is_configured() {
        let route = route("8.8.8.8", &[443, 8000]);
        let leads = |from, location| leads(&route, from, location);
        assert!(leads("http://a.example:8000/", "https://b.example/").is_ok());
        assert_eq!(
            leads("https://a.example/", "http://a.example:8000/"),
            Err(RedirectRefused::Downgrade)
        );
        assert_eq!(
            leads("http://a.example:8000/", "http://a.example/"),
            Err(RedirectRefused::Port(80))
        );
        assert_eq!(
            leads("http://a.example:8000/", "//a.example:53/"),
            Err(RedirectRefused::Port(53))
        );
        for location in ["file:///etc/passwd", "http://", "mailto:a@b.example"] {
            assert_eq!(
                leads("https://a.example/", location),
                Err(RedirectRefused::NoAddress),
                "{location}"
            );
        }
    }

    #[test]
    fn of_what_a_name_means_only_what_may_be_connected_to_is_left() {
        let at = |ip: &str| SocketAddr::new(ip.parse().unwrap(), 0);
        let (public, local, private) = (at("8.8.8.8"), at("127.0.0.1"), at("10.0.0.5"));
        let first = Route::new(&Arc::from([80]));
        assert_eq!(first.choose("a", &[private, local]), Ok(vec![private, local]), "as configured");
        assert_eq!(first.choose("a", &[local, public]), Ok(vec![public]));
        let later = route("10.0.0.5", &[80]);
        assert_eq!(later.choose("a", &[local, private, public]), Ok(vec![private, public]));
        let refused = later.choose("evil.example", &[local]).unwrap_err();
        assert!(refused.to_string().contains("evil.example (127.0.0.1)"), "{refused}");
        assert_eq!(later.choose("a", &[]), Ok(vec![]), "nobody knows it");
    }
}
