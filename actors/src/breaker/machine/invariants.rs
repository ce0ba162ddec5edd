//! What holds for every sequence of events. Each property is named by its sentence; `I5` and the like are its number in
//! the list of invariants of the rules.
//!
//! Faults that were put into the machine by hand, one at a time, and a test that caught each (others often did too);
//! `cargo test --test faults -- --ignored` puts them in again.
//!
//! | fault | caught by |
//! |---|---|
//! | failures in a row must exceed `failures` and not reach it | `tests::failures_in_a_row_open_it_and_the_sentence_names_them` |
//! | a success leaves the row of failures | `tests::a_success_ends_the_row_of_failures` |
//! | their share must exceed `failure_rate` and not reach it | `conformance::outcomes_that_are_too_old_or_too_many_leave_the_window` |
//! | outcomes must exceed `window.min` and not reach it | `tests::the_very_failure_that_makes_them_enough_opens_it` |
//! | an outcome of exactly the window's age still counts | `window::tests::an_outcome_of_exactly_the_age_is_too_old` |
//! | a word of another epoch gives a permit of this one back | `invariants::outcomes_of_another_epoch_change_nothing` |
//! | the epoch of a permit is not looked at | `invariants::outcomes_of_another_epoch_change_nothing` |
//! | a lease has no end | `invariants::some_time_later_somebody_may_start_without_an_operator` |
//! | a probe whose lease is over may speak once it is closed | `conformance::what_a_probe_says_after_its_lease_is_late_even_when_another_has_closed_the_scope_since` |
//! | one probe too many is let through | `conformance::only_so_many_of_many_get_through_while_it_is_half_open` |
//! | one light failure of a probe opens it again | `conformance::a_light_failure_of_a_probe_gives_its_permit_back_and_several_of_them_open_it_again` |
//! | errors of a probe that lives on give its permit back | `conformance::a_probe_that_shows_errors_and_lives_on_keeps_its_permit` |
//! | an expired lease opens it one level higher where the same is asked | `tests::a_probe_that_says_nothing_loses_its_lease` |
//! | neutral counts as a success | `invariants::neutral_outcomes_leave_no_trace` |
//! | neutral keeps a probe's permit | `tests::a_neutral_probe_gives_its_permit_back` |
//! | a success may open it | `invariants::until_stands_levels_move_by_one_and_only_failure_opens` |
//! | one that only watches counts on after it would have opened | `conformance::one_that_only_watches_says_once_for_each_time_that_it_would_have_opened` |
//! | a level comes down with any success, however early | `tests::levels_come_down_one_by_one_and_only_on_success` |
//! | a level comes down by time, with the next start | `invariants::until_stands_levels_move_by_one_and_only_failure_opens` |
//! | a level comes down to 0 at once | `invariants::until_stands_levels_move_by_one_and_only_failure_opens` |
//! | a level grows past the one of the longest penalty | `conformance::the_level_stops_where_the_penalty_stops_so_that_it_comes_down_as_fast_as_it_went_up` |
//! | chance shortens a penalty | `penalty::tests::chance_only_lengthens` |
//! | starts after closing are not spaced | `tests::starts_after_closing_are_spaced` |
//! | forced open has no end | `conformance::what_is_forced_open_goes_where_its_rules_want_it_when_that_ends` |
//! | forced open ends closed | `conformance::what_is_forced_open_goes_where_its_rules_want_it_when_that_ends` |
//! | a reset keeps the level | `conformance::a_change_by_hand_cancels_the_one_that_time_would_have_made` |
//! | the first scope's permit is taken before the second refuses | `invariants::nobody_starts_through_an_open_scope_and_a_refusal_takes_nothing` |
//! | looking takes a permit | `tests::looking_takes_nothing` |
//! | of several scopes the one that refuses shortest is named | `tests::of_several_scopes_the_one_that_refuses_longest_is_named` |
//! | nobody hears that a probe's permit came back | `conformance::a_probe_that_says_nothing_of_use_gives_its_permit_back_and_it_can_still_close` |
//! | a clock that steps back is believed | `tests::a_clock_that_steps_back_grants_nothing` |
//! | a scope in which somebody holds a permit is forgotten | `tests::rest::a_scope_is_forgotten_once_its_outcomes_are_older_than_its_window` |
//! | a penalty that ended while nobody watched leaves it closed | `invariants::saved_state::an_open_scope_comes_back_open_or_half_open_and_never_sooner` |
//! | a penalty that comes back is as long as the record says | `wake::tests::nothing_that_comes_back_lasts_longer_than_its_rules_allow` |
//! | a lease that comes back is as long as the record says | `wake::tests::nothing_that_comes_back_lasts_longer_than_its_rules_allow` |
//! | probes that live on lose their leases | `invariants::saved_state::a_restored_machine_decides_as_the_one_that_was_saved` |
//! | the time of the last change is that of the restart | `invariants::saved_state::a_restored_machine_decides_as_the_one_that_was_saved` |
//! | a record that cannot be read comes back closed | `invariants::saved_state::a_flipped_bit_never_closes_what_was_not_closed_and_never_panics` |
//! | slow starts must exceed `slow_rate` and not reach it | `tests::early::slow_starts_that_are_too_old_or_too_many_leave_the_window` |
//! | slow starts must exceed `window.min` and not reach it | `tests::early::a_share_of_slow_starts_opens_it_once_there_are_enough` |
//! | a start that is ready in time opens | `tests::early::a_share_of_slow_starts_opens_it_once_there_are_enough` |
//! | a start that takes as long as `slow_ready` is slow | `tests::early::a_start_that_takes_as_long_as_slow_ready_is_in_time` |
//! | starts grow no older while nobody watches | `tests::early::starts_survive_a_restart_and_their_ages_go_on` |
//! | a slow probe keeps its permit | `tests::early::a_slow_probe_has_failed_whatever_else_would_prove_it` |
//! | any early word proves a probe | `tests::early::a_probe_is_proved_when_it_is_ready_or_writes_and_its_later_end_counts` |
//! | slow starts of before an opening count after it | `tests::early::one_that_only_watches_says_that_slow_starts_would_have_opened_it` |
//! | a failure that lowered a parameter counts in the share | `tests::rest::a_failure_that_lowered_a_parameter_opens_by_the_row_alone` |
//! | a failure that lowered a parameter leaves the row | `tests::rest::a_failure_that_lowered_a_parameter_opens_by_the_row_alone` |
//! | a scope is forgotten with a young row of failures | `tests::rest::a_row_of_failures_is_kept_as_long_as_its_latest_is_young` |
//! | a half-open scope is forgotten as soon as one of which nothing is known | `tests::rest::a_half_open_scope_is_kept_for_eight_days_of_rest` |
//! | a restart is a use | `tests::rest::a_level_is_kept_for_eight_days_of_rest_over_restarts` |
//! | the first scope that refuses is told, whoever refuses longer | `tests::of_several_scopes_the_one_that_refuses_longest_is_named` |

mod saved_state;
mod transitions;

use super::{
    tests::{FAILED, policy, run},
    *,
};
use crate::model::{
    BreakerMode, BreakerPolicy, BreakerState, HalfOpen, OnProbeExpiry, ProbeSuccess, Ramp, Window,
};
use proptest::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// One thing that happens in one of two scopes, which some starts need both of.
#[derive(Clone, Debug)]
enum Happening {
    Asks { who: u128, both: bool, peek: bool },
    Ends { who: u128, outcome: Outcome, keep: bool },
    Operates { act: OperatorAct },
    Reloads { mode: BreakerMode },
}

/// Who takes part beside the runs.
#[derive(Clone, Copy, PartialEq)]
enum Who {
    RunsAlone,
    /// Operators refuse for a time, end that, and reset.
    AndOperators,
    /// Operators do all they can, and somebody edits the configuration.
    Everybody,
}

/// Where the rules of a test know slow starts, those later than this are.
const SLOW_MS: u64 = 2_000;

/// Whether it is said before the end, and so never the last word.
const fn is_early(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Ready { .. } | Outcome::FirstOutput)
}

fn is_slow(outcome: Outcome, policy: &BreakerPolicy) -> bool {
    let limit = policy.slow_ready_ms;
    matches!(outcome, Outcome::Ready { after_ms } if limit.is_some_and(|limit_ms| after_ms > limit_ms))
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        3 => (1..3_000u32).prop_map(|weight_permille| Outcome::Failure { weight_permille }),
        1 => (1..3_000u32).prop_map(|weight_permille| Outcome::Lowering { weight_permille }),
        3 => Just(Outcome::Success),
        2 => Just(Outcome::Neutral),
        1 => Just(Outcome::Trip),
        1 => Just(Outcome::TripAtFloor),
        2 => (0..2 * SLOW_MS).prop_map(|after_ms| Outcome::Ready { after_ms }),
        1 => Just(Outcome::FirstOutput),
    ]
}

fn log(takes_part: Who) -> impl Strategy<Value = Vec<(u64, Happening)>> {
    let asks = (0..6u128, any::<bool>(), prop::bool::weighted(0.1))
        .prop_map(|(who, both, peek)| Happening::Asks { who, both, peek });
    let ends = (0..6u128, outcomes(), prop::bool::weighted(0.2))
        .prop_map(|(who, outcome, keep)| Happening::Ends { who, outcome, keep: keep || is_early(outcome) });
    let mut acts =
        vec![OperatorAct::Reset, OperatorAct::ForceOpen { ttl_ms: Some(20_000) }, OperatorAct::EndForcedOpen];
    if takes_part == Who::Everybody {
        acts.extend([OperatorAct::Disable, OperatorAct::MetricsOnly, OperatorAct::Auto]);
        acts.push(OperatorAct::ForceOpen { ttl_ms: None });
    }
    let acts = prop::sample::select(acts).prop_map(|act| Happening::Operates { act });
    let modes = vec![BreakerMode::Auto, BreakerMode::Auto, BreakerMode::Disabled, BreakerMode::MetricsOnly];
    let reloads = prop::sample::select(modes).prop_map(|mode| Happening::Reloads { mode });
    let (operated, reloaded) =
        (u32::from(takes_part != Who::RunsAlone), u32::from(takes_part == Who::Everybody));
    let one = prop_oneof![10 => asks, 8 => ends, operated => acts, reloaded => reloads];
    prop::collection::vec((0..8_000u64, one), 1..120)
}

fn policies() -> impl Strategy<Value = BreakerPolicy> {
    let expiry = prop::sample::select(vec![
        OnProbeExpiry::Failure,
        OnProbeExpiry::ReopenSameLevel,
        OnProbeExpiry::Release,
    ]);
    let rules = prop::sample::select(vec![(2, 0), (0, 500), (3, 400)]);
    let slow = prop::sample::select(vec![None, Some(500), Some(1_000)]);
    let proofs = [ProbeSuccess::Auto, ProbeSuccess::Exit, ProbeSuccess::Ready, ProbeSuccess::FirstOutput];
    let early = (slow, prop::sample::select(proofs.to_vec()));
    (expiry, 1..3u32, 1..3u32, 0..500u32, 0..2_000u64, rules, early).prop_map(
        |(on_probe_expiry, permits, successes, jitter, spacing, (failures, rate), (slow, success))| {
            BreakerPolicy {
                slow_ready_ms: slow.map(|_| SLOW_MS),
                slow_rate_permille: slow,
                failures,
                failure_rate_permille: rate,
                window: Window { size: 8, age_ms: 60_000, min: 3 },
                penalty_ms: 5_000,
                on_probe_expiry,
                penalty_jitter_permille: jitter,
                decay_after_ms: 10_000,
                half_open: HalfOpen { permits, successes, lease_ms: 15_000, success, ..policy().half_open },
                ramp: Ramp { over_ms: 20_000, spacing_ms: spacing },
                ..policy()
            }
        },
    )
}

/// A machine with those who hold permits.
struct World {
    machine: Machine,
    gates: [Gate; 2],
    held: BTreeMap<u128, Vec<Permit>>,
    answers: Vec<String>,
    events: Vec<Change>,
    saved: BTreeMap<String, Vec<u8>>,
}

impl World {
    fn new(policy: &BreakerPolicy) -> Self {
        let gate = |name: &str| Gate { scope: Scope(name.into()), policy: policy.clone().into() };
        Self {
            machine: Machine::new(3),
            gates: [gate("a"), gate("b")],
            held: BTreeMap::new(),
            answers: Vec::new(),
            events: Vec::new(),
            saved: BTreeMap::new(),
        }
    }

    fn hear(&mut self, changes: Changes) {
        self.events.extend(changes.events);
        for put in changes.saved {
            match put.value {
                Some(value) => self.saved.insert(put.key, value),
                None => self.saved.remove(&put.key),
            };
        }
    }

    fn tick(&mut self, now: Timestamp) {
        let changes = self.machine.advance(now);
        self.hear(changes);
    }

    fn happen(&mut self, now: Timestamp, what: &Happening) {
        match what {
            // Who holds permits has no reason to ask for more.
            Happening::Asks { who, peek: false, .. } if self.held.contains_key(who) => self.tick(now),
            Happening::Asks { who, both, peek } => {
                let gates = &self.gates[..if *both { 2 } else { 1 }];
                let changes = match self.machine.admit(now, run(*who), gates, *peek) {
                    Admission::Granted { permits, probe, changes } => {
                        self.answers.push(format!("{permits:?} {probe:?}"));
                        if !*peek {
                            self.held.insert(*who, permits);
                        }
                        changes
                    }
                    Admission::Denied { scope, retry_at, why, changes } => {
                        self.answers.push(format!("{scope} {retry_at:?} {why}"));
                        changes
                    }
                };
                self.hear(changes);
            }
            Happening::Ends { who, outcome, keep } => {
                let permits = if *keep { self.held.get(who).cloned() } else { self.held.remove(who) };
                let words: Vec<_> = permits.into_iter().flatten().map(|permit| (permit, *outcome)).collect();
                let changes = self.machine.settle(now, run(*who), Some("network"), &words, *keep);
                self.hear(changes);
            }
            Happening::Operates { act } => {
                let scope = self.gates[0].scope.clone();
                if let Some(changes) = self.machine.operate(now, &scope, *act, None, None) {
                    self.hear(changes);
                }
            }
            Happening::Reloads { mode } => {
                self.gates.iter_mut().for_each(|gate| Arc::make_mut(&mut gate.policy).mode = *mode);
                self.tick(now);
            }
        }
    }

    /// Everything that decides. Who holds a permit and when somebody last asked decide only how long a scope that rests
    /// is remembered.
    /// What decides, by scope.
    fn circuits(&self) -> BTreeMap<String, String> {
        let deciding = |slot: &slots::Slot| {
            let mut circuit = slot.circuit.clone();
            (circuit.touched_at, circuit.heard_at, circuit.out) = (Timestamp(0), Timestamp(0), 0);
            (circuit.scope.to_string(), format!("{circuit:?}"))
        };
        self.machine.slots.values().map(deciding).collect()
    }

    /// The scopes that may be forgotten soon as far as they themselves go: that is no decision. Those that no success has
    /// proved yet are none of them.
    fn resting(&self) -> BTreeSet<String> {
        let soon = self.machine.last.plus(24 * 3_600_000);
        let rests = |slot: &&slots::Slot| {
            let mut circuit = slot.circuit.clone();
            circuit.out = 0;
            circuit.idle_at().is_some_and(|at| at < soon)
        };
        self.machine.slots.values().filter(rests).map(|slot| slot.circuit.scope.to_string()).collect()
    }

    /// The same as another world's, but for scopes that rest: one of the two may have forgotten one, and made it anew.
    fn knows_what(&self, other: &Self) -> Result<(), String> {
        let (mine, theirs) = (self.circuits(), other.circuits());
        let (my_rest, their_rest) = (self.resting(), other.resting());
        for scope in mine.keys().chain(theirs.keys()) {
            let (one, two) = (mine.get(scope), theirs.get(scope));
            let same = one.map(|text| without_epochs(text)) == two.map(|text| without_epochs(text));
            let rest =
                (one.is_none() || my_rest.contains(scope)) && (two.is_none() || their_rest.contains(scope));
            if !same && !rest {
                return Err(format!("{scope}: {one:?} {two:?}"));
            }
        }
        Ok(())
    }

    /// What was answered. A scope that was forgotten begins with another epoch, which decides nothing by itself.
    fn told(&self) -> Vec<String> {
        self.answers.iter().map(|answer| without_epochs(answer)).collect()
    }

    /// What was journalled. That an outcome comes late is said in other words where the scope was forgotten meanwhile.
    fn journalled(&self) -> String {
        let mut events = self.events.clone();
        for change in &mut events {
            if let Event::LateOutcome { why } = &mut change.event {
                why.clear();
            }
        }
        format!("{events:?}")
    }

    fn status(&self, name: &str) -> Option<BreakerStatus> {
        self.machine.breakers().into_iter().find(|status| status.scope.0 == name)
    }
}

fn without_epochs(text: &str) -> String {
    let mut parts = text.split("epoch: ");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| all + "epoch: _" + part.trim_start_matches(|c: char| c.is_ascii_digit()))
}

proptest! {
    /// I1, I20.
    #[test]
    fn nobody_starts_through_an_open_scope_and_a_refusal_takes_nothing(
        log in log(Who::AndOperators), policy in policies(),
    ) {
        let (mut world, mut now) = (World::new(&policy), Timestamp(1_000));
        for (gap, what) in &log {
            now = now.plus(*gap);
            world.tick(now);
            let (before, answers) = (world.circuits(), world.answers.len());
            let refusing = |name: &str| world.status(name).is_some_and(|s| s.state.refuses_all());
            let (a, b) = (refusing("a"), refusing("b"));
            world.happen(now, what);
            if let Happening::Asks { both, peek, .. } = what {
                let Some(answer) = world.answers.get(answers) else { continue };
                let granted = answer.starts_with('[');
                prop_assert!(!(granted && (a || *both && b)));
                if !granted || *peek {
                    prop_assert_eq!(before, world.circuits());
                }
            }
        }
    }

    /// I2, and for I3 that each lease is among the deadlines.
    #[test]
    fn probes_are_never_more_than_permits_and_every_lease_ends(log in log(Who::AndOperators), policy in policies()) {
        let (mut world, mut now) = (World::new(&policy), Timestamp(1_000));
        for (gap, what) in &log {
            now = now.plus(*gap);
            world.happen(now, what);
            for status in world.machine.breakers() {
                prop_assert!(status.probes <= policy.half_open.permits);
            }
            if let Some(at) = world.machine.next_deadline() {
                prop_assert!(at > now && at.since(now) <= 90_000, "no deadline is behind or beyond all limits");
            }
        }
    }

    #[test]
    fn some_time_later_somebody_may_start_without_an_operator(log in log(Who::AndOperators), policy in policies()) {
        let (mut world, mut now) = (World::new(&policy), Timestamp(1_000));
        for (gap, what) in &log {
            now = now.plus(*gap);
            world.happen(now, what);
        }
        let granted = (0..40).any(|_| {
            now = now.plus(15_000);
            let admission = world.machine.admit(now, run(77), &world.gates, true);
            matches!(admission, Admission::Granted { .. })
        });
        prop_assert!(granted);
    }

    /// I4.
    #[test]
    fn it_makes_no_difference_how_often_anybody_looks(
        log in log(Who::AndOperators), policy in policies(), ticks in prop::collection::vec(0..8_000u64, 120),
    ) {
        let (mut quiet, mut watched) = (World::new(&policy), World::new(&policy));
        let mut now = Timestamp(1_000);
        for ((gap, what), tick) in log.iter().zip(&ticks) {
            watched.tick(now.plus((*tick).min(*gap)));
            now = now.plus(*gap);
            quiet.happen(now, what);
            watched.happen(now, what);
            watched.tick(now);
        }
        prop_assert_eq!(quiet.knows_what(&watched), Ok(()));
        prop_assert_eq!(quiet.told(), watched.told());
        prop_assert_eq!(quiet.journalled(), watched.journalled());
    }

    /// I5, I6, I8.
    #[test]
    fn until_stands_levels_move_by_one_and_only_failure_opens(log in log(Who::RunsAlone), policy in policies()) {
        let (mut world, mut now) = (World::new(&policy), Timestamp(1_000));
        let top = penalty::top_level(&policy);
        let (mut level, mut open_until) = (0, None);
        for (gap, what) in &log {
            now = now.plus(*gap);
            world.tick(now);
            let heard = world.events.len();
            world.happen(now, what);
            let opened = world.events[heard..].iter().any(|change| {
                matches!(&change.event, Event::BreakerChanged { to, .. } if *to == BreakerState::Open)
            });
            if let Happening::Ends { outcome, .. } = what {
                prop_assert!(!opened || outcome.is_failure() || is_slow(*outcome, &policy));
            } else {
                prop_assert!(!opened);
            }
            let Some(status) = world.status("a") else { continue };
            prop_assert!(status.level <= top);
            if status.state == BreakerState::Open {
                prop_assert!(open_until.is_none_or(|until| Some(until) == status.until || until <= now));
                open_until = status.until;
            } else {
                open_until = None;
            }
            if status.level < level {
                let succeeded = matches!(what, Happening::Ends { outcome: Outcome::Success, .. });
                prop_assert!(succeeded && level - status.level == 1);
            }
            level = status.level;
        }
        let mut at: BTreeMap<Scope, u32> = BTreeMap::new();
        for change in &world.events {
            if let Event::BreakerChanged { level, .. } = &change.event {
                let before = at.insert(change.scope.clone(), *level).unwrap_or(0);
                prop_assert!(before.abs_diff(*level) <= 1);
            }
        }
    }

    /// I7.
    #[test]
    fn outcomes_of_another_epoch_change_nothing(log in log(Who::AndOperators), policy in policies(), outcome in outcomes()) {
        let (mut world, mut now) = (World::new(&policy), Timestamp(1_000));
        for (gap, what) in &log {
            now = now.plus(*gap);
            world.happen(now, what);
        }
        world.tick(now);
        let before = world.circuits();
        if world.status("a").is_some() {
            let permit = Permit::plain(Scope("a".into()), 1);
            let changes = world.machine.settle(now, run(0), None, &[(permit, outcome)], false);
            let late = matches!(changes.events[..], [Change { event: Event::LateOutcome { .. }, .. }]);
            prop_assert!(late);
            prop_assert!(changes.saved.is_empty() && changes.freed.is_empty());
        }
        prop_assert_eq!(before, world.circuits());
    }

    /// I9.
    #[test]
    fn neutral_outcomes_leave_no_trace(log in log(Who::RunsAlone), policy in policies()) {
        let (mut world, mut now) = (World::new(&policy), Timestamp(1_000));
        for (gap, what) in &log {
            now = now.plus(*gap);
            let what = match what {
                Happening::Ends { who, keep, .. } => {
                    Happening::Ends { who: *who, outcome: Outcome::Neutral, keep: *keep }
                }
                other => other.clone(),
            };
            world.happen(now, &what);
        }
        prop_assert!(world.events.is_empty());
        for status in world.machine.breakers() {
            prop_assert_eq!((status.state.name(), status.level, status.failures_permille), ("closed", 0, 0));
        }
        let counted = |slot: &slots::Slot| slot.circuit.window.newest().is_some();
        prop_assert!(!world.machine.slots.values().any(counted), "a window that heard of it");
    }

    /// I8 for what is said early: it is no success.
    #[test]
    fn what_a_start_says_before_its_end_decides_nothing_that_no_rule_asks_for(
        log in log(Who::AndOperators), policy in policies(),
    ) {
        let half_open = HalfOpen { success: ProbeSuccess::Auto, ..policy.half_open };
        let policy = BreakerPolicy { slow_ready_ms: None, slow_rate_permille: None, half_open, ..policy };
        let (mut told, mut silent) = (World::new(&policy), World::new(&policy));
        let mut now = Timestamp(1_000);
        for (gap, what) in &log {
            now = now.plus(*gap);
            told.happen(now, what);
            match what {
                Happening::Ends { outcome, .. } if is_early(*outcome) => silent.tick(now),
                other => silent.happen(now, other),
            }
        }
        prop_assert_eq!(told.told(), silent.told());
        prop_assert_eq!(told.journalled(), silent.journalled());
        prop_assert_eq!(told.knows_what(&silent), Ok(()));
    }

    /// I19.
    #[test]
    fn equal_seeds_and_equal_logs_decide_the_same_to_the_byte(
        log in log(Who::Everybody), policy in policies(),
    ) {
        let (mut one, mut two) = (World::new(&policy), World::new(&policy));
        let mut now = Timestamp(1_000);
        for (gap, what) in &log {
            now = now.plus(*gap);
            one.happen(now, what);
            two.happen(now, what);
        }
        prop_assert_eq!(&one.answers, &two.answers);
        prop_assert_eq!(format!("{:?}", one.events), format!("{:?}", two.events));
        prop_assert_eq!(&one.saved, &two.saved);
    }

    /// I21, as far as it is ours.
    #[test]
    fn a_scope_forced_open_without_an_end_lets_nobody_through_whatever_happens(
        log in log(Who::RunsAlone), policy in policies(),
    ) {
        let (mut world, now) = (World::new(&policy), Timestamp(1_000));
        world.happen(now, &Happening::Operates { act: OperatorAct::ForceOpen { ttl_ms: None } });
        let mut now = now;
        for (gap, what) in &log {
            now = now.plus(gap.saturating_mul(100_000));
            world.happen(now, what);
        }
        prop_assert!(world.answers.iter().all(|answer| answer.starts_with("a None")));
        prop_assert!(world.status("b").is_none_or(|status| status.state == BreakerState::Closed));
    }

    /// I22.
    #[test]
    fn the_last_word_of_a_start_counts_once(
        log in log(Who::AndOperators), policy in policies(), second in outcomes(),
    ) {
        let (mut world, mut now) = (World::new(&policy), Timestamp(1_000));
        for (gap, what) in &log {
            now = now.plus(*gap);
            world.tick(now);
            let said = match what {
                Happening::Ends { who, keep: false, .. } => world.held.get(who).map(|held| (*who, held.clone())),
                _ => None,
            };
            world.happen(now, what);
            let Some((who, permits)) = said else { continue };
            world.tick(now);
            let before = world.circuits();
            let words: Vec<_> = permits.into_iter().map(|permit| (permit, second)).collect();
            let changes = world.machine.settle(now, run(who), None, &words, false);
            prop_assert!(changes.saved.is_empty());
            prop_assert_eq!(before, world.circuits());
        }
    }
}
