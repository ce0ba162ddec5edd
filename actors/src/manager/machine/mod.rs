//! Every decision of the Manager, as a value: inputs and `now` come in, effects come out.
//!
//! A run walks through `Stage`s; [`Phase`] is what a user sees of them. One input makes at most a few steps: ask a
//! room, take its answer, decide. What a decision changes is collected in the `ledger` and written as one commit, and the
//! acts it allows follow it. The files are the parts of a run's life: `admit` (asked for, waiting, granted), `life`
//! (process made, ended), `judge` (what follows), `operate` (what people ask), `inline` (errors of a living attempt),
//! `early` (it is ready, it writes), `budget` (tokens), `unwanted` (program removed, stopped by hand), `timers`, `restore`
//! (after our own death), `trim` (what goes), `line` (who waits), `facts` (for "why?").

mod admit;
mod budget;
mod early;
mod effect;
mod facts;
mod idempotency;
mod inline;
mod judge;
mod ledger;
mod life;
mod line;
mod on_open;
mod operate;
mod output;
mod restore;
mod timers;
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
    breaker::{self, Permit},
    launcher,
    model::{
        Attempt, AttemptId, BreakerPolicy, ClockShift, Event, ExitStatus, ParamValue, Phase, Program, Put,
        Run, RunId, SavedClock, Scope, SpoolSizes, Timestamp,
    },
    retry,
};
use ledger::{About, Ledger};
use serde::{Deserialize, Serialize};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};
use timers::Timer;

/// Where a living run is on its way. Finer than [`Phase`]: it says which answer is awaited.
#[derive(Clone, Debug, PartialEq)]
enum Stage {
    /// Waits for a place (phase `queued`).
    Queued,
    /// Retry is asked whether the budget has tokens for the start.
    Reserving,
    /// The breakers are asked.
    Asking,
    /// A breaker refused, or there are no tokens (phase `blocked`).
    Blocked,
    /// Retry is asked for parameters.
    Preparing,
    /// The start is being written, or the Launcher is at it.
    Starting,
    /// The process lives.
    Running,
    /// The leader ended; the Monitor is asked what kind of end it was.
    Draining,
    /// The Breaker hears of it, then Retry is asked.
    Judging,
    /// Decided, but members of the tree are still being stopped.
    Emptying(Next),
    /// Waits for its time (phase `backoff`).
    Backoff,
    /// Over for this manager: it is being shut down, and the run goes on with the next one.
    Suspended,
}

impl Stage {
    /// Whether an end, or the start that follows it, is being decided: questions to Retry and the Breaker are under way.
    const fn is_being_decided(&self) -> bool {
        match self {
            Self::Reserving | Self::Asking | Self::Preparing | Self::Judging => true,
            Self::Queued
            | Self::Blocked
            | Self::Starting
            | Self::Running
            | Self::Draining
            | Self::Emptying(_)
            | Self::Backoff
            | Self::Suspended => false,
        }
    }
}

/// What follows once the tree is empty.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Next {
    /// Another attempt at this time.
    Start(Timestamp),
    /// The run is over.
    Finish(Phase, crate::model::EndReason, String),
}

/// Where a run stands among those that wait for the same thing: the highest priority first, then who waits longest.
type InLine = (Reverse<i32>, Timestamp, RunId);

/// Why a living tree is being stopped.
#[derive(Clone, Copy, Debug, PartialEq)]
enum StopCause {
    /// Somebody asked.
    Operator,
    /// Somebody asked for another attempt at once.
    Restart,
    /// `timeout`.
    Timeout,
    /// `idle_timeout`.
    Idle,
    /// Errors of a class with `inline.action = "restart"`.
    Errors,
    /// Errors of a class with `inline.action = "stop"`.
    TooManyErrors,
    /// The manager ends.
    Shutdown,
    /// It was found after our own death.
    Lost,
    /// A breaker opened, and its rules say `on_open = "stop"`.
    Breaker,
}

/// A run that is not over, and what we know of its present attempt.
#[derive(Debug)]
struct Live {
    run: Run,
    program: Arc<Program>,
    stage: Stage,
    permits: Vec<Permit>,
    stop: Option<StopCause>,
    /// Whether the attempt being prepared probes a breaker.
    probe: bool,
    /// The class of a failed start, which no output can show.
    evidence: Option<crate::model::Evidence>,
    exit: Option<ExitStatus>,
    /// When the leader ended, where that is known to be before it was heard of: while no supervisor ran.
    ended_at: Option<Timestamp>,
    /// Bytes that the present attempt wrote until its end and no spool has.
    unspooled: u64,
    /// Nobody of the present attempt's tree is left.
    empty: bool,
    /// Its final sizes, when the tree was empty before the end was recorded: its spool is closed after that.
    closing: Option<SpoolSizes>,
    /// When a supervisor first found its next start overdue, because none ran when it came due. Until that start.
    overdue_since: Option<Timestamp>,
    /// When the last classified error of the present attempt was seen.
    error_at: Option<Timestamp>,
    /// Errors of the present attempt by class, of those that act while it lives.
    errors: inline::Errors,
    /// Whether tokens of the retry budget are set aside for the start that is being prepared.
    promised: bool,
    /// Somebody asked for the next start: it is free.
    free: bool,
    /// Since when it waits to be started, whatever held it back meanwhile: its place in every line.
    waiting_since: Timestamp,
    timers: Vec<(Timestamp, Timer)>,
}

impl Live {
    /// Boxed: a tree of runs that come in order is half empty, and so is a table.
    fn boxed(mut run: Run, program: Arc<Program>, now: Timestamp) -> Box<Self> {
        run.priority = run.own_priority.unwrap_or(program.priority);
        Box::new(Self {
            run,
            program,
            stage: Stage::Queued,
            permits: Vec::new(),
            stop: None,
            probe: false,
            evidence: None,
            exit: None,
            ended_at: None,
            unspooled: 0,
            empty: true,
            closing: None,
            overdue_since: None,
            error_at: None,
            errors: inline::Errors::default(),
            promised: false,
            free: false,
            waiting_since: now,
            timers: Vec::new(),
        })
    }

    fn in_line(&self) -> InLine {
        (Reverse(self.run.priority), self.waiting_since, self.run.id)
    }

    fn attempt_id(&self) -> AttemptId {
        AttemptId { run: self.run.id, number: self.run.attempt }
    }

    fn attempt(&mut self) -> Option<&mut Attempt> {
        self.run.attempts.back_mut()
    }
}

/// The Manager's whole knowledge.
#[derive(Debug, Default)]
pub struct Machine {
    ledger: Ledger,
    programs: HashMap<String, Arc<Program>>,
    shared_breakers: Vec<(String, Arc<BreakerPolicy>)>,
    /// The rules of a shared scope that none of these names.
    usual_breaker: Arc<BreakerPolicy>,
    live: BTreeMap<RunId, Box<Live>>,
    ended: BTreeMap<RunId, Box<Run>>,
    /// Living runs that hold a place, by program.
    places: HashMap<String, u32>,
    /// Runs that wait for a place, by program.
    queues: HashMap<String, BTreeSet<InLine>>,
    /// Runs that a scope refused.
    blocked: BTreeMap<Scope, BTreeSet<InLine>>,
    /// Runs with a permit of a scope whose rules stop them when it opens.
    stopped_on_open: HashMap<Scope, BTreeSet<RunId>>,
    /// Scopes that opened in this step.
    opened: Vec<Scope>,
    /// Scopes in which a refused start may be let through now.
    stirred: BTreeSet<Scope>,
    /// Attempts whose leader ended and whose trees are not known to be empty, and how each is stopped.
    trees: HashMap<AttemptId, launcher::Stop>,
    /// What people are told of the keeper and of output on its way.
    carriage: output::Carriage,
    timers: BTreeSet<(Timestamp, RunId, Timer)>,
    keys: HashMap<String, restore::Remembered>,
    /// Saved attempts that nobody needs, to be removed.
    rests: Vec<Put>,
    /// Programs whose last run an operator stopped: they are not started with the manager.
    stopped_by_hand: BTreeMap<String, RunId>,
    shutting_down: bool,
    /// Whether retries need tokens of the budget of all programs …
    under_budget: bool,
    /// … or of some scope's.
    scoped_budgets: bool,
    /// Whether some scope has a `quarantine` of its own.
    scoped_quarantines: bool,
    /// What saved times are moved by, until that is written.
    shift: ClockShift,
    /// What the clocks said at the beginning.
    clock: SavedClock,
    /// When they were saved last.
    clock_saved_at: Timestamp,
    now: Timestamp,
    limits: Limits,
}

/// What the ledger asks about runs.
struct Known<'a> {
    live: &'a BTreeMap<RunId, Box<Live>>,
    ended: &'a BTreeMap<RunId, Box<Run>>,
}

impl ledger::Runs for Known<'_> {
    fn is_being_decided(&self, run: RunId) -> bool {
        self.live.get(&run).is_some_and(|live| live.stage.is_being_decided())
    }

    fn saved_run(&self, run: RunId) -> Option<Put> {
        let living = self.live.get(&run).map(|live| restore::put_living(live));
        living.or_else(|| self.ended.get(&run).map(|run| restore::put_ended(run)))
    }

    fn saved_attempt(&self, id: AttemptId) -> Option<Put> {
        let living = self.live.get(&id.run).map(|live| &live.run);
        let run = living.or_else(|| self.ended.get(&id.run).map(Box::as_ref))?;
        let attempt = run.attempts.iter().find(|attempt| attempt.number == id.number)?;
        Some(restore::put_attempt(id, attempt))
    }
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
        let timer = self.timers.first().map(|(at, _, _)| *at);
        timer.into_iter().chain(self.ledger.write_at()).min()
    }

    /// Whether time alone changes something now, beyond what waits to be written.
    pub fn has_due(&self, now: Timestamp) -> bool {
        self.timers.first().is_some_and(|(at, _, _)| *at <= now)
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
        let Some(live) = self.live.get(&run) else { return };
        let about = if attempt { About::attempt(&live.run) } else { About::run(&live.run) };
        self.ledger.record(self.now, about.at_scope(scope), event);
        self.ledger.save_run(run);
    }

    /// Breaker changes become records. What they mean for runs that wait or live follows at the end of the step.
    fn absorb(&mut self, changes: breaker::Changes) {
        self.stirred.extend(changes.freed);
        for change in changes.events {
            match &change.event {
                Event::BreakerChanged { from, to, .. } if from != to => {
                    if matches!(to.as_str(), "open" | "forced_open") {
                        self.opened.push(change.scope.clone());
                    }
                    self.stirred.insert(change.scope.clone());
                }
                Event::ProbeExpired { .. } => drop(self.stirred.insert(change.scope.clone())),
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
        let Self { ledger, live, ended, .. } = self;
        ledger.commit(self.now, at_once, &Known { live, ended });
    }

    // ── looking ────────────────────────────────────────────────────────────────────────────────────────────────────

    /// A run, living or over.
    pub fn run(&self, id: RunId) -> Option<&Run> {
        self.live.get(&id).map(|live| &live.run).or_else(|| self.ended.get(&id).map(Box::as_ref))
    }

    /// Whether a run has secrets, as far as it is known.
    pub(in crate::manager) fn has_secrets(&self, id: RunId) -> bool {
        self.run(id).is_some_and(|run| run.params.values().any(|value| *value == ParamValue::Secret))
    }

    /// Every run, newest first.
    pub fn runs(&self) -> impl Iterator<Item = &Run> {
        let mut live = self.live.values().rev().map(|live| &live.run).peekable();
        let mut ended = self.ended.values().rev().map(Box::as_ref).peekable();
        std::iter::from_fn(move || match (live.peek(), ended.peek()) {
            (Some(a), Some(b)) if a.id > b.id => live.next(),
            (_, Some(_)) => ended.next(),
            (_, None) => live.next(),
        })
    }

    /// Runs that are not over, oldest first.
    pub fn living(&self) -> impl DoubleEndedIterator<Item = &Run> {
        self.live.values().map(|live| &live.run)
    }

    /// Runs kept, with those that are over.
    pub fn run_count(&self) -> usize {
        self.live.len() + self.ended.len()
    }

    /// A program by name.
    pub fn program(&self, name: &str) -> Option<&Arc<Program>> {
        self.programs.get(name)
    }

    /// Names of all programs, sorted.
    pub fn program_names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.programs.keys().cloned().collect();
        names.sort_unstable();
        names
    }

    /// The newest record's place in the journal.
    pub fn last_seq(&self) -> u64 {
        self.ledger.next_seq().saturating_sub(1)
    }

    /// Whether nobody's process may still be there.
    pub fn is_quiet(&self) -> bool {
        self.trees.is_empty()
            && self.live.values().all(|live| {
                !matches!(
                    live.stage,
                    Stage::Starting | Stage::Running | Stage::Draining | Stage::Judging | Stage::Emptying(_)
                )
            })
    }
}
