//! An end, in whatever order its news comes, and whoever dies in between.

use super::*;
use crate::{launcher::LeftSpool, model::Leftovers};

const SOME: SpoolSizes = SpoolSizes { stdout: 9, stderr: 0 };

fn spool() -> Spool {
    Spool { token: 1, stdout: "o".into(), stderr: "e".into() }
}

fn recovered(attempt: AttemptId, exit: ExitStatus, ended_at: Option<Timestamp>) -> launcher::Recovered {
    launcher::Recovered {
        attempt,
        exit,
        ended_at,
        stopped_by_keeper: false,
        spool: spool(),
        sizes: SOME,
        losses: Default::default(),
        secrets: Vec::new(),
    }
}

fn ends(world: &World) -> Vec<&Event> {
    let events = world.records.iter().map(|record| &record.event);
    events.filter(|event| matches!(event, Event::AttemptEnded { .. })).collect()
}

/// What was told of an attempt's end.
fn end_of(event: &Event) -> (Option<&str>, bool, u64) {
    match event {
        Event::AttemptEnded { class, output_complete, lasted_ms, .. } => {
            (class.as_deref(), *output_complete, *lasted_ms)
        }
        other => panic!("no end: {other:?}"),
    }
}

impl World {
    /// Takes an input, and gives what follows to the test.
    fn step(&mut self, input: Input) -> Vec<Effect> {
        self.machine.step(input, self.now)
    }

    /// The leader ended and has written something; nobody answers yet.
    fn ends(&mut self, run: RunId, exit: ExitStatus, leftovers: bool) -> Vec<Effect> {
        let attempt = self.attempt(run);
        self.step(Input::Launcher(Report::Exited { attempt, exit, sizes: SOME, leftovers }))
    }

    /// Another supervisor on what this one had written.
    fn next_life(&self, programs: Vec<Program>) -> Self {
        let mut next = Self::new(programs);
        next.now = self.now;
        next.machine.restore(&self.state, next.now);
        next
    }

    fn resume(&mut self, recovered: Vec<launcher::Recovered>) {
        let effects = self.machine.resume(recovered, &BTreeSet::new(), 5, false, self.now);
        self.run(effects);
    }
}

#[test]
fn output_is_watched_before_its_start_is_committed() {
    let mut world = World::new(vec![program("job")]);
    let run = world.start("job");
    let attempt = world.attempt(run);
    let secrets = Vec::new();
    let report = Report::Launched { attempt, pid: 7, start_ticks: 1, spool: spool(), secrets };
    let mut effects = world.step(Input::Launcher(report));
    effects.extend(world.ends(run, ExitStatus::Code(1), false));
    let watch = effects.iter().position(|effect| matches!(effect, Effect::Watch(_))).unwrap();
    let drain = effects.iter().position(|effect| matches!(effect, Effect::Drain(_))).unwrap();
    assert!(watch < drain, "{effects:?}");
    assert!(!effects[watch].is_act(), "an act would wait for a commit, and the question would not");
    assert!(
        !effects.iter().any(|effect| matches!(effect, Effect::Commit { .. })),
        "the pid waits for company"
    );
}

#[test]
fn an_end_that_nobody_could_read_is_judged_by_its_exit() {
    let job = program("job");
    let mut daemon = program("daemon");
    daemon.restart = Restart::Always;
    let asks = program("asks").success_min_lines(1);
    let signal = |number| ExitStatus::Signal { number, core: false };
    for (program, exit, class) in [
        (&job, ExitStatus::Code(0), None),
        (&job, ExitStatus::Code(1), Some("exit_nonzero")),
        (&job, ExitStatus::Code(64), Some("config")),
        (&job, signal(11), Some("crash")),
        (&daemon, ExitStatus::Code(0), Some("early_exit")),
        (&daemon, ExitStatus::Code(1), Some("exit_nonzero")),
        (&asks, ExitStatus::Code(0), None),
        (&asks, signal(9), Some("crash")),
    ] {
        let mut world = World::new(vec![program.clone()]);
        let run = world.start(&program.name);
        world.launched(run);
        drop(world.ends(run, exit, false)); // The question is lost with whoever was asked.
        let attempt = world.attempt(run);
        world.input(Input::Drained { attempt, drained: Drained::unread() });
        world.machine.write_out();
        let said: Vec<_> = ends(&world).into_iter().map(end_of).collect();
        assert_eq!(said, [(class, false, 0)], "{} {exit}", program.name);
        let failed = matches!(world.judged[0].outcome, retry::Outcome::Failed { .. });
        assert_eq!(failed, class.is_some(), "{} {exit}: Retry hears the same", program.name);
    }
}

#[test]
fn an_end_and_what_follows_are_one_commit_whoever_ends_too() {
    let mut world = World::new(vec![program("job")]);
    let runs = [world.start("job"), world.start("job")];
    let mut judging = Vec::new();
    for run in runs {
        world.launched(run);
        drop(world.ends(run, ExitStatus::Code(1), false));
        let attempt = world.attempt(run);
        let mut effects = world.step(Input::Drained { attempt, drained: Drained::unread() });
        while let Some(effect) = effects.pop() {
            match effect {
                Effect::AskBreaker(breaker::Ask::Settle(settle)) => {
                    effects.extend(world.step(settled(&settle, Changes::default())));
                }
                Effect::AskRetry(retry::Ask::Judge(ended)) => judging.push(ended.run),
                Effect::Commit { records, .. } => panic!("written by halves: {records:?}"),
                _ => {}
            }
        }
    }
    assert_eq!(judging, runs);
    let judged = |world: &World, run| {
        Input::Retry(retry::Answer::Judged { run, verdict: verdict(retry_in(world, 60_000)) })
    };
    let first = world.step(judged(&world, runs[1]));
    assert!(!first.iter().any(|effect| matches!(effect, Effect::Commit { .. })), "{first:?}");
    let both = world.step(judged(&world, runs[0]));
    world.run(both);
    let told = world.kinds();
    let count = |kind: &str| told.iter().filter(|told| *told == kind).count();
    assert_eq!((count("attempt_ended"), count("retry_scheduled")), (2, 2), "{told:?}");
    for run in runs {
        world.assert_phase(run, Phase::Backoff);
    }
}

#[test]
fn an_end_is_forgotten_only_after_it_was_written() {
    let mut world = World::new(vec![program("job")]);
    let run = world.start("job");
    world.launched(run);
    let mut effects = world.ends(run, ExitStatus::Code(0), false);
    let attempt = world.attempt(run);
    effects.extend(world.step(Input::Launcher(Report::Emptied { attempt, sizes: SOME })));
    // Somebody else's decision is written meanwhile.
    let start = Start { program: "job".into(), ..Start::default() };
    let checked = world.machine.check_start(&start).unwrap();
    effects.extend(world.machine.start(checked, &start, RunId::from_parts(1, 99), world.now));
    let forgets = |effect: &Effect| matches!(effect, Effect::Acknowledge(_) | Effect::Close(_));
    assert!(!effects.iter().any(forgets), "{effects:?}");

    let mut written = false;
    let mut forgotten = 0;
    let mut effects = world.step(Input::Drained { attempt, drained: Drained::unread() });
    while !effects.is_empty() {
        match effects.remove(0) {
            Effect::Commit { records, .. } => {
                written |= records.iter().any(|record| matches!(record.event, Event::RunEnded { .. }));
            }
            effect if forgets(&effect) => {
                assert!(written, "{effect:?} before the end was written");
                forgotten += 1;
            }
            effect => {
                if let Some(answer) = world.answer(effect) {
                    effects.extend(world.step(answer));
                }
            }
        }
    }
    assert_eq!(forgotten, 2);
}

#[test]
fn what_was_decided_holds_when_all_die_while_the_rest_is_stopped() {
    for (exit, follows) in [(0, Phase::Succeeded), (1, Phase::Backoff)] {
        let mut world = World::new(vec![program("job")]);
        world.class = (exit == 1).then_some("exit_nonzero");
        world.decisions =
            vec![if exit == 0 { Decision::Done { why: "done".into() } } else { retry_in(&world, 60_000) }];
        let run = world.start("job");
        world.launched(run);
        let effects = world.ends(run, ExitStatus::Code(exit), true);
        world.run(effects);
        world.assert_phase(run, Phase::Stopping);
        let due = world.now.plus(60_000);

        let mut next = world.next_life(vec![program("job")]);
        let attempt = next.attempt(run);
        assert_eq!(next.machine.orphans().len(), 1, "the rest of its tree is still to be stopped");
        next.now = next.now.plus(100);
        next.resume(vec![recovered(attempt, ExitStatus::Unknown, None)]);
        assert!(ends(&next).is_empty(), "exit {exit}: judged once");
        next.assert_phase(run, follows);
        let run = next.machine.run(run).unwrap();
        assert_eq!(run.next_attempt_at, (exit == 1).then_some(due), "the promised retry comes");
        assert_eq!((run.attempt, run.attempts.back().unwrap().exit), (1, Some(ExitStatus::Code(exit))));
    }
}

#[test]
fn a_stop_that_waits_for_the_rest_is_a_stop_in_the_next_life() {
    let mut keeps = program("job");
    keeps.leftovers = Leftovers::Stop;
    let mut world = World::new(vec![keeps.clone()]);
    let run = world.start("job");
    world.launched(run);
    let effects = world.machine.stop(run, None, world.now).unwrap();
    world.run(effects);
    let effects = world.ends(run, ExitStatus::Code(3), true);
    world.run(effects);
    let mut next = world.next_life(vec![keeps]);
    let attempt = next.attempt(run);
    next.resume(vec![recovered(attempt, ExitStatus::Code(3), None)]);
    next.assert_phase(run, Phase::Stopped);
    assert!(ends(&next).is_empty());
}

#[test]
fn an_end_without_a_verdict_gets_one_and_no_second_end() {
    let mut world = World::new(vec![program("job")]);
    world.class = Some("exit_nonzero");
    let run = world.start("job");
    world.launched(run);
    world.decisions = vec![retry_in(&world, 60_000)];
    let effects = world.ends(run, ExitStatus::Code(1), true);
    world.run(effects);
    // As versions wrote it that did not save what follows.
    let key = format!("run/{run}");
    let text = String::from_utf8(world.state[&key][1..].to_vec()).unwrap();
    let mut saved: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(saved.as_object_mut().unwrap().remove("next").is_some(), "{text}");
    let mut value = vec![world.state[&key][0]];
    value.extend(serde_json::to_vec(&saved).unwrap());
    world.state.insert(key, value);

    let mut next = world.next_life(vec![program("job")]);
    next.decisions = vec![retry_in(&next, 60_000)];
    let attempt = next.attempt(run);
    next.resume(vec![recovered(attempt, ExitStatus::Unknown, None)]);
    assert!(ends(&next).is_empty());
    let outcome = retry::Outcome::Failed { class: "exit_nonzero".into(), retry_after_ms: None };
    assert_eq!(next.judged[0].outcome, outcome);
    next.assert_phase(run, Phase::Backoff);
}

#[test]
fn a_living_attempt_of_which_nothing_is_found_is_lost() {
    let mut world = World::new(vec![program("job")]);
    let run = world.start("job");
    world.launched(run);
    let written = world.machine.write_out();
    world.run(written);
    let mut next = world.next_life(vec![program("job")]);
    next.decisions = vec![retry_in(&next, 60_000)];
    next.resume(Vec::new());
    let said: Vec<_> = ends(&next).into_iter().map(end_of).collect();
    assert_eq!(said.iter().map(|(class, ..)| *class).collect::<Vec<_>>(), [Some("lost")]);
    next.assert_phase(run, Phase::Backoff);
}

#[test]
fn an_end_found_later_has_its_own_time_and_the_delay_counts_from_it() {
    let mut world = World::new(vec![program("job")]);
    let run = world.start("job");
    world.launched(run);
    let written = world.machine.write_out();
    world.run(written);
    let (began, ended) = (world.now, world.now.plus(1_500));
    for (later, delay, spread) in [(10_000, 60_000, 0), (10_000, 2_000, 10_000)] {
        let mut next = world.next_life(vec![program("job")]);
        next.now = began.plus(later);
        next.class = Some("exit_nonzero");
        next.decisions = vec![retry_in(&next, delay)];
        next.resume(vec![recovered(next.attempt(run), ExitStatus::Code(1), Some(ended))]);
        assert_eq!(end_of(ends(&next)[0]), (Some("exit_nonzero"), true, 1_500));
        assert_eq!(next.judged[0].uptime_ms, 1_500);
        let run = next.machine.run(run).unwrap();
        assert_eq!(run.current().and_then(|current| current.ended_at), Some(ended));
        let due = run.next_attempt_at.unwrap();
        let earliest = ended.plus(delay).max(next.now);
        assert!(due.since(earliest) <= spread && due >= earliest, "{due} is not about {earliest}");
    }
}

#[test]
fn an_overdue_start_is_put_off_once_however_often_we_die() {
    let mut world = World::new(vec![program("job")]);
    world.class = Some("exit_nonzero");
    let run = world.start("job");
    world.launched(run);
    world.decisions = vec![retry_in(&world, 500)];
    let effects = world.ends(run, ExitStatus::Code(1), false);
    world.run(effects);
    let attempt = world.attempt(run);
    world.input(Input::Launcher(Report::Emptied { attempt, sizes: SOME }));
    world.now = world.now.plus(1_000);
    let first = world.now;
    let mut due = None;
    for life in 0..6 {
        let mut next = world.next_life(vec![program("job")]);
        next.resume(Vec::new());
        let at = next.machine.run(run).and_then(|run| run.next_attempt_at).unwrap();
        let promised = *due.get_or_insert(at);
        assert!(promised.since(first) <= 10_000);
        assert_eq!(at, promised.max(next.now), "life {life}");
        next.now = next.now.plus(2_500);
        world = next;
    }
    assert!(world.now > due.unwrap(), "it came due while nobody was there, again");
}

#[test]
fn output_that_was_not_closed_is_stored_and_then_secrets_go() {
    let mut world = World::new(vec![program("job")]);
    let over = world.start("job");
    world.launched(over);
    world.exited(over, ExitStatus::Code(0));
    let lives = world.start("job");
    let left = [over, lives, RunId::from_parts(3, 3)].map(|run| LeftSpool {
        attempt: AttemptId { run, number: 1 },
        spool: spool(),
        sizes: SOME,
        secrets: Vec::new(),
    });
    let effects = world.machine.take_in_left(left.to_vec(), vec![over, lives], world.now);
    let mut told = Vec::new();
    for effect in effects {
        match effect {
            Effect::Watch(watch) => {
                assert!(watch.judged, "what it shows changes nothing any more");
                told.push(format!("watch {}", watch.program.name));
            }
            Effect::Close(close) => told.push(format!("close {}", close.sizes.stdout)),
            Effect::ForgetSecrets(run) => told.push(format!("forget {}", run == over)),
            _ => {}
        }
    }
    let expected =
        ["watch job", "watch job", "watch unknown", "close 9", "close 9", "close 9", "forget true"];
    assert_eq!(told, expected, "what is not watched cannot be closed");
}

#[test]
fn who_ended_by_itself_beside_a_dying_keeper_is_not_lost() {
    for (exit, class) in [(ExitStatus::Code(0), None), (ExitStatus::Unknown, Some("lost"))] {
        let mut world = World::new(vec![program("job")]);
        let run = world.start("job");
        world.launched(run);
        let why = "it was killed".to_owned();
        world.input(Input::Launcher(Report::KeeperLost { attempts: 1, why }));
        world.exited(run, exit);
        assert_eq!(end_of(ends(&world)[0]).0, class);
    }
}

/// What comes of a short life, in the orders in which it can be heard of.
#[derive(Clone, Copy, Debug, PartialEq)]
enum News {
    Launched,
    Exited,
    Emptied,
    Drained,
    /// 20 ms pass, and what waited for company is written.
    Committed,
}

/// Every order of these that keeps the Launcher's own, and asks before it is answered.
fn orders(left: &[News], so_far: &mut Vec<News>, all: &mut Vec<Vec<News>>) {
    if left.is_empty() {
        return all.push(so_far.clone());
    }
    for (at, news) in left.iter().enumerate() {
        let after = match news {
            News::Launched | News::Committed => None,
            News::Exited => Some(News::Launched),
            News::Emptied | News::Drained => Some(News::Exited),
        };
        if after.is_none_or(|after| so_far.contains(&after)) {
            let mut rest = left.to_vec();
            rest.remove(at);
            so_far.push(*news);
            orders(&rest, so_far, all);
            so_far.pop();
        }
    }
}

#[test]
fn a_short_life_is_told_the_same_in_every_order() {
    use News::{Committed, Drained as Read, Emptied, Exited, Launched};
    let mut all = Vec::new();
    orders(&[Launched, Exited, Emptied, Read, Committed], &mut Vec::new(), &mut all);
    assert_eq!(all.len(), 10);
    for (order, code) in all.iter().flat_map(|order| [0, 1, 3].map(|code| (order, code))) {
        let mut world = World::new(vec![program("job")]);
        let run = world.start("job");
        let attempt = world.attempt(run);
        let (mut watched, exit) = (false, ExitStatus::Code(code));
        for news in order {
            let input = match news {
                Launched => {
                    let (spool, secrets) = (spool(), Vec::new());
                    Input::Launcher(Report::Launched { attempt, pid: 7, start_ticks: 1, spool, secrets })
                }
                Exited => Input::Launcher(Report::Exited { attempt, exit, sizes: SOME, leftovers: false }),
                Emptied => Input::Launcher(Report::Emptied { attempt, sizes: SOME }),
                Read => {
                    let counts = Counts { lines: 1, errors: 0, gaps: 0 };
                    let program = world.machine.program("job").unwrap().clone();
                    let evidence = Drained::unread().evidence_of(&program, exit, world.now);
                    Input::Drained {
                        attempt,
                        drained: Drained { evidence, counts, items: None, complete: true },
                    }
                }
                Committed => {
                    world.now = world.now.plus(20);
                    Input::Tick
                }
            };
            let mut asked = Vec::new();
            for effect in world.step(input) {
                match effect {
                    Effect::Watch(_) => watched = true,
                    Effect::Drain(_) => assert!(watched, "{order:?}: asked before it was watched"),
                    other => asked.push(other),
                }
            }
            world.run(asked);
        }
        let said: Vec<_> = ends(&world).into_iter().map(|event| end_of(event).0).collect();
        let class = (code != 0).then_some("exit_nonzero");
        assert_eq!(said, [class], "{order:?}, exit {code}");
        let run = world.machine.run(run).unwrap();
        assert_eq!((run.counts.lines, run.current().unwrap().lines), (1, 1), "{order:?}");
        let failed = matches!(world.judged[0].outcome, retry::Outcome::Failed { .. });
        assert_eq!((world.judged.len(), failed), (1, code != 0), "{order:?}");
    }
}

#[test]
fn a_start_that_its_keeper_did_not_answer_may_have_been_made() {
    for sizes in [SOME, SpoolSizes::default()] {
        let mut world = World::new(vec![program("job")]);
        world.decisions = vec![retry_in(&world, 60_000)];
        let run = world.start("job");
        let attempt = world.attempt(run);
        let (spool, secrets) = (spool(), Vec::new());
        let effects = world.step(Input::Launcher(Report::Unheard { attempt, spool, sizes, secrets }));
        assert!(effects.iter().any(|effect| matches!(effect, Effect::Watch(_))), "what it wrote is stored");
        world.class = Some("lost"); // As the Monitor says of an end that nobody saw.
        world.run(effects);
        assert_eq!(end_of(ends(&world)[0]).0, Some("lost"));
        let outcome = retry::Outcome::Failed { class: "lost".into(), retry_after_ms: None };
        assert_eq!(world.judged[0].outcome, outcome, "on_lost says what follows");
        world.assert_phase(run, Phase::Backoff);
    }
}
