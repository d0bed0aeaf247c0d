//! Judges captured datagrams by the very pipeline of the server, without a firewall and without the
//! server's memory: each is judged as if no other had ever been sent. Given again, it is a repetition.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use sknock_protocol::{
    Datagram, Revocation, RevocationList, RevocationLists, Service, Timestamp, TrustStore,
};
use zeroize::Zeroizing;

use crate::config::keys::{self, KeyFiles, MAX_KEY_FILE, password_in, read_whole};
use crate::config::{PasswordSource, Settings};
use crate::crl;
use crate::knock::in_force::InForce;
use crate::knock::pipeline::{Pipeline, Refused};
use crate::knock::policy::{Grant, Policy};
use crate::knock::refused_knocks::RefusedKnocks;
use crate::knock::replay::Memory;
use crate::supervisor::{Account, marks};
use crate::sys::exit::{CONFIGURATION, FAILURE, print_error};
use crate::sys::plain_text;

/// What came of one datagram: one line of JSON.
#[derive(Debug, Serialize)]
struct Explained<'a> {
    /// With a mark for each byte that is not UTF-8.
    file: Cow<'a, str>,
    verdict: &'static str,
    reason: Option<&'static str>,
    services: Vec<String>,
    address: Option<String>,
    subject: Option<String>,
}

/// Why nothing can be judged.
#[derive(Debug, thiserror::Error)]
pub enum Unexplained {
    /// A file that the configuration names cannot be read.
    #[error("{key}: cannot read {path}: {error}")]
    Unreadable {
        /// The setting.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The password file holds something else.
    #[error("the password of serverPFXFile is not UTF-8")]
    Password,
    /// Keys or authorities are wrong.
    #[error(transparent)]
    Keys(#[from] keys::KeyProblem),
    /// A file of tcpdump.
    #[error(
        "{}: is a packet capture. `explain` needs the payload of one datagram in each file. Extract the \
         payloads as hexadecimal lines: `tshark -r FILE -T fields -e udp.payload`; and each line to a \
         file: `xxd -r -p`", .0.display()
    )]
    Capture(PathBuf),
    /// More than a datagram carries; perhaps a device without an end.
    #[error(
        "{}: has more than {MAX_PAYLOAD} bytes, the most that a UDP datagram carries. `explain` needs the \
         payload of one datagram in each file", .0.display()
    )]
    TooLong(PathBuf),
    /// The lines cannot be written.
    #[error("cannot write: {0}")]
    Output(#[from] io::Error),
}

impl Unexplained {
    /// How the program ends.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Unreadable { key: DATAGRAM, .. }
            | Self::Capture(_)
            | Self::TooLong(_)
            | Self::Output(_) => FAILURE,
            Self::Unreadable { .. } | Self::Password | Self::Keys(_) => CONFIGURATION,
        }
    }
}

/// How files of tcpdump begin: pcap in both byte orders, to the microsecond and to the nanosecond, and pcapng.
const CAPTURES: [[u8; 4]; 5] = [
    [0xa1, 0xb2, 0xc3, 0xd4],
    [0xd4, 0xc3, 0xb2, 0xa1],
    [0xa1, 0xb2, 0x3c, 0x4d],
    [0x4d, 0x3c, 0xb2, 0xa1],
    [0x0a, 0x0d, 0x0d, 0x0a],
];

/// The most bytes that UDP carries: its length field, 16 bits, counts the header (RFC 768).
const MAX_PAYLOAD: u64 = 65_535 - 8;

/// How an argument is named among the settings.
const DATAGRAM: &str = "FILE";

/// Judges each of `files` as if it had arrived `at` that time `from` that address.
pub fn explain(
    settings: &Settings,
    at: Timestamp,
    from: SocketAddr,
    files: &[PathBuf],
    mut output: impl Write,
) -> Result<(), Unexplained> {
    let mut pipeline = pipeline(settings)?;
    let mut memories = BTreeMap::new();
    for file in files {
        let payload = datagram(file)?;
        pipeline.replay = memories.remove(&payload).unwrap_or_else(|| memory(settings));
        let received = pipeline.unveil(Datagram::new(from, &payload), at);
        let outcome = received.and_then(|knock| pipeline.decide(knock, at));
        let line = match &outcome {
            Ok(grant) => granted(file, grant),
            Err(refused) => refusal(file, refused),
        };
        let line = serde_json::to_vec(&line).map_err(io::Error::from)?;
        output.write_all(&plain_text::escaped(&line, true))?;
        output.write_all(b"\n")?;
        memories.insert(payload, std::mem::replace(&mut pipeline.replay, memory(settings)));
    }
    Ok(())
}

fn pipeline(settings: &Settings) -> Result<Pipeline<Memory>, Unexplained> {
    let keys = &settings.keys;
    let bundle = read_key_file("serverPFXFile", &keys.pfx)?;
    let password = match &keys.password {
        PasswordSource::Inline(password) => Zeroizing::new(password.as_str().to_owned()),
        PasswordSource::File(path) | PasswordSource::Credential(path) => {
            let bytes = read_key_file("the password of serverPFXFile", path)?;
            let text = password_in(&bytes).map_err(|_| Unexplained::Password)?;
            Zeroizing::new(text.to_owned())
        }
        PasswordSource::None => Zeroizing::default(),
    };
    let authorities = keys.authorities.as_deref();
    let authorities = authorities.map(|path| read_key_file("caFile", path)).transpose()?;
    let files = KeyFiles {
        bundle: &bundle,
        password: &password,
        authorities: authorities.as_ref().map(|bytes| bytes.as_slice()),
    };
    let verifier = Arc::new(keys::verifier(files, settings)?);
    let revocation = Arc::new(InForce::new(revocation(settings, verifier.trust_store())));
    let replay = memory(settings);
    Ok(Pipeline {
        verifier,
        revocation,
        replay,
        policy: Policy::of(&settings.grants),
        refused_knocks: RefusedKnocks::default(),
    })
}

/// What the server would start with: of the saved lists and those of `crlFile` the newer, and none that is
/// older than one that was in force here, as far as that may be read.
fn revocation(settings: &Settings, trust_store: &TrustStore) -> Revocation {
    let user = Account::uid_of(&settings.process.user);
    let marks = marks::kept(&settings.process.state, user);
    let settings = &settings.revocation;
    if settings.saved.is_none() {
        return Revocation::NotConfigured;
    }
    let mut lists = RevocationLists::new(settings.grace);
    for path in [&settings.saved, &settings.file].into_iter().flatten() {
        // As in the server: a list that is not there yet, or is not taken, lets nobody in.
        let file = File::open(path).and_then(|file| read_whole(file, crl::MAX_SAVED));
        let Ok(file) = file else { continue };
        for list in RevocationList::split(&file) {
            let list = RevocationList::verify(list, trust_store).and_then(|list| {
                let newest = marks.get(&list.issuer().digest());
                newest.map_or(Ok(()), |newest| list.reaches(newest)).map(|()| list)
            });
            match list {
                Ok(list) => {
                    let current = lists.list(list.issuer());
                    if current.is_none_or(|current| list.mark() >= current.mark()) {
                        lists = lists.with(list);
                    }
                }
                Err(why) => {
                    let path = path.display();
                    print_error(format_args!("sknockd: {path}: CRL rejected: {why}"));
                }
            }
        }
    }
    Revocation::Lists(lists)
}

/// Remembers one datagram, and no other.
fn memory(settings: &Settings) -> Memory {
    Memory::new(settings.knocks.window, 1)
}

fn granted<'a>(file: &'a Path, grant: &Grant) -> Explained<'a> {
    let addresses: Vec<String> = grant.claim().all().map(|one| one.to_string()).collect();
    Explained {
        file: file.to_string_lossy(),
        verdict: "grant",
        reason: None,
        services: words(grant.services()),
        address: Some(addresses.join(",")),
        subject: Some(grant.subject().name.clone()),
    }
}

fn refusal<'a>(file: &'a Path, refused: &Refused) -> Explained<'a> {
    let wish = refused.wish.as_deref();
    Explained {
        file: file.to_string_lossy(),
        verdict: "refused",
        reason: Some(refused.reason.name()),
        services: wish.map(|wish| words(&wish.services)).unwrap_or_default(),
        address: wish.and_then(|wish| wish.claim).map(|claim| claim.first().to_string()),
        subject: wish.map(|wish| wish.subject.name.clone()),
    }
}

fn words(services: &[Service]) -> Vec<String> {
    services.iter().map(ToString::to_string).collect()
}

/// The content of `path`, which is one datagram.
fn datagram(path: &Path) -> Result<Vec<u8>, Unexplained> {
    let mut payload = Vec::new();
    let read =
        File::open(path).and_then(|file| file.take(MAX_PAYLOAD + 1).read_to_end(&mut payload));
    read.map_err(|error| Unexplained::Unreadable { key: DATAGRAM, path: path.to_owned(), error })?;
    // Before the length: a capture is usually longer than a datagram, and needs the other remedy.
    if CAPTURES.iter().any(|magic| payload.starts_with(magic)) {
        return Err(Unexplained::Capture(path.to_owned()));
    }
    if payload.len() as u64 > MAX_PAYLOAD {
        return Err(Unexplained::TooLong(path.to_owned()));
    }
    Ok(payload)
}

fn read_key_file(key: &'static str, path: &Path) -> Result<Zeroizing<Vec<u8>>, Unexplained> {
    let content = File::open(path).and_then(|file| read_whole(file, MAX_KEY_FILE));
    content.map_err(|error| Unexplained::Unreadable { key, path: path.to_owned(), error })
}
