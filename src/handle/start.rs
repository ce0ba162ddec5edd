//! Asking for a run, and for the same run again.

use super::RunHandle;
use crate::{ProcessManager, Result};
use actix_process_actors::{
    manager::{RetryRun, Start},
    model::{IfBlocked, ParamValue, Params, Run, RunId},
};

/// A start about to be sent; see [`ProcessManager::start`].
#[derive(Clone, Debug)]
#[must_use = "nothing starts before `send`"]
pub struct StartRequest {
    pm: ProcessManager,
    start: Start,
}

impl StartRequest {
    pub(crate) fn new(pm: ProcessManager, program: String) -> Self {
        let mut start = Start::default();
        start.program = program;
        Self { pm, start }
    }

    /// Gives a parameter a value. Text is read as the parameter's own kind.
    pub fn param(mut self, name: impl Into<String>, value: impl Into<ParamValue>) -> Self {
        self.start.params.insert(name.into(), value.into());
        self
    }

    /// Gives several parameters their values.
    pub fn params<N: Into<String>, V: Into<ParamValue>>(
        mut self,
        params: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        self.start.params.extend(params.into_iter().map(|(name, value)| (name.into(), value.into())));
        self
    }

    /// Who asks: kept with the run and in the journal, and the key of a `user:` breaker.
    pub fn requested_by(mut self, user: impl Into<String>) -> Self {
        self.start.requested_by = Some(user.into());
        self
    }

    /// A label, for people and filters.
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.start.labels.insert(name.into(), value.into());
        self
    }

    /// Refuse instead of waiting when a breaker is open; no run is created then.
    pub fn refuse_if_blocked(mut self) -> Self {
        self.start.if_blocked = IfBlocked::Refuse;
        self
    }

    /// Passes the breakers with the first attempt: none is asked, whatever [`StartRequest::refuse_if_blocked`] says, and
    /// none hears how the attempt ends. Later attempts ask. `max_concurrent` and `queue` hold. The journal says who.
    pub fn force(mut self) -> Self {
        self.start.force = true;
        self
    }

    /// Who goes first of those that wait for the same place, breaker or tokens: the highest, from -1,000 to 1,000, of equal
    /// ones who waits longest. Default the program's `priority`.
    pub fn priority(mut self, priority: i32) -> Self {
        self.start.priority = Some(priority);
        self
    }

    /// The same key within a day answers with the run of the first request, so that a client may ask again after a
    /// lost answer. With a request that differs (but for values of secrets) it is [`ErrorKind::KeyReused`](crate::ErrorKind).
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.start.idempotency_key = Some(key.into());
        self
    }

    /// Asks. The run is stored when this returns; its process may have to wait.
    ///
    /// # Errors
    /// Unknown program, parameters that do not fit (all problems at once), a full queue, and an open breaker after
    /// [`StartRequest::refuse_if_blocked`].
    pub async fn send(self) -> Result<RunHandle> {
        let pm = self.pm.clone();
        let run = self.send_for_run().await?;
        Ok(RunHandle::new(pm, run.id))
    }

    pub(crate) async fn send_for_run(self) -> Result<Run> {
        Ok(self.pm.ask(self.start).await??)
    }
}

/// A run about to be run again; see [`RunHandle::retry`].
#[derive(Clone, Debug)]
#[must_use = "nothing starts before `send`"]
pub struct RetryRequest {
    pm: ProcessManager,
    retry: RetryRun,
}

impl RetryRequest {
    pub(crate) fn new(pm: ProcessManager, run: RunId) -> Self {
        Self { pm, retry: RetryRun { run, params: Params::new(), by: None } }
    }

    /// Gives a parameter another value than it had. Secrets of an ended run must be given again.
    pub fn param(mut self, name: impl Into<String>, value: impl Into<ParamValue>) -> Self {
        self.retry.params.insert(name.into(), value.into());
        self
    }

    /// Gives several parameters other values than they had.
    pub fn params<N: Into<String>, V: Into<ParamValue>>(
        mut self,
        params: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        self.retry.params.extend(params.into_iter().map(|(name, value)| (name.into(), value.into())));
        self
    }

    /// Who asks.
    pub fn requested_by(mut self, user: impl Into<String>) -> Self {
        self.retry.by = Some(user.into());
        self
    }

    /// Asks, and answers with the new run.
    ///
    /// # Errors
    /// As [`StartRequest::send`], and an unknown run.
    pub async fn send(self) -> Result<RunHandle> {
        let pm = self.pm.clone();
        let run = self.send_for_run().await?;
        Ok(RunHandle::new(pm, run.id))
    }

    pub(crate) async fn send_for_run(self) -> Result<Run> {
        Ok(self.pm.ask(self.retry).await??)
    }
}
