//! What can go wrong at the authority: each message says what happened and what to do.

use std::io;
use std::path::PathBuf;

use sknock_protocol::Moment;

use crate::{Kind, MAX_CLIENT_CERTIFICATE, MAX_DAYS, Serial, date};

/// Why the authority did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Error {
    #[error("cannot {doing} {}: {source}", path.display())]
    File { doing: &'static str, path: PathBuf, source: io::Error },
    #[error(
        "{} is a symbolic link and would be replaced by a file; remove it, and let links point \
         into this folder instead", path.display()
    )]
    Link { path: PathBuf },
    #[error(
        "{} exists already: the folder holds an authority, or what an interrupted init left; \
         use it as it is, or choose an empty folder", path.display()
    )]
    Exists { path: PathBuf },
    #[error(
        "{} is missing: this folder holds no authority; make one with init, or restore the folder \
         from a backup", path.display()
    )]
    NoAuthority { path: PathBuf },
    #[error("{} is {what}; restore it from a backup", path.display())]
    Damaged { path: PathBuf, what: String },
    #[error("the authority's certificate ended on {}; make a new authority in another folder", date(*at))]
    AuthorityExpired { at: Moment },
    #[error("'{name}' cannot be a name: {why}")]
    Name { name: String, why: &'static str },
    #[error("'{name}' cannot be the authority's name: use 1 to 64 printable characters")]
    AuthorityName { name: String },
    #[error(
        "'{name}' has a certificate until {} (serial {serial}); revoke it first, or choose another \
         name to have both for a while", date(*until)
    )]
    NameTaken { name: String, serial: Serial, until: Moment },
    #[error("'{name}' was the name of a {kind}; choose another one")]
    NameOfOtherKind { name: String, kind: Kind },
    #[error("{} exists, and no certificate of that name was ever issued; move it away", path.display())]
    StrayFile { path: PathBuf },
    #[error("a client needs something to open; name at least one service, such as tcp/22")]
    NoServices,
    #[error(
        "the certificate would take {size} bytes, and a knock has room for {MAX_CLIENT_CERTIFICATE}; \
         use shorter names, fewer services, or ranges such as tcp/8000-8010"
    )]
    TooLarge { size: usize },
    #[error("{days} days are not possible; choose 1 to {MAX_DAYS}")]
    Days { days: u32 },
    #[error("the clock is wrong, or the end is too far away; dates end with the year 9999")]
    Clock,
    #[error(
        "the clock says {}, and the last revocation list is from {}: servers would not take an older \
         one; set the clock (if it was wrong then, correct thisUpdate in register.json)",
        date(*now), date(*last)
    )]
    ClockBehind { now: Moment, last: Moment },
    #[error("this password cannot protect a file: {why}")]
    Password { why: &'static str },
    #[error("no certificate has the name or serial number '{which}'; see list")]
    Unknown { which: String },
    #[error(
        "'{which}' has several valid certificates; name one by its serial number: {}",
        join(serials)
    )]
    Ambiguous { which: String, serials: Vec<Serial> },
    #[error(
        "'{which}' expired on {} by itself; to revoke it nevertheless, name it by its serial \
         number, {serial}", date(*at)
    )]
    Expired { which: String, at: Moment, serial: Serial },
    #[error(
        "{source}; certificate {serial} is in the register, but its files are not in place: \
         revoke it and issue another"
    )]
    NotDelivered { serial: Serial, source: Box<Self> },
    #[error(
        "{source}; the register is up to date, but {} is not: put that right, then run crl", path.display()
    )]
    NotPublished { path: PathBuf, source: Box<Self> },
    #[error("the system gives no random numbers; nothing was made")]
    Random,
    #[error("cannot make the {what}: {why}")]
    Encoding { what: &'static str, why: String },
}

impl Error {
    #[expect(clippy::needless_pass_by_value, reason = "map_err takes it by name")]
    pub(crate) fn certificate(error: rcgen::Error) -> Self {
        Self::Encoding { what: "certificate", why: error.to_string() }
    }
}

fn join(serials: &[Serial]) -> String {
    serials.iter().map(Serial::to_string).collect::<Vec<_>>().join(", ")
}
