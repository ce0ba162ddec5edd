//! The Manager's rules, without a room in sight: scripted answers, recorded effects.
//!
//! Faults that are put into the machine (and into what it asks of an end), one at a time, and a test that catches each;
//! `cargo test --test faults -- --ignored` puts them in again.
//!
//! | fault | caught by |
//! |---|---|
//! | an end that nobody could read is a success | `tests::ends::an_end_that_nobody_could_read_is_judged_by_its_exit` |
//! | what was decided is judged again in the next life | `tests::ends::what_was_decided_holds_when_all_die_while_the_rest_is_stopped` |
//! | what a reload removed is started again | `tests::unwanted::what_lives_of_a_removed_program_ends_and_is_not_started_again` |
//! | an overdue start is put off anew by each supervisor | `tests::ends::an_overdue_start_is_put_off_once_however_often_we_die` |
//! | of an end found later the delay counts from now | `tests::ends::an_end_found_later_has_its_own_time_and_the_delay_counts_from_it` |

mod breakers;
mod crowd;
mod early;
mod ends;
mod figures;
mod forced;
mod lost;
mod output;
mod quarantine;
mod retry_states;
mod sentences;
mod tokens;
mod trimmed;
mod unwanted;
mod waiting;

use super::{Effect, Input, Limits, Machine};
use crate::{
    breaker::{self, Admission, Admit, Changes, Gate, Permit, Settle},
    figures::Counters,
    launcher::{self, Report},
    manager::{
        self, Configure, Start, StartError,
        metrics::{count, count_lines},
    },
    model::{
        AttemptId, ClockReading, Command, Counts, EndReason, Event, Evidence, ExitStatus, JournalRecord,
        Phase, Program, Restart, RunId, SavedClock, Scope, SpawnFailure, SpawnProblem, Spool, SpoolSizes,
        Timestamp,
    },
    monitor::Drained,
    retry::{self, Decision, Verdict},
};
use std::collections::{BTreeMap, BTreeSet};

/// A machine whose questions are answered by what the test says.
struct World {
    machine: Machine,
    counters: Counters,
    now: Timestamp,
    acts: Vec<String>,
    records: Vec<JournalRecord>,
    state: BTreeMap<String, Vec<u8>>,
    admissions: Vec<Admission>,
    decisions: Vec<Decision>,
    /// What Retry was asked about.
    judged: Vec<retry::Ended>,
    class: Option<&'static str>,
    quarantined: bool,
    fails_until: Option<Timestamp>,
    leaves: Vec<retry::Leave>,
    ids: u64,
    asked: Vec<RunId>,
    breaker: Option<breaker::Machine>,
}

fn settled(settle: &Settle, changes: Changes) -> Input {
    Input::Breaker(breaker::Answer::Settled { run: settle.run, keep: settle.keep, changes })
}

fn verdict(decision: Decision) -> Verdict {
    Verdict { decision, events: Vec::new(), saved: Vec::new(), quarantined: false }
}

impl World {
    fn new(programs: Vec<Program>) -> Self {
        let mut world = Self {
            machine: Machine::new(1, Limits::default()),
            counters: Counters::default(),
            now: Timestamp(1_000_000),
            acts: Vec::new(),
            records: Vec::new(),
            state: BTreeMap::new(),
            admissions: Vec::new(),
            decisions: Vec::new(),
            judged: Vec::new(),
            class: None,
            quarantined: false,
            fails_until: None,
            leaves: Vec::new(),
            ids: 0,
            asked: Vec::new(),
            breaker: None,
        };
        let (_, effects) = world.machine.configure(Configure::new(programs, []), world.now);
        world.run(effects);
        world
    }

    fn input(&mut self, input: Input) {
        if let Input::Monitor(report) = &input {
            count_lines(&mut self.counters, &self.machine, report, self.now);
        }
        let effects = self.machine.step(input, self.now);
        self.run(effects);
    }

    fn run(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            if let Some(answer) = self.answer(effect) {
                self.input(answer);
            }
        }
    }

    /// Plays the other rooms for what asks them something.
    fn answer(&mut self, effect: Effect) -> Option<Input> {
        let effect = match self.ask_real_breaker(effect) {
            Ok(answer) => return Some(answer),
            Err(effect) => effect,
        };
        Some(match effect {
            Effect::AskRetry(ask) => return self.ask_retry(ask).map(Input::Retry),
            Effect::AskBreaker(breaker::Ask::Admit(admit)) => {
                let (run, peek) = (admit.run, admit.peek);
                let admission = if peek || self.admissions.is_empty() {
                    granted(&admit)
                } else {
                    self.admissions.remove(0)
                };
                if !peek {
                    self.asked.push(run);
                }
                Input::Breaker(breaker::Answer::Admitted { run, peek, admission })
            }
            Effect::AskBreaker(breaker::Ask::Settle(settle)) => {
                self.acts.push(format!("settle {:?}", settle.outcomes.first().map(|(_, outcome)| *outcome)));
                settled(&settle, Changes::default())
            }
            Effect::Drain(drain) => {
                let evidence = self.class.map(|class| Evidence {
                    class: class.into(),
                    rule: "classify[0]".into(),
                    line: "HTTP 429".into(),
                    stream: None,
                    seq: 1,
                    at: self.now,
                    retry_after_ms: None,
                    preferred: None,
                });
                let drained = Drained { evidence, counts: Counts::default(), items: None, complete: true };
                Input::Drained { attempt: drain.attempt, drained }
            }
            Effect::AskLastOutput(attempt) => Input::WroteLast { attempt, at: None },
            told => {
                self.note(told);
                return None;
            }
        })
    }

    /// Answers for Retry where the answer matters, and keeps what it was told.
    fn ask_retry(&mut self, ask: retry::Ask) -> Option<retry::Answer> {
        use retry::{Answer, Ask};
        let told = match ask {
            Ask::Prepare { run, base, .. } => {
                let prepared = retry::Prepared { params: base, ..retry::Prepared::default() };
                return Some(Answer::Prepared { run, prepared });
            }
            Ask::Judge(ended) => {
                let run = ended.run;
                self.judged.push(*ended);
                let done = || Decision::Done { why: "done".into() };
                let decision = if self.decisions.is_empty() { done() } else { self.decisions.remove(0) };
                let verdict = Verdict { quarantined: self.quarantined, ..verdict(decision) };
                return Some(Answer::Judged { run, verdict });
            }
            Ask::Reserve { run, .. } => {
                let leave = self.leaves.pop().unwrap_or(retry::Leave::Free);
                return Some(Answer::Reserved { run, leave });
            }
            Ask::Deadline { run, .. } => return Some(Answer::FailsUntil { run, at: self.fails_until }),
            Ask::Schedule { at, .. } => format!("schedule in {}", at.since(self.now)),
            Ask::Adjust { class, .. } => format!("adjust {class}"),
            Ask::Pay(_) => "pay".into(),
            Ask::Deposit(_) => "deposit".into(),
            Ask::Forgive(_) => "forgive".into(),
            Ask::Release(_) => "release".into(),
            Ask::Overrule(_) => "overrule".into(),
            _ => return None,
        };
        self.acts.push(told);
        None
    }

    /// Keeps what nobody answers at once.
    fn note(&mut self, effect: Effect) {
        let act = match effect {
            Effect::Commit { records, puts, .. } => {
                count(&mut self.counters, &self.machine, &records);
                self.records.extend(records);
                for put in puts {
                    match put.value {
                        Some(value) => self.state.insert(put.key, value),
                        None => self.state.remove(&put.key),
                    };
                }
                return;
            }
            Effect::Launch(launch) => format!("launch {}", launch.attempt.number),
            Effect::StopTree(stop) => format!("stop {}", stop.attempt.number),
            Effect::Ended(_) => "ended".into(),
            _ => return,
        };
        self.acts.push(act);
    }

    fn try_start(&mut self, program: &str) -> Result<RunId, StartError> {
        let start = Start { program: program.into(), ..Start::default() };
        let checked = self.machine.check_start(&start)?;
        self.ids += 1;
        let id = RunId::from_parts(self.now.0, self.ids.into());
        let effects = self.machine.start(checked, &start, id, self.now);
        self.run(effects);
        Ok(id)
    }

    #[track_caller]
    fn start(&mut self, program: &str) -> RunId {
        self.try_start(program).expect("the start fits")
    }

    fn launched(&mut self, run: RunId) {
        let attempt = self.attempt(run);
        let spool = Spool { token: 1, stdout: "o".into(), stderr: "e".into() };
        self.input(Input::Launcher(Report::Launched {
            attempt,
            pid: 7,
            start_ticks: 1,
            spool,
            secrets: Vec::new(),
        }));
    }

    fn exited(&mut self, run: RunId, exit: ExitStatus) {
        let attempt = self.attempt(run);
        let sizes = SpoolSizes::default();
        self.input(Input::Launcher(Report::Exited { attempt, exit, sizes, leftovers: false }));
        self.input(Input::Launcher(Report::Emptied { attempt, sizes }));
    }

    fn attempt(&self, run: RunId) -> AttemptId {
        AttemptId { run, number: self.machine.run(run).map_or(0, |run| run.attempt) }
    }

    #[track_caller]
    fn assert_phase(&self, run: RunId, phase: Phase) {
        assert_eq!(self.machine.run(run).map(|run| run.phase), Some(phase));
    }

    #[track_caller]
    fn assert_acts(&mut self, expected: &[&str]) {
        let acts = std::mem::take(&mut self.acts);
        assert_eq!(acts, expected);
    }

    fn kinds(&self) -> Vec<String> {
        let kind = |record: &JournalRecord| serde_json::to_value(record).expect("json")["kind"].clone();
        self.records.iter().map(|record| kind(record).as_str().unwrap_or_default().to_owned()).collect()
    }
}

fn granted(admit: &Admit) -> Admission {
    let permit = |gate: &Gate| Permit::plain(gate.scope.clone(), 0);
    Admission::Granted {
        permits: admit.gates.iter().map(permit).collect(),
        probe: None,
        changes: Changes::default(),
    }
}

fn program(name: &str) -> Program {
    Program::new(name, Command::Argv(vec!["true".into()]))
}

fn retry_in(world: &World, ms: u64) -> Decision {
    Decision::RetryAt { at: world.now.plus(ms), n: 1, raw_ms: ms, delay_ms: ms, why: "because".into() }
}

#[test]
fn a_job_that_succeeds_is_queued_started_and_ended_in_the_journal() {
    let mut world = World::new(vec![program("job")]);
    let run = world.start("job");
    world.assert_phase(run, Phase::Starting);
    world.launched(run);
    world.assert_phase(run, Phase::Running);
    world.exited(run, ExitStatus::Code(0));
    world.assert_phase(run, Phase::Succeeded);
    world.assert_acts(&["launch 1", "settle Some(Success)", "ended"]);
    let expected = [
        "program_configured",
        "run_queued",
        "attempt_started",
        "attempt_spawned",
        "attempt_ended",
        "run_ended",
    ];
    assert_eq!(world.kinds(), expected);
    let seqs: Vec<_> = world.records.iter().map(|record| record.seq).collect();
    assert_eq!(seqs, (1..=6).collect::<Vec<_>>(), "the journal has no hole");
}

#[test]
fn a_failure_waits_for_its_time_and_one_that_is_due_starts_in_the_same_breath() {
    let mut world = World::new(vec![program("job")]);
    world.class = Some("exit_nonzero");
    let run = world.start("job");
    world.launched(run);
    world.decisions = vec![retry_in(&world, 5_000), retry_in(&world, 0)];
    world.exited(run, ExitStatus::Code(1));
    world.assert_phase(run, Phase::Backoff);
    world.input(Input::Due(run));
    world.launched(run);
    world.exited(run, ExitStatus::Code(1));
    world.assert_phase(run, Phase::Starting);
    let failure = "settle Some(Failure { weight_permille: 1000 })";
    world.assert_acts(&["launch 1", failure, "schedule in 5000", "launch 2", failure, "launch 3"]);
}

#[test]
fn a_refused_start_waits_in_line_and_the_first_in_line_is_woken_first() {
    let mut world = World::new(vec![program("job")]);
    let denied = || Admission::Denied {
        scope: Scope::program("job"),
        retry_at: Some(Timestamp(9_000_000)),
        why: "open".into(),
        changes: Changes::default(),
    };
    world.admissions = vec![denied()];
    let first = world.start("job");
    world.now = world.now.plus(10);
    let second = world.start("job");
    world.assert_phase(first, Phase::Blocked);
    world.assert_phase(second, Phase::Blocked);
    world.now = Timestamp(9_000_000);
    world.input(Input::Tick); // The first one's time; its grant wakes the second.
    world.assert_phase(first, Phase::Starting);
    world.assert_phase(second, Phase::Starting);
    assert_eq!(
        world.kinds().iter().filter(|kind| *kind == "start_blocked").count(),
        2,
        "told once, not at every look"
    );
}

#[test]
fn a_stop_ends_a_run_wherever_it_is() {
    for stage in ["backoff", "starting", "running", "blocked", "queued"] {
        let mut one = program("job");
        one.max_concurrent = Some(1);
        let mut world = World::new(vec![one]);
        world.class = Some("exit_nonzero");
        if stage == "blocked" {
            let (scope, why) = (Scope::program("job"), "open".to_owned());
            world.admissions =
                vec![Admission::Denied { scope, retry_at: None, why, changes: Changes::default() }];
        }
        let mut run = world.start("job");
        match stage {
            "running" => world.launched(run),
            "backoff" => {
                world.launched(run);
                world.decisions = vec![retry_in(&world, 60_000)];
                world.exited(run, ExitStatus::Code(1));
            }
            "queued" => run = world.start("job"),
            _ => {}
        }
        let effects = world.machine.stop(run, Some("alice".into()), world.now).expect("it lives");
        world.run(effects);
        let again = world.machine.stop(run, None, world.now);
        if stage == "starting" {
            world.launched(run);
        }
        if matches!(stage, "starting" | "running") {
            assert!(again.is_ok_and(|effects| effects.is_empty()), "two stops are one");
            world.assert_phase(run, Phase::Stopping);
            world.exited(run, ExitStatus::Signal { number: 15, core: false });
        }
        world.assert_phase(run, Phase::Stopped);
        let ended = world.machine.run(run).and_then(|run| run.end_reason);
        assert_eq!(ended, Some(EndReason::Operator), "{stage}");
        assert!(
            world
                .machine
                .restart(manager::Restart { stop_running: true, ..manager::Restart::new(run) }, world.now)
                .is_ok(),
            "an operator's start is always possible"
        );
    }
}

#[test]
fn runs_beyond_max_concurrent_wait_their_turn_and_beyond_the_queue_are_refused() {
    let mut one = program("job");
    one.max_concurrent = Some(1);
    one.queue = 1;
    let mut world = World::new(vec![one]);
    let first = world.start("job");
    let second = world.start("job");
    world.assert_phase(second, Phase::Queued);
    assert!(matches!(world.try_start("job"), Err(StartError::QueueFull { limit: 1, .. })));
    world.launched(first);
    world.exited(first, ExitStatus::Code(0));
    world.assert_phase(second, Phase::Starting);
}

#[test]
fn a_daemon_has_one_living_run_and_its_early_exit_is_a_failure() {
    let mut daemon = program("api");
    daemon.restart = Restart::Always;
    let mut world = World::new(vec![daemon]);
    let run = world.start("api");
    assert!(matches!(world.try_start("api"), Err(StartError::AlreadyRunning { run: r, .. }) if r == run));
    world.launched(run);
    world.decisions = vec![retry_in(&world, 1_000)];
    world.exited(run, ExitStatus::Code(0));
    let class =
        world.machine.run(run).and_then(|run| run.current().and_then(|attempt| attempt.class.clone()));
    assert_eq!(class.as_deref(), Some("early_exit"));
}

#[test]
fn leftovers_are_stopped_before_the_next_attempt() {
    let mut world = World::new(vec![program("job")]);
    world.class = Some("exit_nonzero");
    let run = world.start("job");
    world.launched(run);
    world.decisions = vec![retry_in(&world, 0)];
    let (attempt, sizes) = (world.attempt(run), SpoolSizes::default());
    world.input(Input::Launcher(Report::Exited {
        attempt,
        exit: ExitStatus::Code(1),
        sizes,
        leftovers: true,
    }));
    world.assert_phase(run, Phase::Stopping);
    world.input(Input::Launcher(Report::Emptied { attempt, sizes }));
    world.assert_phase(run, Phase::Starting);
    let failure = "settle Some(Failure { weight_permille: 1000 })";
    world.assert_acts(&["launch 1", "stop 1", failure, "launch 2"]);
}

#[test]
fn an_end_told_twice_changes_nothing() {
    let mut world = World::new(vec![program("job")]);
    let run = world.start("job");
    world.launched(run);
    world.exited(run, ExitStatus::Code(0));
    let before = world.records.len();
    world.exited(run, ExitStatus::Code(1));
    assert_eq!(world.records.len(), before);
    world.assert_phase(run, Phase::Succeeded);
}

#[test]
fn a_failed_start_says_why_and_is_judged_like_an_end() {
    let mut world = World::new(vec![program("job")]);
    let run = world.start("job");
    world.decisions = vec![Decision::GiveUp {
        phase: Phase::Failed,
        reason: EndReason::NotRetryable,
        why: "no file".into(),
    }];
    let failure = SpawnFailure {
        problem: SpawnProblem::NotFound,
        errno: "ENOENT".into(),
        message: "no file `x`".into(),
        help: "make it".into(),
    };
    let attempt = world.attempt(run);
    world.input(Input::Launcher(Report::LaunchFailed { attempt, failure }));
    world.assert_phase(run, Phase::Failed);
    let reason = world.machine.run(run).and_then(|run| run.reason.clone()).expect("a reason");
    assert_eq!((reason.class.as_str(), reason.help.as_str()), ("spawn_permanent", "make it"));
    assert!(world.machine.is_quiet());
}

#[test]
fn a_timeout_stops_the_tree_and_is_the_class_of_the_end() {
    let mut slow = program("job");
    slow.timeout_ms = Some(1_000);
    let mut world = World::new(vec![slow]);
    let run = world.start("job");
    world.launched(run);
    let effects = world.machine.write_out();
    world.run(effects);
    assert_eq!(world.machine.next_deadline(), Some(world.now.plus(1_000)));
    world.now = world.now.plus(1_000);
    world.input(Input::Tick);
    world.assert_phase(run, Phase::Stopping);
    world.exited(run, ExitStatus::Signal { number: 15, core: false });
    let class =
        world.machine.run(run).and_then(|run| run.current().and_then(|attempt| attempt.class.clone()));
    assert_eq!(class.as_deref(), Some("timeout_run"));
    assert_eq!(world.machine.next_deadline(), None, "deadlines end with the attempt");
}

#[test]
fn a_shutdown_stops_what_runs_and_the_next_manager_goes_on_with_it() {
    let mut world = World::new(vec![program("job")]);
    let run = world.start("job");
    world.launched(run);
    let effects = world.machine.shutdown(world.now);
    world.run(effects);
    assert!(!world.machine.is_quiet());
    assert!(matches!(world.try_start("job"), Err(StartError::ShuttingDown)));
    world.exited(run, ExitStatus::Signal { number: 15, core: false });
    assert!(world.machine.is_quiet());

    let mut next = World::new(vec![program("job")]);
    assert_eq!(next.machine.restore(&world.state, world.now), 0);
    assert!(next.machine.orphans().is_empty());
    let effects = next.machine.resume(Vec::new(), &BTreeSet::new(), 5, true, next.now);
    next.run(effects);
    next.assert_acts(&["launch 2"]);
    assert_eq!(next.machine.run(run).map(|run| run.attempt), Some(2));
}
