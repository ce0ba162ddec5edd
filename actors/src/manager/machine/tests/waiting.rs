//! Runs in line: who may go on, and for how long one waits.

use super::*;
use crate::{manager::RunError, model::Leftovers};

fn denied() -> Admission {
    let (scope, why) = (Scope("site:x".into()), "open".to_owned());
    Admission::Denied { scope, retry_at: None, why, changes: Changes::default() }
}

#[test]
fn a_run_that_is_held_back_gives_up_when_its_max_failing_is_over() {
    let mut job = program("job");
    job.max_concurrent = Some(1);
    job.retry.max_failing_ms = Some(5_000);
    let mut world = World::new(vec![job]);
    world.class = Some("upstream");
    let run = world.start("job");
    let next = world.start("job");
    world.launched(run);
    world.decisions = vec![retry_in(&world, 1_000)];
    world.exited(run, ExitStatus::Code(1));
    world.fails_until = Some(world.now.plus(5_000));
    world.now = world.now.plus(1_000);
    world.admissions = vec![denied()];
    world.input(Input::Due(run));
    world.assert_phase(run, Phase::Blocked);

    world.now = world.now.plus(3_999);
    world.input(Input::Tick);
    world.assert_phase(run, Phase::Blocked);
    assert_eq!(world.machine.next_deadline(), Some(world.now.plus(1)), "the alarm is set");
    world.now = world.now.plus(1);
    world.input(Input::Tick);
    world.assert_phase(run, Phase::Failed);
    assert_eq!(world.machine.run(run).and_then(|run| run.end_reason), Some(EndReason::Deadline));
    world.assert_phase(next, Phase::Starting);
    assert_eq!(world.machine.next_deadline(), None, "nothing of it is left behind");
}

#[test]
fn a_run_that_never_failed_waits_as_long_as_it_takes() {
    let mut job = program("job");
    job.retry.max_failing_ms = Some(5_000);
    let mut world = World::new(vec![job]);
    world.admissions = vec![denied()];
    let run = world.start("job");
    world.now = world.now.plus(1_000_000);
    world.input(Input::Tick);
    world.assert_phase(run, Phase::Blocked);
}

#[test]
fn a_reload_that_makes_places_lets_waiting_runs_start_and_one_that_takes_some_holds_them_back() {
    let with_places = |places| {
        let mut job = program("job");
        job.max_concurrent = Some(places);
        Configure::new(vec![job], [])
    };
    let mut world = World::new(with_places(1).programs);
    let runs: Vec<_> = (0..4).map(|_| world.start("job")).collect();
    let (_, effects) = world.machine.configure(with_places(3), world.now);
    world.run(effects);
    let phases = |world: &World| -> Vec<_> {
        runs.iter().filter_map(|run| world.machine.run(*run)).map(|run| run.phase).collect()
    };
    let (on, waits) = (Phase::Starting, Phase::Queued);
    assert_eq!(phases(&world), [on, on, on, waits]);

    let (_, effects) = world.machine.configure(with_places(1), world.now);
    world.run(effects);
    for (place, phase) in [(0, waits), (1, waits), (2, on)] {
        world.launched(runs[place]);
        world.exited(runs[place], ExitStatus::Code(0));
        assert_eq!(phases(&world)[3], phase, "after the end of run {place}");
    }
}

#[test]
fn a_leave_to_start_that_comes_twice_does_not_touch_the_run_that_it_started() {
    let mut world = World::new(vec![program("job")]);
    let run = world.start("job");
    world.launched(run);
    let admission = Admission::Granted { permits: Vec::new(), probe: None, changes: Changes::default() };
    world.input(Input::Breaker(breaker::Answer::Admitted { run, peek: false, admission }));
    world.assert_phase(run, Phase::Running);
}

#[test]
fn what_outlived_its_leader_is_kept_until_the_shutdown_and_no_longer() {
    let mut job = program("job");
    job.leftovers = Leftovers::Keep;
    let mut world = World::new(vec![job]);
    let run = world.start("job");
    world.launched(run);
    let (attempt, sizes) = (world.attempt(run), SpoolSizes::default());
    let exit = ExitStatus::Code(0);
    world.input(Input::Launcher(Report::Exited { attempt, exit, sizes, leftovers: true }));
    world.assert_phase(run, Phase::Succeeded);
    world.acts.clear();
    let effects = world.machine.shutdown(world.now);
    world.run(effects);
    world.assert_acts(&["stop 1"]);
    assert!(!world.machine.is_quiet());
    world.input(Input::Launcher(Report::Emptied { attempt, sizes }));
    assert!(world.machine.is_quiet());
}

#[test]
fn a_stop_says_nothing_about_who_of_the_tree_went_last() {
    let mut world = World::new(vec![program("job")]);
    let run = world.start("job");
    world.launched(run);
    let effects = world.machine.stop(run, None, world.now).expect("it lives");
    world.run(effects);
    let (attempt, sizes) = (world.attempt(run), SpoolSizes::default());
    let exit = ExitStatus::Signal { number: 15, core: false };
    world.input(Input::Launcher(Report::Exited { attempt, exit, sizes, leftovers: true }));
    world.input(Input::Launcher(Report::Emptied { attempt, sizes }));
    world.assert_phase(run, Phase::Stopped);
    assert!(!world.kinds().iter().any(|kind| kind == "leftovers_found"));
}

#[test]
fn an_ended_run_starts_again_only_where_a_new_one_could() {
    let mut api = program("api");
    api.restart = Restart::Always;
    let mut job = program("job");
    job.max_concurrent = Some(1);
    job.queue = 1;
    let mut world = World::new(vec![api, job]);
    let stopped = |world: &mut World, name: &str| {
        let run = world.start(name);
        world.launched(run);
        let effects = world.machine.stop(run, None, world.now).expect("it lives");
        world.run(effects);
        world.exited(run, ExitStatus::Code(0));
        run
    };
    let old = stopped(&mut world, "api");
    let new = world.start("api");
    let refusal = world.machine.restart(manager::Restart::new(old), world.now).map(drop);
    assert_eq!(refusal, Err(RunError::AlreadyRunning { program: "api".into(), run: new }));

    let old = stopped(&mut world, "job");
    let _ = (world.start("job"), world.start("job"));
    let refusal = world.machine.restart(manager::Restart::new(old), world.now).map(drop);
    assert_eq!(refusal, Err(RunError::QueueFull { program: "job".into(), limit: 1 }));
    world.assert_phase(old, Phase::Stopped);
}

#[test]
fn a_run_whose_program_is_gone_leaves_its_place_to_the_next_one() {
    let mut job = program("job");
    job.max_concurrent = Some(1);
    let mut world = World::new(vec![job.clone()]);
    world.admissions = vec![denied()];
    let (first, second) = (world.start("job"), world.start("job"));

    let mut next = World::new(Vec::new());
    next.machine.restore(&world.state, world.now);
    let effects = next.machine.resume(Vec::new(), &BTreeSet::new(), 5, false, next.now);
    next.run(effects);
    for run in [first, second] {
        next.assert_phase(run, Phase::Failed);
    }
    let (_, effects) = next.machine.configure(Configure::new(vec![job], []), next.now);
    next.run(effects);
    let third = next.start("job");
    next.assert_phase(third, Phase::Starting);
}

#[test]
fn a_start_during_a_stop_is_heard_once_the_tree_is_down() {
    for stage in ["starting", "running", "emptying"] {
        let mut world = World::new(vec![program("job")]);
        let run = world.start("job");
        let (attempt, sizes) = (world.attempt(run), SpoolSizes::default());
        let exit = ExitStatus::Signal { number: 15, core: false };
        if stage != "starting" {
            world.launched(run);
        }
        let effects = world.machine.stop(run, None, world.now).expect("it lives");
        world.run(effects);
        if stage == "emptying" {
            world.input(Input::Launcher(Report::Exited { attempt, exit, sizes, leftovers: true }));
        }
        world.assert_phase(run, Phase::Stopping);
        let effects = world.machine.restart(manager::Restart::new(run), world.now).expect("it lives");
        world.run(effects);
        match stage {
            "starting" => {
                world.launched(run);
                world.assert_phase(run, Phase::Running);
                continue;
            }
            "running" => world.exited(run, exit),
            _ => world.input(Input::Launcher(Report::Emptied { attempt, sizes })),
        }
        world.assert_phase(run, Phase::Starting);
        assert_eq!(world.attempt(run).number, 2, "{stage}");
    }
}

#[test]
fn other_rules_forget_failures_let_a_quarantine_go_and_start_a_daemon_that_gave_up() {
    let (mut job, mut api) = (program("job"), program("api"));
    api.restart = Restart::Always;
    for (reset, told) in [(true, 1), (false, 0)] {
        (job.retry.reset_on_config_change, api.retry.reset_on_config_change) = (reset, reset);
        let mut world = World::new(vec![job.clone(), api.clone()]);
        world.class = Some("crash");
        let (waits, gave_up) = (world.start("job"), world.start("api"));
        let now = world.now;
        let over =
            Decision::GiveUp { phase: Phase::Quarantined, reason: EndReason::Intensity, why: "often".into() };
        for (run, decision) in [(waits, retry_in(&world, 600_000)), (gave_up, over)] {
            world.launched(run);
            world.decisions = vec![decision];
            world.quarantined = true;
            world.exited(run, ExitStatus::Code(1));
        }
        assert!(world.machine.run(waits).is_some_and(|run| run.quarantined));
        let (mut job, mut api) = (job.clone(), api.clone());
        (job.description, api.description) = ("mended".into(), "mended".into());
        world.acts.clear();
        let configure = Configure::new(vec![job, api], []);
        let (_, effects) = world.machine.configure(configure, now);
        world.run(effects);
        let count = |what: &str| world.acts.iter().filter(|act| act.starts_with(what)).count();
        assert_eq!(
            (count("forgive"), count("schedule in 0"), count("launch")),
            (told, told, told),
            "{:?}",
            world.acts
        );
        world.assert_phase(gave_up, if reset { Phase::Starting } else { Phase::Quarantined });
    }
}
