//! State that outlives network processes: sockets, account, boot id.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::PathBuf;

use caps::Capability;
use nix::unistd::Uid;
use tracing::{error, info};

use super::files::{Files, prepare_folder};
use super::knock_sockets::{KnockSockets, workers};
use super::last_state::{Clocks, LastState};
use super::marks::{self, Keeper};
use super::network_process::{NetworkProcess, SpawnInputs};
use super::privilege::{Account, with_capabilities};
use crate::config::{ProcessSettings, Settings};
use crate::knock::replay::state_dir::FolderId;
use crate::network::sandbox::PathMeanings;

/// Maximum number of remembered pids.
const REMEMBERED: usize = 16;

/// Holds the inputs of network processes from one to the next.
#[derive(Debug)]
pub(crate) struct Spawner {
    knock_sockets: KnockSockets,
    boot: String,
    /// The user of network processes, once one was started.
    uid: Option<Uid>,
    /// The pids of the newest network processes, running or not, the newest last.
    started: VecDeque<u32>,
    /// The CRL high-water marks.
    pub(crate) marks: Keeper,
    /// The state directory that was last in force.
    last_state: LastState,
    /// The folder for the marks if they cannot be stored beside the state directory.
    instead: PathBuf,
}

/// Reasons why no network process was started: at least one. All have been logged.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum StartFailed {
    /// The configuration or a file that it names is wrong: another attempt has the same result.
    Unfit(Vec<String>),
    /// Another program uses a resource, or the machine lacks it: another attempt may succeed.
    Unavailable(String),
}

impl StartFailed {
    /// The reasons.
    pub(crate) fn reasons(self) -> Vec<String> {
        match self {
            Self::Unfit(reasons) => reasons,
            Self::Unavailable(reason) => vec![reason],
        }
    }
}

impl Spawner {
    /// Without sockets.
    pub(crate) fn new(marks_instead: PathBuf, last_state: LastState) -> io::Result<Self> {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim_end().to_owned();
        let (knock_sockets, marks) = (KnockSockets::default(), Keeper::default());
        Ok(Self {
            knock_sockets,
            boot,
            uid: None,
            started: VecDeque::with_capacity(REMEMBERED),
            marks,
            last_state,
            instead: marks_instead,
        })
    }

    /// Stores marks beside the state directory of these settings.
    pub(crate) fn settle_marks(&mut self, settings: &Settings) {
        let ProcessSettings { state, user, .. } = &settings.process;
        self.marks.settle(state, &self.instead, Account::uid_of(user));
    }

    /// Reads the marks beside the state directory that was last in force, if that is another one.
    pub(crate) fn learn_marks(&mut self, settings: &Settings) {
        let ProcessSettings { state, user, .. } = &settings.process;
        if let Some(other) = self.last_state.path().filter(|path| *path != state) {
            self.marks.learn(marks::kept(other, Account::uid_of(user)));
        }
    }

    /// Starts a network process with `settings`.
    pub(crate) fn start(&mut self, settings: &Settings) -> Result<NetworkProcess, StartFailed> {
        // Must be first: a file that is replaced during the opening then differs, and is detected.
        let granted = PathMeanings::look(settings.read_once());
        let (account, files) =
            with_capabilities(PRIVILEGES, || Ok(prepare(settings))).map_err(unfit)??;
        self.knock_sockets.open(settings).map_err(|error| unavailable(settings.located(error)))?;
        // A reload may have changed the state directory.
        self.settle_marks(settings);
        let (knock_sockets, marks): (Vec<_>, _) =
            (self.knock_sockets.of(settings).collect(), self.marks.entries());
        let workers = workers(settings);
        let given = SpawnInputs {
            knock_sockets: &knock_sockets,
            workers,
            files: &files,
            granted: &granted,
            marks,
            last_state: self.last_state.before(Clocks::now()),
        };
        let network = NetworkProcess::start(settings.clone(), given, &self.boot, account).map_err(
            |error| {
                let remedy = remedy(&error);
                unavailable(format!("cannot start the network process: {error}. {remedy}"))
            },
        )?;
        self.uid = Some(account.uid);
        if self.started.len() == REMEMBERED {
            self.started.pop_front();
        }
        self.started.push_back(network.pid());
        info!(pid = network.pid(), uid = account.uid.as_raw(), "network process started");
        Ok(network)
    }

    /// Records that from now on knocks are admitted with the state directory of these settings.
    ///
    /// # Errors
    ///
    /// If that cannot be recorded: then no knock may be admitted with it.
    pub(crate) fn enter_state(&mut self, settings: &Settings) -> io::Result<()> {
        let state = &settings.process.state;
        let found = with_capabilities(PRIVILEGES, || state.metadata())?;
        let window = settings.knocks.window;
        self.last_state.enter((state, FolderId::from(&found)), window, Clocks::now())
    }

    /// Records the clock by which knocks are about to be granted. Whether it was stepped since the grants before.
    ///
    /// # Errors
    ///
    /// If that cannot be recorded: then nothing may be granted.
    pub(crate) fn note_grants(&mut self) -> io::Result<bool> {
        self.last_state.note_grants(Clocks::now())
    }

    /// The user of network processes, once one was started.
    pub(crate) fn uid(&self) -> Option<Uid> {
        self.uid
    }

    /// The pids of the newest network processes. Some may have ended: their netlink messages may still be
    /// queued.
    pub(crate) fn started(&mut self) -> &[u32] {
        self.started.make_contiguous()
    }

    /// Only network processes with `settings` are left or starting.
    pub(crate) fn settle(&mut self, settings: &Settings) {
        self.knock_sockets.close_others(settings);
    }
}

/// The remedy if no network process can be started.
fn remedy(error: &io::Error) -> &'static str {
    // EAGAIN of fork(2): RLIMIT_NPROC, or pids.max of the control group (TasksMax= of the unit).
    if error.kind() == io::ErrorKind::WouldBlock {
        "No more processes or threads are available. If the running network process has thousands of threads \
         (`ls /proc/PID/task`), end it with `kill -9`; sknockd starts another one"
    } else {
        "Its user must be able to execute sknockd"
    }
}

/// The capabilities for reading key files, changing the owner of the state directory, and opening files in it
/// as its user.
const PRIVILEGES: &[Capability] = &[
    Capability::CAP_DAC_READ_SEARCH,
    Capability::CAP_CHOWN,
    Capability::CAP_SETUID,
    Capability::CAP_SETGID,
];

fn prepare(settings: &Settings) -> Result<(Account, Files), StartFailed> {
    let mut reasons = Vec::new();
    let account = Account::find(&settings.process.user);
    let account = account.inspect_err(|error| reasons.push(format!("user: {error}"))).ok();
    let files = Files::open(settings, account);
    let files = files.map_err(|all| {
        reasons.extend(all.iter().map(|one| settings.located(one.to_string())));
    });
    let (Some(account), Ok(files)) = (account, files) else {
        for reason in &reasons {
            error!("{reason}");
        }
        return Err(StartFailed::Unfit(reasons));
    };
    prepare_folder(settings, account).map_err(unfit)?;
    Ok((account, files))
}

fn unfit(error: impl std::fmt::Display) -> StartFailed {
    error!("{error}");
    StartFailed::Unfit(vec![error.to_string()])
}

fn unavailable(error: impl std::fmt::Display) -> StartFailed {
    error!("{error}");
    StartFailed::Unavailable(error.to_string())
}
