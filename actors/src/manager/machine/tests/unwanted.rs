//! Programs that were removed, stops that outlive us, and waiting for what was stopped alone.

use super::*;

fn daemon(name: &str) -> Program {
    Program { restart: Restart::Always, autostart: true, ..program(name) }
}

fn reload(world: &mut World, programs: Vec<Program>) -> manager::Configured {
    let configure = Configure::new(programs, []);
    let (configured, effects) = world.machine.configure(configure, world.now);
    world.run(effects);
    configured
}

fn stop(world: &mut World, run: RunId) {
    let effects = world.machine.stop(run, Some("alice".into()), world.now).expect("it lives");
    world.run(effects);
}

fn end_reason(world: &World, run: RunId) -> Option<EndReason> {
    world.machine.run(run).and_then(|run| run.end_reason)
}

#[test]
fn what_lives_of_a_removed_program_ends_and_is_not_started_again() {
    for (lives_ms, exit, phase) in
        [(10, 0, Phase::Failed), (10, 1, Phase::Failed), (3_600_000, 0, Phase::Stopped)]
    {
        let mut world = World::new(vec![daemon("old")]);
        let run = world.start("old");
        world.launched(run);
        let told = reload(&mut world, vec![daemon("renamed")]);
        assert_eq!((told.removed, told.living), (vec!["old".into()], [("old".to_owned(), vec![run])].into()));
        world.assert_phase(run, Phase::Running);
        assert!(world.machine.program_or_last("old").is_some(), "it is still shown");
        let again = world.machine.restart(manager::Restart::new(run), world.now).map(drop);
        assert_eq!(again, Err(manager::RunError::ProgramGone("old".into())));
        world.now = world.now.plus(lives_ms);
        world.decisions = vec![retry_in(&world, 1_000)];
        world.acts.clear();
        world.exited(run, ExitStatus::Code(exit));
        world.assert_phase(run, phase);
        assert_eq!(end_reason(&world, run), Some(EndReason::ProgramRemoved));
        assert!(!world.acts.iter().any(|act| act.starts_with("schedule") || act.starts_with("launch")));
        assert!(!world.kinds().iter().any(|kind| kind == "retry_scheduled"), "it is not said either");
        let Some(Event::RunEnded { why, .. }) = world.records.last().map(|record| &record.event) else {
            panic!("{:?}", world.records.last())
        };
        assert_eq!(why, "old is no longer configured, so it is not started again");
    }
}

#[test]
fn what_waits_of_a_removed_program_is_over_at_once() {
    let mut job = program("job");
    job.max_concurrent = Some(2);
    let mut world = World::new(vec![job]);
    world.class = Some("crash");
    let waits = world.start("job");
    world.launched(waits);
    world.decisions = vec![retry_in(&world, 60_000)];
    world.exited(waits, ExitStatus::Code(1));
    let (scope, why) = (Scope::program("job"), "open".to_owned());
    world.admissions = vec![Admission::Denied { scope, retry_at: None, why, changes: Changes::default() }];
    let (blocked, queued) = (world.start("job"), world.start("job"));
    world.assert_phase(waits, Phase::Backoff);
    world.assert_phase(blocked, Phase::Blocked);
    world.assert_phase(queued, Phase::Queued);
    let told = reload(&mut world, Vec::new());
    assert!(told.living.values().flatten().count() == 3, "as it was when they were removed");
    for run in [waits, blocked, queued] {
        world.assert_phase(run, Phase::Failed);
        assert_eq!(end_reason(&world, run), Some(EndReason::ProgramRemoved));
    }
    assert_eq!(world.machine.unconfigured(), BTreeMap::new());
}

#[test]
fn a_program_that_comes_back_in_time_goes_on() {
    let mut world = World::new(vec![daemon("old")]);
    let run = world.start("old");
    world.launched(run);
    reload(&mut world, Vec::new());
    reload(&mut world, vec![daemon("old")]);
    world.class = Some("crash");
    world.decisions = vec![retry_in(&world, 1_000)];
    world.exited(run, ExitStatus::Code(1));
    world.assert_phase(run, Phase::Backoff);
}

#[test]
fn what_was_stopped_is_gone_although_it_was_started_again() {
    let mut world = World::new(vec![daemon("svc")]);
    let run = world.start("svc");
    world.launched(run);
    let first = world.attempt(run);
    assert!(!world.machine.is_gone(first));
    stop(&mut world, run);
    let effects = world.machine.restart(manager::Restart::new(run), world.now).expect("it lives");
    world.run(effects);
    assert!(!world.machine.is_gone(first), "it is still being stopped");
    let sizes = SpoolSizes::default();
    let exit = ExitStatus::Signal { number: 15, core: false };
    world.input(Input::Launcher(Report::Exited { attempt: first, exit, sizes, leftovers: true }));
    assert!(!world.machine.is_gone(first), "somebody of its tree is left");
    world.input(Input::Launcher(Report::Emptied { attempt: first, sizes }));
    assert!(world.machine.is_gone(first));
    assert!(!world.machine.is_gone(world.attempt(run)), "and the next one lives");
}

#[test]
fn an_operator_s_stop_outlives_us_until_somebody_starts_it() {
    let programs = || vec![daemon("svc"), daemon("other")];
    let mut world = World::new(programs());
    let run = world.start("svc");
    world.launched(run);
    stop(&mut world, run);
    world.exited(run, ExitStatus::Code(0));
    let restored = |world: &World| {
        let mut next = World::new(programs());
        (next.now, next.ids) = (world.now.plus(1_000), 100);
        next.machine.restore(&world.state, next.now);
        let effects = next.machine.resume(Vec::new(), &BTreeSet::new(), 5, true, next.now);
        next.run(effects);
        next
    };
    let mut next = restored(&world);
    for world in [&mut world, &mut next] {
        assert_eq!(world.machine.autostarts(), ["other"]);
        assert_eq!(world.machine.stopped_by_hand("svc"), Some(run));
    }
    next.state = world.state.clone();
    let again = next.start("svc");
    next.launched(again);
    next.input(Input::Launcher(Report::KeeperLost { attempts: 1, why: "killed".into() }));
    assert_eq!(
        (next.machine.stopped_by_hand("svc"), next.machine.autostarts()),
        (None, vec!["other".into()])
    );
    next.class = Some("crash");
    next.exited(again, ExitStatus::Code(1));
    assert_eq!(restored(&next).machine.autostarts(), ["other", "svc"], "his start ended his stop");
}

#[test]
fn a_daemon_that_has_run_finds_its_file_away_and_is_tried_again_and_a_job_is_not() {
    let failure = || SpawnFailure {
        problem: SpawnProblem::NotFound,
        errno: "ENOENT".into(),
        message: "`svc` is away".into(),
        help: String::new(),
    };
    for (daemon_, has_run, own, patient) in [
        (true, true, None, true),
        (true, false, None, false),
        (false, true, None, false),
        (true, true, Some(false), false),
        (false, false, Some(true), true),
    ] {
        let mut one = if daemon_ { daemon("svc") } else { program("svc") };
        if let Some(retry) = own {
            let rule = crate::model::ClassOverride { retry: Some(retry), ..Default::default() };
            one.classes.insert("spawn_permanent".into(), rule);
        }
        let mut world = World::new(vec![one]);
        let run = world.start("svc");
        if has_run {
            world.launched(run);
            world.class = Some("crash");
            world.decisions = vec![retry_in(&world, 0)];
            world.exited(run, ExitStatus::Code(1));
        }
        world.judged.clear();
        world.decisions = vec![retry_in(&world, 1_000)];
        let attempt = world.attempt(run);
        world.input(Input::Launcher(Report::LaunchFailed { attempt, failure: failure() }));
        let asked = world.judged.last().expect("Retry is asked");
        let rule = asked.program.class_rule("spawn_permanent");
        assert_eq!(rule.retry, patient, "{daemon_} {has_run} {own:?}");
        assert_eq!(rule.delay_ms, None, "its ordinary delays");
    }
}

#[test]
fn a_daemon_whose_shell_finds_it_away_is_tried_again_if_it_has_run() {
    for (daemon_, before, code, patient) in [
        (true, Some(1), 127, true),
        (true, Some(1), 126, true),
        (true, None, 127, false),
        (true, Some(127), 127, false),
        (false, Some(1), 127, false),
        (true, Some(1), 78, false),
    ] {
        let mut world = World::new(vec![if daemon_ { daemon("svc") } else { program("svc") }]);
        let run = world.start("svc");
        world.launched(run);
        if let Some(before) = before {
            (world.class, world.decisions) = (Some("crash"), vec![retry_in(&world, 0)]);
            world.exited(run, ExitStatus::Code(before));
            world.launched(run);
        }
        world.judged.clear();
        (world.class, world.decisions) = (Some("config"), vec![retry_in(&world, 1_000)]);
        world.exited(run, ExitStatus::Code(code));
        let asked = world.judged.last().expect("Retry is asked");
        assert_eq!(asked.program.class_rule("config").retry, patient, "{daemon_} {before:?} {code}");
    }
}
