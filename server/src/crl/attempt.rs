//! Fetches every `crlUrl` once and reports whether a start would accept its CRL, for `sknockd check`. Nothing
//! is saved, reported to the gate or put in force.

use std::io;

use serde::{Deserialize, Serialize};
use sknock_protocol::{RevocationList, Timestamp};

use super::acceptance::Offered;
use super::fetch::{FetchResult, FetchSet};
use super::{Refresh, wait_for};
use sknock_types::hex;

/// The result for one address.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Attempt {
    /// One of `crlUrl`.
    pub url: String,
    /// The CRL, or the reason why it is rejected.
    pub outcome: Result<Sighted, String>,
}

/// A CRL that would be accepted.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Sighted {
    /// The issuer's id, as in `IssuerId::digest`.
    pub issuer: [u8; 32],
    /// The issuer's name, for messages.
    pub issuer_name: String,
    /// Its number, in hexadecimal digits, if it has one.
    pub number: Option<String>,
    /// Whether it contains the server's own certificate.
    pub names_server: bool,
    /// `thisUpdate`, in seconds since 1970.
    pub made: u64,
    /// `nextUpdate`, in seconds since 1970.
    pub ends: u64,
}

impl Refresh {
    /// Fetches from all addresses at once and checks the results as [`Refresh::fetch_now`] does. Takes up to
    /// the time limit of one fetch.
    pub fn attempt(&mut self, now: Timestamp) -> io::Result<Vec<Attempt>> {
        wait_for(async {
            let mut fetches = FetchSet::begin(&self.sources);
            let mut attempts = Vec::new();
            while let Some(FetchResult { source, fetched, .. }) = fetches.next().await {
                let outcome = match fetched {
                    Ok(bytes) => self.sight(&bytes, now),
                    Err(error) => Err(error.to_string()),
                };
                attempts.push(Attempt { url: source.url().to_owned(), outcome });
            }
            attempts.sort_by(|one, other| one.url.cmp(&other.url));
            Ok(attempts)
        })
    }

    /// Accepts a CRL if a start would.
    fn sight(&self, bytes: &[u8], now: Timestamp) -> Result<Sighted, String> {
        let sighted_of = |list: &RevocationList| Sighted {
            issuer: list.issuer().digest(),
            issuer_name: list.issuer_name().to_owned(),
            number: list.number().map(hex),
            names_server: self.verifier.key().is_on(list),
            made: list.this_update().as_secs(),
            ends: list.next_update().as_secs(),
        };
        match self.verify_fetched(bytes, now) {
            Ok(Offered::News(list)) => {
                let sighted = sighted_of(&list);
                // In this process only: of two addresses, the second must not have an older CRL, as in a
                // start.
                self.install(list);
                Ok(sighted)
            }
            Ok(Offered::Known(list)) => Ok(sighted_of(&list)),
            Err(why) => Err(why.to_string()),
        }
    }
}
