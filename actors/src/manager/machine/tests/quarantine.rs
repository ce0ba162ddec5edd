//! What the scopes of a run say about how long it is left alone.

use super::*;
use crate::model::BreakerPolicy;

const HOUR: u64 = 3_600_000;

fn hours(hours: Option<u64>) -> BreakerPolicy {
    BreakerPolicy { quarantine_ms: hours.map(|hours| hours * HOUR), ..BreakerPolicy::default() }
}

fn configure(world: &mut World, programs: Vec<Program>, shared: &[(&str, Option<u64>)]) {
    let shared = shared.iter().map(|(name, given)| ((*name).to_owned(), hours(*given)));
    let configure = Configure::new(programs, shared);
    let (_, effects) = world.machine.configure(configure, world.now);
    world.run(effects);
}

/// Starts this program for alice and lets it fail: what Retry is told of its scopes, which is also what a forecast goes by.
fn told(world: &mut World, program: &str) -> Option<(String, u64)> {
    world.class = Some("crash");
    world.decisions = vec![retry_in(world, 1_000)];
    let start = Start { program: program.into(), requested_by: Some("alice".into()), ..Start::default() };
    let checked = world.machine.check_start(&start).expect("the start fits");
    world.ids += 1;
    let run = RunId::from_parts(world.now.0, world.ids.into());
    let effects = world.machine.start(checked, &start, run, world.now);
    world.run(effects);
    world.launched(run);
    world.exited(run, ExitStatus::Code(1));
    world.assert_phase(run, Phase::Backoff);
    let ended = world.judged.pop().expect("it was judged");
    let facts = world.machine.facts(run, world.now).expect("it is known");
    let forecast = facts.forecast.expect("it has failed");
    assert_eq!(ended.quarantine, forecast.quarantine);
    let (scope, ms) = ended.quarantine?;
    Some((scope.0, ms / HOUR))
}

#[test]
fn the_longest_quarantine_of_the_scopes_that_gate_a_run_goes_with_its_end_and_of_equal_ones_the_first() {
    let longest = |own, site, user, global| {
        let mut job = program("job").shared_breaker("site:shop");
        job.breaker = Some(hours(own).into());
        let mut world = World::new(Vec::new());
        let shared = [
            ("site:*", site),
            ("user:alice", user),
            ("global", global),
            ("user:bob", Some(9)),
            ("x", Some(9)),
        ];
        configure(&mut world, vec![job], &shared);
        told(&mut world, "job")
    };
    for (own, site, user, global, expected) in [
        (None, None, None, None, None),
        (Some(1), None, None, None, Some(("program:job", 1))),
        (None, Some(2), None, None, Some(("site:shop", 2))),
        (Some(1), Some(2), Some(4), Some(3), Some(("user:alice", 4))),
        (Some(1), Some(2), None, Some(5), Some(("global", 5))),
        (Some(6), Some(2), Some(4), Some(5), Some(("program:job", 6))),
        (None, Some(2), Some(2), Some(1), Some(("site:shop", 2))),
    ] {
        let expected = expected.map(|(scope, hours)| (scope.to_owned(), hours));
        assert_eq!(longest(own, site, user, global), expected, "{own:?} {site:?} {user:?} {global:?}");
    }
}

#[test]
fn a_program_that_no_scope_gates_is_left_to_its_own_rules() {
    let mut alone = program("alone");
    alone.breaker = None;
    let mut other = program("other");
    other.breaker = Some(hours(Some(1)).into());
    let mut world = World::new(Vec::new());
    configure(&mut world, vec![alone, other], &[("site:*", Some(2))]);
    assert_eq!(told(&mut world, "alone"), None);
    assert_eq!(told(&mut world, "other"), Some(("program:other".to_owned(), 1)));
}

#[test]
fn other_rules_of_a_scope_hold_from_the_next_end_on() {
    let job = || program("job").shared_breaker("site:shop");
    let mut world = World::new(Vec::new());
    for (given, expected) in [(None, None), (Some(2), Some(2)), (Some(3), Some(3)), (None, None)] {
        configure(&mut world, vec![job()], &[("site:*", given)]);
        assert_eq!(told(&mut world, "job").map(|(_, hours)| hours), expected);
    }
}
