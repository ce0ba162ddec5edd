//! The verbs on a program: what they do to its runs, whichever these are.

use crate::{Error, ErrorKind, ProcessManager, Result, RunStatus};
use actix_process_actors::{
    manager::{ProgramStatus, Restart, RunError, Stop},
    model::RunId,
};

/// The verbs on a program, such as "bring it up" and "stop all its runs". One run has its own: [`RunHandle`](crate::RunHandle).
///
/// ```no_run
/// # async fn deploy(pm: &actix_process::ProcessManager) -> actix_process::Result<()> {
/// let api = pm.program_handle("api").requested_by("alice");
/// api.stop().await?;
/// api.start().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing happens before one of its verbs"]
pub struct ProgramHandle {
    pm: ProcessManager,
    name: String,
    by: Option<String>,
    force: bool,
}

impl ProgramHandle {
    pub(crate) const fn new(pm: ProcessManager, name: String) -> Self {
        Self { pm, name, by: None, force: false }
    }

    /// Who asks: stands in the journal, and with a new run.
    pub fn requested_by(mut self, user: impl Into<String>) -> Self {
        self.by = Some(user.into());
        self
    }

    /// What is started passes the breakers with its next attempt, as with
    /// [`StartRequest::force`](crate::StartRequest::force).
    pub const fn force(mut self) -> Self {
        self.force = true;
        self
    }

    #[cfg(feature = "web")]
    pub(crate) fn asked(self, by: Option<String>, force: bool) -> Self {
        Self { by, force, ..self }
    }

    /// The program with its living runs and its last one that ended.
    ///
    /// # Errors
    /// There is none of this name.
    pub async fn status(&self) -> Result<ProgramStatus> {
        self.pm.program(&self.name).await
    }

    /// Brings it up. A daemon's run is started at once where it waits, left alone where it runs, and goes on with its next attempt where
    /// it is over. A job, and a daemon that never ran, gets a new run, with the defaults of its parameters;
    /// [`ProcessManager::start`] gives it others.
    ///
    /// # Errors
    /// There is no program of this name, or it is no longer configured; and as
    /// [`StartRequest::send`](crate::StartRequest::send).
    pub async fn start(&self) -> Result<RunStatus> {
        match self.goes_on_with().await? {
            Some(run) => self.go_on(run, false).await,
            None => self.start_anew().await,
        }
    }

    /// Stops all its living runs, as [`RunHandle::stop`](crate::RunHandle::stop) does: returns them when the decisions are
    /// written.
    ///
    /// # Errors
    /// There is no program of this name, or none of its runs lives.
    pub async fn stop(&self) -> Result<Vec<RunStatus>> {
        let status = self.status().await?;
        let mut stopped = Vec::new();
        for living in &status.living {
            match self.pm.ask(Stop { run: living.id, by: self.by.clone() }).await? {
                Ok(stopping) => stopped.push(stopping),
                // It ended by itself meanwhile.
                Err(RunError::NotRunning { .. } | RunError::Unknown(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if stopped.is_empty() { Err(self.not_running()) } else { Ok(stopped) }
    }

    /// Restarts all its living runs, as [`RunHandle::restart`](crate::RunHandle::restart) does. A daemon that is down is
    /// started.
    ///
    /// # Errors
    /// There is no program of this name, or it is no longer configured; or it is a job and none of its runs lives.
    pub async fn restart(&self) -> Result<Vec<RunStatus>> {
        let status = self.configured().await?;
        let mut runs: Vec<_> = status.living.iter().map(|run| run.id).collect();
        if runs.is_empty() && status.program.is_daemon() {
            match &status.last {
                Some(last) => runs.push(last.id),
                None => return Ok(vec![self.start_anew().await?]),
            }
        }
        if runs.is_empty() {
            return Err(self.not_running());
        }
        let mut restarted = Vec::new();
        for run in runs {
            restarted.push(self.go_on(run, true).await?);
        }
        Ok(restarted)
    }

    /// The run that [`start`](Self::start) goes on with; `None`: it makes a new one.
    pub(crate) async fn goes_on_with(&self) -> Result<Option<RunId>> {
        let status = self.configured().await?;
        let known = status.living.first().or(status.last.as_ref());
        Ok(known.filter(|_| status.program.is_daemon()).map(|run| run.id))
    }

    /// The next attempt of this run.
    pub(crate) async fn go_on(&self, run: RunId, stop_running: bool) -> Result<RunStatus> {
        Ok(self.pm.ask(Restart { run, by: self.by.clone(), stop_running, force: self.force }).await??)
    }

    async fn start_anew(&self) -> Result<RunStatus> {
        let mut start = self.pm.start(&self.name);
        if let Some(by) = &self.by {
            start = start.requested_by(by);
        }
        if self.force {
            start = start.force();
        }
        start.send_for_run().await
    }

    /// The program, to be started: of one that was removed there are living runs at most.
    async fn configured(&self) -> Result<ProgramStatus> {
        let status = self.status().await?;
        if status.removed {
            Err(RunError::ProgramGone(status.program.name.clone()).into())
        } else {
            Ok(status)
        }
    }

    fn not_running(&self) -> Error {
        let name = &self.name;
        Error::new(ErrorKind::NotRunning, format!("`{name}` has no living run"))
            .with_help(format!("start it first, or look at its last run with `why {name}`"))
    }
}
