//! Every decision of the Manager, as a value: inputs and `now` come in, effects come out.
//!
//! A run walks through `Stage`s; [`Phase`](crate::model::Phase) is what a user sees of them. One input makes at most a few
//! steps: ask a room, take its answer, decide. What a decision changes is collected in the `ledger` and written as one
//! commit, and the acts it allows follow it.
//!
//! What the machine knows is in parts with private fields: `ledger` (records, commits, acts), `programs` (what is configured),
//! `lines` (places, and who waits for what), `runs`, `deadlines` and `times`. The other files are chapters of a run's life:
//! `admit` (asked for, waiting, granted), `line` (refused by a scope), `life` (process made, ended), `judge` (what follows),
//! `operate` (what people ask), `inline` (errors of a living attempt), `early` (it is ready, it writes), `budget` (tokens),
//! `unwanted` (program removed, stopped by hand), `timers` (what a deadline means), `restore` (after the supervisor's death),
//! `trim` (what goes), `facts` (for "why?").

mod admit;
mod budget;
mod deadlines;
mod early;
mod effect;
mod facts;
mod idempotency;
mod inline;
mod judge;
mod ledger;
mod life;
mod line;
mod lines;
mod live;
mod on_open;
mod operate;
mod output;
mod programs;
mod restore;
mod runs;
mod stage;
mod timers;
mod times;
mod trim;
mod unwanted;

#[cfg(test)]
mod tests;

pub(in crate::manager) use self::restore::{SavedKey, decode_attempt};
pub use self::{
    admit::Checked,
    effect::{Effect, Input},
};

use crate::{
    breaker, launcher,
    model::{AttemptId, Event, ParamValue, Program, Put, Run, RunId, Scope, Timestamp},
    retry,
};
use deadlines::Deadlines;
use ledger::{About, Ledger};
use lines::Lines;
use live::{InLine, Live};
use programs::Programs;
use runs::Runs;
use stage::{Next, Stage, StopCause, Wait};
use std::{collections::HashMap, sync::Arc};
use times::Times;

/// The Manager's whole knowledge.
#[derive(Debug, Default)]
pub struct Machine {
    ledger: Ledger,
    programs: Programs,
    lines: Lines,
    runs: Runs,
    deadlines: Deadlines,
    times: Times,
    /// Attempts whose leader ended and whose trees are not known to be empty, and how each is stopped.
    trees: HashMap<AttemptId, launcher::Stop>,
    /// What people are told of the keeper and of output on its way.
    carriage: output::Carriage,
    keys: HashMap<String, restore::Remembered>,
    /// Saved attempts that nobody needs, to be removed.
    rests: Vec<Put>,
    shutting_down: bool,
    now: Timestamp,
    limits: Limits,
}

/// How much of the past is kept.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Ended runs.
    pub runs_max_count: usize,
    /// Their age in milliseconds.
    pub runs_max_age_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { runs_max_count: 50_000, runs_max_age_ms: 90 * 86_400_000 }
    }
}

impl Machine {
    /// A machine that knows nothing; `next_seq` is the first free place in the journal.
    pub fn new(next_seq: u64, limits: Limits) -> Self {
        Self { ledger: Ledger::new(next_seq), limits, ..Self::default() }
    }

    /// Takes one input and answers with what to do. Timers that are due fire first.
    pub fn step(&mut self, input: Input, now: Timestamp) -> Vec<Effect> {
        if matches!(input, Input::Retry(retry::Answer::Done)) {
            return Vec::new(); // What was heard without an answer is no moment of its own.
        }
        self.settle_time(now);
        match input {
            Input::Retry(answer) => self.hear_retry(answer),
            Input::Breaker(answer) => self.hear_breaker(answer),
            Input::Drained { attempt, drained } => self.drained(attempt, drained),
            Input::WroteLast { attempt, at } => self.wrote_last(attempt, at),
            Input::Launcher(report) => self.launcher(report),
            Input::Monitor(report) => self.monitor(report),
            Input::Due(run) => self.due(run),
            Input::BreakerDue(changes) => self.breaker_changed(changes),
            Input::StoreSaid(event) => {
                self.ledger.record(self.now, About::default(), event);
                self.commit(false);
            }
            Input::Tick => {}
        }
        self.take_effects()
    }

    fn ask_retry(&mut self, ask: retry::Ask) {
        self.ledger.emit(Effect::AskRetry(ask));
    }

    fn ask_breaker(&mut self, ask: breaker::Ask) {
        self.ledger.emit(Effect::AskBreaker(ask));
    }

    fn hear_retry(&mut self, answer: retry::Answer) {
        match answer {
            retry::Answer::Prepared { run, prepared } => self.prepared(run, prepared),
            retry::Answer::Judged { run, verdict } => self.judged(run, verdict),
            retry::Answer::Changed { run, change } => self.changed(run, change),
            retry::Answer::Reserved { run, leave } => self.reserved(run, leave),
            retry::Answer::FailsUntil { run, at } => self.fails_until(run, at),
            retry::Answer::Saved(puts) => {
                self.ledger.save(puts);
                self.commit(false);
            }
            // For people who ask why, and for nothing that is decided.
            retry::Answer::Foreseen(_) | retry::Answer::Done => {}
        }
    }

    fn hear_breaker(&mut self, answer: breaker::Answer) {
        match answer {
            breaker::Answer::Admitted { run, peek, admission } => self.admitted(run, peek, admission),
            breaker::Answer::Settled { run, keep, changes } => self.settled(run, keep, changes),
            breaker::Answer::Changed(changes) => self.breaker_changed(changes),
            breaker::Answer::Operated(changes) => self.breaker_changed(changes.unwrap_or_default()),
            breaker::Answer::Breakers(_) => {} // For people who look.
        }
    }

    /// When the next timer is due.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.deadlines.next().into_iter().chain(self.ledger.write_at()).min()
    }

    /// Whether time alone changes something now, beyond what waits to be written.
    pub fn has_due(&self, now: Timestamp) -> bool {
        self.deadlines.next().is_some_and(|at| at <= now)
    }

    /// Writes what waits for company: before somebody reads the journal, and at the end.
    pub fn write_out(&mut self) -> Vec<Effect> {
        if self.ledger.write_at().is_some() {
            self.commit(true);
        }
        self.take_effects()
    }

    fn take_effects(&mut self) -> Vec<Effect> {
        self.follow_breakers();
        if self.ledger.is_write_wanted() {
            self.commit(true);
        }
        self.ledger.take_effects()
    }

    fn settle_time(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        self.fire_timers();
        if self.ledger.write_at().is_some_and(|at| at <= self.now) {
            self.commit(true);
        }
    }

    // ── the batch ──────────────────────────────────────────────────────────────────────────────────────────────────

    /// A record about a living run, or about its present attempt.
    fn record_run(&mut self, run: RunId, attempt: bool, scope: Option<Scope>, event: Event) {
        let Some(live) = self.runs.live(run) else { return };
        let about = if attempt { About::attempt(&live.run) } else { About::run(&live.run) };
        self.ledger.record(self.now, about.at_scope(scope), event);
        self.ledger.save_run(run);
    }

    /// Breaker changes become records. What they mean for runs that wait or live follows at the end of the step.
    fn absorb(&mut self, changes: breaker::Changes) {
        self.lines.recheck(changes.freed);
        for change in changes.events {
            match &change.event {
                Event::BreakerChanged { from, to, .. } if from != to => {
                    if to.refuses_all() {
                        self.lines.opened(change.scope.clone());
                    }
                    self.lines.recheck([change.scope.clone()]);
                }
                Event::ProbeExpired { .. } => self.lines.recheck([change.scope.clone()]),
                _ => {}
            }
            let program = change.run.and_then(|id| self.run(id)).map(|run| run.program.clone());
            let about = About { run: change.run, program, ..About::default() };
            self.ledger.record(change.at, about.at_scope(Some(change.scope)), change.event);
        }
        self.ledger.save(changes.saved);
    }

    /// Hands what was decided over; see [`Ledger::commit`].
    fn commit(&mut self, at_once: bool) {
        self.ledger.commit(self.now, at_once, &self.runs);
    }

    // ── looking ────────────────────────────────────────────────────────────────────────────────────────────────────

    /// A run, living or over.
    pub fn run(&self, id: RunId) -> Option<&Run> {
        self.runs.get(id)
    }

    /// Whether a run has secrets, as far as it is known.
    pub(in crate::manager) fn has_secrets(&self, id: RunId) -> bool {
        self.run(id).is_some_and(|run| run.params.values().any(|value| *value == ParamValue::Secret))
    }

    /// Every run, newest first.
    pub fn runs(&self) -> impl Iterator<Item = &Run> {
        self.runs.newest_first()
    }

    /// Runs that are not over, oldest first.
    pub fn living(&self) -> impl DoubleEndedIterator<Item = &Run> {
        self.runs.all_live().map(|live| &live.run)
    }

    /// Runs kept, with those that are over.
    pub fn run_count(&self) -> usize {
        self.runs.count()
    }

    /// A program by name.
    pub fn program(&self, name: &str) -> Option<&Arc<Program>> {
        self.programs.get(name)
    }

    /// Names of all programs, sorted.
    pub fn program_names(&self) -> Vec<String> {
        self.programs.names()
    }

    /// The newest record's place in the journal.
    pub fn last_seq(&self) -> u64 {
        self.ledger.next_seq().saturating_sub(1)
    }

    /// Whether nobody's process may still be there.
    pub fn is_quiet(&self) -> bool {
        self.trees.is_empty()
            && self.runs.all_live().all(|live| {
                !matches!(
                    live.stage,
                    Stage::Starting | Stage::Running | Stage::Draining | Stage::Judging | Stage::Emptying(_)
                )
            })
    }
}
