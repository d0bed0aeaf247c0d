//! Gets a revocation list from a web server that may be broken or hostile: bounded in size, time
//! and redirects. What comes is bytes; nobody has believed them yet.

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{
    ETAG, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, LOCATION,
};
use reqwest::{Certificate, Client, Response, StatusCode, Url, redirect};
use tracing::warn;

use super::redirect::{RedirectRefused, Route};
use crate::config::keys::pem;

/// The largest list that is read, in bytes: a million entries with reasons take up to 53 MB.
pub const MAX_LIST: u64 = 64 << 20;

/// http to https, and perhaps a mirror.
const REDIRECTS: usize = 4;

/// With a `Location`, these lead elsewhere.
const REDIRECTING: [StatusCode; 5] = [
    StatusCode::MOVED_PERMANENTLY,
    StatusCode::FOUND,
    StatusCode::SEE_OTHER,
    StatusCode::TEMPORARY_REDIRECT,
    StatusCode::PERMANENT_REDIRECT,
];

/// The wait after a first failure; twice as long after each one more.
const RETRY_DELAY: Duration = Duration::from_secs(5);

/// How long a web server may take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timeouts {
    /// To connect; a server that is there answers in well under that.
    pub connect: Duration,
    /// Between two pieces of an answer; slower is as good as gone.
    pub read: Duration,
    /// From the first byte to the last.
    pub total: Duration,
}

impl Default for Timeouts {
    /// 10 s, 10 s, and 130 s: 64 MiB at 0.5 MB/s.
    fn default() -> Self {
        let (connect, piece) = (Duration::from_secs(10), Duration::from_secs(10));
        Self { connect, read: piece, total: Duration::from_secs(130) }
    }
}

/// Why nothing was fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The client cannot be made.
    #[error(
        "crlTlsCaFile: not usable for https: {0}. Write the CA certificate of the web server \
             into it, as PEM"
    )]
    Client(String),
    /// No connection, no answer, or a broken one.
    #[error("{0}")]
    Unreachable(String),
    /// Where it leads we do not go.
    #[error(transparent)]
    Astray(#[from] RedirectRefused),
    /// The web server says no.
    #[error("the web server answered {0}")]
    Status(StatusCode),
    /// Nothing came.
    #[error("the web server sent nothing")]
    Empty,
    /// Too much came.
    #[error("larger than {MAX_LIST} bytes")]
    TooLarge,
}

/// What came.
#[derive(Debug)]
pub(crate) enum Fetched {
    /// The same as last time.
    Unchanged,
    /// This.
    List(Vec<u8>),
}

/// One URL, and what is known of its last good answer.
#[derive(Clone, Debug)]
pub(crate) struct Fetcher {
    clients: Arc<Clients>,
    url: String,
    offered: Version,
    accepted: Version,
    /// Whose list that is.
    issuer: String,
    /// In a row, up to now.
    failures: u32,
}

/// How the web server names the version of its answer.
#[derive(Clone, Debug, Default)]
struct Version {
    etag: Option<HeaderValue>,
    modified: Option<HeaderValue>,
}

/// Makes clients: one for each request, as what the system believes may have been replaced since.
#[derive(Debug)]
pub(crate) struct Clients {
    /// The only ones, or those of the system.
    authorities: Option<Vec<Certificate>>,
    timeouts: Timeouts,
    /// Those of all configured addresses.
    ports: Arc<[u16]>,
}

impl Clients {
    /// For `urls`. They believe only `authorities` (PEM), or those of the system.
    pub(crate) fn new(
        authorities: Option<&[u8]>,
        timeouts: Timeouts,
        urls: &[String],
    ) -> Result<Self, FetchError> {
        let wrong = |error: reqwest::Error| FetchError::Client(causes(&error));
        let authorities = authorities.map(web_authorities).transpose()?;
        let clients = Self { authorities, timeouts, ports: ports(urls).into_iter().collect() };
        if clients.authorities.is_some() {
            clients.client("https", &Route::new(&clients.ports)).map_err(wrong)?;
        }
        Ok(clients)
    }

    /// For one request on the way of `route`.
    fn client(&self, scheme: &str, route: &Route) -> Result<Client, reqwest::Error> {
        let builder = Client::builder()
            .user_agent(concat!("sknockd/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(self.timeouts.connect)
            .read_timeout(self.timeouts.read)
            .no_proxy()
            .dns_resolver(Arc::new(route.clone()))
            // Each step is judged here.
            .redirect(redirect::Policy::none());
        let builder = match &self.authorities {
            // A host without any authorities gets its list by http all the same.
            _ if scheme == "http" => builder.tls_certs_only([]),
            Some(authorities) => builder.tls_certs_only(authorities.iter().cloned()),
            None => builder,
        };
        builder.build()
    }
}

/// The TCP ports of the web servers at `urls`.
pub(crate) fn ports(urls: &[String]) -> BTreeSet<u16> {
    let port = |url: &String| Url::parse(url).ok()?.port_or_known_default();
    urls.iter().filter_map(port).collect()
}

impl Fetcher {
    pub(crate) fn new(clients: &Arc<Clients>, url: &str) -> Self {
        let (offered, accepted) = (Version::default(), Version::default());
        let (url, issuer) = (url.to_owned(), String::new());
        Self { clients: Arc::clone(clients), url, offered, accepted, issuer, failures: 0 }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Gets the list, if it is another one than the last that was accepted.
    pub(crate) async fn fetch(&mut self) -> Result<Fetched, FetchError> {
        self.failures = self.failures.saturating_add(1);
        let whole = self.clients.timeouts.total;
        match tokio::time::timeout(whole, self.follow()).await {
            Ok(fetched) => fetched,
            Err(_) => Err(FetchError::Unreachable("operation timed out".to_owned())),
        }
    }

    /// Asks, also whoever it is redirected to.
    async fn follow(&mut self) -> Result<Fetched, FetchError> {
        let route = Route::new(&self.clients.ports);
        let mut url = Url::parse(&self.url).map_err(|_| RedirectRefused::NoAddress)?;
        for _ in 0..=REDIRECTS {
            let response = self.ask(&url, &route).await?;
            route.has_answered(response.remote_addr());
            let location = response.headers().get(LOCATION);
            match location.filter(|_| REDIRECTING.contains(&response.status())) {
                None => return self.receive(response).await,
                Some(location) => {
                    let location = location.to_str().map_err(|_| RedirectRefused::NoAddress)?;
                    url = route.next(&url, location)?;
                }
            }
        }
        Err(RedirectRefused::Often(REDIRECTS).into())
    }

    async fn ask(&self, url: &Url, route: &Route) -> Result<Response, FetchError> {
        let client = self.clients.client(url.scheme(), route).map_err(unreachable)?;
        let mut request = client.get(url.clone());
        if let Some(etag) = &self.accepted.etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        if let Some(modified) = &self.accepted.modified {
            request = request.header(IF_MODIFIED_SINCE, modified);
        }
        request.send().await.map_err(unreachable)
    }

    async fn receive(&mut self, mut response: Response) -> Result<Fetched, FetchError> {
        match response.status() {
            StatusCode::NOT_MODIFIED => return Ok(Fetched::Unchanged),
            StatusCode::OK => {}
            other => return Err(FetchError::Status(other)),
        }
        let headers = response.headers();
        self.offered = Version {
            etag: headers.get(ETAG).cloned(),
            modified: headers.get(LAST_MODIFIED).cloned(),
        };
        let announced = response.content_length().unwrap_or(0);
        if announced > MAX_LIST {
            return Err(FetchError::TooLarge);
        }
        let mut bytes = Vec::with_capacity(usize::try_from(announced).unwrap_or(0));
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() as u64 > MAX_LIST {
                return Err(FetchError::TooLarge);
            }
        }
        if bytes.is_empty() { Err(FetchError::Empty) } else { Ok(Fetched::List(bytes)) }
    }

    /// The last answer was a good list of `issuer`: it need not be sent again.
    pub(crate) fn accept(&mut self, issuer: &str) {
        self.accepted = self.offered.clone();
        issuer.clone_into(&mut self.issuer);
        self.failures = 0;
    }

    /// The last answer was that there is nothing else than what was accepted.
    pub(crate) fn accept_unchanged(&mut self) {
        self.failures = 0;
    }

    /// Whose list was accepted last.
    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Whether the answer before the last one was missing, or not accepted.
    pub(crate) fn has_failed_before(&self) -> bool {
        self.failures > 1
    }

    /// How long until it is asked again: `interval`, but soon after a failure, or an answer that was not
    /// accepted. When a host starts its network may not be there yet.
    pub(crate) fn pause(&self, interval: Duration) -> Duration {
        let Some(earlier) = self.failures.checked_sub(1) else { return jittered(interval) };
        jittered(interval.min(RETRY_DELAY * 2u32.pow(earlier.min(12))))
    }
}

fn unreachable(error: reqwest::Error) -> FetchError {
    FetchError::Unreachable(causes(&error.without_url()))
}

/// An error with all its causes: the first alone says no more than "error sending request".
fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// `interval`, give or take a tenth, so that a thousand servers do not ask in the same second.
pub(crate) fn jittered(interval: Duration) -> Duration {
    use std::hash::{BuildHasher, RandomState};
    let random = u32::try_from(RandomState::new().hash_one(interval) % 201).unwrap_or(100);
    interval * (900 + random) / 1000
}

/// The certificates of `crlTlsCaFile`, read as those of `caFile` are.
fn web_authorities(pem: &[u8]) -> Result<Vec<Certificate>, FetchError> {
    let contained = pem::read(pem).map_err(|error| {
        let text = error.to_string();
        FetchError::Client(text.strip_prefix("caFile: ").unwrap_or(&text).to_owned())
    })?;
    for other in &contained.others {
        warn!("crlTlsCaFile: line {}: {}", other.line, other.why);
    }
    let read = contained.certificates.iter().map(|one| Certificate::from_der(&one.der));
    read.collect::<Result<_, _>>().map_err(|error| FetchError::Client(causes(&error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_failure_it_asks_again_soon_and_then_more_and_more_seldom() {
        let interval = Duration::from_secs(1800);
        let clients = Arc::new(Clients::new(None, Timeouts::default(), &[]).unwrap());
        let mut fetcher = Fetcher::new(&clients, "http://a.example");
        let near = |fetcher: &Fetcher, seconds: u64| {
            let (pause, wanted) = (fetcher.pause(interval), Duration::from_secs(seconds));
            assert!(wanted * 9 / 10 <= pause && pause <= wanted * 11 / 10, "{pause:?} {seconds}");
        };
        near(&fetcher, 1800);
        for (failures, seconds) in
            [(1, 5), (2, 10), (3, 20), (9, 1280), (10, 1800), (u32::MAX, 1800)]
        {
            fetcher.failures = failures;
            near(&fetcher, seconds);
        }
        fetcher.accept("CN=ca");
        near(&fetcher, 1800);
    }
}
