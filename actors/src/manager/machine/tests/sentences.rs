//! What `why` says, read as people read it.

use super::*;
use crate::{
    explain::{Act, Explanation, explain},
    model::Class,
};

fn why(world: &World, run: RunId) -> Explanation {
    let facts = world.machine.facts(run, world.now).expect("it is known");
    let records: Vec<_> = world.records.iter().filter(|record| record.run == Some(run)).cloned().collect();
    explain(&facts, &records, None, &[], world.now)
}

#[track_caller]
fn assert_chain(why: &Explanation, expected: &[&str]) {
    let chain: Vec<_> = why.chain.iter().map(|sentence| sentence.text.as_str()).collect();
    assert_eq!(chain, expected);
}

#[test]
fn a_stop_and_a_second_start_are_told_once_each() {
    let mut world = World::new(vec![program("job")]);
    let run = world.start("job");
    world.launched(run);
    assert_eq!(why(&world, run).summary, format!("job run {} is running, attempt 1", run.short()));
    world.now = world.now.plus(60_688);
    let effects = world.machine.stop(run, Some("alice".into()), world.now).expect("it lives");
    world.run(effects);
    world.exited(run, ExitStatus::Signal { number: 15, core: false });
    let effects = world.machine.restart(manager::Restart::new(run), world.now).expect("it is over");
    world.run(effects);
    let stopped_why = why(&world, run);
    assert_chain(
        &stopped_why,
        &[
            "asked for",
            "attempt 1 started",
            "a stop was asked for by alice",
            "attempt 1 was ended by SIGTERM after 1m, as asked",
            "stopped as asked",
            "asked for again",
            "attempt 2 started",
        ],
    );
    assert_eq!(stopped_why.summary, format!("job run {} is starting attempt 2", run.short()));
}

#[test]
fn an_end_of_ours_is_not_told_as_a_line_of_output() {
    let mut job = program("job");
    job.timeout_ms = Some(500);
    let mut world = World::new(vec![job]);
    let run = world.start("job");
    world.launched(run);
    world.now = world.now.plus(500);
    world.input(Input::Tick);
    let decision = Decision::GiveUp {
        phase: Phase::Failed,
        reason: EndReason::MaxRetries,
        why: "the first failure (timeout_run); max_retries = 0 allows no more".into(),
    };
    world.decisions = vec![decision];
    world.exited(run, ExitStatus::Signal { number: 15, core: false });
    let why = why(&world, run);
    assert_chain(
        &why,
        &[
            "asked for",
            "attempt 1 started",
            "the attempt ran longer than timeout = 500ms",
            "attempt 1 was ended by SIGTERM after 500ms: timeout_run, ran longer than its timeout",
            "failed: the first failure (timeout_run); max_retries = 0 allows no more",
        ],
    );
    let summary = format!(
        "job run {} failed after 1 attempt, with timeout_run (ran longer than its timeout)",
        run.short()
    );
    assert_eq!(why.summary, summary);
}

#[test]
fn what_holds_a_run_back_is_named_with_the_way_out() {
    let mut world = World::new(vec![program("job")]);
    world.admissions = vec![Admission::Denied {
        scope: Scope("site:x".into()),
        retry_at: None,
        why: "forced open by alice, until somebody ends it".into(),
        changes: Changes::default(),
    }];
    let run = world.start("job");
    world.now = world.now.plus(5_300);
    let why = why(&world, run);
    assert_eq!(why.summary, format!("job run {} is held back before its first attempt", run.short()));
    let holds = "the breaker site:x, for 5s now (forced open by alice, until somebody ends it)";
    assert_eq!(why.holds.as_deref(), Some(holds));
    let acts: Vec<_> = why.advice.into_iter().filter_map(|advice| advice.act).collect();
    assert_eq!(acts, [Act::ResetBreaker(Scope("site:x".into())), Act::ForceStart(run)]);
}

#[test]
fn a_program_that_cannot_be_started_is_told_with_the_reason_and_no_rule() {
    let mut world = World::new(vec![program("job")]);
    let run = world.start("job");
    let attempt = world.attempt(run);
    let failure = SpawnFailure {
        problem: SpawnProblem::NotFound,
        message: "cannot start `job`: no file `x`".into(),
        errno: "ENOENT".into(),
        help: String::new(),
    };
    world.input(Input::Launcher(Report::LaunchFailed { attempt, failure }));
    let why = why(&world, run);
    let told = why.chain.get(2).map(|sentence| sentence.text.as_str());
    let class = Class::SPAWN_PERMANENT;
    assert_eq!(
        told,
        Some(&*format!("attempt 1 could not be started: cannot start `job`: no file `x` ({class})"))
    );
}
