//! Gets a revocation list from a web server that may be broken or hostile: bounded in size, time
//! and redirects. What comes is bytes; nobody has believed them yet.

use std::error::Error;
use std::time::Duration;

use reqwest::header::{ETAG, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED};
use reqwest::{Certificate, Client, StatusCode, redirect};

/// The largest list that is read, in bytes: a million entries with reasons take up to 53 MB.
pub const LARGEST: u64 = 64 << 20;

/// http to https, and perhaps a mirror.
const REDIRECTS: usize = 4;

/// How long a web server may take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Patience {
    /// To connect; a server that is there answers in well under that.
    pub connect: Duration,
    /// Between two pieces of an answer; slower is as good as gone.
    pub piece: Duration,
    /// From the first byte to the last.
    pub whole: Duration,
}

impl Default for Patience {
    /// 10 s, 10 s, and 130 s: 64 MiB at 0.5 MB/s.
    fn default() -> Self {
        let (connect, piece) = (Duration::from_secs(10), Duration::from_secs(10));
        Self { connect, piece, whole: Duration::from_secs(130) }
    }
}

/// Why nothing was fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The client cannot be made.
    #[error("crlTlsCaFile: not usable for https: {0}; it must be PEM with the server's CA")]
    Client(String),
    /// No connection, no answer, or a broken one.
    #[error("{0}")]
    Unreachable(String),
    /// The web server says no.
    #[error("the web server answers {0}")]
    Status(StatusCode),
    /// Nothing came.
    #[error("the web server sent nothing")]
    Empty,
    /// Too much came.
    #[error("it is larger than {LARGEST} bytes")]
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
    client: Client,
    url: String,
    offered: Version,
    accepted: Version,
}

/// How the web server names the version of its answer.
#[derive(Clone, Debug, Default)]
struct Version {
    etag: Option<HeaderValue>,
    modified: Option<HeaderValue>,
}

/// A client that believes only `authorities` (PEM), or those of the system.
pub(crate) fn client(authorities: Option<&[u8]>, patience: Patience) -> Result<Client, FetchError> {
    let wrong = |error: reqwest::Error| FetchError::Client(causes(&error));
    let builder = || {
        Client::builder()
            .user_agent(concat!("sknockd/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(patience.connect)
            .read_timeout(patience.piece)
            .timeout(patience.whole)
            .no_proxy()
            .redirect(redirect::Policy::limited(REDIRECTS))
    };
    let client = match authorities {
        Some(pem) => {
            builder().tls_certs_only(Certificate::from_pem_bundle(pem).map_err(wrong)?).build()
        }
        // A host without any authorities starts, and gets its lists by http, all the same.
        None => builder().build().or_else(|_| builder().tls_certs_only([]).build()),
    };
    client.map_err(wrong)
}

impl Fetcher {
    pub(crate) fn new(client: &Client, url: &str) -> Self {
        let (offered, accepted) = (Version::default(), Version::default());
        Self { client: client.clone(), url: url.to_owned(), offered, accepted }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Gets the list, if it is another one than the last that was accepted.
    pub(crate) async fn fetch(&mut self) -> Result<Fetched, FetchError> {
        let mut request = self.client.get(&self.url);
        if let Some(etag) = &self.accepted.etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        if let Some(modified) = &self.accepted.modified {
            request = request.header(IF_MODIFIED_SINCE, modified);
        }
        let mut response = request.send().await.map_err(unreachable)?;
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
        if announced > LARGEST {
            return Err(FetchError::TooLarge);
        }
        let mut bytes = Vec::with_capacity(usize::try_from(announced).unwrap_or(0));
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() as u64 > LARGEST {
                return Err(FetchError::TooLarge);
            }
        }
        if bytes.is_empty() { Err(FetchError::Empty) } else { Ok(Fetched::List(bytes)) }
    }

    /// The last answer was good: it need not be sent again.
    pub(crate) fn accept(&mut self) {
        self.accepted = self.offered.clone();
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
