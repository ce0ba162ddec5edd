//! What holds whatever happens: random histories of three runs that share a site, with and without a budget.
//!
//! Faults that were put into the machine by hand, one at a time, and a test that caught each (others often did too);
//! `cargo test --test faults -- --ignored` puts them in again.
//!
//! | fault | caught by |
//! |---|---|
//! | health keeps the first failure of the row | `tests::conformance::health_ends_the_row_that_max_failing_measures` |
//! | health clears the automatic starts | `tests::conformance::health_does_not_clear_the_count_of_restarts` |
//! | the window of intensity is a millisecond shorter | `intensity::tests::no_half_open_window_holds_more_starts_than_allowed` |
//! | a wish of the other side is not capped | `tests::the_other_side_may_ask_for_a_longer_wait_within_reason` |
//! | a failure that does not count uses up a retry | `tests::failures_that_do_not_count_leave_n_and_are_delayed_by_their_own_number` |
//! | what must not be tried again is tried again | `tests::a_class_that_cannot_be_helped_is_not_tried_again` |
//! | a start after a quarantine that fails is like any other | `tests::conformance::a_quarantine_that_ends_by_itself_allows_one_start_and_its_failure_begins_another` |
//! | jitter is clipped after it was drawn | `tests::conformance::a_thousand_runs_that_fail_together_come_back_apart` |
//! | the way back does not avoid the last bad value | `tests::adjusting::success_raises_step_by_step_after_the_hold_and_avoids_what_was_bad` |
//! | the way back goes above what was asked for | `tests::invariants::a_parameter_stays_in_its_bounds_falls_once_per_cooldown_and_comes_back` |
//! | half the cooldown is enough for another decrease | `adjust::tests::one_incident_lowers_once` |
//! | what errors lowered falls again for the end of the attempt | `tests::adjusting::errors_of_a_living_attempt_and_its_end_are_one_incident_for_its_own_value` |
//! | paying leaves the tokens in the bucket | `tests::budgeting::a_retry_takes_a_token_and_the_next_ones_are_due_when_theirs_are_there` |
//! | a start with enough tokens overtakes the line | `budget::tests::a_late_cheap_start_does_not_overtake_an_early_dear_one` |
//! | a streak comes back without its first failure | `saved::tests::what_was_saved_is_read_back` |
//! | a shared value that is in use is forgotten | `tests::adjusting::a_shared_value_that_somebody_runs_with_is_kept_over_restarts` |
//! | a failure of another class is no use of a shared value | `tests::adjusting::a_shared_value_that_somebody_runs_with_is_kept_over_restarts` |
//! | a value that stays within its cooldown does so without a word | `tests::adjusting::errors_of_a_living_attempt_lower_what_siblings_share_at_once` |

mod clock;

use super::*;
use crate::model::{RetryBudget, Scope};

/// One more thing that may happen to one of three runs.
#[derive(Clone, Debug)]
enum Act {
    /// The attempt ends by this class after so long.
    Ends(&'static str, u64, Option<u64>),
    Succeeds,
    /// Another `reset_after` of health.
    Healthy,
    /// So many errors while it lives.
    Errors(&'static str),
    /// An operator starts it.
    Operator,
    /// Somebody else's first start.
    Deposit,
    /// A breaker refuses whoever asks next.
    Refuse,
    /// The supervisor is replaced.
    Restart,
}

fn acts() -> impl Strategy<Value = Vec<(u64, u128, Act)>> {
    let class = || {
        prop::sample::select(vec![
            "crash",
            "rate_limited",
            "network",
            "lost",
            "spawn_transient",
            "config",
            "blocked",
        ])
    };
    let act = prop_oneof![
        8 => (class(), 0..700_000u64, prop::option::of(0..8_000_000u64))
            .prop_map(|(class, uptime, hint)| Act::Ends(class, uptime, hint)),
        1 => Just(Act::Succeeds),
        2 => Just(Act::Healthy),
        1 => class().prop_map(Act::Errors),
        1 => Just(Act::Operator),
        1 => Just(Act::Deposit),
        1 => Just(Act::Refuse),
        1 => Just(Act::Restart),
    ];
    prop::collection::vec((0..400_000u64, 0..3u128, act), 1..80)
}

/// Where a run is, as the one who asks sees it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    Runs,
    Waits,
    Deferred,
    Ended,
}

/// A machine and all that it was made to save, as a Manager would treat it.
struct World {
    machine: Machine,
    program: Program,
    base: Params,
    now: Timestamp,
    store: BTreeMap<String, Vec<u8>>,
    places: [Place; 3],
    refuse: bool,
    /// Automatic starts by run.
    starts: [Vec<u64>; 3],
    /// When each was started last, by whomever: no attempt lived for longer than since then.
    started: [Timestamp; 3],
    lowered: Vec<u64>,
    paid: u64,
    deposits: u64,
}

const SEED: u64 = 3;

const BEGAN: Timestamp = Timestamp(1_000_000_000);

impl World {
    fn new(always: bool, budget: Option<RetryBudget>) -> Self {
        let mut program = restarting(true, always);
        program.retry.intensity = Some(Intensity { restarts: 3, window_ms: 300_000 });
        let now = BEGAN;
        let mut machine = Machine::new(SEED);
        machine.set_budget(now, budget);
        Self {
            machine,
            program,
            base: at_host("shop.example"),
            now,
            store: BTreeMap::new(),
            places: [Place::Runs; 3],
            refuse: false,
            starts: Default::default(),
            started: [now; 3],
            lowered: Vec::new(),
            paid: 0,
            deposits: 0,
        }
    }

    fn save(&mut self, puts: Vec<Put>) {
        for put in puts {
            match put.value {
                Some(value) => drop(self.store.insert(put.key, value)),
                None => drop(self.store.remove(&put.key)),
            }
        }
    }

    fn note(&mut self, events: &[(Option<Scope>, Event)]) {
        for (_, event) in events {
            if let Event::ParamChanged { from, to, .. } = event
                && to.as_micros() < from.as_micros()
            {
                self.lowered.push(self.now.0);
            }
        }
    }

    fn place(&mut self, who: u128) -> &mut Place {
        &mut self.places[usize::try_from(who).unwrap()]
    }

    /// The run is due: budget, then breakers, then it starts.
    fn start(&mut self, who: u128, automatic: bool) {
        let free = match self.machine.reserve(self.now, run(who), 0, &[]) {
            Leave::Deferred { retry_at, .. } => {
                assert!(automatic, "an operator's start is free");
                assert!(retry_at.is_some_and(|at| at > self.now), "who waits knows until when");
                *self.place(who) = Place::Deferred;
                return;
            }
            Leave::Denied { why } => panic!("{why}"),
            Leave::Free => true,
            Leave::Promised => false,
        };
        if std::mem::take(&mut self.refuse) {
            self.machine.release(run(who));
            *self.place(who) = Place::Waits;
            self.machine.schedule(run(who), self.now.plus(1_000));
            return;
        }
        if !free {
            self.paid += u64::from(self.machine.streaks[&run(who)].cost_permille);
        }
        let saved = self.machine.pay(self.now, run(who));
        self.save(saved);
        *self.place(who) = Place::Runs;
        let index = usize::try_from(who).unwrap();
        self.started[index] = self.now;
        if automatic {
            self.starts[index].push(self.now.0);
        }
    }

    /// Time goes on to `until`; whoever is due on the way starts at his time.
    fn pass(&mut self, until: Timestamp) {
        while let Some(at) = self.machine.next_due().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            while let Some(due) = self.machine.take_due(self.now) {
                let who = (0..3).find(|who| run(*who) == due).expect("one of ours");
                assert_ne!(*self.place(who), Place::Ended, "nothing starts by itself after the end");
                assert_ne!(*self.place(who), Place::Runs, "nothing starts twice");
                self.start(who, true);
            }
        }
        self.now = self.now.max(until);
    }

    fn end(&mut self, who: u128, outcome: &Outcome, uptime_ms: u64) -> Option<Verdict> {
        if *self.place(who) != Place::Runs {
            return None;
        }
        let uptime_ms = uptime_ms.min(self.now.since(self.started[usize::try_from(who).unwrap()]));
        let verdict = self.machine.ended(
            self.now,
            End {
                run: run(who),
                program: &self.program,
                base: &self.base,
                outcome,
                uptime_ms,
                quarantine: None,
            },
        );
        self.note(&verdict.events);
        self.save(verdict.saved.clone());
        if let Decision::RetryAt { at, .. } = verdict.decision {
            *self.place(who) = Place::Waits;
            self.machine.schedule(run(who), at);
        } else {
            *self.place(who) = Place::Ended;
            let _ = self.machine.cancel(run(who));
            let saved = self.machine.forget(run(who));
            self.save(saved);
        }
        Some(verdict)
    }

    fn act(&mut self, who: u128, act: &Act) -> Option<Verdict> {
        match act {
            Act::Ends(class, uptime, hint) => {
                let outcome = Outcome::Failed { class: (*class).into(), retry_after_ms: *hint };
                return self.end(who, &outcome, *uptime);
            }
            Act::Succeeds => return self.end(who, &Outcome::Success, 700_000),
            Act::Healthy | Act::Errors(_) if *self.place(who) != Place::Runs => {}
            Act::Healthy => {
                let change = self.machine.healthy(self.now, run(who), &self.program, &self.base);
                self.save(change.saved);
            }
            Act::Errors(class) => {
                let change = self.machine.adjust(self.now, run(who), &self.program, &self.base, class);
                self.note(&change.events);
                self.save(change.saved);
            }
            Act::Operator if *self.place(who) == Place::Runs => {}
            Act::Operator => {
                let saved = self.machine.cancel(run(who));
                self.save(saved);
                self.start(who, false);
            }
            Act::Deposit => {
                let saved = self.machine.deposit(self.now, &[]);
                self.deposits += u64::from(!saved.is_empty()) * 200;
                self.save(saved);
            }
            Act::Refuse => self.refuse = true,
            Act::Restart => self.restart(),
        }
        None
    }

    /// Everything but what was saved is forgotten; who waited is scheduled anew, as the Manager does it.
    fn restart(&mut self) {
        let mut waiting = Vec::new();
        for who in 0..3 {
            match *self.place(who) {
                Place::Waits => {
                    let at = self.machine.schedule.find(run(who));
                    waiting.push((who, at.unwrap_or(self.now)));
                }
                Place::Deferred => waiting.push((who, self.now.plus(1))),
                Place::Runs | Place::Ended => {}
            }
        }
        let rules = self.machine.budgets.rules();
        self.machine = Machine::new(SEED);
        self.machine.set_budget(self.now, rules);
        let saved: Vec<_> = self.store.clone().into_iter().collect();
        assert_eq!(self.machine.restore(self.now, ClockShift::default(), &saved), (Vec::new(), Vec::new()));
        for (who, at) in waiting {
            *self.place(who) = Place::Waits;
            self.machine.schedule(run(who), at);
        }
    }

    fn live(&mut self, log: &[(u64, u128, Act)]) -> Vec<(Timestamp, u128, Verdict)> {
        let mut verdicts = Vec::new();
        for (gap, who, act) in log {
            let until = self.now.plus(*gap);
            self.pass(until);
            if let Some(verdict) = self.act(*who, act) {
                verdicts.push((self.now, *who, verdict));
            }
        }
        verdicts
    }
}

fn a_budget() -> impl Strategy<Value = RetryBudget> {
    (1..4u32, 0..4u32).prop_map(|(capacity, refill)| {
        RetryBudget::tokens(f64::from(capacity) + 1.0).deposit(0.2).refill_per_minute(f64::from(refill) + 0.7)
    })
}

fn some_budget() -> impl Strategy<Value = Option<RetryBudget>> {
    prop::option::of(a_budget())
}

proptest! {
    // I10: a delay is between min and max, whatever the jitter, or what the other side asks for within reason.
    #[test]
    fn every_delay_is_within_its_bounds(log in acts(), always in any::<bool>(), budget in some_budget()) {
        let mut world = World::new(always, budget);
        for (at, _, verdict) in world.live(&log) {
            if let Decision::RetryAt { raw_ms, delay_ms, at: due, .. } = verdict.decision {
                prop_assert!((100..=21_600_000).contains(&delay_ms), "{delay_ms}");
                prop_assert!(raw_ms <= 21_600_000);
                prop_assert_eq!(due, at.plus(delay_ms));
            }
        }
    }

    // I12: a start that the budget or a breaker holds back changes neither counters, nor tokens, nor intensity.
    #[test]
    fn a_start_that_is_held_back_costs_nothing(log in acts(), budget in some_budget()) {
        let mut world = World::new(true, budget);
        world.live(&log);
        for who in 0..3 {
            let before = (world.machine.streaks.get(&run(who)).cloned(), world.machine.budgets.level());
            let refilled = world.machine.budgets.level();
            let leave = world.machine.reserve(before.1.map_or(world.now, |level| level.at), run(who), 0, &[]);
            if let Leave::Deferred { .. } = leave {
                prop_assert!(budget.is_some());
            }
            world.machine.release(run(who));
            let after = (world.machine.streaks.get(&run(who)).cloned(), world.machine.budgets.level());
            prop_assert_eq!(before, after);
            prop_assert_eq!(refilled, world.machine.budgets.level());
        }
    }

    // I13: automatic starts in any half-open window are at most what intensity allows.
    #[test]
    fn no_window_has_more_automatic_starts_than_intensity_allows(
        log in acts(), always in any::<bool>(), budget in some_budget(),
    ) {
        // An end says how long the attempt lived; here it is what the world saw, so that starts are where they were.
        let mut world = World::new(always, budget);
        for (gap, who, act) in &log {
            let until = world.now.plus(*gap);
            world.pass(until);
            match act {
                Act::Ends(class, _, hint) => drop(world.act(*who, &Act::Ends(class, u64::MAX, *hint))),
                Act::Succeeds => drop(world.end(*who, &Outcome::Success, u64::MAX)),
                other => drop(world.act(*who, other)),
            }
        }
        for starts in &world.starts {
            for first in starts {
                let within = starts.iter().filter(|at| *at >= first && *at - first < 300_000).count();
                prop_assert!(within <= 3, "{within} from {first}: {starts:?}");
            }
        }
    }

    // I14: what retries paid is at most what was there, what time brought and what first starts brought.
    #[test]
    fn retries_pay_no_more_than_there_ever_was(log in acts(), rules in a_budget()) {
        let mut world = World::new(true, Some(rules));
        world.live(&log);
        let minutes = u64::from(rules.refill_per_minute_permille) * world.now.since(BEGAN) / 60_000;
        prop_assert!(world.paid <= u64::from(rules.capacity_permille) + minutes + world.deposits, "{}", world.paid);
    }

    // I15: floor ≤ parameter ≤ base, at most one decrease in a cooldown, and back at the base after endless success.
    #[test]
    fn a_parameter_stays_in_its_bounds_falls_once_per_cooldown_and_comes_back(log in acts(), always in any::<bool>()) {
        let mut world = World::new(always, None);
        for step in &log {
            world.live(std::slice::from_ref(step));
            let qpi = world.machine.prepare(run(1), &world.program, &world.base, None)["qpi"].as_micros();
            prop_assert!(qpi >= Some(10_000_000) && qpi <= Some(100_000_000), "{qpi:?}");
        }
        prop_assert!(world.lowered.windows(2).all(|pair| pair[1] - pair[0] >= 60_000), "{:?}", world.lowered);
        let mut job = world.program.clone();
        job.restart = Restart::OnFailure;
        let mut before = Some(0);
        for _ in 0..400 {
            world.now = world.now.plus(300_000);
            let end = End { run: run(77), program: &job, base: &world.base, outcome: &Outcome::Success, uptime_ms: 1, quarantine: None };
            let _ = world.machine.ended(world.now, end);
            let qpi = world.machine.prepare(run(78), &world.program, &world.base, None)["qpi"].as_micros();
            prop_assert!(qpi >= before, "success never lowers");
            before = qpi;
        }
        prop_assert_eq!(before, Some(100_000_000));
        prop_assert!(world.machine.shared.all().is_empty(), "and nothing is kept of it");
    }

    // I16: the count is 0 after health; a crash loop that never gets well has delays that do not shrink until it gives up.
    #[test]
    fn a_crash_loop_has_growing_delays_and_health_ends_it(
        uptimes in prop::collection::vec(0..600_000u64, 1..40), class in prop::sample::select(vec!["crash", "network", "oom"]),
    ) {
        let mut life = Life::of(daemon());
        life.program.retry.intensity = None;
        let mut before = 0;
        for uptime in uptimes {
            let (_, delay) = life.retry(class, uptime);
            prop_assert!(delay >= before);
            before = delay;
        }
        let first = Life::of(daemon()).retry(class, 1);
        prop_assert_eq!(life.retry(class, 600_000), first);
    }

    // I17 and I19: a machine that was saved and restored at any point decides as the one that was not; equal seeds and
    // equal histories give equal decisions.
    #[test]
    fn a_supervisor_that_is_replaced_changes_no_decision(
        log in acts(), cut in 0..80usize, always in any::<bool>(), budget in some_budget(),
    ) {
        let log: Vec<_> = log.into_iter().filter(|(_, _, act)| !matches!(act, Act::Restart)).collect();
        let (mut lasting, mut replaced) = (World::new(always, budget), World::new(always, budget));
        for (place, (gap, who, act)) in log.iter().enumerate() {
            for (world, restarts) in [(&mut lasting, false), (&mut replaced, true)] {
                let until = world.now.plus(*gap);
                world.pass(until);
                // Who waits for tokens gets in line again, behind whoever asks at the same time: not here.
                if restarts && place == cut && !world.places.contains(&Place::Deferred) {
                    world.restart();
                }
            }
            let (one, other) = (lasting.act(*who, act), replaced.act(*who, act));
            prop_assert_eq!(format!("{one:?}"), format!("{other:?}"));
        }
        prop_assert_eq!(lasting.places, replaced.places);
        prop_assert_eq!(lasting.store, replaced.store);
    }

    // I21 and I22 are asserted on the way: nothing starts after an end, nothing starts twice (`World::pass`).
    #[test]
    fn nothing_starts_by_itself_after_the_end(log in acts(), always in any::<bool>(), budget in some_budget()) {
        let mut world = World::new(always, budget);
        world.live(&log);
        let far = world.now.plus(30 * 86_400_000);
        world.refuse = false;
        world.pass(far);
        // And no dead end: who waited has started.
        prop_assert!(world.places.iter().all(|place| matches!(place, Place::Runs | Place::Ended)), "{:?}", world.places);
    }
}
