//! A handle on one run.

use super::{LogReader, RetryRequest};
use crate::{ProcessManager, Result, RunStatus};
use actix_process_actors::{
    explain::Explanation,
    manager::{GetAttempts, GetRun, Restart, SignalRun, Stop, Wait, WaitAttempt, Why},
    model::{Attempt, EndReason, ExitStatus, Phase, Reason, RunId, Timestamp},
};

/// One run. Cheap to clone; dropping it stops nothing.
#[derive(Clone, Debug)]
pub struct RunHandle {
    pm: ProcessManager,
    id: RunId,
}

impl RunHandle {
    pub(crate) const fn new(pm: ProcessManager, id: RunId) -> Self {
        Self { pm, id }
    }

    /// Its identity, which sorts by the time of the request.
    #[must_use]
    pub const fn id(&self) -> RunId {
        self.id
    }

    /// The run as it is now.
    ///
    /// # Errors
    /// It is unknown: ended long ago and forgotten.
    pub async fn status(&self) -> Result<RunStatus> {
        Ok(self.pm.ask(GetRun { id: self.id.to_string() }).await??)
    }

    /// Waits until the run is over: no process of its tree is left and no attempt follows. At once when it is.
    ///
    /// # Errors
    /// It is unknown, or the supervisor ends first.
    pub async fn wait(&self) -> Result<RunEnd> {
        Ok(RunEnd::of(self.pm.ask(Wait { run: self.id }).await??))
    }

    /// Its output, stored and live.
    pub fn logs(&self) -> LogReader {
        LogReader::new(self.pm.clone()).run(self.id)
    }

    /// Stops its whole tree and forbids further attempts. Returns when the decision is written; see
    /// [`RunHandle::stop_and_wait`].
    ///
    /// # Errors
    /// It is unknown, or over already.
    pub async fn stop(&self) -> Result<RunStatus> {
        Ok(self.pm.ask(Stop { run: self.id, by: None }).await??)
    }

    /// Stops it and waits until nobody of its tree is left: `stop_timeout` after the request at the latest, when what
    /// still lives is killed. What somebody starts of it meanwhile is not waited for, and lives on; the answer is about what
    /// was stopped.
    ///
    /// # Errors
    /// As [`RunHandle::stop`].
    pub async fn stop_and_wait(&self) -> Result<RunEnd> {
        let attempt = self.stop().await?.attempt;
        let run = self.pm.ask(WaitAttempt { run: self.id, attempt }).await??;
        Ok(RunEnd::of_stopped(run, attempt))
    }

    /// Stops its attempt and starts the next one at once. A run that waits is started now; one that is over goes on
    /// with its next attempt and forgets its failures. Breakers are asked as always, see [`RunHandle::force_start`].
    ///
    /// # Errors
    /// It is unknown, or its program is no longer configured.
    pub async fn restart(&self) -> Result<RunStatus> {
        Ok(self.pm.ask(Restart { stop_running: true, ..Restart::new(self.id) }).await??)
    }

    /// As [`RunHandle::restart`], but leaves an attempt alone that runs.
    ///
    /// # Errors
    /// As [`RunHandle::restart`].
    pub async fn start(&self) -> Result<RunStatus> {
        Ok(self.pm.ask(Restart::new(self.id)).await??)
    }

    /// As [`RunHandle::start`], past the breakers: none is asked, and none hears how that attempt ends. A run that a
    /// breaker holds back is started now. The attempts after it ask again.
    ///
    /// # Errors
    /// As [`RunHandle::restart`].
    pub async fn force_start(&self) -> Result<RunStatus> {
        Ok(self.pm.ask(Restart { force: true, ..Restart::new(self.id) }).await??)
    }

    /// Sends a signal, by its number, to the group of its process.
    ///
    /// # Errors
    /// It has no process now.
    pub async fn signal(&self, signal: i32) -> Result<()> {
        Ok(self.pm.ask(SignalRun { run: self.id, signal }).await??)
    }

    /// A new run of the same program with the same, or changed, parameters.
    pub fn retry(&self) -> RetryRequest {
        RetryRequest::again(self.pm.clone(), self.id)
    }

    /// The chain of decisions that led to its present state, and what happens next.
    ///
    /// # Errors
    /// It is unknown.
    pub async fn why(&self) -> Result<Explanation> {
        Ok(self.pm.ask(Why { run: self.id }).await??)
    }

    /// Its attempts, oldest first: at most `limit` of those after number `after` (0: from the first).
    /// [`RunHandle::status`] has the newest 20 already.
    ///
    /// # Errors
    /// It is unknown.
    pub async fn attempts(&self, after: u32, limit: usize) -> Result<Vec<Attempt>> {
        Ok(self.pm.ask(GetAttempts { run: self.id, after, limit }).await??)
    }
}

/// How a run ended.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct RunEnd {
    /// Which run.
    pub run: RunId,
    /// Of which program.
    pub program: String,
    /// Who asked for it.
    pub requested_by: Option<String>,
    /// `succeeded`, `failed`, `stopped` or `quarantined`.
    pub phase: Phase,
    /// What ended it.
    pub end_reason: Option<EndReason>,
    /// How its last process ended; nothing when none ever started.
    pub exit: Option<ExitStatus>,
    /// The class of its last attempt; nothing on success.
    pub class: Option<String>,
    /// The latest failure with its line, where there was one.
    pub reason: Option<Reason>,
    /// How many attempts it took.
    pub attempts: u32,
    /// When.
    pub ended_at: Option<Timestamp>,
}

impl RunEnd {
    pub(crate) fn of(run: RunStatus) -> Self {
        let last = run.attempts.back();
        Self {
            run: run.id,
            program: run.program,
            requested_by: run.requested_by,
            phase: run.phase,
            end_reason: run.end_reason,
            exit: last.and_then(|attempt| attempt.exit),
            class: last.and_then(|attempt| attempt.class.clone()),
            attempts: run.attempt,
            ended_at: run.ended_at,
            reason: run.reason,
        }
    }

    /// The end of what was stopped, also when the run goes on with a later attempt.
    fn of_stopped(mut run: RunStatus, attempt: u32) -> Self {
        if !run.phase.is_ended() {
            (run.phase, run.end_reason, run.attempt) = (Phase::Stopped, Some(EndReason::Operator), attempt);
            run.attempts.retain(|one| one.number <= attempt);
            run.ended_at = run.attempts.back().and_then(|last| last.ended_at);
        }
        Self::of(run)
    }

    /// Whether it ended well.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.phase == Phase::Succeeded
    }

    /// As a shell would say it: the exit code of the last process, 128 + n for a signal, 1 when none ever started or
    /// its end was not seen.
    #[must_use]
    pub fn exit_code(&self) -> i32 {
        match self.exit {
            Some(ExitStatus::Code(code)) => code,
            Some(ExitStatus::Signal { number, .. }) => 128 + number,
            Some(ExitStatus::Unknown) => 1,
            None => i32::from(!self.is_success()),
        }
    }
}
