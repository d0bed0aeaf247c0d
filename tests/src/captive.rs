//! A compromised network process: it is stopped, and the test sends in its name.

use std::fs;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{MsgFlags, Shutdown, SockType, getsockopt, recv, send, shutdown, sockopt};
use nix::unistd::Pid;
use rustix::process::{PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use sknock_server::network::link::{NetworkReport, Order};

use crate::process;

/// Until it is asked whether its workers turn, three times over.
const NEXT_QUESTION: u16 = 6000;

/// In which it answers: it looks every 0.1 s whether its workers have turned.
const TO_ANSWER: Duration = Duration::from_secs(1);

/// All its links to the privileged process, held by the test.
#[derive(Debug)]
pub struct Captive {
    pid: Pid,
    /// Where orders come from, and reports go.
    pub orders: OwnedFd,
    /// Where it asks the gate.
    pub links: Vec<OwnedFd>,
}

impl Captive {
    /// Takes over the network process `pid`. It sees and does nothing more by itself.
    pub fn take(pid: Pid) -> Self {
        process::stop(pid);
        let (lines, _) = stolen(pid);
        let mut lines = lines.into_iter();
        let orders = lines.next().expect("a line for orders");
        Self { pid, orders, links: lines.collect() }
    }

    /// What else it has open, for as long as the caller keeps it.
    pub fn others(&self) -> Vec<OwnedFd> {
        stolen(self.pid).1
    }

    /// One descriptor of it, by its number.
    pub fn descriptor(&self, number: i32) -> OwnedFd {
        let process = rustix::process::Pid::from_raw(self.pid.as_raw()).expect("it has a number");
        let process = pidfd_open(process, PidfdFlags::empty()).expect("it runs");
        pidfd_getfd(&process, number, PidfdGetfdFlags::empty()).expect("it is open")
    }

    /// The same for a serving process, at a moment without a pending answer: an answer that it owes could not
    /// be given in its name.
    pub fn take_in_peace(pid: Pid) -> Self {
        loop {
            let captive = Self::take(pid);
            let mut next = [PollFd::new(captive.orders.as_fd(), PollFlags::POLLIN)];
            if poll(&mut next, NEXT_QUESTION) == Ok(1) {
                assert!(process::runs(pid), "it was ended before it could be captured");
                return captive;
            }
            captive.release();
            // Or it would owe the answer for ever, and be ended for that.
            thread::sleep(TO_ANSWER);
        }
    }

    /// Its number.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Answers, as it would, if it is asked whether its workers turn.
    pub fn seem_at_work(&self) {
        let (mut order, flags) = ([0], MsgFlags::MSG_DONTWAIT);
        while recv(self.orders.as_raw_fd(), &mut order, flags) == Ok(1) {
            if Order::from_byte(order[0]) == Some(Order::Ping) {
                let _ = Self::say(&self.orders, &[NetworkReport::Pong as u8]);
            }
        }
    }

    /// Lets it continue.
    pub fn release(self) {
        kill(self.pid, Signal::SIGCONT).expect("it is still there");
    }

    /// Closes a line for both sides: the same as if the process had closed its end.
    pub fn close(line: &OwnedFd) {
        shutdown(line.as_raw_fd(), Shutdown::Both).expect("it is open");
    }

    /// Sends a record without blocking. `EAGAIN`: the buffer is full.
    pub fn say(line: &OwnedFd, record: &[u8]) -> Result<(), Errno> {
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        send(line.as_raw_fd(), record, flags).map(drop)
    }

    /// Asks, and waits for the answer; `None` when the other side has hung up.
    pub fn ask(line: &OwnedFd, record: &[u8]) -> Option<Vec<u8>> {
        send(line.as_raw_fd(), record, MsgFlags::MSG_NOSIGNAL).ok()?;
        let mut answer = [0; 64];
        match recv(line.as_raw_fd(), &mut answer, MsgFlags::empty()) {
            Ok(0) | Err(_) => None,
            Ok(length) => Some(answer[..length].to_vec()),
        }
    }
}

/// What a process has open: its lines to the privileged process, orders first, and all else.
fn stolen(pid: Pid) -> (Vec<OwnedFd>, Vec<OwnedFd>) {
    let process = rustix::process::Pid::from_raw(pid.as_raw()).expect("a process has a number");
    let process = pidfd_open(process, PidfdFlags::empty()).expect("it runs");
    let mut numbers: Vec<i32> = fs::read_dir(format!("/proc/{pid}/fd"))
        .expect("we are root")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    numbers.sort_unstable();
    let stolen = numbers.into_iter().map(|number| {
        pidfd_getfd(&process, number, PidfdGetfdFlags::empty()).expect("we are root")
    });
    // Nothing else of it is of this kind; the orders were made first.
    stolen.partition(|fd| getsockopt(fd, sockopt::SockType) == Ok(SockType::SeqPacket))
}
