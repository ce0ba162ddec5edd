//! What an attempt says before its end: that it is ready, that it writes.

use super::*;
use crate::{
    model::{BreakerPolicy, ProbeSuccess, Ready, RetryPolicy},
    monitor,
};

const SECOND: u64 = 1_000;

impl World {
    fn is_ready(&mut self, run: RunId, after_ms: u64) {
        let started = self.machine.run(run).and_then(|run| run.current()).map(|current| current.started_at);
        let at = started.expect("it was started").plus(after_ms);
        let attempt = self.attempt(run);
        self.input(Input::Monitor(monitor::Report::Ready { attempt, at }));
    }

    fn writes(&mut self, run: RunId) {
        let attempt = self.attempt(run);
        self.input(Input::Monitor(monitor::Report::FirstOutput { attempt }));
    }

    /// What the journal says of readiness and of breakers.
    fn story(&mut self) -> Vec<String> {
        let effects = self.machine.write_out();
        self.run(effects);
        let told = self.records.drain(..).filter_map(|record| match record.event {
            Event::AttemptReady { after_ms, slow_ready_ms } => Some(match slow_ready_ms {
                Some(limit_ms) => format!("ready after {after_ms}, over {limit_ms}"),
                None => format!("ready after {after_ms}"),
            }),
            Event::BreakerChanged { from, to, .. } => Some(format!("{from} → {to}")),
            _ => None,
        });
        told.collect()
    }
}

fn server(breaker: BreakerPolicy) -> Program {
    let daemon = program("server").ready(Ready::pattern("up")).breaker(breaker);
    let retry = RetryPolicy::default().reset_after("1m");
    daemon.restart(Restart::Always).max_concurrent(9).retry(retry)
}

fn world(program: Program) -> World {
    let mut world = World::new(vec![program]);
    world.breaker = Some(breaker::Machine::new(1));
    world
}

/// A server whose only start failed, and whose next one is a probe.
fn probing(success: ProbeSuccess) -> (World, RunId) {
    let breaker = BreakerPolicy::failures(1).penalty("5s").penalty_jitter(0.0);
    let mut world = world(server(breaker.probe_success(success)));
    let run = world.start("server");
    world.launched(run);
    world.class = Some("exit_nonzero");
    world.decisions = vec![retry_in(&world, 6 * SECOND)];
    world.exited(run, ExitStatus::Code(1));
    world.now = world.now.plus(6 * SECOND);
    world.input(Input::Due(run));
    world.launched(run);
    assert_eq!(world.story(), ["closed → open", "open → half_open"]);
    (world, run)
}

#[test]
fn readiness_is_written_once_and_shown_with_the_attempt() {
    let mut world = world(server(BreakerPolicy::default()));
    let run = world.start("server");
    world.launched(run);
    world.now = world.now.plus(9 * SECOND);
    world.is_ready(run, 2 * SECOND);
    world.is_ready(run, 7 * SECOND);
    assert_eq!(world.story(), ["ready after 2000"], "the line's own time counts, and the first line");
    let attempt = world.machine.run(run).and_then(|run| run.current().cloned()).expect("it lives");
    assert_eq!(attempt.ready_at.map(|at| at.since(attempt.started_at)), Some(2 * SECOND));
    assert!(!world.acts.iter().any(|act| act.starts_with("settle")), "no breaker asked for it");
}

#[test]
fn what_was_ready_and_ended_is_ready_no_more_and_a_later_attempt_is_anew() {
    let mut world = world(server(BreakerPolicy::default()));
    let run = world.start("server");
    world.launched(run);
    let first = world.attempt(run);
    world.decisions = vec![retry_in(&world, 0)];
    world.class = Some("exit_nonzero");
    world.exited(run, ExitStatus::Code(1));
    world.launched(run);
    let at = world.now;
    world.input(Input::Monitor(monitor::Report::Ready { attempt: first, at }));
    assert!(world.story().is_empty(), "a word of an attempt that is behind us");
    world.is_ready(run, 5);
    assert_eq!(world.story(), ["ready after 5"]);
}

#[test]
fn slow_starts_open_the_scope_that_asked_and_the_record_says_how_slow() {
    let breaker = BreakerPolicy::failures(5).slow_ready("10s", 1.0).window(9, "1h", 2);
    let mut world = world(server(breaker));
    let runs = [world.start("server"), world.start("server"), world.start("server")];
    for run in runs {
        world.launched(run);
    }
    world.now = world.now.plus(20 * SECOND);
    world.is_ready(runs[0], 10 * SECOND + 1);
    assert_eq!(world.story(), ["ready after 10001, over 10000"]);
    world.is_ready(runs[1], 12 * SECOND);
    assert_eq!(world.story(), ["ready after 12000, over 10000", "closed → open"]);
    world.is_ready(runs[2], SECOND);
    assert_eq!(world.story(), ["ready after 1000"]);
}

#[test]
fn a_probe_is_proved_by_what_its_scope_asks_for_and_by_nothing_before() {
    let (mut world, run) = probing(ProbeSuccess::Ready);
    world.writes(run);
    assert!(world.story().is_empty(), "output alone is not asked for");
    world.is_ready(run, 2 * SECOND);
    assert_eq!(world.story(), ["ready after 2000", "half_open → closed"]);
    let (mut world, run) = probing(ProbeSuccess::FirstOutput);
    world.is_ready(run, 2 * SECOND);
    assert_eq!(world.story(), ["ready after 2000"]);
    world.writes(run);
    assert_eq!(world.story(), ["half_open → closed"]);
}

#[test]
fn a_probe_that_ends_right_after_it_was_ready_has_proved_it_first() {
    let (mut world, run) = probing(ProbeSuccess::Ready);
    let attempt = world.attempt(run);
    let sizes = SpoolSizes { stdout: 9, stderr: 0 };
    // The Monitor is asked what the end shows, and has more to tell before it answers.
    let exited = Report::Exited { attempt, exit: ExitStatus::Code(1), sizes, leftovers: false };
    let effects = world.machine.step(Input::Launcher(exited), world.now);
    world.is_ready(run, 1);
    assert_eq!(world.story(), ["ready after 1", "half_open → closed"]);
    world.run(effects);
    assert_eq!(world.story(), ["closed → open"], "and its end counts by itself");
}

#[test]
fn the_life_of_a_probe_proves_nothing_where_it_has_to_say_something() {
    for (success, proved) in [
        (ProbeSuccess::Auto, &["half_open → closed"][..]),
        (ProbeSuccess::Ready, &[]),
        (ProbeSuccess::FirstOutput, &[]),
    ] {
        let (mut world, run) = probing(success);
        // Twice as long as makes a daemon healthy, and within its lease.
        for _ in 0..2 {
            world.now = world.now.plus(60 * SECOND);
            world.input(Input::Tick);
        }
        assert_eq!(world.story(), proved, "{success:?}: it lives, and said nothing");
        world.is_ready(run, SECOND);
        world.writes(run);
        let closed = world.story().contains(&"half_open → closed".to_owned());
        assert_eq!(closed, proved.is_empty(), "{success:?}");
    }
}

#[test]
fn first_output_is_watched_for_only_where_it_proves_something() {
    for (success, wanted) in [
        (ProbeSuccess::Auto, [false, false]),
        (ProbeSuccess::Ready, [false, false]),
        (ProbeSuccess::FirstOutput, [false, true]),
    ] {
        let breaker = BreakerPolicy::failures(1).penalty("5s").penalty_jitter(0.0);
        let mut world = world(server(breaker.probe_success(success)));
        let run = world.start("server");
        let mut asked = Vec::new();
        for _ in 0..2 {
            let attempt = world.attempt(run);
            let spool = Spool { token: 1, stdout: "o".into(), stderr: "e".into() };
            let (pid, start_ticks, secrets) = (7, 1, Vec::new());
            let report = Report::Launched { attempt, pid, start_ticks, spool, secrets };
            let effects = world.machine.step(Input::Launcher(report), world.now);
            asked.extend(effects.iter().filter_map(|effect| match effect {
                Effect::Watch(watch) => Some(watch.first_output),
                _ => None,
            }));
            world.run(effects);
            world.class = Some("exit_nonzero");
            world.decisions = vec![retry_in(&world, 6 * SECOND)];
            world.exited(run, ExitStatus::Code(1));
            world.now = world.now.plus(60 * SECOND);
            world.input(Input::Due(run));
        }
        assert_eq!(asked, wanted, "{success:?}");
    }
}
