//! What outlives every network process: the sockets, the account, the name of this boot.

use std::fs;
use std::io;

use caps::Capability;
use tracing::{error, info};

use super::ears::{Ears, workers};
use super::files::{Files, prepare_folders};
use super::network::{Given, Network};
use super::privilege::{Account, raised};
use crate::config::Settings;

/// Holds what network processes are given, so that nothing is lost between one and the next.
#[derive(Debug)]
pub(crate) struct World {
    ears: Ears,
    boot: String,
}

/// Why no network process was started. Everything that is wrong has been logged.
#[derive(Debug)]
pub(crate) struct Unfit;

impl World {
    /// A world without sockets.
    pub(crate) fn new() -> io::Result<Self> {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim_end().to_owned();
        Ok(Self { ears: Ears::default(), boot })
    }

    /// Starts a network process with `settings`.
    pub(crate) fn start(&mut self, settings: &Settings) -> Result<Network, Unfit> {
        let (account, files) = raised(PRIVILEGES, || Ok(prepare(settings))).map_err(told)??;
        self.ears.open(settings).map_err(|error| told(settings.located(error)))?;
        let ears: Vec<_> = self.ears.of(settings).collect();
        let given = Given { ears: &ears, workers: workers(settings), files: &files };
        let cannot = |error| {
            told(format!(
                "cannot start the network process: {error}; its user must be able to run sknockd"
            ))
        };
        let network =
            Network::start(settings.clone(), &given, &self.boot, account).map_err(cannot)?;
        info!(pid = network.pid(), uid = account.uid.as_raw(), "network process started");
        Ok(network)
    }

    /// No other network process than one with `settings` is left, or on its way.
    pub(crate) fn settle(&mut self, settings: &Settings) {
        self.ears.close_others(settings);
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
