//! Whom to believe of web servers.

use reqwest::Certificate;
use tracing::warn;

use super::fetch::{FetchError, causes};
use crate::config::keys::pem;

/// `crlTlsCaFile`, read as `caFile` is.
pub(super) fn read(pem: &[u8]) -> Result<Vec<Certificate>, FetchError> {
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
