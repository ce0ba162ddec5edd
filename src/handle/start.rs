//! Asking for a run, and for the same run again.

use super::RunHandle;
use crate::{ProcessManager, Result};
use actix_process_actors::{
    manager::{RetryRun, Start},
    model::{IfBlocked, ParamValue, Params, Run, RunId},
};

/// A start about to be sent; see [`ProcessManager::start`].
pub type StartRequest = Request<Start>;

/// A run about to be run again; see [`RunHandle::retry`].
pub type RetryRequest = Request<RetryRun>;

/// A run about to be asked for: what a [`StartRequest`] and a [`RetryRequest`] have in common.
#[derive(Clone, Debug)]
#[must_use = "nothing starts before `send`"]
pub struct Request<M> {
    pm: ProcessManager,
    params: Params,
    requested_by: Option<String>,
    /// The message, as far as it is not common.
    message: M,
}

impl<M> Request<M> {
    fn of(pm: ProcessManager, message: M) -> Self {
        Self { pm, params: Params::new(), requested_by: None, message }
    }

    /// Gives a parameter a value. Text is read as the parameter's own kind. Default of a start: the parameter's own; of a
    /// run that is run again: the value that it had, but for secrets of an ended run, which must be given again.
    pub fn param(mut self, name: impl Into<String>, value: impl Into<ParamValue>) -> Self {
        self.params.insert(name.into(), value.into());
        self
    }

    /// Gives several parameters their values, as [`param`](Self::param) does.
    pub fn params<N: Into<String>, V: Into<ParamValue>>(
        mut self,
        params: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        self.params.extend(params.into_iter().map(|(name, value)| (name.into(), value.into())));
        self
    }

    /// Who asks: kept with the run and in the journal, and the key of a `user:` breaker. Default of a run that is run
    /// again: who asked for the first one.
    pub fn requested_by(mut self, user: impl Into<String>) -> Self {
        self.requested_by = Some(user.into());
        self
    }
}

impl StartRequest {
    pub(crate) fn new(pm: ProcessManager, program: String) -> Self {
        let mut start = Start::default();
        start.program = program;
        Self::of(pm, start)
    }

    /// A label, for people and filters.
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.message.labels.insert(name.into(), value.into());
        self
    }

    /// Refuse instead of waiting when a breaker is open; no run is created then.
    pub fn refuse_if_blocked(mut self) -> Self {
        self.message.if_blocked = IfBlocked::Refuse;
        self
    }

    /// Passes the breakers with the first attempt: none is asked, whatever [`StartRequest::refuse_if_blocked`] says, and
    /// none hears how the attempt ends. Later attempts ask. `max_concurrent` and `queue` hold. The journal says who.
    pub fn force(mut self) -> Self {
        self.message.force = true;
        self
    }

    /// Who goes first of those that wait for the same place, breaker or tokens: the highest, from -1,000 to 1,000, of equal
    /// ones who waits longest. Default the program's `priority`.
    pub fn priority(mut self, priority: i32) -> Self {
        self.message.priority = Some(priority);
        self
    }

    /// The same key within a day answers with the run of the first request, so that a client may ask again after a
    /// lost answer. With a request that differs (but for values of secrets) it is [`ErrorKind::KeyReused`](crate::ErrorKind).
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.message.idempotency_key = Some(key.into());
        self
    }

    /// Asks. The run is stored when this returns; its process may have to wait.
    ///
    /// # Errors
    /// Unknown program, parameters that do not fit (all problems at once), a full queue, and an open breaker after
    /// [`StartRequest::refuse_if_blocked`].
    pub async fn send(self) -> Result<RunHandle> {
        let pm = self.pm.clone();
        Ok(RunHandle::new(pm, self.send_for_run().await?.id))
    }

    pub(crate) async fn send_for_run(mut self) -> Result<Run> {
        (self.message.params, self.message.requested_by) = (self.params, self.requested_by);
        Ok(self.pm.ask(self.message).await??)
    }
}

impl RetryRequest {
    pub(crate) fn again(pm: ProcessManager, run: RunId) -> Self {
        Self::of(pm, RetryRun { run, params: Params::new(), by: None })
    }

    /// Asks, and answers with the new run.
    ///
    /// # Errors
    /// As [`StartRequest::send`], and an unknown run.
    pub async fn send(self) -> Result<RunHandle> {
        let pm = self.pm.clone();
        Ok(RunHandle::new(pm, self.send_for_run().await?.id))
    }

    pub(crate) async fn send_for_run(mut self) -> Result<Run> {
        (self.message.params, self.message.by) = (self.params, self.requested_by);
        Ok(self.pm.ask(self.message).await??)
    }
}
