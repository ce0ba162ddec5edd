//! What the test suites of other circuit breakers check, as it is here: each test is a behaviour that some library had
//! to learn, in the order resilience4j, Polly, gobreaker, failsafe, Hystrix, Finagle, recloser, Envoy.

use super::{
    tests::{FAILED, Site, policy, run, site, why},
    *,
};
use crate::model::{BreakerMode, BreakerPolicy, HalfOpen, OnProbeExpiry, Ramp, Window};

fn half_open(permits: u32, successes: u32, failures: u32) -> HalfOpen {
    HalfOpen { permits, successes, failures, ..policy().half_open }
}

fn weighing(weight_permille: u32) -> Outcome {
    Outcome::Failure { weight_permille }
}

#[test]
fn only_so_many_of_many_get_through_while_it_is_half_open() {
    let mut site = Site::with(BreakerPolicy { half_open: half_open(3, 3, 1), ..policy() });
    site.trip(0);
    let granted = (0..50).filter(|who| site.asks(5, *who, false).is_ok()).count();
    assert_eq!(granted, 3);
    assert_eq!(site.denied(5, 51), Some(305), "and the others hear when a permit comes back at the latest");
}

#[test]
fn a_probe_that_says_nothing_of_use_gives_its_permit_back_and_it_can_still_close() {
    let mut site = Site::with(policy());
    site.trip(0);
    for at in 5..25 {
        let permit = site.granted(at, 1);
        let changes = site.ends(at, 1, &permit, Outcome::Neutral, false);
        assert!(changes.freed.contains(&self::site()), "who waits is told");
    }
    let permit = site.granted(25, 1);
    let changes = site.ends(26, 1, &permit, Outcome::Success, false);
    assert!(changes.freed.is_empty(), "that it closed is told as a change");
    site.told(&["0 closed → open 1", "5 open → half_open 1", "26 half_open → closed 1"]);
}

// Ours: errors that a probe shows while it lives weigh, but its permit is out until its end.
#[test]
fn a_probe_that_shows_errors_and_lives_on_keeps_its_permit() {
    let mut site = Site::with(BreakerPolicy { half_open: half_open(1, 1, 2), ..policy() });
    site.trip(0);
    let permit = site.granted(5, 1);
    let _ = site.ends(6, 1, &permit, FAILED, true);
    assert_eq!(site.denied(6, 2), Some(305), "the probe lives");
    let _ = site.ends(7, 1, &permit, FAILED, false);
    site.told(&["0 closed → open 1", "5 open → half_open 1", "7 half_open → open 2"]);
}

#[test]
fn a_light_failure_of_a_probe_gives_its_permit_back_and_several_of_them_open_it_again() {
    let mut site = Site::with(policy());
    site.trip(0);
    for at in [5, 6] {
        let permit = site.granted(at, 1);
        let changes = site.ends(at, 1, &permit, weighing(500), false);
        assert_eq!(changes.freed.len(), usize::from(at == 5));
    }
    site.told(&["0 closed → open 1", "5 open → half_open 1", "6 half_open → open 2"]);
}

#[test]
fn successes_and_failures_of_probes_decide_in_every_mix() {
    // (permits, successes, failures), how the probes end, and where that leads.
    for (rules, ends, state) in [
        ((1, 1, 1), "s", "closed"),
        ((1, 1, 1), "f", "open"),
        ((2, 2, 1), "s", "half_open"),
        ((2, 2, 1), "ss", "closed"),
        ((2, 2, 1), "sf", "open"),
        ((2, 2, 2), "sf", "half_open"),
        ((2, 2, 2), "sfs", "closed"),
        ((2, 2, 2), "fsf", "open"),
        ((3, 1, 3), "ff", "half_open"),
        ((3, 1, 3), "ffs", "closed"),
        ((3, 1, 3), "fff", "open"),
        ((1, 3, 1), "sns", "half_open"),
        ((1, 3, 1), "snsns", "closed"),
        ((1, 1, 3), "fnnf", "half_open"),
        ((1, 1, 3), "t", "open"),
    ] {
        let (permits, successes, failures) = rules;
        let rules = half_open(permits, successes, failures);
        let mut site = Site::with(BreakerPolicy { half_open: rules, ..policy() });
        site.trip(0);
        for end in ends.chars() {
            let outcome = match end {
                's' => Outcome::Success,
                'f' => FAILED,
                'n' => Outcome::Neutral,
                _ => Outcome::Trip,
            };
            let permit = site.granted(5, 1);
            let _ = site.ends(5, 1, &permit, outcome, false);
        }
        assert_eq!(
            site.machine.breakers()[0].state.name(),
            state,
            "{permits} {successes} {failures}: {ends}"
        );
    }
}

#[test]
fn one_that_only_watches_says_once_for_each_time_that_it_would_have_opened() {
    let mut site = Site::with(BreakerPolicy { mode: BreakerMode::MetricsOnly, ..policy() });
    for at in 0..5 {
        let _ = site.start_and_end(at, FAILED);
    }
    site.told(&["1 would trip", "3 would trip"]);
    let changes = site.start_and_end(5, FAILED);
    assert_eq!(
        why(&changes),
        "2 failures in a row (2 network) reached failures = 2; it only watches, so it stays out of the way"
    );
    let status = site.machine.breakers().remove(0);
    assert_eq!((status.state.name(), status.level, status.failures_permille), ("metrics_only", 0, 0));
}

#[test]
fn every_state_may_be_switched_off_or_made_to_watch_and_to_itself_that_is_no_event() {
    for act in [OperatorAct::Disable, OperatorAct::MetricsOnly] {
        for from in ["closed", "open", "half_open", "forced_open"] {
            let mut site = Site::with(policy());
            let _ = site.granted(0, 7);
            let at = if from == "half_open" { 5 } else { 4 };
            match from {
                "open" => site.trip(0),
                "half_open" => {
                    site.trip(0);
                    site.tick(5);
                }
                "forced_open" => site.operate(3, OperatorAct::ForceOpen { ttl_ms: None }),
                _ => {}
            }
            let level = site.machine.breakers()[0].level;
            site.told.clear();
            site.operate(at, act);
            site.operate(6, act);
            let to = if act == OperatorAct::Disable { "disabled" } else { "metrics_only" };
            site.told(&[&format!("{at} {from} → {to} {level}")]);
            for who in 0..20 {
                let _ = site.granted(7, who);
            }
            site.operate(8, OperatorAct::Auto);
            site.operate(9, OperatorAct::Auto);
            site.told(&[&format!("8 {to} → closed {level}")]);
        }
    }
}

#[test]
fn one_that_is_switched_off_counts_nothing_and_begins_anew_when_it_is_left_to_its_rules() {
    let mut site = Site::with(policy());
    let _ = site.start_and_end(0, FAILED);
    site.operate(1, OperatorAct::Disable);
    for at in 2..9 {
        let _ = site.start_and_end(at, FAILED);
    }
    site.operate(9, OperatorAct::Auto);
    let _ = site.start_and_end(10, FAILED);
    site.told(&["1 closed → disabled 0", "9 disabled → closed 0"]);
    let _ = site.start_and_end(11, FAILED);
    site.told(&["11 closed → open 1"]);
}

#[test]
fn rules_that_change_the_mode_hold_from_the_next_start_on() {
    let mut site = Site::with(policy());
    site.trip(0);
    site.policy.mode = BreakerMode::Disabled;
    let _ = (site.granted(1, 1), site.granted(1, 2));
    site.policy.mode = BreakerMode::Auto;
    let _ = site.granted(2, 3);
    site.told(&["0 closed → open 1", "1 open → disabled 1", "2 disabled → closed 1"]);
    site.operate(3, OperatorAct::ForceOpen { ttl_ms: None });
    site.policy.mode = BreakerMode::Disabled;
    assert_eq!(site.denied(4, 1), None, "an operator's word is later than the file's");
}

#[test]
fn what_is_forced_open_goes_where_its_rules_want_it_when_that_ends() {
    for (mode, to) in [
        (BreakerMode::Auto, "half_open"),
        (BreakerMode::Disabled, "disabled"),
        (BreakerMode::MetricsOnly, "metrics_only"),
    ] {
        let mut site = Site::with(BreakerPolicy { mode, ..policy() });
        let _ = site.granted(0, 1);
        site.operate(1, OperatorAct::ForceOpen { ttl_ms: Some(9_000) });
        assert_eq!(site.denied(2, 1), Some(10));
        site.tick(10);
        assert_eq!(site.machine.breakers()[0].state.name(), to);
    }
}

#[test]
fn a_probe_that_never_reports_does_not_wedge_it() {
    for (on_probe_expiry, state) in [
        (OnProbeExpiry::Failure, "open"),
        (OnProbeExpiry::ReopenSameLevel, "open"),
        (OnProbeExpiry::Release, "half_open"),
    ] {
        let mut site = Site::with(BreakerPolicy { on_probe_expiry, ..policy() });
        site.trip(0);
        let _ = site.granted(5, 1);
        site.tick(305);
        assert_eq!(site.machine.breakers()[0].state.name(), state);
        let _ = site.granted(400, 2);
    }
}

#[test]
fn what_a_probe_says_after_its_lease_is_late_even_when_another_has_closed_the_scope_since() {
    let mut site = Site::with(BreakerPolicy { on_probe_expiry: OnProbeExpiry::Release, ..policy() });
    site.trip(0);
    let silent = site.granted(5, 1);
    let second = site.granted(306, 2);
    let _ = site.ends(307, 2, &second, Outcome::Success, false);
    site.told.clear();
    for _ in 0..2 {
        let _ = site.ends(308, 1, &silent, FAILED, true);
    }
    let _ = site.ends(309, 1, &silent, FAILED, false);
    site.told(&["308 late", "308 late", "309 late"]);
    let third = site.granted(310, 1);
    let _ = site.ends(310, 1, &third, FAILED, false);
    assert_eq!(site.machine.breakers()[0].failures_permille, 1_000, "its next start is heard");
}

#[test]
fn a_change_by_hand_cancels_the_one_that_time_would_have_made() {
    let mut site = Site::with(policy());
    site.trip(0);
    site.operate(1, OperatorAct::Reset);
    site.tick(1_000);
    site.told(&["0 closed → open 1", "1 open → closed 0"]);
    assert_eq!(site.machine.next_deadline(), None);
}

#[test]
fn a_scope_that_no_run_has_used_can_be_opened_and_switched_off_but_not_reset() {
    let mut machine = Machine::new(1);
    let mut operate = |act| machine.operate(Timestamp(1_000), &site(), act, Some("alice"), None);
    for act in [OperatorAct::Reset, OperatorAct::EndForcedOpen, OperatorAct::Auto] {
        assert!(operate(act).is_none(), "{act:?}");
    }
    let changes = operate(OperatorAct::ForceOpen { ttl_ms: None }).expect("it is made");
    assert_eq!((changes.events.len(), changes.saved.len()), (1, 1));
    assert_eq!(why(&changes), "forced open by alice, until somebody ends it");
    let mut site = Site::with(policy());
    site.machine = machine;
    assert_eq!(site.denied(2, 1), None);
    site.operate(3, OperatorAct::EndForcedOpen);
    let (permits, probe) = site.asks(4, 1, false).expect("half-open");
    assert!(probe.is_some() && permits[0].lease_until.is_some());
}

#[test]
fn failures_that_arrive_while_it_is_open_neither_open_it_again_nor_extend_it() {
    let mut site = Site::with(policy());
    let old: Vec<_> = (1..=20).map(|who| (who, site.granted(0, who))).collect();
    site.trip(0);
    site.told.clear();
    for (who, permit) in &old {
        let _ = site.ends(4, *who, permit, FAILED, false);
    }
    assert_eq!(site.told.len(), 20);
    assert!(site.told.iter().all(|told| told == "4 late"));
    assert_eq!(site.machine.breakers()[0].until, Some(Timestamp(5_000)));
    assert_eq!(site.machine.breakers()[0].level, 1);
}

#[test]
fn each_break_knows_how_many_there_were_before_it() {
    let mut site = Site::with(policy());
    site.trip(0);
    let mut at = 5;
    for level in 2..6 {
        let permit = site.granted(at, 1);
        let _ = site.ends(at, 1, &permit, FAILED, false);
        let status = site.machine.breakers().remove(0);
        assert_eq!(status.level, level);
        at = status.until.map_or(0, |until| until.0 / 1_000);
    }
}

#[test]
fn times_near_the_end_of_time_do_not_overflow() {
    let mut site = Site::with(BreakerPolicy {
        penalty_ms: u64::MAX,
        max_penalty_ms: u64::MAX,
        penalty_jitter_permille: 500,
        ..policy()
    });
    site.trip(u64::MAX / 2_000);
    assert_eq!(site.denied(u64::MAX / 1_500, 1), Some(u64::MAX / 1_000));
}

#[test]
fn outcomes_that_are_too_old_or_too_many_leave_the_window() {
    let rate = BreakerPolicy { failures: 0, window: Window { size: 4, age_ms: 60_000, min: 3 }, ..policy() };
    let mut site = Site::with(rate);
    for at in [0, 1, 62, 63] {
        let _ = site.start_and_end(at, FAILED);
    }
    site.told(&[]);
    for _ in 0..4 {
        let _ = site.start_and_end(70, Outcome::Success);
    }
    let _ = site.start_and_end(71, FAILED);
    site.told(&[]);
    let _ = site.start_and_end(72, FAILED);
    site.told(&["72 closed → open 1"]);
}

#[test]
fn neutral_is_neither_success_nor_failure() {
    let rate = BreakerPolicy { failures: 2, window: Window { size: 20, age_ms: 0, min: 4 }, ..policy() };
    let mut site = Site::with(rate);
    for outcome in [FAILED, Outcome::Neutral, weighing(0), Outcome::Neutral, Outcome::Neutral] {
        let _ = site.start_and_end(0, outcome);
    }
    assert_eq!(site.machine.breakers()[0].failures_permille, 1_000, "it did not end the row");
    site.told(&[]);
    let _ = site.start_and_end(0, FAILED);
    site.told(&["0 closed → open 1"]);
}

#[test]
fn two_machines_whose_clocks_disagree_agree_through_what_is_saved() {
    let mut first = Site::with(policy());
    first.machine.set_clock(Timestamp(0), ClockReading { wall_ms: 9_000_000, ..ClockReading::default() });
    first.trip(0);
    let permit = first.granted(5, 1);
    let changes = first.ends(5, 1, &permit, FAILED, false);
    let saved: Vec<_> = changes.saved.into_iter().map(|put| (put.key, put.value.expect("kept"))).collect();
    for (wall_ms, until) in [(9_005_000, 86_410), (9_008_000, 86_407), (8_000_000, 86_410)] {
        let mut machine = Machine::new(1);
        let now = Timestamp(86_400_000);
        machine.set_clock(now, ClockReading { wall_ms, ..ClockReading::default() });
        let _ = machine.restore(now, &saved);
        let status = machine.breakers().remove(0);
        assert_eq!((status.state.name(), status.level), ("open", 2));
        assert_eq!(status.until, Some(Timestamp(until * 1_000)), "the wall said {wall_ms}");
    }
}

#[test]
fn each_state_says_when_asking_again_may_help() {
    let mut site =
        Site::with(BreakerPolicy { ramp: Ramp { over_ms: 60_000, spacing_ms: 2_000 }, ..policy() });
    site.trip(0);
    assert_eq!(site.denied(1, 1), Some(5), "open");
    let permit = site.granted(5, 1);
    assert_eq!(site.denied(6, 2), Some(305), "half-open");
    let _ = site.ends(7, 1, &permit, Outcome::Success, false);
    let _ = site.granted(7, 2);
    assert_eq!(site.denied(8, 3), Some(9), "closed a moment ago");
    site.operate(10, OperatorAct::ForceOpen { ttl_ms: Some(5_000) });
    assert_eq!(site.denied(11, 3), Some(15), "forced open");
}

#[test]
fn few_starts_do_not_open_it_by_their_share() {
    let rate = BreakerPolicy { failures: 0, window: Window { size: 20, age_ms: 0, min: 5 }, ..policy() };
    let mut site = Site::with(rate);
    for at in 0..4 {
        let _ = site.start_and_end(at, FAILED);
    }
    site.told(&[]);
    let _ = site.start_and_end(4, Outcome::Success);
    site.told(&[]);
    assert_eq!(
        site.machine.breakers()[0].failures_permille,
        0,
        "a success opens nothing: not even now at 80 %"
    );
    let _ = site.start_and_end(5, FAILED);
    site.told(&["5 closed → open 1"]);
}

#[test]
fn it_may_take_several_penalties_until_it_closes() {
    let mut site = Site::with(policy());
    site.trip(0);
    for at in [5, 15, 35] {
        let permit = site.granted(at, 1);
        let _ = site.ends(at, 1, &permit, FAILED, false);
    }
    let permit = site.granted(75, 1);
    let _ = site.ends(75, 1, &permit, Outcome::Success, false);
    assert_eq!(site.told.last().map(String::as_str), Some("75 half_open → closed 4"));
}

#[test]
fn a_success_closes_it_however_many_are_refused_meanwhile() {
    let mut site = Site::with(policy());
    site.trip(0);
    let permit = site.granted(5, 1);
    for who in 2..200 {
        assert_eq!(site.denied(6, who), Some(305));
    }
    let _ = site.ends(7, 1, &permit, Outcome::Success, false);
    let _ = (site.granted(7, 2), site.granted(7, 3));
}

#[test]
fn a_class_that_trips_opens_it_at_once_and_also_where_nothing_else_could() {
    let mut site = Site::with(BreakerPolicy { failures: 0, failure_rate_permille: 0, ..policy() });
    let changes = site.start_and_end(0, Outcome::Trip);
    assert_eq!(why(&changes), "a failure (network) of a class with trips = true; open for 5s, level 1");
    let permit = site.granted(5, 1);
    let _ = site.ends(6, 1, &permit, Outcome::Trip, false);
    site.told(&["0 closed → open 1", "5 open → half_open 1", "6 half_open → open 2"]);
}

#[test]
fn the_level_stops_where_the_penalty_stops_so_that_it_comes_down_as_fast_as_it_went_up() {
    let mut site = Site::with(BreakerPolicy { decay_after_ms: 10_000, ..policy() });
    site.trip(0);
    let mut at = 5;
    for _ in 0..100 {
        let permit = site.granted(at, 1);
        let _ = site.ends(at, 1, &permit, FAILED, false);
        at = site.machine.breakers()[0].until.map_or(0, |until| until.0 / 1_000);
    }
    assert_eq!(site.machine.breakers()[0].level, 5);
    let permit = site.granted(at, 1);
    let _ = site.ends(at, 1, &permit, Outcome::Success, false);
    for step in 1..=5 {
        assert_eq!(site.machine.breakers()[0].level, 6 - step);
        let _ = site.start_and_end(at + u64::from(step) * 10 - 1, Outcome::Success);
        let _ = site.start_and_end(at + u64::from(step) * 10, Outcome::Success);
    }
    assert_eq!(site.machine.breakers()[0].level, 0);
}

#[test]
fn a_level_does_not_come_down_sooner_than_the_first_penalty_lasts() {
    let mut site = Site::with(BreakerPolicy { decay_after_ms: 1_000, ..policy() });
    site.trip(0);
    let permit = site.granted(5, 1);
    let _ = site.ends(5, 1, &permit, Outcome::Success, false);
    let _ = site.start_and_end(9, Outcome::Success);
    assert_eq!(site.machine.breakers()[0].level, 1);
    let _ = site.start_and_end(10, Outcome::Success);
    assert_eq!(site.machine.breakers()[0].level, 0);
}

#[test]
fn chance_lengthens_each_penalty_by_its_share_at_most_and_siblings_do_not_come_back_together() {
    let mut ends = BTreeSet::new();
    for n in 0..200 {
        let mut machine = Machine::new(1);
        let gate = Gate {
            scope: Scope(format!("site:{n}")),
            policy: BreakerPolicy { failures: 1, penalty_jitter_permille: 100, ..policy() }.into(),
        };
        let gates = std::slice::from_ref(&gate);
        let Admission::Granted { permits, .. } = machine.admit(Timestamp(0), run(n), gates, false) else {
            panic!("denied")
        };
        let _ = machine.settle(Timestamp(0), run(n), None, &[(permits[0].clone(), FAILED)], false);
        let until = machine.breakers()[0].until.map_or(0, |until| until.0);
        assert!((5_000..=5_500).contains(&until), "{until}");
        ends.insert(until);
    }
    assert!(ends.len() > 100, "{} different ends", ends.len());
}
