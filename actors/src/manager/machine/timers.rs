//! What the deadlines of runs mean when they are over.

use super::{Effect, Machine, Stage, StopCause};
use crate::{
    breaker::{self, Outcome, Permit, Settle},
    launcher,
    model::{AttemptId, EndReason, Event, HeldReason, Phase, RunId, StopAct, Timestamp},
    retry,
};

/// What a deadline is for.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Timer {
    /// `timeout` of the attempt.
    Timeout,
    /// `idle_timeout`: ask when it wrote last.
    Idle,
    /// A probe has lived for `stable`.
    Stable,
    /// A daemon has lived for another `reset_after`.
    Healthy,
    /// The first in a scope's line may ask again although nothing told us that the scope changed (spacing after
    /// closing). Those behind it are woken one by one as it gets through: none polls.
    AskAgain,
    /// `max_failing` of a run that is held back is over.
    Failing,
}

impl Machine {
    pub(super) fn arm(&mut self, run: RunId, at: Timestamp, timer: Timer) {
        if let Some(live) = self.runs.live_mut(run) {
            live.timers.push((at, timer));
            self.deadlines.arm(at, run, timer);
        }
    }

    /// An attempt, or a wait, is over: its deadlines are too.
    pub(super) fn disarm(&mut self, run: RunId) {
        if let Some(live) = self.runs.live_mut(run) {
            for (at, timer) in live.timers.drain(..) {
                self.deadlines.disarm(at, run, timer);
            }
        }
    }

    /// Arms what the present attempt needs, once its process is there. An adopted one was there before.
    pub(super) fn arm_attempt(&mut self, run: RunId) {
        let Some(live) = self.runs.live(run) else { return };
        let adopted = live.run.current().filter(|current| current.adopted).map(|current| current.started_at);
        let (program, now) = (live.program.clone(), adopted.unwrap_or(self.now));
        let stable = live.permits.iter().filter_map(|permit| permit.stable_ms).max();
        if let Some(ms) = program.timeout_ms {
            self.arm(run, now.plus(ms), Timer::Timeout);
        }
        if let Some(ms) = program.idle_timeout_ms {
            self.arm(run, now.plus(ms), Timer::Idle);
        }
        if let Some(ms) = stable {
            self.arm(run, now.plus(ms), Timer::Stable);
        }
        if program.is_daemon() {
            let every = program.retry.reset_after_ms();
            let lived = self.now.since(now) / every.max(1);
            self.arm(run, now.plus(every.saturating_mul(lived + 1)), Timer::Healthy);
        }
    }

    pub(super) fn fire_timers(&mut self) {
        while let Some((at, run, timer)) = self.deadlines.take_due(self.now) {
            if let Some(live) = self.runs.live_mut(run) {
                live.timers.retain(|armed| *armed != (at, timer));
            }
            match timer {
                Timer::Timeout => self.stop_for(run, StopCause::Timeout),
                Timer::Idle => self.ask_last_output(run),
                Timer::Stable => self.proved(run),
                Timer::Healthy => self.healthy(run),
                Timer::AskAgain => self.ask_again(run),
                Timer::Failing => self.give_up_waiting(run),
            }
        }
    }

    /// Time has come for the line in which this run was the first when it was refused. One of a higher priority may stand
    /// there now.
    fn ask_again(&mut self, run: RunId) {
        let held = self.runs.live(run).and_then(|live| live.run.held.as_ref());
        if let Some(scope) = held.and_then(|held| held.scope.clone()) {
            self.wake(&scope);
        }
    }

    /// A run that is held back gives up at this time: what holds it back must not keep it beyond its `max_failing`.
    pub(super) fn fails_until(&mut self, run: RunId, at: Option<Timestamp>) {
        let Some(at) = at.filter(|_| self.is_held_back(run)) else { return };
        self.arm(run, at, Timer::Failing);
        self.fire_timers();
    }

    fn give_up_waiting(&mut self, id: RunId) {
        if self.shutting_down || !self.is_held_back(id) {
            return; // Asked again at this very time: a refusal asks for the deadline anew.
        }
        let Some(live) = self.runs.live(id) else { return };
        let longest = crate::model::format_duration_ms(live.program.retry.max_failing_ms.unwrap_or_default());
        let held = live.run.held.as_ref();
        let by = held.and_then(|held| match (held.reason, &held.scope) {
            (_, Some(scope)) => Some(format!(" by {scope}")),
            (HeldReason::Budget, None) => Some(" by the retry budget".to_owned()),
            (_, None) => None,
        });
        let why =
            format!("it was still held back{} when max_failing = {longest} was over", by.unwrap_or_default());
        self.finish(id, Phase::Failed, EndReason::Deadline, why);
    }

    fn is_held_back(&self, run: RunId) -> bool {
        self.runs.live(run).is_some_and(|live| live.stage.is_held_back())
    }

    fn ask_last_output(&mut self, run: RunId) {
        if let Some(live) = self.runs.live(run).filter(|live| live.stage == Stage::Running) {
            self.ledger.emit(Effect::AskLastOutput(live.attempt_id()));
        }
    }

    pub(super) fn wrote_last(&mut self, attempt: AttemptId, at: Option<Timestamp>) {
        let Some(live) = self.runs.attempt(attempt).filter(|live| live.stage == Stage::Running) else {
            return; // It ended while the Monitor was asked.
        };
        let Some(limit) = live.program.idle_timeout_ms else { return };
        // Who waits for us is not idle.
        let waits = self.waits_for(attempt).is_some() || self.keeper_silent_since().is_some();
        let last = at.filter(|_| !waits).unwrap_or(self.now);
        if self.now.since(last) >= limit {
            self.stop_for(attempt.run, StopCause::Idle);
        } else {
            self.arm(attempt.run, last.plus(limit), Timer::Idle);
        }
    }

    /// Stops the tree of a running attempt for a cause of ours.
    pub(super) fn stop_for(&mut self, run: RunId, cause: StopCause) {
        let Some(live) = self.runs.live_mut(run) else { return };
        if live.stage != Stage::Running || live.stop.is_some() {
            return;
        }
        live.stop = Some(cause);
        live.run.phase = Phase::Stopping;
        let stop = launcher::Stop {
            attempt: AttemptId { run, number: live.run.attempt },
            signal: live.program.stop_signal,
            timeout_ms: live.program.stop_timeout_ms,
        };
        let why = match cause {
            StopCause::Timeout => format!(
                "the attempt ran longer than timeout = {}",
                crate::model::format_duration_ms(live.program.timeout_ms.unwrap_or_default())
            ),
            StopCause::Idle => format!(
                "no output for idle_timeout = {}",
                crate::model::format_duration_ms(live.program.idle_timeout_ms.unwrap_or_default())
            ),
            StopCause::Shutdown => "the supervisor is shutting down".to_owned(),
            // Recorded by whoever asked.
            StopCause::Operator
            | StopCause::Restart
            | StopCause::Lost
            | StopCause::Errors
            | StopCause::TooManyErrors
            | StopCause::Breaker => String::new(),
        };
        if !why.is_empty() {
            let shutdown = cause == StopCause::Shutdown;
            let act = Some(if shutdown { StopAct::Shutdown } else { StopAct::Rule });
            self.record_run(run, true, None, Event::StopRequested { act, by: None, why });
        }
        self.ledger.act(Effect::StopTree(stop));
        self.commit(true);
    }

    /// A probe lived long enough without an error: that is success, and its later end still counts.
    fn proved(&mut self, run: RunId) {
        let Some(live) = self.runs.live(run) else { return };
        if live.stage != Stage::Running || live.error_at.is_some() {
            return;
        }
        let by_uptime = |permit: &&Permit| permit.lease_until.is_some() && permit.stable_ms.is_some();
        let outcomes: Vec<_> =
            live.permits.iter().filter(by_uptime).map(|permit| (permit.clone(), Outcome::Success)).collect();
        self.goes_well(run, outcomes);
    }

    /// Tells the breakers what a living attempt has shown so far; its permits stay its own.
    fn goes_well(&mut self, run: RunId, outcomes: Vec<(Permit, Outcome)>) {
        if !outcomes.is_empty() {
            let settle = Settle { run, class: None, outcomes, keep: true };
            self.ask_breaker(breaker::Ask::Settle(settle));
        }
    }

    /// Another `reset_after` of a daemon's life without an error: evidence of health for Retry and the breakers.
    fn healthy(&mut self, run: RunId) {
        let Some(live) = self.runs.live(run) else { return };
        if live.stage != Stage::Running {
            return;
        }
        let every = live.program.retry.reset_after_ms();
        if live.error_at.is_none_or(|at| self.now.since(at) >= every) {
            // A probe that has to say something is not proved by its life.
            let heard = live.permits.iter().filter(|permit| !permit.waits_for_a_word());
            let outcomes: Vec<_> = heard.map(|permit| (permit.clone(), Outcome::Success)).collect();
            let (program, base) = (live.program.clone(), live.run.params.clone());
            self.ask_retry(retry::Ask::Healthy { run, program, base });
            self.goes_well(run, outcomes);
        }
        self.arm(run, self.now.plus(every), Timer::Healthy);
    }
}
