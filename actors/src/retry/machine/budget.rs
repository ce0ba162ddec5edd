//! The tokens of one retry budget, and the line of starts that wait for them.
//!
//! A token that is promised to a start is set aside and still there. It is taken when the breakers have let the start
//! through; a start that they refuse gives the promise back. So a start that is held back costs no tokens, and no two
//! starts are promised the same token.
//!
//! Tokens are counted in sixty-thousandths of a thousandth, so that a refill per minute adds a whole number in each
//! millisecond: nothing is rounded, however often the clock is looked at.

use crate::model::{OnEmpty, RetryBudget, RunId, Scope, Timestamp, tokens};
use serde::{Deserialize, Serialize};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
};

/// The number of our units in a thousandth of a token. It is also the number of milliseconds in a minute, so a refill
/// has no remainder.
const UNITS: u64 = 60_000;

/// What is saved of a bucket. The rest is built anew when the starts that still wait ask again.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Level {
    /// The tokens in the bucket, in our units.
    pub(super) units: u64,
    /// The time at which the bucket held them.
    pub(super) at: Timestamp,
}

/// Whether a start gets its tokens.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Promise {
    /// The tokens are set aside for the start.
    Kept,
    /// Not yet: the start stands in line.
    Later {
        /// When there will be enough for this start and all before it; `None` when time alone brings no tokens.
        at: Option<Timestamp>,
        /// The reason, as a sentence.
        why: String,
    },
    /// Not at all: the rules say that a run gives up when it finds too few tokens.
    Never {
        /// The reason, as a sentence.
        why: String,
    },
}

/// A position in line: the higher priority first, then in order of asking.
type Place = (Reverse<i32>, u64);

/// The starts that stand in line at one priority.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Waiting {
    starts: usize,
    units: u64,
}

/// The bucket and the line before it.
#[derive(Debug)]
pub(super) struct Budget {
    rules: RetryBudget,
    /// The scope of the bucket; `None`: the bucket of all programs.
    of: Option<Scope>,
    level: Level,
    /// Units set aside for starts about which the breakers are being asked.
    promised: HashMap<RunId, u64>,
    promised_units: u64,
    /// The runs that wait, in order, with their cost.
    line: BTreeMap<Place, (RunId, u64)>,
    places: HashMap<RunId, Place>,
    /// The starts in line by priority, so that a new start need not look at them one by one.
    waiting: BTreeMap<Reverse<i32>, Waiting>,
    asked: u64,
}

impl Budget {
    /// Creates a full bucket.
    pub(super) fn new(rules: RetryBudget, of: Option<Scope>, now: Timestamp) -> Self {
        Self {
            rules,
            of,
            level: Level { units: units(rules.capacity_permille), at: now },
            promised: HashMap::new(),
            promised_units: 0,
            line: BTreeMap::new(),
            places: HashMap::new(),
            waiting: BTreeMap::new(),
            asked: 0,
        }
    }

    /// Replaces the rules. The tokens in the bucket are kept, up to the new capacity.
    pub(super) fn set_rules(&mut self, now: Timestamp, rules: RetryBudget) {
        self.refill(now);
        self.rules = rules;
        self.level.units = self.level.units.min(units(rules.capacity_permille));
    }

    /// Takes over a saved level. Time that passed since then brings its tokens; a clock that stands earlier now
    /// brings none.
    pub(super) fn restore(&mut self, now: Timestamp, saved: Level) {
        self.level = Level { units: saved.units, at: saved.at.min(now) };
        self.refill(now);
    }

    /// The rules of the bucket.
    #[cfg(test)]
    pub(super) const fn rules(&self) -> RetryBudget {
        self.rules
    }

    /// The level to be saved.
    pub(super) const fn level(&self) -> Level {
        self.level
    }

    fn refill(&mut self, now: Timestamp) {
        let rate = u64::from(self.rules.refill_per_minute_permille);
        let brought = rate.saturating_mul(now.since(self.level.at));
        let full = units(self.rules.capacity_permille);
        self.level.units = self.level.units.saturating_add(brought).min(full);
        self.level.at = self.level.at.max(now);
    }

    /// A first start brings its tokens; a full bucket loses them.
    pub(super) fn deposit(&mut self, now: Timestamp) {
        self.refill(now);
        let full = units(self.rules.capacity_permille);
        self.level.units = self.level.units.saturating_add(units(self.rules.deposit_permille)).min(full);
    }

    const fn free(&self) -> u64 {
        self.level.units.saturating_sub(self.promised_units)
    }

    /// Asks for the tokens of one start: they are promised at once, or the start gets in line. A start that is in
    /// line already keeps its position.
    pub(super) fn ask(&mut self, now: Timestamp, run: RunId, priority: i32, cost_permille: u32) -> Promise {
        self.refill(now);
        if self.promised.contains_key(&run) {
            return Promise::Kept;
        }
        // A start that costs more than the bucket ever holds would wait in vain.
        let cost = units(cost_permille.min(self.rules.capacity_permille));
        if let Some(place) = self.places.get(&run).copied() {
            let units = self.line.range(..place).map(|(_, (_, units))| *units).sum();
            let starts = self.line.range(..place).count();
            return self.later(Waiting { starts, units }, cost);
        }
        let before = self.before(priority);
        if before.starts == 0 && self.free() >= cost {
            self.promise(run, cost);
            return Promise::Kept;
        }
        if self.rules.on_empty == OnEmpty::GiveUp {
            return Promise::Never { why: format!("{}, and on_empty = \"give_up\"", self.lacks(cost)) };
        }
        let place = (Reverse(priority), self.asked);
        self.asked += 1;
        self.line.insert(place, (run, cost));
        self.places.insert(run, place);
        let waiting = self.waiting.entry(place.0).or_default();
        waiting.starts += 1;
        waiting.units += cost;
        self.later(before, cost)
    }

    /// What stands in line before a new start of this priority.
    fn before(&self, priority: i32) -> Waiting {
        let before = self.waiting.range(..=Reverse(priority));
        before.fold(Waiting::default(), |sum, (_, one)| Waiting {
            starts: sum.starts + one.starts,
            units: sum.units.saturating_add(one.units),
        })
    }

    fn later(&self, before: Waiting, cost: u64) -> Promise {
        let at = self.time_of(before.units.saturating_add(cost));
        let behind = match before.starts {
            0 => String::new(),
            1 => "; one start waits before it".to_owned(),
            n => format!("; {n} starts wait before it"),
        };
        Promise::Later { at, why: self.lacks(cost) + &behind }
    }

    fn lacks(&self, cost: u64) -> String {
        let whole = |units: u64| tokens(u32::try_from(units / UNITS).unwrap_or(u32::MAX));
        let of = self.of.as_ref().map(|scope| format!(" of {scope}")).unwrap_or_default();
        format!(
            "the retry budget{of} has {} tokens, and this start costs {}",
            whole(self.free()),
            whole(cost)
        )
    }

    /// Whether the bucket is full, and no start has been promised tokens or waits for them: a new bucket would be the
    /// same.
    pub(super) fn rests(&mut self, now: Timestamp) -> bool {
        self.refill(now);
        let full = self.level.units >= units(self.rules.capacity_permille);
        full && self.promised.is_empty() && !self.has_line()
    }

    /// Whether any start waits.
    pub(super) fn has_line(&self) -> bool {
        !self.line.is_empty()
    }

    /// The first millisecond at which `wanted` units will be free; `None` when time alone does not bring them.
    fn time_of(&self, wanted: u64) -> Option<Timestamp> {
        let rate = u64::from(self.rules.refill_per_minute_permille);
        match wanted.saturating_sub(self.free()) {
            0 => Some(self.level.at),
            _ if rate == 0 => None,
            missing => Some(self.level.at.plus(missing.div_ceil(rate))),
        }
    }

    /// When this run can have had this many thousandths of a token, behind those that stand in line before it.
    pub(super) fn foreseen(&self, run: RunId, priority: i32, permille: u64) -> Option<Timestamp> {
        let own = self.promised.get(&run).copied().unwrap_or(0);
        let before = match self.places.get(&run) {
            Some(place) => self.line.range(..*place).map(|(_, (_, units))| *units).sum(),
            None => self.before(priority).units,
        };
        let wanted = permille.saturating_mul(UNITS).saturating_sub(own);
        self.time_of(before.saturating_add(wanted))
    }

    fn promise(&mut self, run: RunId, cost: u64) {
        self.promised.insert(run, cost);
        self.promised_units += cost;
    }

    /// When the first start in line gets its tokens.
    pub(super) fn next_ready(&self) -> Option<Timestamp> {
        let (_, (_, cost)) = self.line.first_key_value()?;
        self.time_of(*cost)
    }

    /// Takes the first start in line if there are enough tokens for it now, and sets them aside for it.
    pub(super) fn take_ready(&mut self, now: Timestamp) -> Option<RunId> {
        self.refill(now);
        let (place, (run, cost)) = self.line.first_key_value()?;
        if *cost > self.free() {
            return None;
        }
        let (place, run, cost) = (*place, *run, *cost);
        self.leave(place);
        self.promise(run, cost);
        Some(run)
    }

    /// The start is made: what was set aside for it is gone. Returns whether anything was set aside.
    pub(super) fn pay(&mut self, now: Timestamp, run: RunId) -> bool {
        self.refill(now);
        let Some(cost) = self.promised.remove(&run) else { return false };
        self.promised_units -= cost;
        self.level.units = self.level.units.saturating_sub(cost);
        true
    }

    /// The start is not made after all, or not now: gives back its promise, or its place in line.
    pub(super) fn release(&mut self, run: RunId) {
        if let Some(cost) = self.promised.remove(&run) {
            self.promised_units -= cost;
        }
        if let Some(place) = self.places.get(&run).copied() {
            self.leave(place);
        }
    }

    fn leave(&mut self, place: Place) {
        let Some((run, cost)) = self.line.remove(&place) else { return };
        self.places.remove(&run);
        if let Some(waiting) = self.waiting.get_mut(&place.0) {
            waiting.starts -= 1;
            waiting.units -= cost;
            if waiting.starts == 0 {
                self.waiting.remove(&place.0);
            }
        }
    }

    /// All waiting runs, in order.
    pub(super) fn into_line(self) -> impl Iterator<Item = RunId> {
        self.line.into_values().map(|(run, _)| run)
    }
}

const fn units(permille: u32) -> u64 {
    permille as u64 * UNITS
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn budget(capacity: u32, deposit: u32, refill: u32) -> Budget {
        let rules = RetryBudget {
            capacity_permille: capacity,
            deposit_permille: deposit,
            refill_per_minute_permille: refill,
            ..RetryBudget::default()
        };
        Budget::new(rules, None, Timestamp(0))
    }

    fn run(n: u128) -> RunId {
        RunId::from_parts(0, n)
    }

    fn time(promise: &Promise) -> Option<u64> {
        match promise {
            Promise::Kept => Some(0),
            Promise::Later { at, .. } => at.map(|at| at.0),
            Promise::Never { .. } => None,
        }
    }

    #[test]
    fn who_lacks_tokens_waits_to_the_very_millisecond_in_order_of_asking() {
        let mut budget = budget(2_000, 200, 700);
        let mut ask = |n, cost| time(&budget.ask(Timestamp(0), run(n), 0, cost));
        let asked = [ask(1, 2_000), ask(2, 1_000), ask(3, 1_000)];
        // 1,000 thousandths at 700 a minute take 85,714 2/7 ms.
        assert_eq!(asked, [Some(0), Some(85_715), Some(171_429)]);
        assert!(budget.pay(Timestamp(0), run(1)));
        assert_eq!(budget.next_ready(), Some(Timestamp(85_715)));
        assert_eq!(budget.take_ready(Timestamp(85_714)), None);
        assert_eq!(budget.take_ready(Timestamp(85_715)), Some(run(2)));
        assert!(budget.pay(Timestamp(85_715), run(2)));
        assert_eq!(budget.next_ready(), Some(Timestamp(171_429)), "the remainder was not lost");
    }

    #[test]
    fn a_late_cheap_start_does_not_overtake_an_early_dear_one() {
        let mut budget = budget(2_000, 0, 1_000);
        assert_eq!(budget.ask(Timestamp(0), run(1), 0, 1_500), Promise::Kept);
        assert!(budget.pay(Timestamp(0), run(1)));
        assert_eq!(time(&budget.ask(Timestamp(0), run(2), 0, 2_000)), Some(90_000));
        assert_eq!(time(&budget.ask(Timestamp(0), run(3), 0, 100)), Some(96_000));
        assert_eq!(
            time(&budget.ask(Timestamp(0), run(3), 0, 100)),
            Some(96_000),
            "to ask twice changes nothing"
        );
    }

    #[test]
    fn a_higher_priority_goes_before_all_of_a_lower_one_and_equal_ones_in_order_of_asking() {
        let mut budget = budget(1_000, 0, 1_000);
        assert_eq!(budget.ask(Timestamp(0), run(1), 0, 1_000), Promise::Kept);
        assert!(budget.pay(Timestamp(0), run(1)));
        let mut ask = |n, priority| budget.ask(Timestamp(0), run(n), priority, 1_000);
        assert_eq!(
            [ask(2, 0), ask(3, -5), ask(4, 7), ask(5, 0)].each_ref().map(time),
            [60_000, 120_000, 60_000, 180_000].map(Some)
        );
        let Promise::Later { at: Some(at), why } = ask(6, 7) else { panic!() };
        assert!((at, why.ends_with("one start waits before it")) == (Timestamp(120_000), true), "{why}");
        let Promise::Later { at: Some(at), why } = ask(2, 0) else { panic!() };
        assert!((at, why.ends_with("2 starts wait before it")) == (Timestamp(180_000), true), "{why}");
        assert_eq!(budget.foreseen(run(9), 7, 1_000), Some(Timestamp(180_000)));
        assert_eq!(budget.foreseen(run(9), -5, 1_000), Some(Timestamp(360_000)));
        for (n, minute) in [4, 6, 2, 5, 3].into_iter().zip(1..) {
            let now = Timestamp(minute * 60_000);
            assert_eq!(budget.take_ready(now), Some(run(n)));
            assert!(budget.pay(now, run(n)));
        }
    }

    #[test]
    fn a_cheap_start_of_a_higher_priority_does_not_wait_for_a_dear_one_of_a_lower() {
        let mut budget = budget(2_000, 0, 0);
        assert_eq!(budget.ask(Timestamp(0), run(1), 0, 1_000), Promise::Kept);
        assert_eq!(time(&budget.ask(Timestamp(0), run(2), 0, 2_000)), None);
        assert_eq!(time(&budget.ask(Timestamp(0), run(3), 0, 500)), None, "of equal ones who came first");
        assert_eq!(budget.ask(Timestamp(0), run(4), 1, 500), Promise::Kept);
    }

    #[test]
    fn a_deposit_is_seen_at_once_and_a_full_bucket_forfeits_it() {
        let mut budget = budget(1_000, 400, 0);
        budget.deposit(Timestamp(0));
        assert_eq!(budget.level().units, units(1_000));
        assert_eq!(budget.ask(Timestamp(0), run(1), 0, 1_000), Promise::Kept);
        assert!(budget.pay(Timestamp(0), run(1)));
        let Promise::Later { at: None, why } = budget.ask(Timestamp(5), run(2), 0, 1_000) else { panic!() };
        assert_eq!(why, "the retry budget has 0 tokens, and this start costs 1");
        for _ in 0..2 {
            budget.deposit(Timestamp(6));
            assert_eq!(budget.take_ready(Timestamp(6)), None);
        }
        budget.deposit(Timestamp(6));
        assert_eq!(budget.take_ready(Timestamp(6)), Some(run(2)));
    }

    #[test]
    fn a_promise_that_is_given_back_leaves_the_bucket_as_it_was() {
        let mut budget = budget(1_000, 0, 0);
        assert_eq!(budget.ask(Timestamp(0), run(1), 0, 1_000), Promise::Kept);
        assert_eq!(
            time(&budget.ask(Timestamp(0), run(2), 0, 1_000)),
            None,
            "no two are promised the same token"
        );
        budget.release(run(1));
        assert!(!budget.pay(Timestamp(0), run(1)));
        assert_eq!(budget.take_ready(Timestamp(0)), Some(run(2)));
        budget.release(run(2));
        assert_eq!(budget.level(), Level { units: units(1_000), at: Timestamp(0) });
    }

    #[test]
    fn what_costs_more_than_the_bucket_holds_takes_all_of_it() {
        let mut budget = budget(1_000, 0, 1_000);
        assert_eq!(budget.ask(Timestamp(0), run(1), 0, 5_000), Promise::Kept);
    }

    #[test]
    fn the_clock_of_the_next_manager_grants_what_passed_and_nothing_when_it_stands_earlier() {
        let saved = Level { units: 0, at: Timestamp(600_000) };
        for (now, thousandths) in [(660_000, 1_000), (600_000, 0), (1_000, 0), (999_000_000, 20_000)] {
            let mut budget = budget(20_000, 0, 1_000);
            budget.restore(Timestamp(now), saved);
            assert_eq!(budget.level().units, units(thousandths), "{now}");
        }
    }

    proptest! {
        // Starts paid for ≤ capacity + refill · T + deposits, for any T.
        #[test]
        fn no_more_is_paid_than_was_ever_there(
            capacity in 1_000..5_000u32, deposit in 0..500u32, refill in 0..5_000u32,
            log in prop::collection::vec((0..40_000u64, 0..4u8, 0..6u128, 0..3_000u32, -1..2i32), 1..120),
        ) {
            let mut budget = budget(capacity, deposit, refill);
            let (mut now, mut paid, mut deposits) = (0, 0, 0);
            for (gap, what, who, cost, priority) in log {
                now += gap;
                match what {
                    0 => { let _ = budget.ask(Timestamp(now), run(who), priority, cost); }
                    1 => {
                        let before = budget.promised.get(&run(who)).copied();
                        if budget.pay(Timestamp(now), run(who)) { paid += before.unwrap(); }
                    }
                    2 => budget.release(run(who)),
                    _ => { budget.deposit(Timestamp(now)); deposits += units(deposit); }
                }
                let first = budget.line.first_key_value().map(|(_, (run, _))| *run);
                if let Some(first) = first {
                    let highest = budget.places.iter().map(|(run, place)| (*place, *run)).min();
                    prop_assert_eq!(highest.map(|(_, run)| run), Some(first), "the highest priority is first");
                }
                while let Some(ready) = budget.next_ready().filter(|at| at.0 <= now).and_then(|_| budget.take_ready(Timestamp(now))) {
                    prop_assert!(budget.promised.contains_key(&ready));
                }
                prop_assert!(paid <= units(capacity) + u64::from(refill) * now + deposits);
                prop_assert!(budget.promised_units <= budget.level.units, "a token that is not there");
                prop_assert_eq!(budget.promised_units, budget.promised.values().sum::<u64>());
                let mut waiting = BTreeMap::<_, Waiting>::new();
                for ((priority, _), (_, units)) in &budget.line {
                    let one = waiting.entry(*priority).or_default();
                    (one.starts, one.units) = (one.starts + 1, one.units + units);
                }
                prop_assert_eq!(&budget.waiting, &waiting);
                prop_assert_eq!(budget.line.len(), budget.places.len());
            }
        }

        // Looking at the clock in between changes nothing.
        #[test]
        fn it_does_not_matter_how_often_the_clock_is_looked_at(
            refill in 0..5_000u32, looks in prop::collection::vec(0..7_000u64, 1..40),
        ) {
            let (mut often, mut once) = (budget(9_000, 0, refill), budget(9_000, 0, refill));
            for budget in [&mut often, &mut once] {
                budget.restore(Timestamp(0), Level { units: 0, at: Timestamp(0) });
            }
            let mut now = 0;
            for gap in looks {
                now += gap;
                often.refill(Timestamp(now));
            }
            once.refill(Timestamp(now));
            prop_assert_eq!(often.level(), once.level());
        }
    }
}
