//! What outlives every network process: the sockets, the account, the name of this boot.

use std::fs;
use std::io;
use std::thread;

use caps::Capability;
use tracing::{error, info};

use super::files::{Files, prepare_folders};
use super::network::Network;
use super::privilege::{Account, raised};
use crate::config::Settings;
use crate::intake::KnockSocket;

/// Holds what network processes are given, so that nothing is lost between one and the next.
#[derive(Debug)]
pub(crate) struct World {
    port: u16,
    sockets: Vec<KnockSocket>,
    boot: String,
}

/// Why no network process was started. Everything that is wrong has been logged.
#[derive(Debug)]
pub(crate) struct Unfit;

impl World {
    /// A world without sockets.
    pub(crate) fn new() -> io::Result<Self> {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim_end().to_owned();
        Ok(Self { port: 0, sockets: Vec::new(), boot })
    }

    /// Starts a network process with `settings`.
    pub(crate) fn start(&mut self, settings: &Settings) -> Result<Network, Unfit> {
        let (account, files) = raised(PRIVILEGES, || Ok(prepare(settings))).map_err(told)??;
        self.listen(settings)?;
        let network = Network::start(settings.clone(), &files, &self.sockets, &self.boot, account)
            .map_err(|error| {
                error!("cannot start the network process: {error}");
                Unfit
            })?;
        info!(pid = network.pid(), uid = account.uid.as_raw(), "network process started");
        Ok(network)
    }

    /// Binds what is not bound yet. Sockets in use stay as they are, with what waits in them.
    fn listen(&mut self, settings: &Settings) -> Result<(), Unfit> {
        let port = settings.knocks.port;
        let kept = if port == self.port { self.sockets.len() } else { 0 };
        let wanted = workers(settings);
        let mut more = Vec::new();
        for _ in kept..wanted {
            let bound = raised(&[Capability::CAP_NET_BIND_SERVICE], || KnockSocket::bind(port));
            more.push(bound.map_err(|error| {
                error!(
                    "knockPort: cannot listen on udp/{port}: {error}; `ss -lunp` shows who does"
                );
                Unfit
            })?);
        }
        self.port = port;
        self.sockets.truncate(kept.min(wanted));
        self.sockets.extend(more);
        Ok(())
    }
}

/// What it takes to read key files and to give away the state directory.
const PRIVILEGES: &[Capability] = &[Capability::CAP_DAC_READ_SEARCH, Capability::CAP_CHOWN];

fn prepare(settings: &Settings) -> Result<(Account, Files), Unfit> {
    let account = Account::find(&settings.process.user).map_err(|error| {
        error!("user: {error}");
        Unfit
    });
    let files = Files::open(settings).map_err(|all| {
        for one in &all {
            error!("{}", settings.located(one.to_string()));
        }
        Unfit
    });
    let (account, files) = (account?, files?);
    prepare_folders(settings, account).map_err(told)?;
    Ok((account, files))
}

fn told(error: impl std::fmt::Display) -> Unfit {
    error!("{error}");
    Unfit
}

fn workers(settings: &Settings) -> usize {
    match settings.process.workers {
        0 => thread::available_parallelism().map_or(1, usize::from).min(64),
        some => some.into(),
    }
}
