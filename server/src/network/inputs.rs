//! The inputs of the network process: its descriptors, and the contents of the files among them.

use std::fs::File;
use std::io;
use std::os::fd::{OwnedFd, RawFd};

use tracing::warn;
use zeroize::Zeroizing;

use super::handover::Descriptors;
use super::inherited::Inherited;
use crate::config::Intake;
use crate::config::keys::{KeyFiles, MAX_KEY_FILE, password_in, read_whole};
use crate::crl::MAX_LIST as LARGEST_LIST;
use crate::knock::gate_client::GateClient;
use crate::knock::intake::nflog::NflogSocket;
use crate::knock::intake::socket::KnockSocket;
use crate::knock::intake::source::KnockSource;

/// All inputs from the handover.
#[derive(Debug)]
pub(crate) struct ProcessInputs {
    pub(crate) orders: OwnedFd,
    /// One for each worker.
    pub(crate) worker_links: Vec<(KnockSource, GateClient)>,
    /// For the thread of the CRLs.
    pub(crate) gate: GateClient,
    /// For the tags of knocks.
    pub(crate) tag_link: GateClient,
    pub(crate) contents: FileContents,
}

/// The contents of the files. Not parsed.
pub(crate) struct FileContents {
    bundle: Zeroizing<Vec<u8>>,
    password: Zeroizing<String>,
    authorities: Option<Vec<u8>>,
    pub(crate) revocation: Option<Vec<u8>>,
    pub(crate) web_authorities: Option<Vec<u8>>,
}

impl std::fmt::Debug for FileContents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Contents").finish_non_exhaustive()
    }
}

impl ProcessInputs {
    /// Takes all inputs.
    pub(crate) fn take(descriptors: &Descriptors, intake: Intake) -> io::Result<Self> {
        let mut inherited = Inherited::new(descriptors.all());
        let mut links = descriptors.links.iter().map(|number| inherited.take(*number));
        let mut next = || links.next().ok_or(io::ErrorKind::InvalidInput)?.map(GateClient::new);
        let (gate, tag_link) = (next()?, next()?);
        let links: Vec<OwnedFd> = links.collect::<io::Result<_>>()?;
        let knock_sockets = descriptors.knock_sockets.iter().map(|number| inherited.take(*number));
        let knock_sockets =
            knock_sources(intake, knock_sockets.collect::<io::Result<_>>()?, links.len())?;
        let worker_links =
            knock_sockets.into_iter().zip(links.into_iter().map(GateClient::new)).collect();
        let contents = FileContents::read(descriptors, &mut inherited)?;
        let orders = inherited.take(descriptors.orders)?;
        Ok(Self { orders, worker_links, gate, tag_link, contents })
    }
}

/// One source for each worker.
fn knock_sources(
    intake: Intake,
    sockets: Vec<OwnedFd>,
    workers: usize,
) -> io::Result<Vec<KnockSource>> {
    let mut sockets = sockets.into_iter();
    match intake {
        Intake::Socket => {
            sockets.map(|socket| KnockSocket::inherit(socket).map(KnockSource::Socket)).collect()
        }
        Intake::Nflog => {
            let log = NflogSocket::inherit(sockets.next().ok_or(io::ErrorKind::InvalidInput)?)?;
            Ok(std::iter::repeat_n(log, workers).map(KnockSource::Log).collect())
        }
    }
}

impl FileContents {
    pub(super) fn read(descriptors: &Descriptors, inherited: &mut Inherited) -> io::Result<Self> {
        let mut open = |number: RawFd| inherited.take(number).map(File::from);
        let bundle = read_whole(open(descriptors.bundle)?, MAX_KEY_FILE)?;
        let password = read_whole(open(descriptors.password)?, MAX_KEY_FILE)?;
        let password = password_in(&password).map_err(|_| {
            let text = "the password of serverPFXFile is not UTF-8. Save it as UTF-8";
            io::Error::new(io::ErrorKind::InvalidData, text)
        })?;
        let password = Zeroizing::new(password.to_owned());
        let mut optional = |number: Option<RawFd>, limit| -> io::Result<Option<Vec<u8>>> {
            let Some(number) = number else { return Ok(None) };
            Ok(Some(read_whole(open(number)?, limit)?.to_vec()))
        };
        Ok(Self {
            authorities: optional(descriptors.authorities, MAX_KEY_FILE)?,
            revocation: optional(descriptors.revocation, LARGEST_LIST).unwrap_or_else(|error| {
                warn!("cannot read crlFile: {error}. The start continues without it");
                None
            }),
            web_authorities: optional(descriptors.web_authorities, MAX_KEY_FILE)?,
            bundle,
            password,
        })
    }

    /// The files for the server's keys and trust.
    pub(crate) fn keys(&self) -> KeyFiles<'_> {
        KeyFiles {
            bundle: &self.bundle,
            password: &self.password,
            authorities: self.authorities.as_deref(),
        }
    }
}
