//! What is counted is what happened.

use super::*;
use crate::model::{Class, Stream};

#[test]
fn starts_ends_and_errors_are_counted_by_class_and_stops_of_ours_are_no_errors() {
    let mut world = World::new(vec![program("job"), program("other")]);
    let began = world.now;
    let give_up = Decision::GiveUp {
        phase: Phase::Failed,
        reason: EndReason::MaxRetries,
        why: "max_retries = 0 allows no more".into(),
    };
    let retry = Decision::RetryAt { at: began, n: 1, raw_ms: 0, delay_ms: 0, why: "again".into() };
    // Fails, is tried again at once, fails, gives up.
    let failing = world.start("job");
    world.launched(failing);
    world.input(Input::Monitor(crate::monitor::Report::ErrorSeen {
        attempt: world.attempt(failing),
        evidence: Evidence {
            class: "rate_limited".into(),
            rule: "classify[0]".into(),
            line: "HTTP 429".into(),
            stream: Some(Stream::Stderr),
            seq: 1,
            at: began,
            retry_after_ms: None,
            preferred: None,
        },
        count: 3,
    }));
    world.decisions = vec![retry, give_up];
    world.exited(failing, ExitStatus::Code(1));
    world.launched(failing);
    world.exited(failing, ExitStatus::Code(1));
    // Ends well.
    let fine = world.start("job");
    world.launched(fine);
    world.exited(fine, ExitStatus::Code(0));
    // Is stopped.
    let stopped = world.start("job");
    world.launched(stopped);
    let effects = world.machine.stop(stopped, None, world.now).expect("it lives");
    world.run(effects);
    world.exited(stopped, ExitStatus::Signal { number: 15, core: false });
    let effects = world.machine.write_out();
    world.run(effects);

    let figures = world.counters.of_program("job", began, world.now);
    assert_eq!((figures.attempts_started, figures.restarts), (4, 1));
    assert_eq!(figures.runs_ended, [("failed", 1), ("stopped", 1), ("succeeded", 1)].into());
    assert_eq!(figures.runs_failed, [("exit_nonzero".to_owned(), 1)].into());
    let totals = |tallies: &BTreeMap<String, crate::figures::Tally>| -> Vec<_> {
        tallies.iter().map(|(class, tally)| (class.clone(), tally.total)).collect()
    };
    assert_eq!(totals(&figures.failures), [("exit_nonzero".to_owned(), 2)]);
    assert_eq!(totals(&figures.error_lines), [("rate_limited".to_owned(), 3)]);
    assert!(!figures.failures.contains_key(Class::OPERATOR_STOP));
    assert_eq!(world.counters.of_program("other", began, world.now), Default::default());
    assert_eq!(figures.gave_up, [("max_retries", 1)].into(), "a success and a stop are no giving up");
    assert_eq!(world.counters.starts(), (4, 1));
}
