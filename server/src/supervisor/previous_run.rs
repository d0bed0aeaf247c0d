//! The configuration of a start: the current one, or that of a trial in which an earlier run ended.

use std::time::Duration;

use sknock_gate::{BootInstant, Firewall, FirewallError};
use tracing::{error, warn};

use super::saved_config::SavedConfigs;
use super::supervise::TrialDeadline;
use crate::config::Settings;

/// The configuration to start with.
#[derive(Debug)]
pub(crate) struct PreviousRun {
    pub(crate) settings: Settings,
    pub(crate) asked: Option<TrialDeadline>,
    /// The settings in force from an earlier run, for a rollback.
    pub(crate) earlier: Option<Settings>,
}

impl PreviousRun {
    /// Examines the state of an earlier run. `None`: its trial ended without confirmation, so its table is
    /// removed and nothing may be started. Otherwise a supervisor that restarts sknockd would lock out the
    /// administrator repeatedly, or extend the trial without limit.
    ///
    /// A trial over a confirmed configuration is not continued; a first start on trial is, without a new
    /// request. `unconfirmed` is the end of the earlier run's trial, if it was in one. The table itself is
    /// not used as a source: it may have been flushed, or come from a ruleset that was saved in a trial.
    pub(crate) fn find(
        firewall: &mut Firewall,
        settings: Settings,
        trial: Option<Duration>,
        (saved_configs, unconfirmed): (&SavedConfigs, Option<BootInstant>),
        now: BootInstant,
    ) -> Result<Option<Self>, FirewallError> {
        if let Some(before) = saved_configs.rollback.load(&settings) {
            warn!(
                "the file has the settings of a trial that was not confirmed before sknockd \
                 was killed. Using the configuration from before the trial; the next reload \
                 reads the file"
            );
            return Ok(Some(Self { settings: before, asked: None, earlier: None }));
        }
        // The table was removed on purpose, so it is not restored.
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
                // A restart with a shorter `--confirm` shortens the trial; none prolongs it.
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
