//! A network process in the view of the privileged process: its start, its orders, its end.

mod heartbeat;

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::process::{Child, ExitStatus, Stdio};
use std::time::Duration;

use caps::Capability;
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send, socketpair};

use sknock_gate::BootInstant;

pub(super) use self::heartbeat::EVERY as QUESTION;
use self::heartbeat::Heartbeat;
use super::child_log::ChildLog;
use super::files::Files;
use super::log_budget::Allowance;
use super::privilege::{Account, with_capabilities};
pub(super) use super::spawn::{itself, passing_on};
use crate::config::Settings;
use crate::knock::replay::state_dir::LastInForce;
use crate::network::handover::{Handover, number};
use crate::network::link::{NetworkReport, Order};
use crate::network::sandbox::PathMeanings;

/// A running network process.
#[derive(Debug)]
pub(crate) struct NetworkProcess {
    /// The settings with which it was started.
    pub(crate) settings: Settings,
    /// The links of its requests; those that it has closed or does not read are `None`.
    pub(crate) links: Vec<Option<OwnedFd>>,
    /// The link for orders and reports; `None` after it was closed or an invalid report arrived.
    orders: Option<OwnedFd>,
    /// Its log, until it closes the pipe.
    log: Option<ChildLog>,
    /// The first errors in its log, once it has ended.
    errors: Vec<String>,
    child: Child,
    stage: Stage,
    /// Since when a link or the order link is closed.
    disconnected_since: Option<BootInstant>,
    /// When it was started.
    started_at: Option<BootInstant>,
    heartbeat: Heartbeat,
    /// The targets of its readable paths at its start.
    pub(crate) granted: PathMeanings,
    /// Whether another process has received a newer CRL since this one was started.
    stale: bool,
}

/// The stage of a network process. It only advances.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Stage {
    Started,
    Ready,
    Serving,
    Stopping(BootInstant),
}

/// The inputs of a network process, besides its settings and the links.
#[derive(Debug)]
pub(crate) struct SpawnInputs<'a> {
    /// The knock sockets.
    pub(crate) knock_sockets: &'a [BorrowedFd<'a>],
    /// The number of worker threads.
    pub(crate) workers: usize,
    /// Keys and CRLs.
    pub(crate) files: &'a Files,
    /// The targets of the readable paths before any of them was opened.
    pub(crate) granted: &'a PathMeanings,
    /// The CRL high-water marks.
    pub(crate) marks: Vec<Vec<u8>>,
    /// The state directory that was last in force.
    pub(crate) last_state: LastInForce,
}

impl NetworkProcess {
    /// Starts this program as the network process, under `account`.
    pub(crate) fn start(
        settings: Settings,
        given: SpawnInputs<'_>,
        boot: &str,
        account: Account,
    ) -> io::Result<Self> {
        let SpawnInputs { knock_sockets, workers, files, granted, marks, last_state } = given;
        let (orders, their_orders) = pair()?;
        // One link for each worker, one for the thread of the CRLs and one for the tags of knocks.
        let (links, their_links): (Vec<_>, Vec<_>) = (0..workers + 2)
            .map(|_| pair())
            .collect::<io::Result<Vec<_>>>()?
            .into_iter()
            .map(|(ours, theirs)| (Some(ours), theirs))
            .unzip();
        let handover = Handover {
            settings,
            parent: std::process::id().cast_signed(),
            boot: boot.to_owned(),
            last_state,
            marks,
            descriptors: files.descriptors(
                number(&their_orders),
                their_links.iter().map(number).collect(),
                knock_sockets.iter().map(number).collect(),
            ),
        };
        let packed = handover.pack()?;
        let (log, their_log) = ChildLog::new()?;
        let passed: Vec<BorrowedFd<'_>> = their_links
            .iter()
            .chain([&their_orders, &packed])
            .map(AsFd::as_fd)
            .chain(knock_sockets.iter().copied())
            .chain(files.all())
            .collect();
        let child = passing_on(&passed, || {
            with_capabilities(&[Capability::CAP_SETUID, Capability::CAP_SETGID], || {
                itself("network", &packed, account).stderr(Stdio::from(their_log)).spawn()
            })
        })?;
        let Handover { settings, .. } = handover;
        Ok(Self {
            settings,
            links,
            orders: Some(orders),
            log: Some(log),
            errors: Vec::new(),
            child,
            stage: Stage::Started,
            disconnected_since: None,
            started_at: None,
            heartbeat: Heartbeat::default(),
            granted: granted.clone(),
            stale: false,
        })
    }

    /// All descriptors on which it may send something.
    pub(crate) fn lines(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let log = self.log.iter().map(ChildLog::as_fd);
        self.links.iter().flatten().chain(&self.orders).map(AsFd::as_fd).chain(log)
    }

    /// Reads its reports and detects closed links. Passes on its log, within the allowance.
    ///
    /// A descriptor that stays readable, because it is closed or full of unexpected bytes, would keep this
    /// process in a busy loop. So it is closed after the first bytes that are not a report.
    pub(crate) fn listen(&mut self, allowance: &mut Allowance, now: BootInstant) {
        self.started_at.get_or_insert(now);
        if self.log.as_mut().is_some_and(|log| !log.pass_on(allowance, now)) {
            self.errors = self.log.take().map(ChildLog::into_errors).unwrap_or_default();
        }
        while let Some(orders) = &self.orders {
            // More than a report, so that a longer record is recognized.
            let mut bytes = [0; 2];
            match recv(orders.as_raw_fd(), &mut bytes, MsgFlags::MSG_DONTWAIT) {
                Err(Errno::EAGAIN) => break,
                Err(Errno::EINTR) => {}
                Ok(1) if self.handle_report(bytes[0]) => {}
                Ok(_) | Err(_) => self.orders = None,
            }
        }
        if self.orders.is_none() || self.links.iter().any(Option::is_none) {
            self.disconnected_since.get_or_insert(now);
        }
    }

    /// Handles a report; `false` if it is invalid or not expected.
    fn handle_report(&mut self, byte: u8) -> bool {
        match NetworkReport::from_byte(byte) {
            Some(NetworkReport::Prepared) if self.stage == Stage::Started => {
                self.stage = Stage::Ready;
                true
            }
            Some(NetworkReport::Pong) => self.heartbeat.answer(),
            _ => false,
        }
    }

    /// Sends a ping if it is due. Only a serving process can answer.
    pub(crate) fn ask(&mut self, now: BootInstant) {
        if self.heartbeat.is_due(now) {
            self.order(Order::Ping);
        }
    }

    /// Whether it has answered since the last call.
    pub(crate) fn has_answered(&mut self) -> bool {
        self.heartbeat.take_answer()
    }

    /// Whether the heartbeat limit has passed without an answer.
    pub(crate) fn is_unresponsive(&self) -> bool {
        self.heartbeat.timed_out()
    }

    /// Whether it was started more than `span` ago.
    pub(crate) fn is_late(&self, now: BootInstant, span: Duration) -> bool {
        self.started_at.is_some_and(|known| now.since(known) > span)
    }

    /// Whether it waits for the order to begin.
    pub(crate) fn is_prepared(&self) -> bool {
        self.stage == Stage::Ready
    }

    /// Another process has received a newer CRL, or grants by another clock: what this one was given may be older.
    pub(crate) fn outdate(&mut self) {
        self.stale = true;
    }

    /// Whether `outdate` was called.
    pub(crate) fn is_outdated(&self) -> bool {
        self.stale
    }

    /// Whether it got the order to begin: before, it must not request the rules.
    pub(crate) fn has_begun(&self) -> bool {
        self.stage >= Stage::Serving
    }

    /// Orders it to lock the state directory and begin.
    pub(crate) fn begin(&mut self) {
        self.stage = Stage::Serving;
        self.order(Order::Begin);
    }

    /// Orders it to finish, once.
    pub(crate) fn finish(&mut self, now: BootInstant) {
        if !self.is_finishing() {
            self.stage = Stage::Stopping(now);
            self.order(Order::Finish);
        }
    }

    /// Whether it got the order to finish.
    pub(crate) fn is_finishing(&self) -> bool {
        matches!(self.stage, Stage::Stopping(_))
    }

    /// Whether it should have ended more than `span` ago: it got the order, or a link is closed, without
    /// which no network process continues.
    pub(crate) fn is_overdue(&self, now: BootInstant, span: Duration) -> bool {
        let since = match self.stage {
            Stage::Stopping(since) => Some(since),
            _ => self.disconnected_since,
        };
        since.is_some_and(|since| now.since(since) > span)
    }

    /// The process may have ended already: that is detected elsewhere.
    fn order(&self, order: Order) {
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        if let Some(orders) = &self.orders {
            let _ = send(orders.as_raw_fd(), &[order as u8], flags);
        }
    }

    /// The exit status of the process, if it has ended.
    pub(crate) fn ended(
        &mut self,
        allowance: &mut Allowance,
        now: BootInstant,
    ) -> Option<ExitStatus> {
        let status = self.child.try_wait().ok().flatten()?;
        // Its last log lines precede the line about its end.
        if let Some(mut log) = self.log.take() {
            log.finish(allowance, now);
            self.errors = log.into_errors();
        }
        Some(status)
    }

    /// The first errors in its log, if it has ended.
    pub(crate) fn errors(self) -> Vec<String> {
        self.errors
    }

    /// Kills the process. Its state survives that.
    pub(crate) fn kill(&mut self) {
        let _ = with_capabilities(&[Capability::CAP_KILL], || self.child.kill());
        let _ = self.child.wait();
    }

    /// The process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SockFlag::SOCK_CLOEXEC;
    Ok(socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags)?)
}
