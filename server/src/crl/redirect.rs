//! Where a fetch may go. The configured address may be anywhere, also in a private network. A redirect
//! leads from there to public addresses, or to the machine that was asked first, never elsewhere.
//!
//! What is judged is the address that is connected to: names are looked up here, once for each
//! connection, and what may not be connected to is left out of the answer.

use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::reach::{is_own, is_public};

/// Why a redirect is not followed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RedirectRefused {
    /// It names no place.
    #[error("redirected to an address that is neither http nor https")]
    NoAddress,
    /// What was protected on its way would not be any more.
    #[error("redirected from https to http")]
    Downgrade,
    /// A port that the configuration does not name.
    #[error("redirected to port {0}, which no crlUrl has. Set crlUrl to the new address")]
    Port(u16),
    /// This host, or one in a private network.
    #[error(
        "redirected to {0}, which is this host or not a public address. To allow that, set \
         crlUrl to it"
    )]
    NotPublic(String),
    /// More than a list is worth.
    #[error("redirected more than {0} times")]
    Often(usize),
}

/// One fetch on its way.
#[derive(Clone, Debug)]
pub(super) struct Route {
    /// Those of all configured addresses.
    ports: Arc<[u16]>,
    /// The machine that was asked first, once it has answered.
    home: Arc<OnceLock<IpAddr>>,
}

impl Route {
    /// Nobody has been asked yet.
    pub(super) fn new(ports: &Arc<[u16]>) -> Self {
        Self { ports: Arc::clone(ports), home: Arc::default() }
    }

    /// Somebody at `address` has answered.
    pub(super) fn has_answered(&self, address: Option<SocketAddr>) {
        // An answer without an address: nowhere else may it lead but to public ones.
        let nobody = IpAddr::from([0, 0, 0, 0]);
        self.home.get_or_init(|| address.map_or(nobody, |address| address.ip().to_canonical()));
    }

    /// Where `location` leads, said by whoever answered at `from`. A name in it is judged when it is
    /// looked up.
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

    /// Those of `found` that may be connected to, for `name`.
    fn choose(&self, name: &str, found: &[SocketAddr]) -> Result<Vec<SocketAddr>, RedirectRefused> {
        let some = |allowed: &dyn Fn(IpAddr) -> bool| -> Vec<SocketAddr> {
            found.iter().copied().filter(|address| allowed(address.ip())).collect()
        };
        if self.home.get().is_none() {
            // As configured. A name that is public has no business in a private network.
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
            // The port is put in by whoever connects.
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

    /// Where an answer from `home` may lead, for addresses at these ports.
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
