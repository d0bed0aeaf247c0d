//! Asks every web server of lists once and says what a start would make of its answer, for `sknockd
//! check`. Nothing is saved, reported or put in force for others.

use std::io;

use serde::{Deserialize, Serialize};
use sknock_protocol::{RevocationList, Timestamp};

use super::acceptance::Offered;
use super::fetch::Fetched;
use super::fetch_set::{FetchResult, FetchSet};
use super::{Refresh, wait_for};
use sknock_types::hex;

/// What came of asking at one address.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Attempt {
    /// One of `crlUrl`.
    pub url: String,
    /// What came, or why it is not taken.
    pub outcome: Result<Sighted, String>,
}

/// A list that would be taken.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Sighted {
    /// Whose it is, as `IssuerId::digest` has it.
    pub issuer: [u8; 32],
    /// The same, for people.
    pub issuer_name: String,
    /// Its number, in hexadecimal digits, if it has one.
    pub number: Option<String>,
    /// Whether it names the server's own certificate.
    pub names_server: bool,
    /// `thisUpdate`, in seconds since 1970.
    pub made: u64,
    /// `nextUpdate`, likewise.
    pub ends: u64,
}

impl Refresh {
    /// Fetches from all addresses at once and judges what comes as [`Refresh::fetch_now`] does. Takes up to
    /// the patience of one fetch.
    pub fn attempt(&mut self, now: Timestamp) -> io::Result<Vec<Attempt>> {
        wait_for(async {
            let mut fetches = FetchSet::begin(&self.sources);
            let mut attempts = Vec::new();
            while let Some(FetchResult { source, fetched, .. }) = fetches.next().await {
                let outcome = match fetched {
                    Ok(Fetched::List(bytes)) => self.sight(&bytes, now),
                    // It was asked for no other version than the one that it has.
                    Ok(Fetched::Unchanged) => {
                        Err("the web server answered 304 (not modified)".to_owned())
                    }
                    Err(error) => Err(error.to_string()),
                };
                attempts.push(Attempt { url: source.url().to_owned(), outcome });
            }
            attempts.sort_by(|one, other| one.url.cmp(&other.url));
            Ok(attempts)
        })
    }

    /// Takes a list if a start would.
    fn sight(&self, bytes: &[u8], now: Timestamp) -> Result<Sighted, String> {
        let told = |list: &RevocationList| Sighted {
            issuer: list.issuer().digest(),
            issuer_name: list.issuer_name().to_owned(),
            number: list.number().map(hex),
            names_server: self.verifier.key().is_on(list),
            made: list.this_update().as_secs(),
            ends: list.next_update().as_secs(),
        };
        match self.verify_fetched(bytes, now) {
            Ok(Offered::News(list)) => {
                let sighted = told(&list);
                self.install(list);
                Ok(sighted)
            }
            Ok(Offered::Known(list)) => Ok(told(&list)),
            Err(why) => Err(why.to_string()),
        }
    }
}
