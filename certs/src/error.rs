//! What can go wrong at the authority: each message says what happened and what to do.

use std::io;
use std::path::PathBuf;

use sknock_protocol::Timestamp;

use crate::{CertificateKind, MAX_CLIENT_CERTIFICATE, MAX_DAYS, RandomSerial, date};

/// Why the authority did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum AuthorityError {
    #[error("cannot {doing} {}: {source}", path.display())]
    File { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("{source}; {} has its new content, but may lose it when the power fails", path.display())]
    NotSynced { path: PathBuf, source: Box<Self> },
    #[error(
        "{} is a symbolic link and would be replaced by a file; remove it, and let links point \
         into this folder instead", path.display()
    )]
    Link { path: PathBuf },
    #[error("{} is no regular file; move it away", path.display())]
    NoFile { path: PathBuf },
    #[error(
        "the folder {} belongs to {owner}, who could not replace what is written here by you; \
         run sknock-ca as that user, such as by: sudo -u {owner} sknock-ca ...", path.display()
    )]
    FolderOfOther { path: PathBuf, owner: String },
    #[error(
        "{} belongs to {owner}, and the folder to you; give it back, as root: chown {ours} {}",
        path.display(), path.display()
    )]
    FileOfOther { path: PathBuf, owner: String, ours: String },
    #[error(
        "{} has mode {mode:04o}, so others may {what}: chmod {remedy} {}",
        path.display(), path.display()
    )]
    OpenToOthers { path: PathBuf, mode: u32, what: &'static str, remedy: &'static str },
    #[error(
        "{} exists already: the folder holds an authority, or a part of one; use it as it is, \
         restore it from a backup, or choose an empty folder", path.display()
    )]
    Exists { path: PathBuf },
    #[error("an init was interrupted in {}, and nothing was issued there; run init again", path.display())]
    Unfinished { path: PathBuf },
    #[error(
        "{} has the number {published}, and the register knows lists up to {known} only: it is an old \
         copy, and does not know what came after; restore the latest one. If there is none, move {} \
         away and set the number in register.json to {published}; nobody can revoke a certificate \
         that is not in there", path.display(), path.display()
    )]
    OldRegister { path: PathBuf, published: u64, known: u64 },
    #[error(
        "{} is missing: this folder holds no authority; make one with init, or restore the folder \
         from a backup", path.display()
    )]
    NoAuthority { path: PathBuf },
    #[error("{} is {what}; restore it from a backup", path.display())]
    Damaged { path: PathBuf, what: String },
    #[error(
        "the authority's certificate ended on {}, and the clock says {}; set the clock, or if it is \
         right, make a new authority in another folder", date(*at), date(*now)
    )]
    AuthorityExpired { at: Timestamp, now: Timestamp },
    #[error("'{name}' cannot be a name: {why}")]
    Name { name: String, why: &'static str },
    #[error("'{name}' cannot be the authority's name: use 1 to 64 printable characters")]
    AuthorityName { name: String },
    #[error(
        "'{name}' has a certificate until {} (serial {serial}); revoke it first, or choose another \
         name to have both for a while", date(*until)
    )]
    NameTaken { name: String, serial: RandomSerial, until: Timestamp },
    #[error("'{name}' was the name of a {kind}; choose another one")]
    NameOfOtherKind { name: String, kind: CertificateKind },
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
    #[error("the clock says {}, which is before this program was written; set it", date(*now))]
    ClockUnset { now: Timestamp },
    #[error(
        "the clock says {}, and the authority was made on {}; set the clock, or if it was wrong \
         then, make a new authority in another folder", date(*now), date(*made)
    )]
    ClockBeforeAuthority { now: Timestamp, made: Timestamp },
    #[error(
        "the clock says {}, and the last revocation list is from {}: set the clock; or if it was \
         ahead then and is right now, run: crl --clock-was-ahead", date(*now), date(*last)
    )]
    ClockBehind { now: Timestamp, last: Timestamp },
    #[error(
        "register.json has the greatest number of a list that there is; restore it from a backup, or \
         correct the number: servers go by the date first"
    )]
    LastNumber,
    #[error("this password cannot protect a file: {why}")]
    Password { why: &'static str },
    #[error("no certificate has the name or serial number '{which}'; see list")]
    Unknown { which: String },
    #[error(
        "'{which}' has several valid certificates; name one by its serial number: {}",
        join(serials)
    )]
    Ambiguous { which: String, serials: Vec<RandomSerial> },
    #[error(
        "{source}; certificate {serial} is in the register, but its files may not be in place: put that \
         right, and the next command puts them there; or revoke it by that number"
    )]
    NotDelivered { serial: RandomSerial, source: Box<Self> },
    #[error(
        "{source}; all is recorded in the register, but {} does not say so yet: put that right, then \
         run crl", path.display()
    )]
    NotPublished { path: PathBuf, source: Box<Self> },
    #[error("the system gives no random numbers; nothing was made")]
    Random,
    #[error("cannot make the {what}: {why}")]
    Encoding { what: &'static str, why: String },
}

impl AuthorityError {
    #[expect(clippy::needless_pass_by_value, reason = "map_err takes it by name")]
    pub(crate) fn certificate(error: rcgen::Error) -> Self {
        Self::Encoding { what: "certificate", why: error.to_string() }
    }
}

fn join(serials: &[RandomSerial]) -> String {
    serials.iter().map(RandomSerial::to_string).collect::<Vec<_>>().join(", ")
}
