//! What follows when a breaker changes: whose turn it is, and who is stopped.

use super::*;
use crate::{
    breaker::Change,
    clerk::Rules,
    model::{BreakerPolicy, BreakerState, Class, ClassOverride, OnOpen, ScopeKind},
};

fn denied(scope: &Scope, retry_at: Option<u64>) -> Admission {
    let (scope, retry_at) = (scope.clone(), retry_at.map(Timestamp));
    Admission::Denied { scope, retry_at, why: "open".into(), changes: Changes::default() }
}

fn changed(world: &World, scope: &Scope, from: BreakerState, to: BreakerState) -> Input {
    let event = Event::BreakerChanged { from, to, level: 1, until: None, why: "because".into() };
    let change = Change { at: world.now, scope: scope.clone(), run: None, event };
    Input::BreakerDue(Changes { events: vec![change], ..Changes::default() })
}

fn freed(scope: &Scope) -> Input {
    Input::BreakerDue(Changes { freed: [scope.clone()].into(), ..Changes::default() })
}

impl World {
    /// Asks the real rule book, where the test has one.
    #[expect(clippy::result_large_err, reason = "a test hands the effect on, it does not keep it")]
    pub(super) fn ask_real_breaker(&mut self, effect: Effect) -> Result<Input, Effect> {
        let now = self.now;
        let Some(breaker) = &mut self.breaker else { return Err(effect) };
        match effect {
            Effect::AskBreaker(ask) => {
                if let breaker::Ask::Admit(admit) = &ask
                    && !admit.peek
                {
                    self.asked.push(admit.run);
                }
                Ok(Input::Breaker(breaker.answer(now, ask)))
            }
            other => Err(other),
        }
    }

    /// Lets time pass to the next deadline of either rule book.
    fn pass_time(&mut self) {
        let breaker = self.breaker.as_ref().and_then(breaker::Machine::next_deadline);
        let next = self.machine.next_deadline().into_iter().chain(breaker).min();
        self.now = self.now.max(next.expect("something is due"));
        if let Some(breaker) = &mut self.breaker {
            let changes = breaker.advance(self.now);
            if !changes.events.is_empty() {
                self.input(Input::BreakerDue(changes));
            }
        }
        self.input(Input::Tick);
    }
}

/// Runs of one program that wait for its breaker until 9,000 s, oldest first.
fn waiting(count: usize) -> (World, Scope, Vec<RunId>) {
    let mut world = World::new(vec![program("job")]);
    let scope = Scope::program("job");
    world.admissions = vec![denied(&scope, Some(9_000_000))];
    let runs = (0..count)
        .map(|_| {
            world.now = world.now.plus(10);
            world.start("job")
        })
        .collect();
    (world, scope, runs)
}

fn phases(world: &World, runs: &[RunId]) -> Vec<Phase> {
    runs.iter().filter_map(|run| world.machine.run(*run)).map(|run| run.phase).collect()
}

#[test]
fn who_comes_to_a_closed_door_joins_the_line_and_only_the_first_asks() {
    let (mut world, scope, runs) = waiting(4);
    assert_eq!(world.asked, [runs[0]]);
    assert_eq!(phases(&world, &runs), [Phase::Blocked; 4]);
    let retry_at = |world: &World, run: RunId| world.machine.run(run).and_then(|run| run.next_attempt_at);
    assert_eq!(retry_at(&world, runs[3]), Some(Timestamp(9_000_000)));

    world.admissions = vec![denied(&scope, Some(9_500_000))];
    let change = changed(&world, &scope, BreakerState::HalfOpen, BreakerState::Open);
    world.input(change);
    assert_eq!(world.asked, [runs[0]; 2], "none of the others polls");
    assert_eq!(retry_at(&world, runs[3]), Some(Timestamp(9_500_000)), "but all know until when");
    world.now = Timestamp(9_499_999);
    world.input(Input::Tick);
    assert_eq!(world.asked.len(), 2, "nothing was due");
}

#[test]
fn one_permit_that_comes_back_lets_the_one_who_waited_longest_through() {
    let (mut world, scope, runs) = waiting(4);
    for (at, run) in runs.iter().enumerate() {
        world.admissions = vec![granted_to(&scope), denied(&scope, Some(9_000_000))];
        world.input(freed(&scope));
        let mut expected = vec![Phase::Blocked; 4];
        expected[..=at].fill(Phase::Starting);
        assert_eq!(phases(&world, &runs), expected, "{run}");
    }
}

fn granted_to(scope: &Scope) -> Admission {
    let permit = Permit::plain(scope.clone(), 0);
    Admission::Granted { permits: vec![permit], probe: None, changes: Changes::default() }
}

#[test]
fn when_it_closes_all_go_on_in_the_order_in_which_they_waited() {
    let (mut world, scope, runs) = waiting(4);
    world.asked.clear();
    let change = changed(&world, &scope, BreakerState::HalfOpen, BreakerState::Closed);
    world.input(change);
    assert_eq!(world.asked, runs);
    assert_eq!(phases(&world, &runs), [Phase::Starting; 4]);
}

#[test]
fn the_first_in_line_that_is_stopped_leaves_its_turn_to_the_next() {
    let (mut world, scope, runs) = waiting(3);
    world.admissions = vec![denied(&scope, Some(9_000_000))];
    let effects = world.machine.stop(runs[0], None, world.now).expect("it lives");
    world.run(effects);
    assert_eq!(world.asked, runs[..2]);
    world.now = Timestamp(9_000_000);
    world.input(Input::Tick);
    assert_eq!(phases(&world, &runs), [Phase::Stopped, Phase::Starting, Phase::Starting]);
}

#[test]
fn the_first_in_line_that_another_scope_refuses_leaves_its_turn_to_the_next() {
    let (mut world, scope, runs) = waiting(3);
    let other = Scope("site:x".into());
    world.admissions = vec![denied(&other, None)];
    let change = changed(&world, &scope, BreakerState::HalfOpen, BreakerState::Closed);
    world.input(change);
    assert_eq!(phases(&world, &runs), [Phase::Blocked, Phase::Starting, Phase::Starting]);
    let change = changed(&world, &other, BreakerState::ForcedOpen, BreakerState::HalfOpen);
    world.input(change);
    world.assert_phase(runs[0], Phase::Starting);
}

#[test]
fn new_rules_let_those_ask_again_whom_the_old_ones_held_back() {
    let (mut world, _, runs) = waiting(3);
    let mut open = program("job");
    open.breaker = None;
    let configure = Configure::new(vec![open], []);
    let (_, effects) = world.machine.configure(configure, world.now);
    world.run(effects);
    assert_eq!(phases(&world, &runs), [Phase::Starting; 3]);
}

fn stopping() -> BreakerPolicy {
    BreakerPolicy::default().on_open(OnOpen::Stop)
}

#[test]
fn a_scope_that_opens_stops_what_lives_in_it_and_lets_it_go_on_when_it_closes() {
    for to in [BreakerState::Open, BreakerState::ForcedOpen] {
        let mut job = program("job");
        job.breaker = Some(stopping().into());
        let mut world = World::new(vec![job]);
        let scope = Scope::program("job");
        let (running, starting) = (world.start("job"), world.start("job"));
        world.launched(running);
        world.acts.clear();
        let change = changed(&world, &scope, BreakerState::Closed, to);
        world.input(change);
        world.assert_acts(&["stop 1"]);
        world.launched(starting);
        world.assert_acts(&["stop 1"]);
        let asked = |record: &JournalRecord| match &record.event {
            Event::StopRequested { why, .. } => Some((record.run, record.scope.clone(), why.clone())),
            _ => None,
        };
        let asked: Vec<_> = world.records.iter().filter_map(asked).collect();
        let why = "program:job opened, and its rules stop what lives there (on_open)";
        let of = |run| (Some(run), Some(scope.clone()), why.to_owned());
        assert_eq!(asked, [of(running), of(starting)], "told once each");

        world.admissions = vec![denied(&scope, None)];
        for run in [running, starting] {
            world.exited(run, ExitStatus::Signal { number: 15, core: false });
            let class = world.machine.run(run).and_then(|run| run.current()?.class.clone());
            assert_eq!(class.as_deref(), Some(Class::BREAKER_STOP));
        }
        // Neutral, and Retry was not asked: no failure, no retry used up.
        world.assert_acts(&["settle Some(Neutral)"; 2]);
        assert_eq!(phases(&world, &[running, starting]), [Phase::Blocked; 2]);
        let change = changed(&world, &scope, to, BreakerState::Closed);
        world.input(change);
        world.assert_acts(&["launch 2", "launch 2"]);
    }
}

#[test]
fn only_runs_of_the_scope_are_stopped_and_only_where_the_rules_say_so() {
    let mut careful = program("careful");
    careful.breakers = vec!["site:x".into()];
    let mut other = program("other");
    other.breakers = vec!["site:y".into()];
    let mut world = World::new(Vec::new());
    let configure = Configure::new(vec![careful, other, program("plain")], [("site:x".into(), stopping())]);
    let (_, effects) = world.machine.configure(configure, world.now);
    world.run(effects);
    for name in ["careful", "other", "plain"] {
        let run = world.start(name);
        world.launched(run);
    }
    world.acts.clear();
    for scope in ["site:y", "program:plain", "program:careful", "site:z"] {
        let change = changed(&world, &Scope(scope.into()), BreakerState::Closed, BreakerState::Open);
        world.input(change);
        world.assert_acts(&[]);
    }
    let change = changed(&world, &Scope("site:x".into()), BreakerState::Closed, BreakerState::Open);
    world.input(change);
    world.assert_acts(&["stop 1"]);
}

#[test]
fn a_run_that_somebody_stops_meanwhile_does_not_come_back() {
    let mut job = program("job");
    job.breaker = Some(stopping().into());
    let mut world = World::new(vec![job]);
    let run = world.start("job");
    world.launched(run);
    let change = changed(&world, &Scope::program("job"), BreakerState::Closed, BreakerState::Open);
    world.input(change);
    let effects = world.machine.stop(run, None, world.now).expect("it lives");
    world.run(effects);
    world.exited(run, ExitStatus::Signal { number: 15, core: false });
    world.assert_phase(run, Phase::Stopped);
}

#[test]
fn a_class_that_trips_does_so_in_its_own_scopes_alone() {
    let mut job = program("job");
    job.breakers = vec!["site:x".into()];
    let ban = ClassOverride::retry().scopes([ScopeKind::Shared]).trips();
    job.classes.insert("blocked".into(), ban);
    let mut world = World::new(vec![job]);
    world.class = Some("blocked");
    let run = world.start("job");
    world.launched(run);
    let attempt = world.attempt(run);
    let exit = ExitStatus::Code(1);
    let sizes = SpoolSizes { stdout: 9, ..SpoolSizes::default() };
    let report = Report::Exited { attempt, exit, sizes, leftovers: true };
    let effects = world.machine.step(Input::Launcher(report), world.now);
    let drained = effects.into_iter().find_map(|effect| match effect {
        Effect::Drain(drain) => world.answer(Effect::Drain(drain)),
        _ => None,
    });
    let effects = world.machine.step(drained.expect("the Monitor is asked"), world.now);
    let outcomes = effects.into_iter().find_map(|effect| match effect {
        Effect::AskBreaker(breaker::Ask::Settle(settle)) => Some(settle.outcomes),
        _ => None,
    });
    let outcomes = outcomes.expect("the breakers hear of it").into_iter();
    let said: Vec<_> = outcomes.map(|(permit, outcome)| (permit.scope.0, outcome)).collect();
    use crate::breaker::Outcome::{Neutral, Trip};
    assert_eq!(said, [("program:job".to_owned(), Neutral), ("site:x".to_owned(), Trip)]);
}

#[test]
fn fifty_runs_of_a_site_that_is_down_probe_one_by_one_and_come_back_in_order_and_apart() {
    let mut job = program("job");
    job.breakers = vec!["site:x".into()];
    let mut world = World::new(vec![job]);
    world.breaker = Some(breaker::Machine::new(1));
    world.class = Some(Class::RATE_LIMITED);
    let failing: Vec<_> = (0..5).map(|_| world.start("job")).collect();
    for run in &failing {
        world.launched(*run);
        world.decisions = vec![Decision::Done { why: "enough".into() }];
        exited_with_output(&mut world, *run);
    }
    let waiting: Vec<_> = (0..50)
        .map(|_| {
            world.now = world.now.plus(1);
            world.start("job")
        })
        .collect();
    assert_eq!(phases(&world, &waiting), [Phase::Blocked; 50]);

    // Three probes fail: the oldest three runs, each alone.
    for probe in &waiting[..3] {
        world.asked.clear();
        let starting = |world: &World| {
            let on = |run: &&RunId| world.machine.run(**run).is_some_and(|run| run.phase == Phase::Starting);
            waiting.iter().filter(on).copied().collect::<Vec<_>>()
        };
        while starting(&world).is_empty() {
            world.pass_time();
        }
        assert_eq!(starting(&world), [*probe], "the one that waited longest, and nobody else");
        assert!(world.asked.len() <= 3, "{} asked", world.asked.len());
        world.launched(*probe);
        world.decisions = vec![Decision::Done { why: "enough".into() }];
        exited_with_output(&mut world, *probe);
    }
    // The fourth succeeds; the rest follows a second apart for a minute, in order.
    world.class = None;
    world.asked.clear();
    let mut order = Vec::new();
    while order.len() < 47 {
        world.pass_time();
        for run in &waiting {
            if world.machine.run(*run).is_some_and(|run| run.phase == Phase::Starting) {
                order.push((*run, world.now));
                world.launched(*run);
                exited_with_output(&mut world, *run);
            }
        }
    }
    let runs: Vec<_> = order.iter().map(|(run, _)| *run).collect();
    assert_eq!(runs, waiting[3..], "in the order in which they waited");
    for pair in order[1..].windows(2) {
        assert!(pair[1].1.since(pair[0].1) >= 1_000, "a second apart");
    }
    assert!(world.asked.len() <= 2 * 47 + 2, "{} asked for 47 starts", world.asked.len());
}

/// An end whose output says what `World::class` says.
fn exited_with_output(world: &mut World, run: RunId) {
    let attempt = world.attempt(run);
    let exit = ExitStatus::Code(i32::from(world.class.is_some()));
    let sizes = SpoolSizes { stdout: 9, ..SpoolSizes::default() };
    world.input(Input::Launcher(Report::Exited { attempt, exit, sizes, leftovers: false }));
    world.input(Input::Launcher(Report::Emptied { attempt, sizes }));
}

#[test]
fn a_failure_at_the_floor_opens_the_scope_where_the_parameter_says_so() {
    use crate::model::{Adjust, ClassOverride, OnFloor, ParamSpec};
    for (on_floor, asked, outcome) in [
        (OnFloor::Trip, 10, "TripAtFloor"),
        (OnFloor::Trip, 100, "Lowering"),
        (OnFloor::Continue, 100, "Lowering"),
        (OnFloor::Continue, 10, "Failure"),
    ] {
        let program = program("job")
            .param(ParamSpec::integer("qpi").default(asked).range(10..=200).on_floor(on_floor))
            .class("exit_nonzero", ClassOverride::retry().adjust("qpi", Adjust::multiply(0.5)));
        let mut world = World::new(vec![program]);
        let run = world.start("job");
        world.launched(run);
        world.exited(run, ExitStatus::Code(1));
        let settled = world.acts.iter().find(|act| act.starts_with("settle")).cloned().unwrap_or_default();
        assert!(settled.contains(outcome), "{on_floor:?} at {asked}: {settled}");
    }
}

#[test]
fn of_all_scopes_that_refuse_the_one_that_refuses_longest_is_told() {
    use crate::breaker::OperatorAct;
    let (a, b) = (Scope("site:a".into()), Scope("site:b".into()));
    let gated = |name: &str, scopes: &[&Scope]| {
        let mut job = program(name);
        (job.breaker, job.breakers) = (None, scopes.iter().map(|scope| scope.0.clone()).collect());
        job
    };
    let mut world =
        World::new(vec![gated("one", &[&a]), gated("both", &[&a, &b]), gated("other", &[&b, &a])]);
    let mut breaker = breaker::Machine::new(1);
    for (scope, ttl_ms) in [(&a, 30_000), (&b, 300_000)] {
        let open = OperatorAct::ForceOpen { ttl_ms: Some(ttl_ms) };
        let _ = breaker.operate(world.now, scope, open, None, None);
    }
    world.breaker = Some(breaker);
    let told = |world: &World, run| {
        let held = world.machine.run(run).and_then(|run| run.held.clone()).expect("it is held back");
        (held.scope.expect("a breaker holds it"), held.retry_at.map(|at| at.since(Timestamp(1_000_000))))
    };
    let first = world.start("one");
    assert_eq!(told(&world, first), (a.clone(), Some(30_000)));
    // Somebody waits for the first of their scopes already.
    for name in ["both", "other"] {
        let run = world.start(name);
        assert_eq!(told(&world, run), (b.clone(), Some(300_000)), "{name}");
    }
}

#[test]
fn two_texts_that_come_out_as_one_scope_are_one_scope() {
    let mut job =
        program("job").shared_breaker("site:{a}").shared_breaker("site:{b:lower}").shared_breaker("s");
    job.breakers.push("s".into());
    job = job.param(crate::model::ParamSpec::string("a")).param(crate::model::ParamSpec::string("b"));
    let world = World::new(vec![job]);
    let scopes = |a: &str, b: &str| {
        let mut start = Start { program: "job".into(), ..Start::default() };
        start.params = [("a".to_owned(), a.into()), ("b".to_owned(), b.into())].into();
        let gates = world.machine.check_start(&start).expect("it fits").gates;
        gates.into_iter().map(|gate| gate.scope.0).collect::<Vec<_>>()
    };
    assert_eq!(scopes("x", "X"), ["program:job", "site:x", "s"]);
    assert_eq!(scopes("x", "y"), ["program:job", "site:x", "site:y", "s"]);
}
