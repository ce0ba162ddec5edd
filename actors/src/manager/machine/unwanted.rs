//! Runs of programs that are not configured any more, and programs that an operator stopped.

use super::{About, Effect, Live, Machine, Next, Stage, Wait};
use crate::model::{AttemptId, Class, EndReason, Event, Phase, Program, Run, RunId, Timestamp, Wanted};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

impl Machine {
    // ── removed programs ───────────────────────────────────────────────────────────────────────────────────────────

    /// Living runs of programs that are not configured (any more), by the program's name.
    pub fn unconfigured(&self) -> BTreeMap<String, Vec<RunId>> {
        let mut found = BTreeMap::<_, Vec<_>>::new();
        for run in self.living().filter(|run| !self.programs.is_configured(&run.program)) {
            found.entry(run.program.clone()).or_default().push(run.id);
        }
        found
    }

    /// A program that is configured, or one that is not any more while a run of it lives: then as that run knew it.
    pub fn program_or_last(&self, name: &str) -> Option<&Arc<Program>> {
        self.programs.get(name).or_else(|| self.runs.newest_live_of(name).map(|live| &live.program))
    }

    /// Runs that wait and whose program was removed are over: nothing is started for them. Those with a process live on.
    pub(super) fn end_waiting_of_removed(&mut self) {
        let waits = |live: &Live, in_line: bool| {
            (live.stage == Stage::Waits(Wait::Queued)) == in_line
                && matches!(live.stage, Stage::Waits(Wait::Queued | Wait::Blocked | Wait::Backoff))
        };
        // Those in line first: a place that another one leaves must not be handed to them.
        for in_line in [true, false] {
            let removed = self.runs.all_live().filter(|live| !self.programs.is_configured(&live.run.program));
            let ids: Vec<_> = removed.filter(|live| waits(live, in_line)).map(|live| live.run.id).collect();
            for id in ids {
                self.end_removed(id);
            }
        }
    }

    /// Whether another attempt of this run can be made: its program is configured.
    pub(super) fn is_configured(&self, id: RunId) -> bool {
        self.runs.live(id).is_none_or(|live| self.programs.is_configured(&live.run.program))
    }

    /// The run is over because its program is gone, whatever was to follow.
    pub(super) fn end_removed(&mut self, id: RunId) {
        if let Some((phase, why)) = self.runs.live(id).map(end_of_removed) {
            self.finish(id, phase, EndReason::ProgramRemoved, why);
        }
    }

    /// What follows an end in place of another attempt, where the program is gone.
    pub(super) fn instead_of_a_start(&self, id: RunId) -> Option<Next> {
        let live = self.runs.live(id).filter(|_| !self.shutting_down && !self.is_configured(id))?;
        let (phase, why) = end_of_removed(live);
        Some(Next::Finish(phase, EndReason::ProgramRemoved, why))
    }

    /// The wall clock was set by so many milliseconds, which moves no deadline.
    pub fn clock_set(&mut self, by_ms: i64, now: Timestamp) -> Vec<Effect> {
        self.settle_time(now);
        self.ledger.record(self.now, About::default(), Event::ClockSet { by_ms });
        self.commit(false);
        self.take_effects()
    }

    // ── waiting for a stop ─────────────────────────────────────────────────────────────────────────────────────────

    /// Whether this attempt is over and nobody of its tree is left; so is one that never was.
    pub fn is_gone(&self, attempt: AttemptId) -> bool {
        self.runs.live(attempt.run).is_none_or(|live| live.run.attempt > attempt.number || live.stage.waits())
    }

    // ── stopped by an operator ─────────────────────────────────────────────────────────────────────────────────────

    /// Programs to be started with the manager: those that want it, have no living run, and whose last run no operator
    /// stopped. His stop outlives us, and ends with a start.
    pub fn autostarts(&self) -> Vec<String> {
        let wants = |name: &String| {
            self.programs.get(name).is_some_and(|program| program.autostart)
                && self.programs.stopped_by_hand(name).is_none()
                && self.runs.newest_live_of(name).is_none()
        };
        self.program_names().into_iter().filter(wants).collect()
    }

    /// The run of this program that an operator stopped, while nothing was started since.
    pub fn stopped_by_hand(&self, name: &str) -> Option<RunId> {
        self.programs.stopped_by_hand(name)
    }

    /// Remembers an operator's stop, as long as no newer run lives.
    pub(super) fn note_end(&mut self, run: &Run) {
        if is_stopped_by_hand(run) && self.runs.newest_live_of(&run.program).is_none() {
            self.programs.stop_by_hand(run.program.clone(), run.id);
        }
    }

    /// Finds the stops again in what was saved.
    pub(super) fn find_stops(&mut self) {
        let living: BTreeSet<_> = self.runs.all_live().map(|live| live.run.program.as_str()).collect();
        let mut newest = BTreeMap::new();
        for run in self.runs.all_ended() {
            newest.insert(run.program.as_str(), run);
        }
        let stopped =
            newest.into_iter().filter(|(name, run)| is_stopped_by_hand(run) && !living.contains(name));
        let stopped: Vec<_> = stopped.map(|(name, run)| (name.to_owned(), run.id)).collect();
        for (name, run) in stopped {
            self.programs.stop_by_hand(name, run);
        }
    }
}

fn is_stopped_by_hand(run: &Run) -> bool {
    run.phase == Phase::Stopped && run.end_reason == Some(EndReason::Operator) && run.wanted == Wanted::Down
}

fn end_of_removed(live: &Live) -> (Phase, String) {
    let again = if live.run.attempt == 0 { "" } else { " again" };
    let why = format!("{} is no longer configured, so it is not started{again}", live.run.program);
    (if is_well(live) { Phase::Stopped } else { Phase::Failed }, why)
}

/// Whether a daemon's last attempt ended without a failure of its own.
fn is_well(live: &Live) -> bool {
    let class = live.run.current().map(|current| current.class.as_deref());
    live.program.is_daemon()
        && class.is_some_and(|class| class.is_none_or(|c| Class::is_ours(c) && c != Class::LOST))
}
