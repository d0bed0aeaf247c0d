//! How a start begins: with the configuration as it is, or where an earlier run was cut off in a trial.

use std::time::Duration;

use sknock_gate::{BootInstant, Firewall, FirewallError};
use tracing::{error, warn};

use super::fallback::Fallbacks;
use super::supervise::Asked;
use crate::config::Settings;

/// What to start with.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) settings: Settings,
    pub(crate) asked: Option<Asked>,
    /// What an earlier run has left in force, for a trial to go back to.
    pub(crate) earlier: Option<Settings>,
}

impl Start {
    /// Looks at what an earlier run has left. Nothing: its trial was never confirmed and is over, so
    /// its table is removed and nothing is to be started. Otherwise, whoever starts us again and again
    /// would lock out again and again, or prolong the trial for ever.
    ///
    /// What was on trial over something confirmed is not taken up; a first start that was is, without a
    /// trial asked for. `unconfirmed` is the end of the earlier run's trial, if it was in one. Neither is
    /// asked of the table: it may have been flushed, or come from a ruleset that was saved in a trial.
    pub(crate) fn find(
        firewall: &mut Firewall,
        settings: Settings,
        trial: Option<Duration>,
        (fallbacks, unconfirmed): (&Fallbacks, Option<BootInstant>),
        now: BootInstant,
    ) -> Result<Option<Self>, FirewallError> {
        if let Some(before) = fallbacks.before.kept(&settings) {
            warn!(
                "an earlier run was cut off before anybody had confirmed a trial: going on with the \
                 configuration from before that. The file is read with the next reload"
            );
            return Ok(Some(Self { settings: before, asked: None, earlier: None }));
        }
        // Whoever has removed the table wants nothing of it back.
        if !firewall.exists()? {
            fallbacks.confirmed.forget();
        }
        let Some(span) = trial else {
            return Ok(Some(Self { settings, asked: None, earlier: None }));
        };
        let mut earlier = None;
        let asked = match unconfirmed.map(|until| until.since(now)) {
            None => {
                earlier = fallbacks.confirmed.kept(&settings);
                Asked::For(span)
            }
            Some(Duration::ZERO) => {
                error!(
                    "an earlier run was on trial, and nobody has confirmed it: protection is \
                     removed, and nothing is started. To try again, start again"
                );
                firewall.remove()?;
                return Ok(None);
            }
            Some(left) => {
                let left = left.min(span);
                let seconds = left.as_secs() + 1;
                warn!("an earlier run was cut off on trial: its {seconds} s count on");
                Asked::Until(now.after(left))
            }
        };
        Ok(Some(Self { settings, asked: Some(asked), earlier }))
    }
}
