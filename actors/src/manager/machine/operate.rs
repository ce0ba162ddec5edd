//! What people ask: stop, restart, signal, configure, shut down.

use super::{About, Effect, Machine, Stage, StopCause, Wait, timers::Timer};
use crate::{
    launcher,
    manager::{Configure, Configured, Restart, RunError, SetRetryBudget},
    model::{BreakerPolicy, EndReason, Event, Phase, ProgramChange, Run, RunId, StopAct, Timestamp, Wanted},
    retry,
};
use std::sync::Arc;

impl Machine {
    /// Replaces the definitions. Living processes are not touched; the next attempt of their runs looks its program up again,
    /// and there is none where that is gone.
    pub fn configure(&mut self, configure: Configure, now: Timestamp) -> (Configured, Vec<Effect>) {
        self.settle_time(now);
        if let Some(SetRetryBudget { budget }) = configure.retry_budget {
            self.share_budget(budget);
        }
        let mut changes = Configured::default();
        let replaced = self.programs.replace(configure.programs, configure.shared_breakers);
        (changes.added, changes.changed, changes.removed) =
            (replaced.added, replaced.changed, replaced.removed);
        changes.living = self.unconfigured();
        for (names, change) in [
            (&changes.added, ProgramChange::Added),
            (&changes.changed, ProgramChange::Changed),
            (&changes.removed, ProgramChange::Removed),
        ] {
            for name in names {
                let event = Event::ProgramConfigured { change };
                self.ledger.record(self.now, About::program(name.clone()), event);
            }
        }
        for name in &changes.changed {
            self.forget_failures_of(name);
        }
        self.tell_max_attempts();
        self.end_waiting_of_removed();
        self.commit(false);
        for program in self.lines.queued_programs() {
            self.hand_out_places(&program);
        }
        // Other rules may let through whom the old ones held back.
        self.lines.recheck_all();
        (changes, self.take_effects())
    }

    /// Each run says how many attempts its program allows it: as configured now, also of a run that is over.
    pub(super) fn tell_max_attempts(&mut self) {
        for run in self.runs.all_mut() {
            run.max_attempts = self.programs.get(&run.program).and_then(|program| program.max_attempts());
        }
    }

    /// The rules of shared scopes, as configured.
    pub fn shared_breakers(&self) -> &[(String, Arc<BreakerPolicy>)] {
        self.programs.shared_breakers()
    }

    /// Other rules may have mended what failed (`reset_on_config_change`): waiting runs count anew, one in quarantine is let
    /// go, and a daemon that gave up is started. What a job gave up is over.
    fn forget_failures_of(&mut self, name: &str) {
        let Some(program) = self.programs.get(name).filter(|program| program.retry.reset_on_config_change)
        else {
            return;
        };
        let (program, now) = (program.clone(), self.now);
        let of = |run: &Run| run.program == name && run.wanted == Wanted::Up;
        let living: Vec<_> = self.living().filter(|run| of(run)).map(|run| run.id).collect();
        for id in &living {
            let Some(live) = self.runs.live_mut(*id).filter(|live| live.run.attempt > 0) else { continue };
            // What held it to its max_failing is forgotten too.
            let failing = |(_, timer): &&(Timestamp, Timer)| *timer == Timer::Failing;
            for (at, timer) in live.timers.iter().filter(failing) {
                self.deadlines.disarm(*at, *id, *timer);
            }
            live.timers.retain(|(_, timer)| *timer != Timer::Failing);
            let released =
                live.stage == Stage::Waits(Wait::Backoff) && std::mem::take(&mut live.run.quarantined);
            if released {
                live.run.next_attempt_at = Some(now);
            }
            self.ask_retry(retry::Ask::Forgive(*id));
            if released {
                self.ledger.save_run(*id);
                self.ask_retry(retry::Ask::Schedule { run: *id, at: now });
            }
        }
        let gave_up = |run: &&Run| matches!(run.phase, Phase::Failed | Phase::Quarantined);
        let last = self.runs().find(|run| run.program == name).filter(gave_up).map(|run| run.id);
        if let Some(id) = last.filter(|_| program.is_daemon() && living.is_empty()) {
            // Refused only where it would be one too many, and nobody waits for the answer.
            let again = Restart { by: Some("reload".to_owned()), ..Restart::new(id) };
            let effects = self.restart(again, now).unwrap_or_default();
            self.ledger.emit_all(effects);
        }
    }

    /// Stops a run: its tree, and every further attempt.
    ///
    /// # Errors
    /// [`RunError::Unknown`] and [`RunError::NotRunning`].
    pub fn stop(&mut self, id: RunId, by: Option<String>, now: Timestamp) -> Result<Vec<Effect>, RunError> {
        self.settle_time(now);
        let live = self.living_run(id)?;
        if live.run.wanted == Wanted::Down {
            return Ok(self.take_effects()); // Two stops are one.
        }
        live.run.wanted = Wanted::Down;
        let (act, why) = (Some(StopAct::Stop), "a stop was asked for".to_owned());
        self.record_run(id, true, None, Event::StopRequested { act, by, why });
        self.wind_down(id, StopCause::Operator);
        Ok(self.take_effects())
    }

    /// Ends what a run is doing now, whatever that is. The caller has recorded why.
    fn wind_down(&mut self, id: RunId, cause: StopCause) {
        let Some(live) = self.runs.live_mut(id) else { return };
        match live.stage {
            Stage::Running => {
                live.stop = Some(cause);
                live.run.phase = Phase::Stopping;
                let stop = launcher::Stop {
                    attempt: live.attempt_id(),
                    signal: live.program.stop_signal,
                    timeout_ms: live.program.stop_timeout_ms,
                };
                self.ledger.act(Effect::StopTree(stop));
                self.commit(true);
            }
            Stage::Starting => {
                live.stop = Some(cause); // The Launcher's answer finds it.
                live.run.phase = Phase::Stopping;
                self.commit(true);
            }
            Stage::Draining | Stage::Judging => self.commit(true), // Its judgement looks at `wanted`.
            Stage::Emptying(_) => {
                if cause == StopCause::Operator {
                    let (phase, reason) = (Phase::Stopped, EndReason::Operator);
                    live.stage =
                        Stage::Emptying(super::Next::Finish(phase, reason, "stopped as asked".into()));
                }
                self.commit(true);
            }
            Stage::Waits(_) => {
                self.give_permits_back(id);
                self.finish(id, Phase::Stopped, EndReason::Operator, "stopped as asked".into());
            }
        }
    }

    /// The next attempt now: of a running run (after a stop of its tree), of a waiting one, or of one that is over,
    /// which then forgets its failures. An operator's start is always possible, but asks the breakers unless it is
    /// forced.
    ///
    /// # Errors
    /// [`RunError`].
    pub fn restart(&mut self, asked: Restart, now: Timestamp) -> Result<Vec<Effect>, RunError> {
        self.settle_time(now);
        if self.shutting_down {
            return Err(RunError::ShuttingDown);
        }
        let Restart { run: id, by, stop_running, force } = asked;
        if self.runs.ended(id).is_some() {
            return self.bring_back(id, by, force);
        }
        let live = self.living_run(id)?;
        let (stage, program) = (live.stage.clone(), live.run.program.clone());
        if !self.programs.is_configured(&program) {
            return Err(RunError::ProgramGone(program));
        }
        let live = self.living_run(id)?;
        if live.run.wanted == Wanted::Down {
            self.take_stop_back(id, by, force);
            return Ok(self.take_effects());
        }
        match stage {
            Stage::Waits(Wait::Backoff | Wait::Blocked | Wait::Queued) if force => {
                self.pass_breakers(id, by, &stage)
            }
            Stage::Waits(Wait::Backoff | Wait::Blocked) if self.skips_its_wait(id) => {
                let (act, why) = (Some(StopAct::SkipDelay), "its delay was skipped".to_owned());
                self.record_run(id, false, None, Event::StopRequested { act, by, why });
                self.commit(true);
                self.ask_retry(retry::Ask::Overrule(id));
                self.go_free(id);
            }
            Stage::Running if stop_running => {
                let (act, mut why) = (Some(StopAct::Restart), "a restart was asked for".to_owned());
                if force {
                    why.push_str(", past the breakers");
                }
                if let Some(live) = self.runs.live_mut(id) {
                    live.free = true;
                    live.run.forced = force;
                }
                self.record_run(id, true, None, Event::StopRequested { act, by, why });
                self.wind_down(id, StopCause::Restart);
            }
            // It is on its way already, or waits for leave that only a breaker or a place can give.
            _ => {}
        }
        Ok(self.take_effects())
    }

    /// A run that is over goes on with its next attempt.
    fn bring_back(&mut self, id: RunId, by: Option<String>, forced: bool) -> Result<Vec<Effect>, RunError> {
        let Some(run) = self.runs.ended(id) else { return Err(RunError::Unknown(id)) };
        let Some(program) = self.programs.get(&run.program).cloned() else {
            return Err(RunError::ProgramGone(run.program.clone()));
        };
        self.check_room(&program)?;
        let mut run = run.clone();
        self.runs.forget(id);
        self.programs.start_by_hand(&run.program);
        run.wanted = Wanted::Up;
        // What is written now has to be found as one that lives, should we die before the breakers answer.
        run.phase = Phase::Queued;
        run.end_reason = None;
        run.keeper_deaths = 0;
        run.ended_at = None;
        run.forced = forced;
        let params = run.params.clone();
        let mut live = super::Live::boxed(run, program, self.now);
        live.free = true;
        let priority = live.run.priority;
        self.runs.begin(live);
        self.record_run(id, false, None, Event::RunQueued { params, requested_by: by, forced, priority });
        self.ask_retry(retry::Ask::Forget(id));
        self.enqueue(id);
        self.commit(true);
        Ok(self.take_effects())
    }

    /// The attempt that a run waits for, past the breakers: now, or as soon as there is a place for it.
    fn pass_breakers(&mut self, id: RunId, by: Option<String>, stage: &Stage) {
        if let Some(live) = self.runs.live_mut(id) {
            live.run.forced = true;
        }
        let (act, why) = (Some(StopAct::PassBreakers), "its start was forced past the breakers".to_owned());
        self.record_run(id, false, None, Event::StopRequested { act, by, why });
        self.commit(true);
        if *stage == Stage::Waits(Wait::Queued) {
            return;
        }
        self.leave_lines(id);
        self.ask_retry(retry::Ask::Overrule(id));
        self.go_free(id);
    }

    /// A start of a run that is being stopped: the last word holds. What is on its way down goes down first.
    fn take_stop_back(&mut self, id: RunId, by: Option<String>, forced: bool) {
        let now = self.now;
        let Some(live) = self.runs.live_mut(id) else { return };
        live.run.wanted = Wanted::Up;
        live.free = true;
        live.run.forced = forced && live.stage != Stage::Starting;
        match live.stage {
            Stage::Starting => {
                live.stop = None;
                live.run.phase = Phase::Starting;
            }
            Stage::Running | Stage::Draining | Stage::Judging => {
                if live.stop == Some(StopCause::Operator) {
                    live.stop = Some(StopCause::Restart);
                }
            }
            Stage::Emptying(_) => live.stage = Stage::Emptying(super::Next::Start(now)),
            // A stop ends these at once.
            Stage::Waits(_) => {}
        }
        let params = live.run.params.clone();
        let (forced, priority) = (live.run.forced, live.run.priority);
        self.record_run(id, false, None, Event::RunQueued { params, requested_by: by, forced, priority });
        self.commit(true);
    }

    /// Sends a signal to the group of a run's process.
    ///
    /// # Errors
    /// [`RunError::Unknown`] and [`RunError::NotRunning`].
    pub fn signal(&mut self, id: RunId, signal: i32) -> Result<Vec<Effect>, RunError> {
        let live = self.living_run(id)?;
        if live.stage != Stage::Running {
            return Err(RunError::NotRunning { run: id, phase: live.run.phase });
        }
        let attempt = live.attempt_id();
        self.ledger.emit(Effect::Signal(launcher::Signal { attempt, signal }));
        Ok(self.take_effects())
    }

    /// Stops every tree and starts nothing more. What is wanted goes on with the next manager.
    pub fn shutdown(&mut self, now: Timestamp) -> Vec<Effect> {
        self.settle_time(now);
        self.shutting_down = true;
        let ids: Vec<_> = self.runs.live_ids();
        for id in ids {
            let stage = self.runs.live(id).map(|live| live.stage.clone());
            match stage {
                Some(Stage::Running) => self.stop_for(id, StopCause::Shutdown),
                Some(Stage::Starting) => {
                    if let Some(live) = self.runs.live_mut(id) {
                        live.stop.get_or_insert(StopCause::Shutdown);
                    }
                }
                _ => {}
            }
        }
        // What outlived its leader with `leftovers = "keep"` may live as long as we do, but not longer.
        let stops: Vec<_> = self.trees.values().copied().map(Effect::StopTree).collect();
        self.ledger.emit_all(stops);
        self.take_effects()
    }

    fn living_run(&mut self, id: RunId) -> Result<&mut super::Live, RunError> {
        if let Some(run) = self.runs.ended(id) {
            return Err(RunError::NotRunning { run: id, phase: run.phase });
        }
        self.runs.live_mut(id).ok_or(RunError::Unknown(id))
    }
}
