//! The scripted processes: which live, what they write, when they end. They decide nothing.

use super::scenario::{Life, Play, Scenario};
use crate::{
    model::{
        AttemptId, Counts, Evidence, ExitStatus, Program, RunId, SpawnFailure, SpawnProblem, Stream,
        Timestamp,
    },
    monitor::{
        Drained, Report, Watch,
        machine::{Items, ReadyLine, Rules, Seen, plain, silent, too_little},
    },
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// A scripted process, alive or with an end that was not read yet.
#[derive(Clone, Debug)]
pub(super) struct Process {
    pub(super) life: Life,
    program: Arc<Program>,
    /// The end that was seen; `None` while the process lives.
    pub(super) exit: Option<ExitStatus>,
    wrote_at: Timestamp,
    seen: Seen,
    lines: u64,
    items: Option<u64>,
    /// Whether its first output is waited for, and whether its readiness is.
    waits: (bool, bool),
    wrote: bool,
}

/// The result of a launch.
pub(super) enum Launched {
    /// A process exists: it writes and ends at these times.
    Lives { writes_at: Option<Timestamp>, ready_at: Option<Timestamp>, ends_at: Option<Timestamp> },
    /// No process was made.
    Fails(SpawnFailure),
    /// The script has nothing for an attempt at this time.
    Unscripted,
}

/// Every scripted process.
#[derive(Debug, Default)]
pub(super) struct Processes {
    all: BTreeMap<AttemptId, Process>,
    rules: HashMap<String, (Arc<Program>, Arc<Rules>)>,
    counters: HashMap<String, Option<Arc<Items>>>,
}

impl Processes {
    /// Launches an attempt of the run with this name.
    pub(super) fn launch(
        &mut self,
        scenario: &Scenario,
        run: &str,
        program: &Arc<Program>,
        attempt: AttemptId,
        now: Timestamp,
    ) -> Launched {
        let script = scenario.script_of(run, &program.name);
        match script.and_then(|script| script.plan.play(attempt.number, now)) {
            None => Launched::Unscripted,
            Some(Play::SpawnError { errno }) => Launched::Fails(spawn_failure(errno)),
            Some(Play::Lives(life)) => {
                let ends_at = life.lasts_ms.map(|ms| now.plus(ms));
                let writes_at = life.output_at_ms.filter(|_| !life.output.is_empty()).map(|ms| now.plus(ms));
                let ready_at = life.ready_at_ms.map(|ms| now.plus(ms));
                let process = Process {
                    life: life.clone(),
                    program: program.clone(),
                    exit: None,
                    wrote_at: now,
                    seen: Seen::default(),
                    lines: 0,
                    items: program.success_items.as_ref().map(|_| 0),
                    waits: (false, program.ready.is_some()),
                    wrote: false,
                };
                self.all.insert(attempt, process);
                Launched::Lives { writes_at, ready_at, ends_at }
            }
        }
    }

    pub(super) fn is_alive(&self, attempt: AttemptId) -> bool {
        self.all.get(&attempt).is_some_and(|process| process.exit.is_none())
    }

    /// Takes what the Manager wants to be told of the attempt.
    pub(super) fn watch(&mut self, watch: &Watch) {
        if let Some(process) = self.all.get_mut(&watch.attempt) {
            process.waits.0 = watch.first_output;
        }
    }

    /// What is reported once of what the attempt has written by now; `ready`: the attempt says that it is ready.
    pub(super) fn early(&mut self, attempt: AttemptId, ready: bool, now: Timestamp) -> Vec<Report> {
        let lives = self.all.get_mut(&attempt).filter(|process| process.exit.is_none());
        let Some(process) = lives.filter(|process| ready || process.wrote) else { return Vec::new() };
        let (first, ready) = (std::mem::take(&mut process.waits.0), ready && process.waits.1);
        process.waits.1 &= !ready;
        let first = first.then_some(Report::FirstOutput { attempt });
        first.into_iter().chain(ready.then_some(Report::Ready { attempt, at: now })).collect()
    }

    /// The lines of the attempt appear. Returns whether one says that it is ready, and what the rules found in them:
    /// for each rule the evidence and the number of lines.
    pub(super) fn write(&mut self, attempt: AttemptId, now: Timestamp) -> (bool, Vec<(Evidence, u64)>) {
        let nothing = (false, Vec::new());
        let Some(process) = self.all.get(&attempt).filter(|process| process.exit.is_none()) else {
            return nothing;
        };
        if process.life.output.is_empty() {
            return nothing;
        }
        let program = process.program.clone();
        let (rules, items) = (self.rules_of(&program), self.items_of(&program));
        let Some(process) = self.all.get_mut(&attempt) else { return nothing };
        // Compiled anew for each attempt that may say it: once in its life.
        let ready = process.program.ready.as_ref().filter(|_| process.waits.1);
        let ready = ready.and_then(|rule| ReadyLine::of(rule).ok());
        let says = |line: &String| ready.as_ref().is_some_and(|ready| ready.is_line(&plain(line.as_bytes())));
        let is_ready = process.life.output.iter().any(says);
        process.wrote = true;
        let mut found: BTreeMap<usize, (Evidence, u64)> = BTreeMap::new();
        for line in std::mem::take(&mut process.life.output) {
            process.lines += 1;
            let line = String::from_utf8_lossy(&plain(line.as_bytes())).into_owned();
            if let (Some(items), Some(count)) = (&items, &mut process.items) {
                *count = items.in_line(*count, line.as_bytes());
            }
            // A scripted line has no stream: a rule that looks at one of them finds it there.
            let hit = [Stream::Stdout, Stream::Stderr]
                .into_iter()
                .find_map(|stream| Some((rules.line(line.as_bytes(), stream)?, stream)));
            let Some((rule, stream)) = hit else { continue };
            let Some(named) = rules.list().get(rule) else { continue };
            let evidence = Evidence {
                class: named.class.to_string(),
                rule: named.name.to_string(),
                retry_after_ms: rules.retry_after_ms(rule, line.as_bytes(), now),
                preferred: None,
                line,
                stream: Some(stream),
                seq: process.lines,
                at: now,
            };
            process.seen.note(rule, evidence.clone());
            found.entry(rule).or_insert((evidence, 0)).1 += 1;
        }
        process.wrote_at = now;
        (is_ready, found.into_values().collect())
    }

    /// Ends the attempt, as scripted or by a signal of ours; `None` when it has ended before.
    pub(super) fn end(&mut self, attempt: AttemptId, by_signal: Option<i32>) -> Option<ExitStatus> {
        let process = self.all.get_mut(&attempt).filter(|process| process.exit.is_none())?;
        let exit = match by_signal {
            Some(number) => {
                // The process did not live to say what its script says.
                process.life.class = None;
                ExitStatus::Signal { number, core: false }
            }
            None => process.life.exit,
        };
        process.exit = Some(exit);
        Some(exit)
    }

    /// What the attempt's output and its end show.
    pub(super) fn drain(&mut self, attempt: AttemptId, exit: ExitStatus, now: Timestamp) -> Drained {
        let Some(process) = self.all.remove(&attempt) else {
            return Drained { evidence: None, counts: Counts::default(), items: None, complete: false };
        };
        let counts = Counts { lines: process.lines, ..Counts::default() };
        let evidence = match &process.life.class {
            Some(class) if exit != ExitStatus::Unknown => Some(Evidence {
                class: class.clone(),
                rule: "scenario".into(),
                line: String::new(),
                stream: None,
                seq: 0,
                at: now,
                retry_after_ms: None,
                preferred: None,
            }),
            _ if process.lines == 0 => silent(&process.program, exit, now),
            _ => {
                let rules = self.rules_of(&process.program);
                let found = process.seen.verdict(&rules, &process.program, exit, now);
                found.or_else(|| too_little(&process.program, exit, (process.lines, process.items), now))
            }
        };
        Drained { evidence, counts, items: process.items, complete: true }
    }

    pub(super) fn wrote_last(&self, attempt: AttemptId) -> Option<Timestamp> {
        self.all.get(&attempt).map(|process| process.wrote_at)
    }

    /// Makes the attempt's end one that was not seen.
    pub(super) fn lose(&mut self, attempt: AttemptId) {
        if let Some(process) = self.all.get_mut(&attempt) {
            process.exit = Some(ExitStatus::Unknown);
        }
    }

    /// What finds items, made once for each expression.
    fn items_of(&mut self, program: &Program) -> Option<Arc<Items>> {
        let expression = program.success_items.clone()?;
        self.counters.entry(expression).or_insert_with(|| Items::of(program).map(Arc::new)).clone()
    }

    /// The rules of a program, made once: half a megabyte and ten milliseconds each.
    fn rules_of(&mut self, program: &Arc<Program>) -> Arc<Rules> {
        match self.rules.get(&program.name) {
            Some((of, rules)) if Arc::ptr_eq(of, program) || of.classify == program.classify => rules.clone(),
            _ => {
                let rules = Arc::new(Rules::of(program));
                self.rules.insert(program.name.clone(), (program.clone(), rules.clone()));
                rules
            }
        }
    }
}

fn spawn_failure(errno: &str) -> SpawnFailure {
    let problem = match errno {
        "EAGAIN" | "ENOMEM" | "EMFILE" | "ENFILE" | "ENOSPC" | "ETXTBSY" => SpawnProblem::Scarcity,
        "ENOENT" | "ENOTDIR" => SpawnProblem::NotFound,
        "EACCES" | "EPERM" => SpawnProblem::Permission,
        "ENOEXEC" => SpawnProblem::Format,
        _ => SpawnProblem::Other,
    };
    SpawnFailure {
        problem,
        errno: errno.to_owned(),
        message: format!("the scenario says {errno}"),
        help: String::new(),
    }
}

/// The names that runs have in the scenario.
#[derive(Debug, Default)]
pub(super) struct Names {
    by_id: HashMap<RunId, String>,
    by_name: HashMap<String, RunId>,
}

impl Names {
    pub(super) fn insert(&mut self, id: RunId, name: &str) {
        self.by_id.insert(id, name.to_owned());
        self.by_name.insert(name.to_owned(), id);
    }

    pub(super) fn of(&self, id: RunId) -> Option<&str> {
        self.by_id.get(&id).map(String::as_str)
    }

    pub(super) fn id(&self, name: &str) -> Option<RunId> {
        self.by_name.get(name).copied()
    }
}
