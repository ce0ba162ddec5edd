//! The driver: virtual time, the three machines, and what goes between them.

use super::{
    agenda::{Agenda, Entry},
    machines::{Machines, Wanted},
    processes::{Launched, Names, Processes},
    scenario::{RestartAt, Scenario},
};
use crate::{
    launcher,
    manager::{
        Configure, StartError,
        machine::{Effect, Input},
    },
    model::{
        AttemptId, BreakerPolicy, JournalRecord, Program, Put, RetryBudget, RunId, Spool, SpoolSizes,
        Timestamp, signal_number,
    },
    monitor,
};
use std::collections::{BTreeMap, VecDeque};

/// The rules by which a simulation runs.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// The programs that can be started.
    pub programs: Vec<Program>,
    /// The rules of shared scopes, by their names.
    pub shared_breakers: Vec<(String, BreakerPolicy)>,
    /// The tokens that retries of all programs share; `None`: no budget.
    pub retry_budget: Option<RetryBudget>,
    /// The seed of chance. Equal seeds draw equal delays and penalties.
    pub seed: u64,
}

/// One result of a simulation.
#[derive(Clone, Debug)]
pub enum Told {
    /// A journal record, as the live journal would have it; times are milliseconds since the scenario began.
    Record(JournalRecord),
    /// A request that was refused: the live supervisor answers the caller, and makes no run.
    Refused {
        /// When the request was refused.
        at: Timestamp,
        /// The run's name in the scenario.
        run: String,
        /// The reason for the refusal.
        error: StartError,
    },
}

/// Why a simulation cannot go on.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SimulateError {
    /// A script by windows has a gap, and an attempt starts in it.
    #[error(
        "attempt {number} of run {run} starts at {at_ms} ms, and no window of its script holds that time"
    )]
    Unscripted {
        /// The run's name in the scenario.
        run: String,
        /// The attempt's number.
        number: u32,
        /// When the attempt starts, in milliseconds since the scenario began.
        at_ms: u64,
    },
    /// Time does not go on: a rule restarts without any delay.
    #[error(
        "more than {STEPS_AT_ONCE} things happen at {at_ms} ms: a rule goes round in a circle without delay"
    )]
    Circle {
        /// The time at which it stands still, in milliseconds since the scenario began.
        at_ms: u64,
    },
}

/// The number of steps that may happen within one millisecond. A thousand runs that all change at once make some ten
/// thousand steps. Beyond a million, time stands still because a program restarts without delay and its script lasts
/// no time.
const STEPS_AT_ONCE: u32 = 1_000_000;

/// A scenario that is being simulated: an iterator of what happens, in order of time.
#[derive(Debug)]
pub struct Simulation {
    pub(super) setup: Setup,
    pub(super) scenario: Scenario,
    pub(super) machines: Machines,
    pub(super) processes: Processes,
    pub(super) names: Names,
    pub(super) agenda: Agenda,
    pub(super) told: VecDeque<Told>,
    /// Saved state, kept only when the scenario lets the supervisor die.
    pub(super) state: BTreeMap<String, Vec<u8>>,
    pub(super) down: Option<RestartAt>,
    pub(super) wall_ahead_ms: i64,
    /// How often the host has booted anew.
    pub(super) boots: u64,
    pub(super) now: Timestamp,
    pub(super) steps: u32,
    pub(super) failed: Option<SimulateError>,
    pub(super) over: bool,
}

impl Simulation {
    /// Sets a scenario to its beginning, with these rules. Programs and scenario are checked already.
    #[must_use]
    pub fn new(setup: Setup, scenario: Scenario) -> Self {
        let mut agenda = Agenda::default();
        for (n, start) in scenario.starts.iter().enumerate() {
            agenda.put(Timestamp(start.at_ms), Entry::Start(n));
        }
        for (n, operator) in scenario.operators.iter().enumerate() {
            agenda.put(Timestamp(operator.at_ms), Entry::Operator(n));
        }
        for (n, restart) in scenario.restarts.iter().enumerate() {
            agenda.put(Timestamp(restart.at_ms), Entry::Down(n));
            agenda.put(Timestamp(restart.at_ms).plus(restart.down_for_ms), Entry::Up(n));
        }
        let mut simulation = Self {
            machines: Machines::new(1, setup.seed),
            processes: Processes::default(),
            names: Names::default(),
            agenda,
            told: VecDeque::new(),
            state: BTreeMap::new(),
            down: None,
            wall_ahead_ms: 0,
            boots: 0,
            now: Timestamp(0),
            steps: 0,
            failed: None,
            over: false,
            setup,
            scenario,
        };
        let clocks = simulation.clocks();
        simulation.machines.breaker.set_clock(simulation.now, clocks.reading);
        simulation.configure();
        simulation.carry_out();
        simulation
    }

    /// The name that a run has in the scenario.
    #[must_use]
    pub fn name_of(&self, run: RunId) -> Option<&str> {
        self.names.of(run)
    }

    pub(super) fn configure(&mut self) {
        let Setup { programs, shared_breakers, retry_budget, .. } = &self.setup;
        let configure = Configure::new(programs.clone(), shared_breakers.clone()).retry_budget(*retry_budget);
        self.machines.configure(configure, self.now);
    }

    // ── time ───────────────────────────────────────────────────────────────────────────────────────────────────────

    /// When something happens next; `None` when nothing does.
    fn next_time(&self) -> Option<Timestamp> {
        let scripted = self.agenda.next();
        if self.down.is_some() {
            return scripted;
        }
        let own = [
            self.machines.manager.next_deadline(),
            self.machines.retry.next_due(),
            self.machines.breaker.next_deadline(),
        ];
        own.into_iter().flatten().chain(scripted).min()
    }

    /// Goes on to the next time at which something happens, and lets it all happen.
    fn advance(&mut self) {
        let end = Timestamp(self.scenario.until_ms);
        let Some(next) = self.next_time().filter(|next| *next <= end) else {
            self.now = self.now.max(end);
            self.machines.write_out();
            self.carry_out();
            self.over = true;
            return;
        };
        if next > self.now {
            (self.now, self.steps) = (next, 0);
        }
        // What time changes comes before what happens at that time, as in every room.
        if self.down.is_none() {
            self.alarms();
        }
        if let Some(entry) = self.agenda.take(self.now) {
            self.happen(entry);
            self.carry_out();
        }
    }

    fn alarms(&mut self) {
        let now = self.now;
        if self.machines.breaker.next_deadline().is_some_and(|at| at <= now) {
            let changes = self.machines.breaker.advance(now);
            self.input(Input::BreakerDue(changes));
        }
        if self.machines.manager.next_deadline().is_some_and(|at| at <= now) {
            self.input(Input::Tick);
        }
        while let Some(run) = self.machines.retry.take_due(now) {
            self.input(Input::Due(run));
        }
    }

    fn happen(&mut self, entry: Entry) {
        match entry {
            // No supervisor is there to be asked: the caller comes again when it is back.
            Entry::Start(_) | Entry::Operator(_) if self.down.is_some() => {
                let back = self.down.map_or(self.now, |down| Timestamp(down.at_ms).plus(down.down_for_ms));
                self.agenda.put(back, entry);
            }
            Entry::Start(n) => {
                if let Some(start) = self.scenario.starts.get(n).cloned() {
                    self.start(&start, n);
                }
            }
            Entry::Operator(n) => {
                if let Some(operator) = self.scenario.operators.get(n).cloned() {
                    self.operate(operator.act);
                }
            }
            Entry::Output(attempt) => self.write(attempt),
            Entry::Ready(attempt) => self.hear_early(attempt, true),
            Entry::End(attempt) if self.down.is_some() => self.processes.lose(attempt),
            Entry::End(attempt) => {
                self.write(attempt);
                self.end(attempt, None);
            }
            Entry::Down(n) => self.go_down(n),
            Entry::Up(n) => self.come_back(n),
        }
    }

    // ── the machines ───────────────────────────────────────────────────────────────────────────────────────────────

    pub(super) fn input(&mut self, input: Input) {
        self.machines.input(input, self.now);
        self.carry_out();
    }

    /// Carries out what the machines want, in order; the answers of the world lead to more.
    pub(super) fn carry_out(&mut self) {
        while let Some(wanted) = self.machines.next_wanted(self.now) {
            self.steps += 1;
            if self.steps > STEPS_AT_ONCE {
                self.failed.get_or_insert(SimulateError::Circle { at_ms: self.now.0 });
                self.machines.effects.clear();
                return;
            }
            match wanted {
                Wanted::Commit(records, puts) => self.write_down(records, puts),
                Wanted::Other(effect) => {
                    if let Some(answer) = self.act(effect) {
                        self.machines.input(answer, self.now);
                    }
                }
            }
        }
    }

    fn act(&mut self, effect: Effect) -> Option<Input> {
        match effect {
            Effect::Launch(launch) => return self.launch(&launch),
            Effect::StopTree(stop) => self.end(stop.attempt, signal_number("SIGTERM")),
            Effect::Drain(ask) => {
                let drained = self.processes.drain(ask.attempt, ask.exit, self.now);
                return Some(Input::Drained { attempt: ask.attempt, drained });
            }
            Effect::AskLastOutput(attempt) => {
                let at = self.processes.wrote_last(attempt);
                return Some(Input::WroteLast { attempt, at });
            }
            Effect::Watch(watch) => self.processes.watch(&watch),
            // Nothing of these shows in a journal: no signal, spool, secret or waiting caller is simulated.
            _ => {}
        }
        None
    }

    fn write_down(&mut self, records: Vec<JournalRecord>, puts: Vec<Put>) {
        self.told.extend(records.into_iter().map(Told::Record));
        if self.scenario.restarts.is_empty() {
            return;
        }
        let due = self.machines.manager.is_clock_due(self.now);
        let clocks = due.then(|| self.machines.manager.save_clock(&self.clocks()));
        puts.into_iter().chain(clocks).for_each(|put| self.save(put));
    }

    pub(super) fn save(&mut self, put: Put) {
        match put.value {
            Some(value) => self.state.insert(put.key, value),
            None => self.state.remove(&put.key),
        };
    }

    // ── the scripted processes ─────────────────────────────────────────────────────────────────────────────────────

    fn launch(&mut self, launch: &launcher::Launch) -> Option<Input> {
        let (attempt, now) = (launch.attempt, self.now);
        let name = self.names.of(attempt.run).unwrap_or_default().to_owned();
        let report = match self.processes.launch(&self.scenario, &name, &launch.program, attempt, now) {
            Launched::Lives { writes_at, ready_at, ends_at } => {
                let entries = [
                    (writes_at, Entry::Output(attempt)),
                    (ready_at, Entry::Ready(attempt)),
                    (ends_at, Entry::End(attempt)),
                ];
                for (at, entry) in entries.into_iter().filter_map(|(at, entry)| Some((at?, entry))) {
                    self.agenda.put(at, entry);
                }
                let spool = Spool { token: 0, stdout: "".into(), stderr: "".into() };
                launcher::Report::Launched { attempt, pid: 1, start_ticks: 0, spool, secrets: Vec::new() }
            }
            Launched::Fails(failure) => launcher::Report::LaunchFailed { attempt, failure },
            Launched::Unscripted => {
                let (run, number, at_ms) = (name, attempt.number, now.0);
                self.failed.get_or_insert(SimulateError::Unscripted { run, number, at_ms });
                return None;
            }
        };
        Some(Input::Launcher(report))
    }

    fn write(&mut self, attempt: AttemptId) {
        let (ready, found) = self.processes.write(attempt, self.now);
        self.hear_early(attempt, ready);
        for (evidence, count) in found {
            if self.down.is_none() {
                self.input(Input::Monitor(monitor::Report::ErrorSeen { attempt, evidence, count }));
            }
        }
    }

    /// Passes on what the Monitor reports once of an attempt that has written something.
    fn hear_early(&mut self, attempt: AttemptId, ready: bool) {
        for report in self.processes.early(attempt, ready, self.now) {
            if self.down.is_none() {
                self.input(Input::Monitor(report));
            }
        }
    }

    fn end(&mut self, attempt: AttemptId, by_signal: Option<i32>) {
        if let Some(exit) = self.processes.end(attempt, by_signal) {
            let exited = launcher::Report::Exited { attempt, exit, sizes: SOMETHING, leftovers: false };
            let emptied = launcher::Report::Emptied { attempt, sizes: SOMETHING };
            for report in [exited, emptied] {
                self.machines.input(Input::Launcher(report), self.now);
            }
        }
    }
}

/// Scripted output has no bytes. Any size makes the Manager ask what it shows.
pub(super) const SOMETHING: SpoolSizes = SpoolSizes { stdout: 1, stderr: 0 };

impl Iterator for Simulation {
    type Item = Result<Told, SimulateError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(told) = self.told.pop_front() {
                return Some(Ok(told));
            }
            if let Some(error) = self.failed.take() {
                self.over = true;
                self.machines.effects.clear();
                return Some(Err(error));
            }
            if self.over {
                return None;
            }
            self.advance();
        }
    }
}
