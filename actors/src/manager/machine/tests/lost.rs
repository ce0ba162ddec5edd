//! What an end means that nobody saw.

use super::*;

#[test]
fn what_was_alive_when_the_supervisor_died_is_lost_and_retry_says_what_follows() {
    let job = program("job");
    let mut world = World::new(vec![job.clone()]);
    let run = world.start("job");
    world.launched(run);
    let soon = Some(world.now.plus(20));
    assert_eq!(world.machine.next_deadline(), soon, "the pid waits for company, not for long");
    world.now = world.now.plus(20);
    world.input(Input::Tick);

    let mut next = World::new(vec![job]);
    next.machine.restore(&world.state, world.now);
    let orphans = next.machine.orphans();
    assert_eq!(orphans.first().and_then(|orphan| orphan.pid), Some(7));
    let recovered = launcher::Recovered {
        attempt: AttemptId { run, number: 1 },
        exit: ExitStatus::Signal { number: 15, core: false },
        ended_at: None,
        stopped_by_keeper: true,
        spool: Spool { token: 1, stdout: "o".into(), stderr: "e".into() },
        sizes: SpoolSizes::default(),
        losses: Default::default(),
        secrets: Vec::new(),
    };
    let effects = next.machine.resume(vec![recovered], &BTreeSet::new(), 5, false, next.now);
    next.run(effects);
    let judged: Vec<_> = next.judged.iter().map(|ended| &ended.outcome).collect();
    assert_eq!(judged, [&retry::Outcome::Failed { class: "lost".into(), retry_after_ms: None }]);
    next.assert_phase(run, Phase::Succeeded);
    let lost = |record: &JournalRecord| matches!(&record.event, Event::AttemptEnded { class: Some(c), .. } if c == "lost");
    assert!(next.records.iter().any(lost), "the journal says that it was lost");
}

#[test]
fn a_run_that_waits_starts_when_its_delay_is_over_whatever_the_wall_clock_was_set_to() {
    const DAY: i64 = 86_400_000;
    let clocks = |at: Timestamp, boot_id, boottime_ms| SavedClock {
        at,
        reading: ClockReading { wall_ms: at.0, boot_id, boottime_ms },
    };
    for (step, boot_id, left) in
        [(0, 7, 540_000), (DAY, 7, 540_000), (-DAY, 7, 540_000), (DAY, 8, 0), (-DAY, 8, 600_000)]
    {
        let mut world = World::new(vec![program("job")]);
        world.now = Timestamp(1_800_000_000_000);
        world.class = Some("upstream");
        let run = world.start("job");
        world.launched(run);
        world.decisions = vec![retry_in(&world, 600_000)];
        world.exited(run, ExitStatus::Code(1));
        let clock = world.machine.save_clock(&clocks(world.now, 7, 50_000));
        world.state.insert(clock.key, clock.value.unwrap());

        let mut next = World::new(vec![program("job")]);
        next.now = Timestamp(world.now.plus(60_000).0.saturating_add_signed(step));
        let now = clocks(next.now, boot_id, 110_000);
        let shift = next.machine.set_clock(&world.state, &now);
        assert_eq!(
            next.machine.is_clock_due(next.now),
            shift.is_none(),
            "not before the times that it moves"
        );
        assert_eq!(next.machine.restore(&world.state, next.now), 0);
        let effects = next.machine.resume(Vec::new(), &BTreeSet::new(), 5, false, next.now);
        if !shift.is_none() {
            let moved = effects.iter().find_map(|effect| match effect {
                Effect::Commit { puts, .. } if puts.iter().any(|put| put.key == "clock") => {
                    Some(puts.iter().any(|put| put.key == format!("run/{run}")))
                }
                _ => None,
            });
            assert_eq!(moved, Some(true), "the clock is written with the times that go by it");
        }
        next.run(effects);
        let at = next.machine.run(run).and_then(|run| run.next_attempt_at).unwrap();
        let spread = if left == 0 { 10_000 } else { 0 };
        assert!((left..=left + spread).contains(&at.since(next.now)), "step {step}, boot {boot_id}: {at}");
    }
}

#[test]
fn a_run_that_was_asked_for_again_lives_from_the_first_write() {
    for end in ["succeeded", "stopped"] {
        let mut world = World::new(vec![program("job")]);
        let run = world.start("job");
        world.launched(run);
        if end == "stopped" {
            let effects = world.machine.stop(run, None, world.now).expect("it lives");
            world.run(effects);
        }
        world.exited(run, ExitStatus::Code(0));
        let effects = world.machine.restart(manager::Restart::new(run), world.now).expect("it ended");
        world.assert_phase(run, Phase::Queued);
        let written = effects.into_iter().find(|effect| matches!(effect, Effect::Commit { .. }));
        world.run(written.into_iter().collect());

        let mut next = World::new(vec![program("job")]);
        next.machine.restore(&world.state, world.now);
        let effects = next.machine.resume(Vec::new(), &BTreeSet::new(), 5, false, next.now);
        next.run(effects);
        next.assert_phase(run, Phase::Starting);
        let number = next.machine.run(run).map(|run| run.attempt);
        assert_eq!(number, Some(2), "{end}: the start that was written comes");
    }
}
