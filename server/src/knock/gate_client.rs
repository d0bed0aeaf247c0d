//! The network process's end of the link to the gate. The only place where a [`Request`] is made.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv, send};
use sknock_gate::{
    CertId, GrantLabel, GrantRequest, KnockTag, OwnerName, Request, Response, Serial,
};
use sknock_protocol::{CertificateId, IssuerId};

use super::policy::Grant;

/// Requests that grants be made and closed.
#[derive(Debug)]
pub struct GateClient {
    link: OwnedFd,
}

/// A grant that is in force. Only [`GateClient::open`] makes one, so no knock is confirmed before its grant.
#[derive(Debug)]
#[must_use]
pub struct ActiveGrant {
    grant: Grant,
    seconds: u16,
    clipped: bool,
}

impl ActiveGrant {
    /// The grant in force.
    pub fn grant(&self) -> &Grant {
        &self.grant
    }

    /// The duration of the grant, in seconds.
    pub fn seconds(&self) -> u16 {
        self.seconds
    }

    /// Whether that is shorter than requested.
    pub fn clipped(&self) -> bool {
        self.clipped
    }
}

/// A grant that the gate refused, or could not carry out.
#[derive(Debug)]
pub struct GateRefusal {
    /// The grant. Boxed, so that the success case is not as large as this one.
    pub grant: Box<Grant>,
    /// The gate's response.
    pub answer: Response,
}

/// The result of closing the grants of one issuer's certificates.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ClosedIssuer {
    /// No grant is left.
    All,
    /// Some were closed; there may be more.
    Some,
    /// The firewall failed. The request can be repeated.
    Failed,
}

/// Issuers that the gate knows and that are not configured here.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum UnknownIssuers {
    /// These.
    All(Vec<GateIssuer>),
    /// Rules are on trial: a rollback may restore the former authorities.
    OnTrial,
    /// The gate does not report them.
    Failed,
}

/// Tags of knocks that end at the same time.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TagGroup {
    /// For how long the kernel is to have them.
    pub seconds: u32,
    /// At least one.
    pub tags: Vec<KnockTag>,
}

/// An issuer's id in the gate, see [`CertId`].
pub type GateIssuer = [u8; CertId::ISSUER];

impl GateClient {
    /// Requests in one transmission: this number spreads the cost of waking the gate, takes a tenth of a socket's
    /// buffer, and delays knocks by a fraction of a millisecond.
    const REQUESTS_AT_ONCE: usize = 32;
    /// Certificates that are closed in one transmission.
    pub const AT_ONCE: usize = Self::REQUESTS_AT_ONCE * Request::SERIALS;

    /// Sends requests over `link`, one record at a time.
    pub fn new(link: OwnedFd) -> Self {
        Self { link }
    }

    /// Reports that knocks are processed from now on, so that the rules can be loaded.
    ///
    /// An error means that the gate has ended.
    pub fn activate(&mut self) -> io::Result<Response> {
        self.ask(&Request::Activate)
    }

    /// Requests `grants`, in one transaction as far as possible; each gets its own response, in order.
    ///
    /// An error means that the gate has ended, and this process must end too.
    pub fn open(
        &mut self,
        grants: Vec<Grant>,
    ) -> io::Result<Vec<Result<ActiveGrant, GateRefusal>>> {
        let mut asked = Vec::with_capacity(grants.len());
        for grant in grants {
            let record = grant_request(&grant).and_then(|request| Request::Open(request).encode());
            if let Some(record) = &record {
                self.send(record)?;
            }
            asked.push((grant, record.is_some()));
        }
        let answer = |(grant, sent)| {
            Ok(match if sent { self.receive()? } else { Response::Failed } {
                Response::Opened { seconds, clipped } => {
                    let clipped = clipped || Grant::clipped(&grant);
                    let seconds = u16::try_from(seconds).unwrap_or(u16::MAX);
                    Ok(ActiveGrant { grant, seconds, clipped })
                }
                answer => Err(GateRefusal { grant: Box::new(grant), answer }),
            })
        };
        asked.into_iter().map(answer).collect()
    }

    /// Closes every grant of certificates by `issuer` with these serial numbers. Returns whether the firewall
    /// closed all; otherwise the request can be repeated.
    ///
    /// An error means that the gate has ended.
    pub fn close(&mut self, issuer: &IssuerId, serials: &[&[u8]]) -> io::Result<bool> {
        let mut done = true;
        let issuer = shortened(issuer);
        // The gate cannot store longer serial numbers, so such a certificate has no grant.
        let serials: Vec<Serial> =
            serials.iter().filter_map(|serial| Serial::new(serial)).collect();
        for some in serials.chunks(Self::AT_ONCE) {
            let requests = some.chunks(Request::SERIALS);
            let records = requests.filter_map(|serials| {
                Request::Close { issuer, serials: serials.to_vec() }.encode()
            });
            let mut asked = 0;
            for record in records {
                self.send(&record)?;
                asked += 1;
            }
            for _ in 0..asked {
                done &= matches!(self.receive()?, Response::Closed { .. });
            }
        }
        Ok(done)
    }

    /// Closes some grants of certificates by `issuer`, the id in the gate.
    ///
    /// An error means that the gate has ended.
    pub fn close_issuer(&mut self, issuer: GateIssuer) -> io::Result<ClosedIssuer> {
        Ok(match self.ask(&Request::CloseIssuer(issuer))? {
            Response::Closed { count: 0 } => ClosedIssuer::All,
            Response::Closed { .. } => ClosedIssuer::Some,
            _ => ClosedIssuer::Failed,
        })
    }

    /// The issuers, other than these, whose certificates have or had grants.
    ///
    /// An error means that the gate has ended.
    pub fn issuers_but<'a>(
        &mut self,
        known: impl Iterator<Item = &'a IssuerId>,
    ) -> io::Result<UnknownIssuers> {
        let known: BTreeSet<GateIssuer> = known.map(shortened).collect();
        let (mut last, mut others) = (GateIssuer::default(), Vec::new());
        loop {
            match self.ask(&Request::NextIssuer(last))? {
                Response::Issuer(None) => return Ok(UnknownIssuers::All(others)),
                Response::Issuer(Some(issuer)) => {
                    last = issuer;
                    if !known.contains(&issuer) {
                        others.push(issuer);
                    }
                }
                Response::OnTrial => return Ok(UnknownIssuers::OnTrial),
                _ => return Ok(UnknownIssuers::Failed),
            }
        }
    }

    /// Has the kernel load these tags of knocks, in one transaction: beside those that it has, or in their place. It
    /// takes them for complete for that number of seconds. [`Response::Tags`], or the first answer that is another.
    ///
    /// An error means that the gate has ended.
    pub fn load_tags(
        &mut self,
        groups: &[TagGroup],
        replace: bool,
        complete_for: u32,
    ) -> io::Result<Response> {
        let requests = |TagGroup { seconds, tags }: &TagGroup| {
            let seconds = *seconds;
            let stage =
                move |tags: &[KnockTag]| Request::StageTags { seconds, tags: tags.to_vec() };
            tags.chunks(Request::TAGS).map(stage).collect::<Vec<_>>()
        };
        let requests: Vec<Request> = groups.iter().flat_map(requests).collect();
        for some in requests.chunks(Self::REQUESTS_AT_ONCE) {
            let records: Vec<_> = some.iter().filter_map(Request::encode).collect();
            records.iter().try_for_each(|record| self.send(record))?;
            let mut refused = None;
            for _ in records {
                let answer = self.receive()?;
                refused =
                    refused.or_else(|| Some(answer).filter(|answer| *answer != Response::Tags));
            }
            if let Some(answer) = refused {
                return Ok(answer);
            }
        }
        let count = groups.iter().map(|group| group.tags.len()).sum::<usize>();
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.ask(&Request::LoadTags { count, replace, seconds: complete_for })
    }

    /// Sends a report that a CRL is about to come into force ([`report`](crate::crl::mark_record::report)),
    /// so that no older one of its issuer is accepted again. Returns once the mark is stored, or cannot be.
    ///
    /// An error means that the gate has ended.
    pub fn report(&mut self, report: &[u8; Request::LEN]) -> io::Result<()> {
        self.send(report)?;
        self.receive().map(drop)
    }

    fn ask(&self, request: &Request) -> io::Result<Response> {
        let Some(record) = request.encode() else { return Ok(Response::Failed) };
        self.send(&record)?;
        self.receive()
    }

    fn send(&self, record: &[u8]) -> io::Result<()> {
        uninterrupted(|| send(self.link.as_raw_fd(), record, MsgFlags::MSG_NOSIGNAL)).map(drop)
    }

    fn receive(&self) -> io::Result<Response> {
        let mut record = [0; Response::LEN];
        match uninterrupted(|| recv(self.link.as_raw_fd(), &mut record, MsgFlags::empty()))? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            Response::LEN => Response::decode(&record)
                .ok_or_else(|| io::Error::other("the privileged process sent an unknown answer")),
            _ => Err(io::Error::other("the privileged process sent an answer of the wrong length")),
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

/// The grant as a request to the gate; `None` if it cannot be expressed.
fn grant_request(grant: &Grant) -> Option<GrantRequest> {
    let mut knock = [0; 8];
    knock.copy_from_slice(&grant.id().0[..8]);
    let cert = cert_id(&grant.subject().certificate)?;
    Some(GrantRequest {
        addresses: grant.claim().all().collect(),
        services: grant.services().to_vec(),
        seconds: u32::try_from(grant.lifetime().as_secs()).unwrap_or(u32::MAX),
        single_use: grant.single_use(),
        label: GrantLabel { knock, cert, name: OwnerName::truncated(&grant.subject().name) },
    })
}

fn cert_id(certificate: &CertificateId) -> Option<CertId> {
    let issuer = shortened(&certificate.issuer);
    Some(CertId { issuer, serial: Serial::new(&certificate.serial)? })
}

/// The id of this issuer in the gate.
pub fn shortened(issuer: &IssuerId) -> GateIssuer {
    let mut shortened = GateIssuer::default();
    shortened.copy_from_slice(&issuer.digest()[..CertId::ISSUER]);
    shortened
}
