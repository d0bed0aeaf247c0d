//! How a start begins: with the configuration as it is, or in the trial in which an earlier run ended.

use std::time::Duration;

use sknock_gate::{BootInstant, Firewall, FirewallError};
use tracing::{error, warn};

use super::saved_config::SavedConfigs;
use super::supervise::TrialDeadline;
use crate::config::Settings;

/// What to start with.
#[derive(Debug)]
pub(crate) struct PreviousRun {
    pub(crate) settings: Settings,
    pub(crate) asked: Option<TrialDeadline>,
    /// What an earlier run has left in force, for a trial to go back to.
    pub(crate) earlier: Option<Settings>,
}

impl PreviousRun {
    /// Looks at what an earlier run has left. Nothing: its trial was never confirmed and is over, so
    /// its table is removed and nothing is to be started. Otherwise a supervisor that restarts
    /// sknockd would lock out the administrator again and again, or prolong the trial for ever.
    ///
    /// What was on trial over something confirmed is not taken up; a first start that was is, without a
    /// trial asked for. `unconfirmed` is the end of the earlier run's trial, if it was in one. Neither is
    /// asked of the table: it may have been flushed, or come from a ruleset that was saved in a trial.
    pub(crate) fn find(
        firewall: &mut Firewall,
        settings: Settings,
        trial: Option<Duration>,
        (saved_configs, unconfirmed): (&SavedConfigs, Option<BootInstant>),
        now: BootInstant,
    ) -> Result<Option<Self>, FirewallError> {
        if let Some(before) = saved_configs.rollback.load(&settings) {
            warn!(
                "the previous sknockd died during a trial that was not confirmed. Using the \
                 configuration from before the trial; the next reload reads the file"
            );
            return Ok(Some(Self { settings: before, asked: None, earlier: None }));
        }
        // The table was removed on purpose: nothing of it comes back.
        if !firewall.exists()? {
            saved_configs.confirmed.forget();
        }
        let Some(span) = trial else {
            return Ok(Some(Self { settings, asked: None, earlier: None }));
        };
        let mut earlier = None;
        let asked = match unconfirmed.map(|until| until.since(now)) {
            None => {
                earlier = saved_configs.confirmed.load(&settings);
                TrialDeadline::After(span)
            }
            Some(Duration::ZERO) => {
                error!(
                    "the previous sknockd died during a trial that was not confirmed, and its \
                     time is over: rules removed, sknockd exits. Start it again for a new trial"
                );
                firewall.remove()?;
                return Ok(None);
            }
            Some(left) => {
                let left = left.min(span);
                let seconds = left.as_secs() + 1;
                warn!(
                    "the previous sknockd died during a trial: the trial continues, {seconds} \
                       s left"
                );
                TrialDeadline::At(now.after(left))
            }
        };
        Ok(Some(Self { settings, asked: Some(asked), earlier }))
    }
}
