//! Asking for another attempt of a run, or for another run like it.

use crate::{
    manager::{RetryRunError, RunError},
    model::{Params, Run, RunId},
};
use actix::Message;

/// Stop the attempt and start the next one at once; a run that waits is started now; an ended run goes on with its
/// next attempt and forgets its failures. Breakers are asked as always, unless it is forced.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Run, RunError>")]
pub struct Restart {
    /// Which run.
    pub run: RunId,
    /// Who asks.
    pub by: Option<String>,
    /// Whether a running attempt is stopped; false: only start what does not run.
    pub stop_running: bool,
    /// Whether the next attempt passes the breakers, as with [`Start::force`](super::Start::force).
    pub force: bool,
}

impl Restart {
    /// Starts what does not run, asked for by nobody in particular.
    #[must_use]
    pub const fn new(run: RunId) -> Self {
        Self { run, by: None, stop_running: false, force: false }
    }
}

/// A new run of the same program with the same, or changed, parameters. Secrets must be given again once the old run ended.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Run, RetryRunError>")]
pub struct RetryRun {
    /// Which run.
    pub run: RunId,
    /// Parameters that differ.
    pub params: Params,
    /// Who asks.
    pub by: Option<String>,
}
