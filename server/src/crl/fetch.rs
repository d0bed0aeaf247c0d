//! Fetches a CRL from a web server that may be broken or hostile: bounded in size, time and redirects. The
//! result is unverified bytes.
//!
//! Fetches from all web servers concurrently, each on its own schedule: a slow one does not delay the others.

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::LOCATION;
use reqwest::{Certificate, Client, Response, StatusCode, Url, redirect};
use tokio::task::JoinSet;
use tracing::warn;

use super::redirect::{RedirectRefused, Route};
use crate::config::keys::pem;

/// Maximum size of a CRL in bytes: a million entries with reasons take up to 53 MB.
pub const MAX_LIST: u64 = 64 << 20;

/// Enough for http to https, and a mirror.
const REDIRECTS: usize = 4;

/// Status codes that redirect to their `Location`.
const REDIRECTING: [StatusCode; 5] = [
    StatusCode::MOVED_PERMANENTLY,
    StatusCode::FOUND,
    StatusCode::SEE_OTHER,
    StatusCode::TEMPORARY_REDIRECT,
    StatusCode::PERMANENT_REDIRECT,
];

/// The wait after a first failure; doubled after each further one.
const RETRY_DELAY: Duration = Duration::from_secs(5);

/// Time limits for a web server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timeouts {
    /// To connect; a reachable server is much faster.
    pub connect: Duration,
    /// Between two pieces of an answer.
    pub read: Duration,
    /// For the whole answer.
    pub total: Duration,
}

impl Default for Timeouts {
    /// 10 s, 10 s, and 130 s: 64 MiB at 0.5 MB/s.
    fn default() -> Self {
        let (connect, piece) = (Duration::from_secs(10), Duration::from_secs(10));
        Self { connect, read: piece, total: Duration::from_secs(130) }
    }
}

/// Reasons why nothing was fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The TLS configuration is invalid.
    #[error(
        "crlTlsCaFile: not usable for https: {0}. Write the CA certificate of the web server \
             into it, as PEM"
    )]
    Client(String),
    /// No CA certificates for TLS: bare systems have none.
    #[error(
        "no CA certificates for https on this system ({0}). Install them (package \
             ca-certificates), or set crlTlsCaFile"
    )]
    NoAuthorities(String),
    /// No connection, no answer, or an interrupted one.
    #[error("{0}")]
    Unreachable(String),
    /// The redirect is not allowed.
    #[error(transparent)]
    Astray(#[from] RedirectRefused),
    /// An HTTP status other than success.
    #[error("the web server answered {0}")]
    Status(StatusCode),
    /// An empty answer.
    #[error("the web server sent nothing")]
    Empty,
    /// An answer over the size limit.
    #[error("larger than {MAX_LIST} bytes")]
    TooLarge,
}

/// One URL. It is fetched in full each time: a condition (`ETag`, Last-Modified) is what the web server said earlier, and
/// one false answer could have the right server answer "not modified" from then on.
#[derive(Clone, Debug)]
pub(crate) struct Fetcher {
    clients: Arc<Clients>,
    url: String,
    /// Consecutive failures.
    failures: u32,
}

/// Makes HTTP clients: one for each request, because the system's root certificates may have been replaced.
#[derive(Debug)]
pub(crate) struct Clients {
    /// The only trusted roots; `None` for those of the system.
    authorities: Option<Vec<Certificate>>,
    timeouts: Timeouts,
    /// The TCP ports of all configured addresses.
    ports: Arc<[u16]>,
}

impl Clients {
    /// For `urls`. TLS trusts `authorities` (PEM) only, or else those of the system.
    pub(crate) fn new(
        authorities: Option<&[u8]>,
        timeouts: Timeouts,
        urls: &[String],
    ) -> Result<Self, FetchError> {
        let wrong = |error: reqwest::Error| FetchError::Client(causes(&error));
        let authorities = authorities.map(web_authorities).transpose()?;
        let clients = Self { authorities, timeouts, ports: ports(urls).into_iter().collect() };
        if clients.authorities.is_some() {
            // Built and dropped: certificates that TLS cannot use are an error of the start, not of each
            // fetch.
            clients.client("https", &Route::new(&clients.ports)).map_err(wrong)?;
        }
        Ok(clients)
    }

    /// A client for one request of `route`.
    fn client(&self, scheme: &str, route: &Route) -> Result<Client, reqwest::Error> {
        let builder = Client::builder()
            .user_agent(concat!("sknockd/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(self.timeouts.connect)
            .read_timeout(self.timeouts.read)
            // A proxy would look up names itself, and no address could be checked.
            .no_proxy()
            .dns_resolver(Arc::new(route.clone()))
            // Redirects are followed and checked in `follow`.
            .redirect(redirect::Policy::none());
        let builder = match &self.authorities {
            // Plain http must work on a host without root certificates.
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
        Self { clients: Arc::clone(clients), url: url.to_owned(), failures: 0 }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Fetches the CRL.
    pub(crate) async fn fetch(&mut self) -> Result<Vec<u8>, FetchError> {
        // Undone by `accept`: a CRL that is fetched and then rejected is a failure, too.
        self.failures = self.failures.saturating_add(1);
        let whole = self.clients.timeouts.total;
        // For all redirects together: with a limit for each request, four redirects could take five times as
        // long.
        match tokio::time::timeout(whole, self.follow()).await {
            Ok(fetched) => fetched,
            Err(_) => Err(FetchError::Unreachable("operation timed out".to_owned())),
        }
    }

    /// Sends the request, and follows redirects.
    async fn follow(&self) -> Result<Vec<u8>, FetchError> {
        let route = Route::new(&self.clients.ports);
        let mut url = Url::parse(&self.url).map_err(|_| RedirectRefused::NoAddress)?;
        for _ in 0..=REDIRECTS {
            let response = self.ask(&url, &route).await?;
            route.has_answered(response.remote_addr());
            let location = response.headers().get(LOCATION);
            match location.filter(|_| REDIRECTING.contains(&response.status())) {
                None => return receive(response).await,
                Some(location) => {
                    let location = location.to_str().map_err(|_| RedirectRefused::NoAddress)?;
                    url = route.next(&url, location)?;
                }
            }
        }
        Err(RedirectRefused::Often(REDIRECTS).into())
    }

    async fn ask(&self, url: &Url, route: &Route) -> Result<Response, FetchError> {
        let client = self.clients.client(url.scheme(), route).map_err(|error| {
            let why = causes(&error.without_url());
            let ours = self.clients.authorities.is_some() || url.scheme() == "http";
            if ours { FetchError::Unreachable(why) } else { FetchError::NoAuthorities(why) }
        })?;
        client.get(url.clone()).send().await.map_err(unreachable)
    }

    /// The last answer was a valid CRL.
    pub(crate) fn accept(&mut self) {
        self.failures = 0;
    }

    /// Whether the fetch before the last one failed, or its CRL was rejected.
    pub(crate) fn has_failed_before(&self) -> bool {
        self.failures > 1
    }

    /// The wait before the next fetch: `interval`, but shorter after a failure or a rejected CRL. At boot the
    /// network may not be up yet.
    pub(crate) fn pause(&self, interval: Duration) -> Duration {
        let Some(earlier) = self.failures.checked_sub(1) else { return jittered(interval) };
        // 5 s * 2^12 are almost six hours; without a cap the power would overflow at 2^32.
        jittered(interval.min(RETRY_DELAY * 2u32.pow(earlier.min(12))))
    }
}

async fn receive(mut response: Response) -> Result<Vec<u8>, FetchError> {
    if response.status() != StatusCode::OK {
        return Err(FetchError::Status(response.status()));
    }
    let announced = response.content_length().unwrap_or(0);
    if announced > MAX_LIST {
        return Err(FetchError::TooLarge);
    }
    // A length that is announced and not sent costs address space only: untouched pages take no memory.
    let mut bytes = Vec::with_capacity(usize::try_from(announced).unwrap_or(0));
    // Bytes as sent: reqwest is built without decompression (Cargo.toml), so no gzip bomb grows here.
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() as u64 > MAX_LIST {
            return Err(FetchError::TooLarge);
        }
    }
    if bytes.is_empty() { Err(FetchError::Empty) } else { Ok(bytes) }
}

fn unreachable(error: reqwest::Error) -> FetchError {
    // The log line names the configured URL; that of a redirect is text of the web server's choice.
    FetchError::Unreachable(causes(&error.without_url()))
}

/// An error with all its causes: the first one alone is only "error sending request".
fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// `interval` plus or minus a tenth, so that a thousand servers do not fetch in the same second.
pub(crate) fn jittered(interval: Duration) -> Duration {
    use std::hash::{BuildHasher, RandomState};
    // Each RandomState has other keys, so the same interval has another hash each time.
    let random = u32::try_from(RandomState::new().hash_one(interval) % 201).unwrap_or(100);
    interval * (900 + random) / 1000
}

/// The certificates of `crlTlsCaFile`, in the same formats as `caFile`.
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

/// Fetches that are running or scheduled.
#[derive(Debug, Default)]
pub(super) struct FetchSet(JoinSet<FetchResult>);

/// The result of one fetch.
#[derive(Debug)]
pub(super) struct FetchResult {
    /// The index of the source.
    pub(super) place: usize,
    pub(super) source: Fetcher,
    pub(super) fetched: Result<Vec<u8>, FetchError>,
}

impl FetchSet {
    /// Starts all fetches at once.
    pub(super) fn begin(sources: &[Fetcher]) -> Self {
        let mut fetches = Self::default();
        for (place, source) in sources.iter().enumerate() {
            fetches.add(place, source.clone(), Duration::ZERO);
        }
        fetches
    }

    /// Schedules a fetch after `wait`.
    pub(super) fn add(&mut self, place: usize, mut source: Fetcher, wait: Duration) {
        self.0.spawn(async move {
            tokio::time::sleep(wait).await;
            let fetched = source.fetch().await;
            FetchResult { place, source, fetched }
        });
    }

    /// The next finished fetch; `None` if there is none left. A panic in a task ends the process.
    pub(super) async fn next(&mut self) -> Option<FetchResult> {
        self.0.join_next().await?.ok()
    }
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
        fetcher.accept();
        near(&fetcher, 1800);
    }
}
