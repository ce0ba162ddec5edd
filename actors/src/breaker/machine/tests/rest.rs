//! Scopes that rest, and failures after which the next attempt asks for less.

use super::*;

#[test]
fn a_scope_is_forgotten_once_its_outcomes_are_older_than_its_window() {
    let mut site = Site::with(policy());
    let holder = site.granted(0, 1);
    site.tick(200_000);
    assert_eq!(site.machine.breakers().len(), 1, "somebody holds a permit");
    let _ = site.ends(200_000, 1, &holder, Outcome::Success, false);
    site.tick(200_000 + 3_599);
    assert_eq!(site.machine.breakers().len(), 1);
    assert_eq!(site.machine.next_deadline(), None, "nobody could notice");
    assert_eq!(site.machine.next_alarm(), Some(Timestamp((200_000 + 3_600 + 300) * 1_000)));
    let changes = site.machine.advance(Timestamp((200_000 + 3_600) * 1_000));
    assert_eq!(changes.saved, [Put { key: "breaker/site:shop.example".into(), value: None }]);
    assert_eq!((site.machine.breakers(), site.machine.next_alarm()), (vec![], None));
    let changes = site.ends(300_000, 1, &holder, FAILED, false);
    assert!(why(&changes).contains("forgotten"));
}

#[test]
fn a_scope_of_which_nothing_is_known_is_forgotten_after_a_minute() {
    let mut site = Site::with(policy());
    let holder = site.granted(0, 1);
    let _ = site.ends(10, 1, &holder, Outcome::Neutral, false);
    site.tick(69);
    assert_eq!(site.machine.breakers().len(), 1);
    site.tick(70);
    assert_eq!(site.machine.breakers(), []);
}

#[test]
fn a_row_of_failures_is_kept_as_long_as_its_latest_is_young() {
    let mut site = Site::with(BreakerPolicy { failures: 3, ..policy() });
    for at in [0, 3_000, 6_599] {
        site.tick(at);
        let _ = site.start_and_end(at, Outcome::Lowering { weight_permille: 1_000 });
    }
    site.told(&["6599 closed → open 1"]);
    let mut site = Site::with(BreakerPolicy { failures: 3, ..policy() });
    let _ = site.start_and_end(0, Outcome::Lowering { weight_permille: 1_000 });
    site.tick(3_600);
    assert_eq!(site.machine.breakers(), []);
}

/// The day, in seconds, and the eight for which what no success has proved is kept.
const DAY: u64 = 24 * 3_600;

#[test]
fn a_half_open_scope_is_kept_for_eight_days_of_rest() {
    let mut site = Site::with(policy());
    site.trip(0);
    site.tick(5);
    site.told(&["0 closed → open 1", "5 open → half_open 1"]);
    site.tick(4 * DAY);
    let prober = site.granted(4 * DAY, 1);
    let _ = site.ends(4 * DAY + 1, 1, &prober, Outcome::Neutral, false);
    site.tick(12 * DAY);
    assert_eq!(site.machine.breakers()[0].state.name(), "half_open", "eight days from its last probe");
    site.tick(12 * DAY + 1);
    assert_eq!(site.machine.breakers(), []);
    assert_eq!(site.machine.next_alarm(), None);
}

#[test]
fn a_level_is_kept_for_eight_days_of_rest_over_restarts() {
    let mut site = Site::with(policy());
    site.trip(0);
    let _ = site.start_and_end(5, Outcome::Success);
    site.told(&["0 closed → open 1", "5 open → half_open 1", "5 half_open → closed 1"]);
    for day in [3, 6] {
        let now = Timestamp(day * DAY * 1_000);
        let reading = ClockReading { wall_ms: now.0, ..ClockReading::default() };
        site.machine.set_clock(now, reading);
        let saved = site.machine.save(now);
        let saved: Vec<_> = saved.into_iter().map(|put| (put.key, put.value.unwrap())).collect();
        site.machine = Machine::new(1);
        site.machine.set_clock(now, reading);
        let (changes, unread) = site.machine.restore(now, &saved);
        assert!(changes.events.is_empty() && unread.is_empty());
    }
    site.tick(8 * DAY + 4);
    assert_eq!(site.machine.breakers()[0].level, 1);
    site.tick(8 * DAY + 5);
    assert_eq!(site.machine.breakers(), []);
}

#[test]
fn what_an_operator_decided_is_kept() {
    let mut site = Site::with(policy());
    let _ = site.start_and_end(0, Outcome::Neutral);
    site.operate(1, OperatorAct::Disable);
    site.tick(1_000 * DAY);
    assert_eq!(site.machine.breakers()[0].state.name(), "disabled");
}

#[test]
fn a_failure_that_lowered_a_parameter_opens_by_the_row_alone() {
    let lowering = Outcome::Lowering { weight_permille: 1_000 };
    let mut site = Site::with(BreakerPolicy { failures: 5, ..policy() });
    let runs = [vec![lowering; 3], vec![Outcome::Success], vec![lowering; 4]].concat();
    for (at, outcome) in (0..).zip(runs) {
        let _ = site.start_and_end(at, outcome);
    }
    site.told(&[]);
    let _ = site.start_and_end(20, lowering);
    site.told(&["20 closed → open 1"]);
    // By the default rules alone the first five of these would be enough for the rate.
    let mut site = Site::with(BreakerPolicy { failures: 0, ..policy() });
    for at in 0..20 {
        let _ = site.start_and_end(at, lowering);
    }
    site.told(&[]);
}

#[test]
fn pages_of_scopes_follow_each_other_in_their_order() {
    let mut machine = Machine::new(1);
    for n in [3, 1, 4, 0, 2] {
        let gate = Gate { scope: Scope(format!("site:{n}")), policy: policy().into() };
        let _ = machine.admit(Timestamp(0), run(n), [gate], false);
    }
    let names =
        |found: Vec<BreakerStatus>| -> Vec<String> { found.into_iter().map(|one| one.scope.0).collect() };
    assert_eq!(names(machine.breakers_after(None, 2)), ["site:0", "site:1"]);
    assert_eq!(
        names(machine.breakers_after(Some(&Scope("site:1".into())), 9)),
        ["site:2", "site:3", "site:4"]
    );
    let of = [Scope("site:9".into()), Scope("site:4".into()), Scope("site:2".into())];
    assert_eq!(names(machine.breakers_of(&of)), ["site:2", "site:4"]);
}

#[test]
fn failures_in_code_are_failures_in_a_row_and_no_share() {
    let opens = |policy: BreakerPolicy, outcomes: &[Outcome]| {
        let mut site = Site::with(policy.penalty_jitter(0.0));
        for (at, outcome) in outcomes.iter().enumerate() {
            let _ = site.start_and_end(at as u64, *outcome);
            if !site.told.is_empty() {
                return true;
            }
        }
        false
    };
    // Two of three, for longer than any window needs.
    let mostly: Vec<_> = (0..90).map(|n| if n % 3 == 2 { Outcome::Success } else { FAILED }).collect();
    assert!(!opens(BreakerPolicy::failures(3), &mostly), "never three in a row");
    assert!(opens(BreakerPolicy::failures(3), &[FAILED; 3]));
    assert!(opens(BreakerPolicy::failures(3).failure_rate(0.5), &mostly), "who gives a share means it");
}
