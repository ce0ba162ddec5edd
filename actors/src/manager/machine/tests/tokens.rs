//! Starts that need tokens, errors that act while an attempt lives, and starts that came due while nobody was there.

use super::*;
use crate::model::{ClassOverride, HeldReason, Inline, InlineAction, RetryBudget};

fn deferred(world: &World, ms: u64) -> retry::Leave {
    retry::Leave::Deferred { retry_at: Some(world.now.plus(ms)), why: "no tokens".into() }
}

/// A run under a budget whose first attempt failed and whose second is due now.
fn due(world: &mut World) -> RunId {
    let effects = world.machine.set_budget(Some(RetryBudget::default()), world.now);
    world.run(effects);
    world.class = Some("upstream");
    let run = world.start("job");
    world.launched(run);
    world.decisions = vec![retry_in(world, 1_000)];
    world.exited(run, ExitStatus::Code(1));
    world.now = world.now.plus(1_000);
    run
}

const FAILURE: &str = "settle Some(Failure { weight_permille: 1000 })";

fn world() -> World {
    let mut job = program("job");
    job.classes.insert(
        "upstream".into(),
        ClassOverride::default().weight(1.0).scopes([crate::model::ScopeKind::Program]),
    );
    World::new(vec![job])
}

#[test]
fn a_first_start_brings_tokens_and_a_retry_pays_when_it_is_made() {
    let mut world = world();
    let run = due(&mut world);
    world.leaves = vec![retry::Leave::Promised];
    world.input(Input::Due(run));
    world.assert_acts(&["launch 1", "deposit", FAILURE, "schedule in 1000", "launch 2", "pay"]);
}

#[test]
fn a_start_without_tokens_is_blocked_by_the_budget_and_goes_on_when_they_are_there() {
    let mut world = world();
    let run = due(&mut world);
    world.leaves = vec![retry::Leave::Promised, deferred(&world, 30_000), deferred(&world, 30_000)];
    world.input(Input::Due(run));
    world.assert_phase(run, Phase::Blocked);
    let held = world.machine.run(run).and_then(|run| run.held.clone()).expect("it is held back");
    assert_eq!(
        (held.reason, held.scope, held.retry_at),
        (HeldReason::Budget, None, Some(world.now.plus(30_000)))
    );
    world.input(Input::Due(run));
    let effects = world.machine.write_out();
    world.run(effects);
    world.now = world.now.plus(30_000);
    world.input(Input::Due(run));
    world.assert_phase(run, Phase::Starting);
    let told = world.kinds().iter().filter(|kind| *kind == "start_blocked").count();
    assert_eq!(told, 1, "not at every look");
    let figures = world.counters.of_program("job", world.now, world.now);
    let class = world.machine.run(run).and_then(|run| run.reason.as_ref()).expect("it failed").class.clone();
    assert_eq!(figures.deferred, [(class.clone(), 1)].into(), "counted once, by the class that led to it");
    assert_eq!(figures.held_back, [("budget", 1)].into());
    assert_eq!(figures.retries, [(class, 1)].into());
    assert_eq!(figures.delays.sum_ms, 1_000);
}

#[test]
fn a_breaker_that_refuses_gives_the_tokens_back_and_the_start_asks_for_them_again() {
    let mut world = world();
    let run = due(&mut world);
    let (scope, why) = (Scope::program("job"), "open".to_owned());
    let retry_at = Some(world.now.plus(5_000));
    world.admissions = vec![Admission::Denied { scope, retry_at, why, changes: Changes::default() }];
    world.leaves = vec![retry::Leave::Promised, retry::Leave::Promised];
    world.input(Input::Due(run));
    world.assert_phase(run, Phase::Blocked);
    world.now = world.now.plus(5_000);
    world.input(Input::Tick);
    world.assert_phase(run, Phase::Starting);
    world.assert_acts(&["launch 1", "deposit", FAILURE, "schedule in 1000", "release", "launch 2", "pay"]);
}

#[test]
fn who_is_refused_tokens_lets_the_next_in_the_line_of_a_scope_ask() {
    let mut world = world();
    let first = due(&mut world);
    let denied = || Admission::Denied {
        scope: Scope::program("job"),
        retry_at: Some(Timestamp(9_000_000)),
        why: "open".into(),
        changes: Changes::default(),
    };
    world.admissions = vec![denied()];
    world.leaves = vec![retry::Leave::Promised];
    world.input(Input::Due(first));
    let second = world.start("job");
    world.assert_phase(second, Phase::Blocked);
    world.leaves = vec![deferred(&world, 60_000)];
    world.now = world.now.plus(10);
    world.machine.wake(&Scope::program("job"));
    let effects = world.machine.take_effects();
    world.run(effects);
    world.assert_phase(first, Phase::Blocked);
    world.assert_phase(second, Phase::Starting);
}

#[test]
fn an_operator_starts_a_run_that_waits_for_tokens_for_nothing() {
    let mut world = world();
    let run = due(&mut world);
    world.leaves = vec![deferred(&world, 30_000)];
    world.input(Input::Due(run));
    world.acts.clear();
    let effects = world
        .machine
        .restart(manager::Restart { by: Some("alice".into()), ..manager::Restart::new(run) }, world.now)
        .expect("it waits");
    world.run(effects);
    world.assert_phase(run, Phase::Starting);
    world.assert_acts(&["overrule", "launch 2"]);
}

#[test]
fn a_run_that_waits_for_tokens_gives_up_when_its_max_failing_is_over() {
    let mut world = world();
    let mut job = program("job");
    job.retry.max_failing_ms = Some(10_000);
    let (_, effects) = world.machine.configure(Configure::new(vec![job], []), world.now);
    world.run(effects);
    let run = due(&mut world);
    world.leaves = vec![deferred(&world, 60_000)];
    world.fails_until = Some(world.now.plus(9_000));
    world.input(Input::Due(run));
    world.now = world.now.plus(9_000);
    world.input(Input::Tick);
    world.assert_phase(run, Phase::Failed);
    let Some(Event::RunEnded { why, .. }) = world.records.last().map(|record| record.event.clone()) else {
        panic!("{:?}", world.records.last())
    };
    assert_eq!(why, "it was still held back by the retry budget when max_failing = 10s was over");
}

fn error_seen(world: &mut World, run: RunId, count: u64) {
    let attempt = world.attempt(run);
    let evidence = Evidence {
        class: "upstream".into(),
        rule: "classify[0]".into(),
        line: "503".into(),
        stream: None,
        seq: 1,
        at: world.now,
        retry_after_ms: Some(7_000),
        preferred: None,
    };
    world.input(Input::Monitor(crate::monitor::Report::ErrorSeen { attempt, evidence, count }));
}

fn with_inline(action: InlineAction) -> (World, RunId) {
    let mut job = program("job");
    let inline = Some(Inline { count: 3, per_ms: 60_000, action });
    let rule = ClassOverride { inline, ..ClassOverride::default() };
    job.classes.insert("upstream".into(), rule);
    let mut world = World::new(vec![job]);
    let run = world.start("job");
    world.launched(run);
    world.acts.clear();
    (world, run)
}

#[test]
fn errors_that_only_adjust_leave_the_attempt_alone() {
    let (mut world, run) = with_inline(InlineAction::Adjust);
    error_seen(&mut world, run, 2);
    world.assert_acts(&[]);
    error_seen(&mut world, run, 1);
    world.assert_acts(&["adjust upstream"]);
    world.assert_phase(run, Phase::Running);
}

#[test]
fn so_many_errors_restart_an_attempt_by_their_class_or_end_the_run() {
    for (action, phase) in [(InlineAction::Restart, Phase::Backoff), (InlineAction::Stop, Phase::Failed)] {
        let (mut world, run) = with_inline(action);
        error_seen(&mut world, run, 3);
        world.assert_acts(&["stop 1"]);
        world.assert_phase(run, Phase::Stopping);
        error_seen(&mut world, run, 3);
        world.assert_acts(&[]);
        world.class = Some("crash");
        world.decisions = vec![retry_in(&world, 7_000)];
        world.exited(run, ExitStatus::Signal { number: 15, core: false });
        let class = world.machine.run(run).and_then(|run| run.current().and_then(|a| a.class.clone()));
        assert_eq!(class.as_deref(), Some("upstream"), "not what our own signal looks like");
        world.assert_phase(run, phase);
    }
}

#[test]
fn errors_without_an_action_are_counted_and_nothing_else() {
    let (mut world, run) = with_inline(InlineAction::None);
    error_seen(&mut world, run, 100);
    world.assert_acts(&[]);
    assert_eq!(world.machine.run(run).map(|run| run.counts.errors), Some(100));
}

#[test]
fn starts_that_came_due_while_nobody_was_there_are_spread_and_later_ones_are_not() {
    let mut world = World::new(vec![program("job")]);
    world.class = Some("upstream");
    for n in 0..20 {
        let run = world.start("job");
        world.launched(run);
        world.decisions = vec![retry_in(&world, if n < 19 { 1_000 } else { 3_600_000 })];
        world.exited(run, ExitStatus::Code(1));
    }
    let mut next = World::new(vec![program("job")]);
    next.now = world.now.plus(60_000);
    assert_eq!(next.machine.restore(&world.state, next.now), 0);
    let effects = next.machine.resume(Vec::new(), &BTreeSet::new(), 5, true, next.now);
    next.run(effects);
    let waits: Vec<_> =
        next.machine.living().filter_map(|run| Some(run.next_attempt_at?.since(next.now))).collect();
    let (overdue, later): (Vec<u64>, Vec<u64>) = waits.iter().partition(|wait| **wait < 10_000);
    assert_eq!((overdue.len(), later), (19, vec![3_540_000]));
    let seconds: BTreeSet<_> = overdue.iter().map(|wait| wait / 1_000).collect();
    assert!(seconds.len() > 4, "{overdue:?}");
    let scheduled = next.acts.iter().filter(|act| act.starts_with("schedule in")).count();
    assert_eq!(scheduled, 20);
}
