//! Our end of the link to the privileged process. The only place where a [`Request`] is made.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv, send};
use sknock_gate::{Answer, Holder, Label, Name, PortRange, Request, Serial, Transport, Wish};
use sknock_protocol::CertificateId;

use crate::policy::Grant;

/// Asks for doors to be opened and closed.
#[derive(Debug)]
pub struct Gate {
    link: OwnedFd,
}

/// A grant that is in place. Only [`Gate::open`] makes one, so nothing is confirmed too early.
#[derive(Debug)]
#[must_use]
pub struct Opened {
    grant: Grant,
    seconds: u16,
    clipped: bool,
}

impl Opened {
    /// What was granted.
    pub fn grant(&self) -> &Grant {
        &self.grant
    }

    /// For how long the door is open, in seconds.
    pub fn seconds(&self) -> u16 {
        self.seconds
    }

    /// Whether that is less than was asked for.
    pub fn clipped(&self) -> bool {
        self.clipped
    }
}

/// Why a grant is not in place.
#[derive(Debug, thiserror::Error)]
pub enum NotOpened {
    /// The gate is gone, and with it our purpose.
    #[error("the privileged process is gone: {0}")]
    Gone(#[from] io::Error),
    /// It would not, or could not.
    #[error("the gate did not open: {answer:?}")]
    Denied {
        /// What was asked for. Boxed, so that the good case is not copied at the bad one's size.
        grant: Box<Grant>,
        /// What it said.
        answer: Answer,
    },
}

impl Gate {
    /// Talks over `link`, one record at a time.
    pub fn new(link: OwnedFd) -> Self {
        Self { link }
    }

    /// Says that knocks can be judged from now on, so that protection may be put up.
    ///
    /// An error means that the gate is gone.
    pub fn raise(&mut self) -> io::Result<Answer> {
        self.ask(&Request::Raise)
    }

    /// Has `grant` carried out.
    pub fn open(&mut self, grant: Grant) -> Result<Opened, NotOpened> {
        let Some(wish) = wish(&grant) else {
            return Err(NotOpened::Denied { grant: Box::new(grant), answer: Answer::Failed });
        };
        match self.ask(&Request::Open(wish))? {
            Answer::Opened { seconds, clipped } => {
                let clipped = clipped || grant.clipped();
                let seconds = u16::try_from(seconds).unwrap_or(u16::MAX);
                Ok(Opened { grant, seconds, clipped })
            }
            answer => Err(NotOpened::Denied { grant: Box::new(grant), answer }),
        }
    }

    /// Closes every door that the holder of `certificate` has opened.
    ///
    /// An error means that the gate is gone.
    pub fn close(&mut self, certificate: &CertificateId) -> io::Result<Answer> {
        match holder(certificate) {
            Some(holder) => self.ask(&Request::Close(holder)),
            // No open door belongs to a number that none can be opened for.
            None => Ok(Answer::Closed { count: 0 }),
        }
    }

    fn ask(&self, request: &Request) -> io::Result<Answer> {
        let Some(record) = request.encode() else { return Ok(Answer::Failed) };
        uninterrupted(|| send(self.link.as_raw_fd(), &record, MsgFlags::MSG_NOSIGNAL))?;
        let mut record = [0; Answer::LEN];
        match uninterrupted(|| recv(self.link.as_raw_fd(), &mut record, MsgFlags::empty()))? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            Answer::LEN => Answer::decode(&record)
                .ok_or_else(|| io::Error::other("the gate's answer is none of its answers")),
            _ => Err(io::Error::other("the gate's answer has the wrong length")),
        }
    }
}

fn uninterrupted<T>(mut call: impl FnMut() -> nix::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            other => return Ok(other?),
        }
    }
}

/// The grant in the gate's own terms; nothing if the gate has none for it.
fn wish(grant: &Grant) -> Option<Wish> {
    let services = grant.services().iter().map(|service| {
        let transport = Transport::from_number(service.transport() as u8)?;
        PortRange::new(transport, service.first(), service.last())
    });
    let mut knock = [0; 8];
    knock.copy_from_slice(&grant.id().0[..8]);
    let holder = holder(&grant.subject().certificate)?;
    Some(Wish {
        addresses: grant.claim().all().collect(),
        services: services.collect::<Option<_>>()?,
        seconds: u32::try_from(grant.lasts().as_secs()).unwrap_or(u32::MAX),
        single_use: grant.single_use(),
        label: Label { knock, holder, name: Name::cut(&grant.subject().name) },
    })
}

fn holder(certificate: &CertificateId) -> Option<Holder> {
    let [a, b, c, d, ..] = certificate.issuer;
    Some(Holder { issuer: [a, b, c, d], serial: Serial::new(&certificate.serial)? })
}
