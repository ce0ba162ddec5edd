//! Output that waits or is lost, and a keeper that dies or does not answer.

use super::*;
use crate::{
    explain::explain,
    model::{Loss, Stream},
};

fn daemon(name: &str) -> Program {
    let mut program = program(name);
    program.restart = Restart::Always;
    program
}

impl World {
    fn told(&mut self, report: Report) {
        self.input(Input::Launcher(report));
        self.write_out();
    }

    fn write_out(&mut self) {
        let effects = self.machine.write_out();
        self.run(effects);
    }

    fn last_end(&self) -> &Event {
        let ends = self.records.iter().rev().map(|record| &record.event);
        ends.into_iter().find(|event| matches!(event, Event::AttemptEnded { .. })).expect("it ended")
    }

    /// The keeper dies: all that run are lost, and tried again soon.
    fn keeper_dies(&mut self, running: &[RunId]) {
        self.told(Report::KeeperLost { attempts: 1, why: "died".into() });
        self.decisions = running.iter().map(|_| retry_in(self, 1_000)).collect();
        for run in running {
            self.exited(*run, ExitStatus::Unknown);
        }
        self.decisions.clear();
    }

    fn again(&mut self, run: RunId) {
        self.input(Input::Due(run));
        self.launched(run);
    }
}

#[test]
fn what_no_disk_took_until_the_end_is_told_with_the_end() {
    let mut world = World::new(vec![program("job")]);
    let run = world.start("job");
    world.launched(run);
    let attempt = world.attempt(run);
    world.told(Report::Unspooled { attempt, bytes: 9 });
    world.exited(run, ExitStatus::Code(0));
    let Event::AttemptEnded { output_complete, unspooled, .. } = world.last_end() else { unreachable!() };
    assert_eq!((*output_complete, *unspooled), (false, 9));
    let facts = world.machine.facts(run, world.now).expect("known");
    let told = explain(&facts, &world.records, None, &[], world.now);
    let told: Vec<_> = told.chain.iter().map(|sentence| sentence.text.as_str()).collect();
    assert!(told.iter().any(|text| text.ends_with("(no disk took 9 bytes of its output)")), "{told:?}");
}

#[test]
fn lines_that_are_lost_are_counted_whenever_they_are_told() {
    let mut world = World::new(vec![program("job")]);
    let run = world.start("job");
    world.launched(run);
    let attempt = world.attempt(run);
    let lost = |lines| Report::OutputLost {
        attempt,
        stream: Stream::Stdout,
        at: 0,
        length: 0,
        loss: Loss { bytes: lines * 10, lines },
    };
    world.told(lost(5));
    world.exited(run, ExitStatus::Code(0));
    let Event::AttemptEnded { output_complete, lines_lost, .. } = world.last_end() else { unreachable!() };
    assert_eq!((*output_complete, *lines_lost), (false, 5));
    world.told(lost(2));
    assert_eq!(world.machine.run(run).map(|run| run.counts.gaps), Some(7), "after its end, too");
    assert_eq!(world.kinds().iter().filter(|kind| *kind == "output_lost").count(), 2);
}

#[test]
fn who_waits_for_a_place_for_its_output_is_told_of_and_is_not_idle() {
    let mut job = program("job");
    job.idle_timeout_ms = Some(5_000);
    let mut world = World::new(vec![job]);
    let run = world.start("job");
    world.launched(run);
    let attempt = world.attempt(run);
    let waits = |why: Option<&str>| Report::OutputWaits { attempt, why: why.map(str::to_owned) };
    world.told(waits(Some("its spool takes nothing: no space")));
    world.now = world.now.plus(12_000);
    world.input(Input::Tick);
    world.assert_phase(run, Phase::Running);
    let facts = world.machine.facts(run, world.now).expect("known");
    let told = explain(&facts, &world.records, None, &[], world.now);
    assert!(told.next.starts_with("its output waits, for 12s now: its spool takes nothing"), "{}", told.next);
    assert_eq!(world.machine.output_trouble(), Some((1, "its spool takes nothing: no space")));
    world.told(waits(None));
    assert_eq!(world.machine.output_trouble(), None);
    world.told(waits(Some("again")));
    world.exited(run, ExitStatus::Code(0));
    assert_eq!(world.machine.output_trouble(), None, "nobody waits any more");
}

#[test]
fn a_run_that_ends_the_keeper_each_time_is_left_alone() {
    let mut world = World::new(vec![daemon("tick"), daemon("killer")]);
    let tick = world.start("tick");
    world.launched(tick);
    let killer = world.start("killer");
    world.launched(killer);
    for _ in 0..2 {
        world.now = world.now.plus(100);
        world.keeper_dies(&[tick, killer]);
        world.now = world.now.plus(1_000);
        world.again(tick);
        world.now = world.now.plus(1);
        world.again(killer);
        world.assert_phase(killer, Phase::Running);
    }
    world.now = world.now.plus(100);
    world.keeper_dies(&[tick, killer]);
    world.assert_phase(killer, Phase::Quarantined);
    world.assert_phase(tick, Phase::Backoff);
    assert_eq!(world.machine.run(killer).and_then(|run| run.end_reason), Some(EndReason::KeeperLost));
    let facts = world.machine.facts(killer, world.now).expect("known");
    let told = explain(&facts, &world.records, None, &[], world.now);
    assert!(told.summary.contains("the keeper died each time soon after its start"), "{}", told.summary);
}

#[test]
fn nobody_is_blamed_for_a_keeper_that_dies_long_after_each_start() {
    let mut world = World::new(vec![daemon("tick")]);
    let tick = world.start("tick");
    world.launched(tick);
    for _ in 0..5 {
        world.now = world.now.plus(10_000);
        world.keeper_dies(&[tick]);
        world.now = world.now.plus(1_000);
        world.again(tick);
    }
    world.assert_phase(tick, Phase::Running);
}

#[test]
fn a_keeper_that_does_not_answer_is_told_of_until_it_does() {
    let mut world = World::new(vec![program("job")]);
    let run = world.start("job");
    let since = world.now;
    world.now = world.now.plus(6_000);
    world.told(Report::KeeperSilent { since });
    let facts = world.machine.facts(run, world.now).expect("known");
    let told = explain(&facts, &world.records, None, &[], world.now);
    assert!(told.next.starts_with("the keeper does not answer since 6s; "), "{}", told.next);
    world.told(Report::KeeperAnswers);
    assert_eq!(world.machine.keeper_silent_since(), None);
    assert!(world.kinds().ends_with(&["keeper_silent".into(), "keeper_answers".into()]));
}
