//! Many starts at once.

use super::*;
use crate::manager::RunError;
use std::collections::BTreeSet;

const STARTS: usize = 10_000;
const PLACES: usize = 20;
const QUEUE: usize = 5_000;

fn crowded() -> World {
    let mut job = program("job");
    (job.max_concurrent, job.queue) = (Some(PLACES as u32), QUEUE as u32);
    World::new(vec![job])
}

#[test]
fn of_ten_thousand_starts_as_many_live_or_wait_as_there_is_room_and_the_others_are_told_why() {
    let mut world = crowded();
    let answers: Vec<_> = (0..STARTS).map(|_| world.try_start("job")).collect();
    let accepted: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().ok().copied()).collect();
    assert_eq!(accepted.len(), PLACES + QUEUE);
    for refused in answers.iter().filter_map(|answer| answer.as_ref().err()) {
        assert!(
            matches!(refused, StartError::QueueFull { limit, .. } if *limit as usize == QUEUE),
            "{refused}"
        );
        assert!(refused.to_string().contains(&QUEUE.to_string()), "the limit is in the sentence: {refused}");
    }
    assert_eq!(world.machine.run_count(), accepted.len(), "a refused start leaves nothing behind");

    // Whoever gets a place ends and gives it to the next in line, until nobody waits.
    let mut order = Vec::new();
    loop {
        let starting: Vec<_> =
            world.machine.living().filter(|run| run.phase == Phase::Starting).map(|run| run.id).collect();
        if starting.is_empty() {
            break;
        }
        assert!(starting.len() <= PLACES);
        for run in starting {
            world.launched(run);
            world.exited(run, ExitStatus::Code(0));
            order.push(run);
        }
    }
    assert_eq!(order, accepted, "first come, first served, and everybody once");
    let ended: BTreeSet<_> = world
        .records
        .iter()
        .filter(|record| matches!(record.event, Event::RunEnded { phase: Phase::Succeeded, .. }))
        .filter_map(|record| record.run)
        .collect();
    assert_eq!(ended, accepted.into_iter().collect(), "every end is in the journal");
    assert_eq!(world.machine.living().count(), 0);
}

#[test]
fn a_crowd_that_is_stopped_while_it_waits_leaves_no_place_taken() {
    let mut world = crowded();
    let runs: Vec<_> = (0..PLACES + 100).map(|_| world.start("job")).collect();
    for run in runs.iter().rev() {
        let stopped: Result<_, RunError> = world.machine.stop(*run, None, world.now);
        let effects = stopped.unwrap();
        world.run(effects);
    }
    for run in &runs[..PLACES] {
        world.launched(*run);
        world.exited(*run, ExitStatus::Code(0));
    }
    assert_eq!(world.machine.living().count(), 0);
    let again: Vec<_> = (0..PLACES).map(|_| world.start("job")).collect();
    again.iter().for_each(|run| world.assert_phase(*run, Phase::Starting));
}
