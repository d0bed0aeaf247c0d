//! The authority's errors: each message names the cause and a remedy.

use std::io;
use std::path::PathBuf;

use aws_lc_rs::error::Unspecified;
use sknock_protocol::Timestamp;

use crate::entry::CertificateKind;
use crate::name::NotAName;
use crate::serial::RandomSerial;

/// Reasons why an operation failed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum AuthorityError {
    #[error("cannot {doing} {}: {source}", path.display())]
    File { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("{source}. {} has its new content, but may lose it at a power failure", path.display())]
    NotSynced { path: PathBuf, source: Box<Self> },
    #[error(
        "{} is a symbolic link and would be replaced by a file. Remove it, and use links that \
         point into this directory instead", path.display()
    )]
    Link { path: PathBuf },
    #[error("{} is not a regular file. Move it away", path.display())]
    NoFile { path: PathBuf },
    #[error(
        "the directory {} is owned by {owner}, who could not replace files that you write here. \
         Run sknock-ca as that user, for example: sudo -u {owner} sknock-ca ...", path.display()
    )]
    FolderOfOther { path: PathBuf, owner: String },
    #[error(
        "{} is owned by {owner}, and the directory by you. Change the owner, as root: chown \
         {ours} {}",
        path.display(), path.display()
    )]
    FileOfOther { path: PathBuf, owner: String, ours: String },
    #[error(
        "{} has mode {mode:04o}, so other users can {what}. Run: chmod {remedy} {}",
        path.display(), path.display()
    )]
    OpenToOthers { path: PathBuf, mode: u32, what: &'static str, remedy: &'static str },
    #[error(
        "{} already exists: the directory holds a CA, or a part of one. Use it, restore it from \
         a backup, or choose an empty directory", path.display()
    )]
    Exists { path: PathBuf },
    #[error("an init was interrupted in {}, and no certificate was issued. Run init again", path.display())]
    Unfinished { path: PathBuf },
    #[error(
        "{} has the number {published}, but the register ends at CRL {known}: the register is \
         outdated. Restore the latest one. If there is none, move {} away and set the number in \
         register.json to {published}; certificates that are not in the register cannot be \
         revoked", path.display(), path.display()
    )]
    OldRegister { path: PathBuf, published: u64, known: u64 },
    #[error(
        "{} is missing: this directory holds no CA. Create one with init, or restore the \
         directory from a backup", path.display()
    )]
    NoAuthority { path: PathBuf },
    #[error("{} is {what}. Restore it from a backup", path.display())]
    Damaged { path: PathBuf, what: String },
    #[error(
        "the CA certificate expired on {}, and the clock shows {}. Set the clock, or if it is \
         correct, create a new CA in another directory", at.date(), now.date()
    )]
    AuthorityExpired { at: Timestamp, now: Timestamp },
    #[error(transparent)]
    Name(#[from] NotAName),
    #[error("'{name}' is not a valid name for a CA. Use 1 to 64 printable characters")]
    AuthorityName { name: String },
    #[error(
        "'{name}' has a certificate until {} (serial {serial}). Revoke it first, or choose \
         another name to have both for some time", until.date()
    )]
    NameTaken { name: String, serial: RandomSerial, until: Timestamp },
    #[error("'{name}' looks like a serial number: 32 hexadecimal digits. Choose another name")]
    NameLikeSerial { name: String },
    #[error("'{name}' was the name of a {kind}. Choose another name")]
    NameOfOtherKind { name: String, kind: CertificateKind },
    #[error("{} exists, and no certificate with that name was ever issued. Move it away", path.display())]
    StrayFile { path: PathBuf },
    #[error("a client needs at least one service. Add one, such as tcp/22")]
    NoServices,
    #[error(
        "the certificate would have {size} bytes, and a knock has room for \
         {limit}. Use shorter names, fewer services, or ranges such as \
         tcp/8000-8010"
    )]
    TooLarge { size: usize, limit: usize },
    #[error("{days} days are not possible. Choose 1 to {max}")]
    Days { days: u32, max: u32 },
    #[error(
        "the clock is wrong, or the end is too far in the future. Dates end with the year \
             9999"
    )]
    Clock,
    #[error("the clock shows {}, which is before this program was written. Set it", now.date())]
    ClockUnset { now: Timestamp },
    #[error(
        "the clock shows {}, and the CA was created on {}. Set the clock, or if it was wrong \
         then, create a new CA in another directory", now.date(), made.date()
    )]
    ClockBeforeAuthority { now: Timestamp, made: Timestamp },
    #[error(
        "the clock shows {}, and the last CRL is from {}. Set the clock; or if it was ahead then \
         and is correct now, run: crl --clock-was-ahead", now.date(), last.date()
    )]
    ClockBehind { now: Timestamp, last: Timestamp },
    #[error(
        "the CRL number in register.json is at its maximum. Restore it from a backup, or correct \
         the number: servers compare the date first"
    )]
    LastNumber,
    #[error("this password cannot protect a file: {why}")]
    Password { why: &'static str },
    #[error("no certificate has the name or serial number '{which}'. Run list to see them")]
    Unknown { which: String },
    #[error(
        "'{which}' has several valid certificates. Use the serial number of one: {}",
        join(serials)
    )]
    Ambiguous { which: String, serials: Vec<RandomSerial> },
    #[error(
        "{source}. Certificate {serial} is in the register, but its files may be missing. \
         Correct the cause, and the next command writes them; or revoke it by that number"
    )]
    NotDelivered { serial: RandomSerial, source: Box<Self> },
    #[error(
        "{source}. All is recorded in the register, but {} is not up to date. Correct the cause, then run crl", path.display()
    )]
    NotPublished { path: PathBuf, source: Box<Self> },
    #[error("the system returned no random numbers. Nothing was created")]
    Random,
    #[error("cannot create the {what}: {why}")]
    Encoding { what: &'static str, why: String },
}

impl From<Unspecified> for AuthorityError {
    fn from(_: Unspecified) -> Self {
        Self::Random
    }
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
