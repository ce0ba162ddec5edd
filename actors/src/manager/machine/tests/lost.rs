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
        secrets: Vec::new(),
    };
    let effects = next.machine.resume(vec![recovered], &BTreeSet::new(), 5, false, next.now);
    next.run(effects);
    assert_eq!(next.judged, [retry::Outcome::Failed { class: "lost".into(), retry_after_ms: None }]);
    next.assert_phase(run, Phase::Succeeded);
    let lost = |record: &JournalRecord| matches!(&record.event, Event::AttemptEnded { class: Some(c), .. } if c == "lost");
    assert!(next.records.iter().any(lost), "the journal says that it was lost");
}
