//! What the state keeps of attempts: of a run that lives long, of one that is forgotten, of a store of an older version.

use super::*;
use crate::model::Run;

fn saved_attempts(world: &World, run: RunId) -> Vec<u32> {
    let number = |key: &str| key.strip_prefix(&format!("attempt/{run}/"))?.parse().ok();
    world.state.keys().filter_map(|key| number(key)).collect()
}

/// Starts a job that is restarted at once, so often.
fn restarted(world: &mut World, times: u32) -> RunId {
    world.class = Some("exit_nonzero");
    let run = world.start("job");
    for _ in 0..times {
        world.launched(run);
        world.decisions = vec![retry_in(world, 0)];
        world.exited(run, ExitStatus::Code(1));
    }
    assert_eq!(world.machine.run(run).map(|run| run.attempt), Some(times + 1));
    run
}

#[test]
fn old_attempts_of_a_living_run_are_trimmed() {
    let mut world = World::new(vec![program("job")]);
    let run = restarted(&mut world, Run::ATTEMPTS_STORED + 30);
    assert_eq!(saved_attempts(&world, run), (32..=Run::ATTEMPTS_STORED + 31).collect::<Vec<_>>());
}

#[test]
fn a_forgotten_run_leaves_nothing_behind() {
    for times in [0, 3, Run::ATTEMPTS_STORED - 1, Run::ATTEMPTS_STORED + 5] {
        let mut world = World::new(vec![program("job")]);
        world.machine.limits.runs_max_count = 0;
        let run = restarted(&mut world, times);
        world.launched(run);
        world.exited(run, ExitStatus::Code(0));
        assert_eq!(world.machine.run(run), None, "{times}: it is forgotten");
        let left: Vec<_> = world.state.keys().filter(|key| key.contains(&run.to_string())).collect();
        assert!(left.is_empty(), "{times}: {left:?}");
    }
}

#[test]
fn what_an_older_version_left_of_attempts_is_removed() {
    let mut world = World::new(vec![program("job")]);
    let run = restarted(&mut world, Run::ATTEMPTS_STORED + 30);
    let effects = world.machine.shutdown(world.now);
    world.run(effects);
    let first = world.state.iter().find(|(key, _)| key.starts_with("attempt/")).expect("one");
    let value = String::from_utf8(first.1.clone()).expect("json").replace("\"number\":32,", "\"number\":7,");
    assert!(value.contains("\"number\":7,"), "{value}");
    let gone = RunId::from_parts(1, 1);
    for of in [run, gone] {
        world.state.insert(format!("attempt/{of}/0000000007"), value.clone().into_bytes());
    }
    let mut next = World::new(vec![program("job")]);
    next.state.clone_from(&world.state);
    assert_eq!(next.machine.restore(&world.state, world.now), 0);
    let effects = next.machine.resume(Vec::new(), &BTreeSet::new(), 5, true, next.now);
    next.run(effects);
    assert_eq!(saved_attempts(&next, gone), [0; 0]);
    let kept = saved_attempts(&next, run);
    assert_eq!((kept[0], kept.len()), (32, Run::ATTEMPTS_STORED as usize), "{kept:?}");
}
