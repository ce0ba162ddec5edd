//! The Manager's, Retry's and the Breaker's machines in one virtual time, with the Monitor's rules and children that do
//! as they are told.

use actix_process_actors::{
    breaker,
    clerk::Rules as _,
    explain::{Explanation, Facts, explain},
    launcher,
    manager::{
        Configure, Restart, Start,
        machine::{Effect, Input, Limits, Machine},
    },
    model::{
        AttemptId, BreakerPolicy, Counts, Evidence, ExitStatus, JournalRecord, Params, Phase, Program,
        RetryBudget, RunId, SpawnFailure, Spool, SpoolSizes, Stream, Timestamp, signal_number,
    },
    monitor::{
        self, Drained,
        machine::{Items, Rules, Seen, too_little},
    },
    retry,
};
use std::collections::{BTreeMap, VecDeque};

/// Midnight, so that times in the files read as times since the beginning.
pub(crate) const START: Timestamp = Timestamp(1_767_225_600_000);

/// How a child lives.
#[derive(Clone, Debug)]
pub(crate) enum Life {
    /// For so long; then it writes these lines and ends so.
    Ends { after_ms: u64, lines: Vec<String>, exit: ExitStatus },
    /// Until it is stopped.
    Lives,
    /// Never.
    CannotStart(SpawnFailure),
}

/// It says this and exits.
pub(crate) fn says(after_ms: u64, line: &str, code: i32) -> Life {
    Life::Ends { after_ms, lines: line.lines().map(str::to_owned).collect(), exit: ExitStatus::Code(code) }
}

/// It exits without a word.
pub(crate) fn exits(after_ms: u64, code: i32) -> Life {
    Life::Ends { after_ms, lines: Vec::new(), exit: ExitStatus::Code(code) }
}

/// A signal ends it.
pub(crate) fn killed(after_ms: u64, signal: &str) -> Life {
    Life::Ends { after_ms, lines: Vec::new(), exit: by_signal(signal) }
}

fn by_signal(name: &str) -> ExitStatus {
    ExitStatus::Signal { number: signal_number(name).unwrap_or(9), core: false }
}

/// How long a child takes to end after SIGTERM.
const STOPS_AFTER_MS: u64 = 300;

pub(crate) struct World {
    manager: Machine,
    retry: retry::Machine,
    breaker: breaker::Machine,
    pub(crate) now: Timestamp,
    records: Vec<JournalRecord>,
    state: BTreeMap<String, Vec<u8>>,
    /// By program, in the order of the starts; the last one repeats.
    lives: BTreeMap<String, VecDeque<Life>>,
    /// Ends to come.
    ends: BTreeMap<(Timestamp, AttemptId), (Vec<String>, ExitStatus)>,
    output: BTreeMap<AttemptId, Vec<String>>,
    alive: BTreeMap<AttemptId, Timestamp>,
    programs: Vec<Program>,
    shared: Vec<(String, BreakerPolicy)>,
    ids: u128,
}

impl World {
    pub(crate) fn new(programs: Vec<Program>, shared: Vec<(&str, BreakerPolicy)>) -> Self {
        let shared: Vec<_> = shared.into_iter().map(|(name, policy)| (name.to_owned(), policy)).collect();
        let mut world = Self {
            manager: Machine::new(1, Limits::default()),
            retry: retry::Machine::new(7),
            breaker: breaker::Machine::new(7),
            now: START,
            records: Vec::new(),
            state: BTreeMap::new(),
            lives: BTreeMap::new(),
            ends: BTreeMap::new(),
            output: BTreeMap::new(),
            alive: BTreeMap::new(),
            programs,
            shared,
            ids: 0,
        };
        world.configure();
        world
    }

    fn configure(&mut self) {
        let (programs, shared_breakers) = (self.programs.clone(), self.shared.clone());
        let (_, effects) = self.manager.configure(Configure::new(programs, shared_breakers), self.now);
        self.carry_out(effects);
    }

    /// What retries of all programs share.
    pub(crate) fn budget(mut self, budget: RetryBudget) -> Self {
        self.retry.set_budget(self.now, Some(budget));
        let effects = self.manager.set_budget(Some(budget), self.now);
        assert_eq!(effects.len(), 1, "Retry is told, and was");
        self
    }

    /// What the next children of this program do.
    pub(crate) fn lives(mut self, program: &str, lives: impl IntoIterator<Item = Life>) -> Self {
        self.lives.insert(program.to_owned(), lives.into_iter().collect());
        self
    }

    pub(crate) fn start(&mut self, program: &str, params: &[(&str, &str)], by: Option<&str>) -> RunId {
        let mut start = Start::default();
        start.program = program.to_owned();
        start.params = params.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
        start.requested_by = by.map(str::to_owned);
        let checked = self.manager.check_start(&start).expect("the start fits");
        self.ids += 1;
        let id = RunId::from_parts(self.now.0, self.ids);
        let effects = self.manager.start(checked, &start, id, self.now);
        self.carry_out(effects);
        id
    }

    pub(crate) fn stop(&mut self, run: RunId, by: &str) {
        let effects = self.manager.stop(run, Some(by.to_owned()), self.now).expect("it lives");
        self.carry_out(effects);
    }

    /// Past the breakers.
    pub(crate) fn force(&mut self, run: RunId, by: &str) {
        let asked = Restart { by: Some(by.to_owned()), force: true, ..Restart::new(run) };
        let effects = self.manager.restart(asked, self.now).expect("it waits");
        self.carry_out(effects);
        self.settle();
    }

    /// Its present attempt says now that it is ready.
    pub(crate) fn is_ready(&mut self, run: RunId) {
        let number = self.manager.run(run).expect("it is known").attempt;
        let attempt = AttemptId { run, number };
        self.input(Input::Monitor(monitor::Report::Ready { attempt, at: self.now }));
    }

    /// Lets time pass: everything that is due happens at its own time.
    pub(crate) fn pass(&mut self, ms: u64) {
        let until = self.now.plus(ms);
        loop {
            let ends = self.ends.keys().next().map(|(at, _)| *at);
            let machines =
                [self.manager.next_deadline(), self.retry.next_due(), self.breaker.next_deadline(), ends];
            let Some(next) = machines.into_iter().flatten().min().filter(|at| *at <= until) else { break };
            self.now = self.now.max(next);
            self.settle();
        }
        self.now = until;
    }

    /// Lets time pass until the run is in this phase.
    pub(crate) fn pass_until(&mut self, run: RunId, phase: Phase) {
        let day = START.plus(86_400_000);
        while self.manager.run(run).map(|run| run.phase) != Some(phase) {
            assert!(self.now < day, "never {phase:?}: {:?}", self.manager.run(run));
            self.pass(100);
        }
    }

    fn settle(&mut self) {
        let changes = self.breaker.advance(self.now);
        if !changes.events.is_empty() {
            self.input(Input::BreakerDue(changes));
        }
        while let Some(run) = self.retry.take_due(self.now) {
            self.input(Input::Due(run));
        }
        while let Some((&(at, attempt), _)) = self.ends.first_key_value()
            && at <= self.now
        {
            let Some((lines, exit)) = self.ends.remove(&(at, attempt)) else { break };
            self.alive.remove(&attempt);
            let written = lines.iter().map(|line| line.len() as u64 + 1).sum();
            let sizes = SpoolSizes { stdout: 0, stderr: written };
            self.output.insert(attempt, lines);
            self.input(Input::Launcher(launcher::Report::Exited { attempt, exit, sizes, leftovers: false }));
            self.input(Input::Launcher(launcher::Report::Emptied { attempt, sizes }));
        }
        self.input(Input::Tick);
    }

    fn input(&mut self, input: Input) {
        let effects = self.manager.step(input, self.now);
        self.carry_out(effects);
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            if let Some(answer) = self.answer(effect) {
                self.input(answer);
            }
        }
    }

    fn answer(&mut self, effect: Effect) -> Option<Input> {
        let now = self.now;
        Some(match effect {
            Effect::Commit { records, puts } => {
                self.records.extend(records);
                for put in puts {
                    match put.value {
                        Some(value) => self.state.insert(put.key, value),
                        None => self.state.remove(&put.key),
                    };
                }
                return None;
            }
            Effect::AskRetry(ask) => Input::Retry(self.retry.answer(now, ask)),
            Effect::AskBreaker(ask) => Input::Breaker(self.breaker.answer(now, ask)),
            Effect::Drain(ask) => Input::Drained { attempt: ask.attempt, drained: self.drained(ask) },
            Effect::AskLastOutput(attempt) => {
                Input::WroteLast { attempt, at: self.alive.get(&attempt).copied() }
            }
            Effect::Launch(launch) => self.launch(&launch),
            Effect::StopTree(stop) => {
                self.stop_child(stop.attempt);
                return None;
            }
            _ => return None,
        })
    }

    fn launch(&mut self, launch: &launcher::Launch) -> Input {
        let attempt = launch.attempt;
        let lives = self.lives.entry(launch.program.name.clone()).or_default();
        let life = if lives.len() > 1 { lives.pop_front() } else { lives.front().cloned() };
        match life.unwrap_or(Life::Lives) {
            Life::CannotStart(failure) => {
                return Input::Launcher(launcher::Report::LaunchFailed { attempt, failure });
            }
            Life::Ends { after_ms, lines, exit } => {
                self.ends.insert((self.now.plus(after_ms), attempt), (lines, exit));
            }
            Life::Lives => {}
        }
        self.alive.insert(attempt, self.now);
        let spool = Spool { token: 1, stdout: "o".into(), stderr: "e".into() };
        let (pid, start_ticks, secrets) = (4711, 1, Vec::new());
        Input::Launcher(launcher::Report::Launched { attempt, pid, start_ticks, spool, secrets })
    }

    fn stop_child(&mut self, attempt: AttemptId) {
        if self.alive.contains_key(&attempt) {
            self.ends.retain(|(_, other), _| *other != attempt);
            let end = (Vec::new(), by_signal("SIGTERM"));
            self.ends.insert((self.now.plus(STOPS_AFTER_MS), attempt), end);
        }
    }

    /// What the Monitor's rules say of the lines.
    fn drained(&self, ask: monitor::Drain) -> Drained {
        let run = self.manager.run(ask.attempt.run).expect("it is known");
        let program = self.manager.program(&run.program).expect("it is configured");
        let (rules, mut seen) = (Rules::of(program), Seen::default());
        let lines = self.output.get(&ask.attempt).map_or(&[][..], Vec::as_slice);
        for (seq, line) in lines.iter().enumerate() {
            let Some(index) = rules.line(line.as_bytes(), Stream::Stderr) else { continue };
            let rule = &rules.list()[index];
            let evidence = Evidence {
                class: rule.class.to_string(),
                rule: rule.name.to_string(),
                line: line.clone(),
                stream: Some(Stream::Stderr),
                seq: seq as u64,
                at: self.now,
                retry_after_ms: rules.retry_after_ms(index, line.as_bytes(), self.now),
                preferred: None,
            };
            seen.note(index, evidence);
        }
        let evidence = seen.verdict(&rules, program, ask.exit, self.now);
        let counts = Counts { lines: lines.len() as u64, errors: 0, gaps: 0 };
        let tells = Items::of(program);
        let items =
            tells.map(|tells| lines.iter().fold(0, |known, line| tells.in_line(known, line.as_bytes())));
        let too_little = || too_little(program, ask.exit, (counts.lines, items), self.now);
        Drained { evidence: evidence.or_else(too_little), counts, items, complete: true }
    }

    /// The supervisor dies with everything that it had not written, and another one comes `down_ms` later, which finds
    /// the children stopped.
    pub(crate) fn dies_for(&mut self, down_ms: u64) {
        let effects = self.manager.write_out();
        self.carry_out(effects);
        self.ends.clear();
        self.alive.clear();
        self.now = self.now.plus(down_ms);
        let last = self.records.last().map_or(0, |record| record.seq);
        self.manager = Machine::new(last + 1, Limits::default());
        self.configure();
        let state = self.state.clone();
        assert_eq!(self.manager.restore(&state, self.now), 0);
        let saved: Vec<_> = state.into_iter().collect();
        let ours = |prefixes: &[&str]| -> Vec<(String, Vec<u8>)> {
            saved.iter().filter(|(key, _)| prefixes.iter().any(|p| key.starts_with(p))).cloned().collect()
        };
        self.retry = retry::Machine::new(7);
        self.retry.restore(
            self.now,
            actix_process_actors::model::ClockShift::default(),
            &ours(&["retry/", "param/"]),
        );
        self.breaker = breaker::Machine::new(7);
        let _ = self.breaker.restore(self.now, &ours(&["breaker/"]));
        let recovered = self.manager.orphans().into_iter().map(|orphan| launcher::Recovered {
            attempt: orphan.attempt,
            exit: by_signal("SIGTERM"),
            ended_at: None,
            stopped_by_keeper: true,
            spool: Spool { token: 1, stdout: "o".into(), stderr: "e".into() },
            sizes: SpoolSizes::default(),
            losses: Default::default(),
            secrets: Vec::new(),
        });
        let recovered = recovered.collect();
        let effects =
            self.manager.resume(recovered, &std::collections::BTreeSet::new(), down_ms, false, self.now);
        self.carry_out(effects);
    }

    /// The attempts of a run: number, time, `qpi`, whether it was a probe.
    pub(crate) fn started(&self, run: RunId) -> Vec<(u32, Timestamp, String, bool)> {
        let attempts = &self.manager.run(run).expect("it is known").attempts;
        let qpi = |params: &Params| params.get("qpi").map(ToString::to_string).unwrap_or_default();
        attempts.iter().map(|a| (a.number, a.started_at, qpi(&a.params), a.probe)).collect()
    }

    pub(crate) fn facts(&self, run: RunId) -> Facts {
        self.manager.facts(run, self.now).expect("it is known")
    }

    /// The answer to "why?" about a run, as the actor gathers it.
    pub(crate) fn why(&mut self, run: RunId) -> Explanation {
        let effects = self.manager.write_out();
        self.carry_out(effects);
        let facts = self.facts(run);
        let records: Vec<_> =
            self.records.iter().filter(|record| facts.is_told_by(record)).cloned().collect();
        let outlook = facts.forecast.as_ref().map(|ask| self.retry.forecast(ask.as_supposed()));
        let mut breakers = self.breaker.breakers();
        breakers.retain(|status| facts.gates.iter().any(|gate| gate.scope == status.scope));
        explain(&facts, &records, outlook.as_ref(), &breakers, self.now)
    }

    /// The same about a program.
    pub(crate) fn why_program(&mut self, name: &str) -> Explanation {
        let overview = self.manager.overview(name, self.now).expect("it is configured");
        let story = overview.main_run().map(|run| self.why(run));
        overview.explain(story, &self.breaker.breakers(), self.now)
    }
}
