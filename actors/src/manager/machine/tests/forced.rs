//! Starts that somebody forces past the breakers.

use super::*;
use crate::model::{Class, ClassOverride, StopAct};

fn closed_door(world: &mut World) {
    let (scope, why) = (Scope::program("job"), "open".to_owned());
    let denied = Admission::Denied { scope, retry_at: None, why, changes: Changes::default() };
    world.admissions = vec![denied];
}

fn forced(run: RunId) -> manager::Restart {
    manager::Restart { by: Some("alice".into()), force: true, ..manager::Restart::new(run) }
}

fn force(world: &mut World, run: RunId) {
    let effects = world.machine.restart(forced(run), world.now).expect("it waits");
    world.run(effects);
}

/// Each start that was decided, and whether it was forced.
fn starts(world: &World) -> Vec<bool> {
    let forced = |record: &JournalRecord| match record.event {
        Event::AttemptStarted { forced, .. } => Some(forced),
        _ => None,
    };
    world.records.iter().filter_map(forced).collect()
}

#[test]
fn a_forced_start_asks_no_breaker_and_none_hears_how_it_ends() {
    let mut world = World::new(vec![program("job")]);
    world.class = Some("exit_nonzero");
    let start = Start { program: "job".into(), force: true, ..Start::default() };
    let checked = world.machine.check_start(&start).expect("it fits");
    let run = RunId::from_parts(world.now.0, 1);
    let effects = world.machine.start(checked, &start, run, world.now);
    world.run(effects);
    world.assert_phase(run, Phase::Starting);
    assert!(world.asked.is_empty());
    world.launched(run);
    world.decisions = vec![retry_in(&world, 1_000)];
    world.exited(run, ExitStatus::Code(1));
    world.assert_acts(&["launch 1", "schedule in 1000"]);
    world.input(Input::Due(run));
    assert_eq!(world.asked, [run], "the attempts after it ask");
    assert_eq!(starts(&world), [true, false]);
    let attempts = world.machine.run(run).map(|run| run.attempts.iter().map(|one| one.forced).collect());
    assert_eq!(attempts, Some(vec![true, false]));
}

#[test]
fn who_is_forced_past_a_closed_door_leaves_the_line_to_the_next() {
    let mut world = World::new(vec![program("job")]);
    closed_door(&mut world);
    let first = world.start("job");
    world.now = world.now.plus(10);
    let second = world.start("job");
    assert_eq!(world.asked, [first], "the second stands behind it");
    closed_door(&mut world);
    force(&mut world, first);
    world.assert_phase(first, Phase::Starting);
    assert_eq!(world.asked, [first, second], "the second is the first in line now");
    world.assert_phase(second, Phase::Blocked);
    let asked_by = world.records.iter().find_map(|record| match &record.event {
        Event::StopRequested { act: Some(StopAct::PassBreakers), by, .. } => Some(by.clone()),
        _ => None,
    });
    assert_eq!(asked_by, Some(Some("alice".into())), "the journal says who");
}

#[test]
fn what_waits_for_its_time_or_is_over_is_forced_too() {
    let mut world = World::new(vec![program("job")]);
    world.class = Some("exit_nonzero");
    let run = world.start("job");
    world.launched(run);
    world.decisions = vec![retry_in(&world, 60_000)];
    world.exited(run, ExitStatus::Code(1));
    world.asked.clear();
    force(&mut world, run);
    world.assert_phase(run, Phase::Starting);
    world.launched(run);
    let (phase, reason, why) = (Phase::Failed, EndReason::MaxRetries, String::new());
    world.decisions = vec![Decision::GiveUp { phase, reason, why }];
    world.exited(run, ExitStatus::Code(1));
    world.assert_phase(run, Phase::Failed);
    force(&mut world, run);
    world.assert_phase(run, Phase::Starting);
    assert!(world.asked.is_empty());
    assert_eq!(starts(&world), [false, true, true]);
}

#[test]
fn force_waits_for_a_place_and_is_remembered_by_the_next_manager() {
    let mut one = program("job");
    one.max_concurrent = Some(1);
    let mut world = World::new(vec![one]);
    let _first = world.start("job");
    let second = world.start("job");
    force(&mut world, second);
    world.assert_phase(second, Phase::Queued);
    let effects = world.machine.write_out();
    world.run(effects);
    let saved: Vec<_> = world.state.iter().filter(|(key, _)| key.starts_with("run/")).collect();
    let remembers = |value: &[u8]| String::from_utf8_lossy(value).contains("\"forced\":true");
    assert_eq!(saved.iter().filter(|(_, value)| remembers(value)).count(), 1);
}

#[test]
fn an_end_that_was_forced_is_not_forced_again_by_a_plain_start() {
    let mut one = program("job");
    one.max_concurrent = Some(1);
    let mut world = World::new(vec![one]);
    let first = world.start("job");
    let second = world.start("job");
    force(&mut world, second);
    let effects = world.machine.stop(second, None, world.now).expect("it waits");
    world.run(effects);
    world.launched(first);
    world.exited(first, ExitStatus::Code(0));
    world.asked.clear();
    let effects = world.machine.restart(manager::Restart::new(second), world.now).expect("it is over");
    world.run(effects);
    assert_eq!(world.asked, [second]);
}

#[test]
fn a_forced_failure_trips_nothing_and_takes_no_probe() {
    let mut job = program("job");
    job.classes.insert(Class::EXIT_NONZERO.into(), ClassOverride { trips: Some(true), ..Default::default() });
    let mut world = World::new(vec![job]);
    world.breaker = Some(breaker::Machine::new(1));
    world.class = Some("exit_nonzero");
    let state = |world: &World| {
        let status = world.breaker.as_ref().and_then(|breaker| breaker.breakers().into_iter().next());
        status.map(|one| (one.state.to_string(), one.until, one.probes))
    };
    let run = world.start("job");
    world.launched(run);
    world.decisions = vec![retry_in(&world, 1_000), retry_in(&world, 1_000)];
    world.exited(run, ExitStatus::Code(1));
    let opened = state(&world);
    assert_eq!(opened.as_ref().map(|(state, ..)| &**state), Some("open"));
    force(&mut world, run);
    world.launched(run);
    world.exited(run, ExitStatus::Code(1));
    assert_eq!(state(&world), opened);
    assert_eq!(starts(&world), [false, true]);
}
