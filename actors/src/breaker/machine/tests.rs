//! The rules of the Breaker as a user knows them.

mod crowd;
mod early;
mod rest;

use super::*;
use crate::model::{BreakerPolicy, HalfOpen, OnProbeExpiry, ProbeSuccess, Ramp, Window};

pub(super) const FAILED: Outcome = Outcome::Failure { weight_permille: 1_000 };

/// Two failures open it for 5 s, doubling up to 60 s, without chance.
pub(super) fn policy() -> BreakerPolicy {
    BreakerPolicy {
        failures: 2,
        penalty_ms: 5_000,
        max_penalty_ms: 60_000,
        penalty_jitter_permille: 0,
        ramp: Ramp { over_ms: 0, spacing_ms: 0 },
        ..BreakerPolicy::default()
    }
}

pub(super) fn run(n: u128) -> RunId {
    RunId::from_parts(0, n)
}

pub(super) fn site() -> Scope {
    Scope("site:shop.example".into())
}

/// One machine and one scope, told what happens in seconds.
pub(super) struct Site {
    pub(super) machine: Machine,
    pub(super) policy: BreakerPolicy,
    pub(super) told: Vec<String>,
}

impl Site {
    pub(super) fn with(policy: BreakerPolicy) -> Self {
        Self { machine: Machine::new(1), policy, told: Vec::new() }
    }

    pub(super) fn hear(&mut self, changes: &Changes) {
        for change in &changes.events {
            self.told.push(match &change.event {
                Event::BreakerChanged { from, to, level, .. } => {
                    format!("{} {from} → {to} {level}", change.at.0 / 1_000)
                }
                Event::ProbeExpired { lease_until } => format!("{} expired", lease_until.0 / 1_000),
                Event::LateOutcome { .. } => format!("{} late", change.at.0 / 1_000),
                Event::WouldTrip { .. } => format!("{} would trip", change.at.0 / 1_000),
                other => panic!("{other:?}"),
            });
        }
    }

    pub(super) fn asks(
        &mut self,
        at: u64,
        who: u128,
        peek: bool,
    ) -> Result<(Vec<Permit>, Option<ProbeParams>), Option<u64>> {
        let gates = [Gate { scope: site(), policy: self.policy.clone().into() }];
        match self.machine.admit(Timestamp(at * 1_000), run(who), &gates, peek) {
            Admission::Granted { permits, probe, changes } => {
                self.hear(&changes);
                Ok((permits, probe))
            }
            Admission::Denied { retry_at, changes, .. } => {
                self.hear(&changes);
                Err(retry_at.map(|at| at.0 / 1_000))
            }
        }
    }

    #[track_caller]
    pub(super) fn granted(&mut self, at: u64, who: u128) -> Permit {
        self.asks(at, who, false).expect("granted").0.remove(0)
    }

    #[track_caller]
    pub(super) fn denied(&mut self, at: u64, who: u128) -> Option<u64> {
        self.asks(at, who, false).expect_err("denied")
    }

    pub(super) fn ends(
        &mut self,
        at: u64,
        who: u128,
        permit: &Permit,
        outcome: Outcome,
        keep: bool,
    ) -> Changes {
        let word = [(permit.clone(), outcome)];
        let changes = self.machine.settle(Timestamp(at * 1_000), run(who), Some("network"), &word, keep);
        self.hear(&changes);
        changes
    }

    pub(super) fn start_and_end(&mut self, at: u64, outcome: Outcome) -> Changes {
        let permit = self.granted(at, 99);
        self.ends(at, 99, &permit, outcome, false)
    }

    pub(super) fn trip(&mut self, at: u64) {
        for _ in 0..2 {
            let _ = self.start_and_end(at, FAILED);
        }
    }

    pub(super) fn tick(&mut self, at: u64) {
        let changes = self.machine.advance(Timestamp(at * 1_000));
        self.hear(&changes);
    }

    pub(super) fn operate(&mut self, at: u64, act: OperatorAct) {
        let changes = self.machine.operate(Timestamp(at * 1_000), &site(), act, Some("alice"), Some("ban"));
        self.hear(&changes.expect("known"));
    }

    #[track_caller]
    pub(super) fn told(&mut self, events: &[&str]) {
        assert_eq!(std::mem::take(&mut self.told), events);
    }
}

pub(super) fn why(changes: &Changes) -> String {
    match &changes.events[0].event {
        Event::BreakerChanged { why, .. } | Event::LateOutcome { why } | Event::WouldTrip { why } => {
            why.clone()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn failures_in_a_row_open_it_and_the_sentence_names_them() {
    let mut site = Site::with(policy());
    let first = site.machine.admit(
        Timestamp(0),
        run(1),
        &[Gate { scope: self::site(), policy: policy().into() }],
        false,
    );
    let Admission::Granted { permits, .. } = first else { panic!("denied") };
    let word = |permit: &Permit| [(permit.clone(), FAILED)];
    let _ = site.machine.settle(Timestamp(1), run(1), Some("rate_limited"), &word(&permits[0]), false);
    let second = site.granted(0, 2);
    let changes = site.machine.settle(Timestamp(2), run(2), Some("blocked"), &word(&second), false);
    assert_eq!(
        why(&changes),
        "2 failures in a row (rate_limited, blocked) reached failures = 2; open for 5s, level 1"
    );
    assert_eq!(changes.saved.len(), 1);
}

#[test]
fn a_heavy_failure_counts_for_as_much_as_it_weighs() {
    let mut site = Site::with(policy());
    let changes = site.start_and_end(0, Outcome::Failure { weight_permille: 2_500 });
    assert_eq!(
        why(&changes),
        "1 failure in a row (network) weighing 2.5 reached failures = 2; open for 5s, level 1"
    );
}

#[test]
fn a_success_ends_the_row_of_failures() {
    let mut site = Site::with(BreakerPolicy { failure_rate_permille: 0, ..policy() });
    for outcome in [FAILED, Outcome::Success, FAILED, Outcome::Neutral] {
        let _ = site.start_and_end(0, outcome);
    }
    site.told(&[]);
    let _ = site.start_and_end(0, FAILED);
    site.told(&["0 closed → open 1"]);
}

#[test]
fn a_share_of_failures_opens_it_once_there_are_enough_outcomes() {
    let rate = BreakerPolicy { failures: 0, window: Window { size: 20, age_ms: 0, min: 5 }, ..policy() };
    let mut site = Site::with(rate);
    for outcome in [FAILED, Outcome::Success, FAILED, FAILED] {
        let _ = site.start_and_end(0, outcome);
    }
    site.told(&[]);
    let _ = site.start_and_end(0, Outcome::Success);
    site.told(&[]);
    let changes = site.start_and_end(0, FAILED);
    assert_eq!(
        why(&changes),
        "4 of the last 6 outcomes failed (4 network), \
         a share of 0.666 that reached failure_rate = 0.5; open for 5s, level 1"
    );
}

#[test]
fn the_very_failure_that_makes_them_enough_opens_it() {
    let rate = BreakerPolicy { failures: 0, window: Window { size: 20, age_ms: 0, min: 3 }, ..policy() };
    let mut site = Site::with(rate);
    for outcome in [Outcome::Success, FAILED] {
        let _ = site.start_and_end(0, outcome);
    }
    site.told(&[]);
    let _ = site.start_and_end(7, FAILED);
    site.told(&["7 closed → open 1"]);
}

#[test]
fn a_scope_that_no_rule_opens_stays_closed() {
    let mut site = Site::with(BreakerPolicy { failures: 0, failure_rate_permille: 0, ..policy() });
    (0..50).for_each(|at| {
        let _ = site.start_and_end(at, FAILED);
    });
    site.told(&[]);
}

#[test]
fn it_refuses_until_the_penalty_is_over_and_then_lets_one_probe_through() {
    let mut site = Site::with(policy());
    site.trip(0);
    assert_eq!(site.denied(4, 1), Some(5));
    let (permits, probe) = site.asks(5, 1, false).unwrap();
    assert_eq!(probe, Some(ProbeParams::Floor));
    assert_eq!(permits[0].lease_until, Some(Timestamp(305_000)));
    assert_eq!(permits[0].stable_ms, Some(60_000));
    assert_eq!(site.denied(6, 2), Some(305), "one probe is out");
    let _ = site.ends(7, 1, &permits[0], Outcome::Success, false);
    let permit = site.granted(7, 2);
    assert_eq!(permit.lease_until, None);
    site.told(&["0 closed → open 1", "5 open → half_open 1", "7 half_open → closed 1"]);
}

#[test]
fn a_probe_that_fails_opens_it_for_twice_as_long_up_to_the_longest() {
    let mut site = Site::with(policy());
    site.trip(0);
    let mut at = 5;
    for (level, penalty) in [(2, 10), (3, 20), (4, 40), (5, 60), (5, 60)] {
        site.told.clear();
        let permit = site.granted(at, 1);
        let _ = site.ends(at, 1, &permit, FAILED, false);
        assert_eq!(site.told.last(), Some(&format!("{at} half_open → open {level}")));
        assert_eq!(site.denied(at, 1), Some(at + penalty));
        at += penalty;
    }
}

#[test]
fn a_neutral_probe_gives_its_permit_back() {
    let mut site = Site::with(policy());
    site.trip(0);
    let permit = site.granted(5, 1);
    let _ = site.ends(6, 1, &permit, Outcome::Neutral, false);
    let _ = site.granted(6, 2);
    site.told(&["0 closed → open 1", "5 open → half_open 1"]);
}

#[test]
fn a_probe_that_lives_on_has_proved_itself_and_its_later_end_counts() {
    let mut site = Site::with(BreakerPolicy { failures: 1, ..policy() });
    let _ = site.start_and_end(0, FAILED);
    let permit = site.granted(5, 1);
    let _ = site.ends(65, 1, &permit, Outcome::Success, true);
    let _ = site.ends(70, 1, &permit, FAILED, false);
    site.told(&[
        "0 closed → open 1",
        "5 open → half_open 1",
        "65 half_open → closed 1",
        "70 closed → open 2",
    ]);
}

#[test]
fn only_exit_proves_a_probe_when_the_rules_say_so() {
    let mut half_open = policy().half_open;
    half_open.success = ProbeSuccess::Exit;
    let mut site = Site::with(BreakerPolicy { half_open, ..policy() });
    site.trip(0);
    assert_eq!(site.granted(5, 1).stable_ms, None);
}

#[test]
fn a_probe_that_says_nothing_loses_its_lease() {
    for (on_probe_expiry, events) in [
        (OnProbeExpiry::Failure, &["305 expired", "305 half_open → open 2"][..]),
        (OnProbeExpiry::ReopenSameLevel, &["305 expired", "305 half_open → open 1"]),
        (OnProbeExpiry::Release, &["305 expired"]),
    ] {
        let mut site = Site::with(BreakerPolicy { on_probe_expiry, ..policy() });
        site.trip(0);
        let permit = site.granted(5, 1);
        site.told.clear();
        site.tick(306);
        site.told(events);
        let _ = site.ends(307, 1, &permit, Outcome::Success, false);
        site.told(&["307 late"]);
    }
}

#[test]
fn starts_from_before_the_trip_are_heard_as_late_and_change_nothing() {
    let mut site = Site::with(policy());
    let old = site.granted(0, 7);
    site.trip(1);
    site.told.clear();
    for (at, state) in [(2, "open"), (6, "half_open")] {
        site.tick(at);
        site.told.clear();
        let changes = site.ends(at, 7, &old, FAILED, false);
        assert!(why(&changes).contains(state), "{}", why(&changes));
        site.told(&[&format!("{at} late")]);
    }
    assert_eq!(changes_of_a_healthy_daemon(&mut site, &old), 0, "that it is well again and again is no news");
    assert_eq!(site.machine.breakers()[0].level, 1);
}

#[test]
fn an_end_that_nobody_saw_is_no_late_outcome() {
    let mut site = Site::with(policy());
    let permit = site.granted(0, 7);
    let saved: Vec<_> = site.ends(1, 7, &permit, FAILED, true).saved;
    let saved: Vec<_> = saved.into_iter().filter_map(|put| Some((put.key, put.value?))).collect();
    let mut next = Machine::new(1);
    let _ = next.restore(Timestamp(2_000), &saved);
    for (class, outcome, told) in
        [("lost", Outcome::Neutral, 0), ("operator_stop", Outcome::Neutral, 1), ("lost", FAILED, 1)]
    {
        let word = [(permit.clone(), outcome)];
        let changes = next.settle(Timestamp(3_000), run(7), Some(class), &word, false);
        assert_eq!(changes.events.len(), told, "{class} {outcome:?}: a rule may give it a weight");
    }
}

fn changes_of_a_healthy_daemon(site: &mut Site, old: &Permit) -> usize {
    site.ends(7, 7, old, Outcome::Success, true).events.len()
}

#[test]
fn levels_come_down_one_by_one_and_only_on_success() {
    let mut site = Site::with(policy());
    site.trip(0);
    for at in [5, 15] {
        let permit = site.granted(at, 1);
        let outcome = if at == 5 { FAILED } else { Outcome::Success };
        let _ = site.ends(at, 1, &permit, outcome, false);
    }
    site.told.clear();
    site.tick(100_000);
    site.told(&[]);
    let _ = site.start_and_end(100_000, Outcome::Success);
    let _ = site.start_and_end(100_599, Outcome::Success);
    let _ = site.start_and_end(100_600, Outcome::Success);
    site.told(&["100000 closed → closed 1", "100600 closed → closed 0"]);
}

#[test]
fn starts_after_closing_are_spaced() {
    let ramp = Ramp { over_ms: 60_000, spacing_ms: 10_000 };
    let mut site = Site::with(BreakerPolicy { ramp, ..policy() });
    let _ = (site.granted(0, 1), site.granted(0, 2));
    site.trip(0);
    let permit = site.granted(5, 1);
    let _ = site.ends(6, 1, &permit, Outcome::Success, false);
    let _ = site.granted(6, 2);
    assert_eq!(site.denied(7, 3), Some(16));
    let _ = site.granted(16, 3);
    assert_eq!(site.denied(17, 4), Some(26));
    let _ = (site.granted(66, 4), site.granted(66, 5));
}

#[test]
fn an_operator_forces_open_ends_it_and_resets() {
    let mut site = Site::with(policy());
    let old = site.granted(0, 1);
    site.operate(1, OperatorAct::ForceOpen { ttl_ms: Some(60_000) });
    assert_eq!(site.denied(2, 2), Some(61));
    site.operate(3, OperatorAct::EndForcedOpen);
    site.operate(3, OperatorAct::EndForcedOpen);
    site.operate(4, OperatorAct::ForceOpen { ttl_ms: None });
    assert_eq!(site.denied(1_000_000, 2), None);
    site.operate(1_000_001, OperatorAct::ForceOpen { ttl_ms: Some(1_000) });
    site.tick(1_000_009);
    site.operate(1_000_010, OperatorAct::Reset);
    let _ = site.ends(1_000_011, 1, &old, FAILED, false);
    site.told(&[
        "1 closed → forced_open 0",
        "3 forced_open → half_open 0",
        "4 half_open → forced_open 0",
        "1000001 forced_open → forced_open 0",
        "1000002 forced_open → half_open 0",
        "1000010 half_open → closed 0",
        "1000011 late",
    ]);
    assert_eq!(site.machine.breakers()[0].why, "reset by alice: ban");
    let unknown = Scope("site:nobody".into());
    assert!(site.machine.operate(Timestamp(0), &unknown, OperatorAct::Reset, None, None).is_none());
}

#[test]
fn a_clock_that_steps_back_grants_nothing() {
    let mut site = Site::with(policy());
    site.trip(100);
    assert_eq!(site.denied(50, 1), Some(105));
    let permit = site.granted(105, 1);
    let _ = site.ends(10, 1, &permit, FAILED, false);
    assert_eq!(site.denied(106, 1), Some(115), "the second penalty begins at the latest time heard of");
}

#[test]
fn of_several_scopes_the_one_that_refuses_longest_is_named() {
    let mut machine = Machine::new(1);
    let gate = |name: &str, penalty_ms| Gate {
        scope: Scope(name.into()),
        policy: BreakerPolicy { penalty_ms, failures: 1, ..policy() }.into(),
    };
    let (a, b, c) = (gate("a", 5_000), gate("b", 9_000), gate("c", 1_000));
    for gate in [&a, &b] {
        let Admission::Granted { permits, .. } =
            machine.admit(Timestamp(0), run(1), std::slice::from_ref(gate), false)
        else {
            panic!("denied")
        };
        let _ = machine.settle(Timestamp(0), run(1), None, &[(permits[0].clone(), FAILED)], false);
    }
    let Admission::Denied { scope, retry_at, why, .. } =
        machine.admit(Timestamp(1), run(1), &[c, a.clone(), b, a], false)
    else {
        panic!("granted")
    };
    assert_eq!((scope.0.as_str(), retry_at), ("b", Some(Timestamp(9_000))));
    assert!(why.starts_with("open: 1 failure in a row (unclassified)"), "{why}");
    assert_eq!(machine.breakers().len(), 2, "a refused start makes no scope");
}

#[test]
fn looking_takes_nothing() {
    let mut site = Site::with(policy());
    site.trip(0);
    for _ in 0..3 {
        let (permits, probe) = site.asks(5, 1, true).unwrap();
        assert!(permits[0].lease_until.is_some() && probe.is_some());
    }
    let _ = site.granted(5, 2);
    assert_eq!(site.asks(5, 1, true), Err(Some(305)));
}

#[test]
fn several_probes_may_be_out_and_several_must_succeed() {
    let half_open = HalfOpen { permits: 2, successes: 2, failures: 2, ..policy().half_open };
    let mut site = Site::with(BreakerPolicy { half_open, ..policy() });
    site.trip(0);
    let (a, b) = (site.granted(5, 1), site.granted(6, 2));
    assert_eq!(site.denied(7, 3), Some(305));
    let _ = site.ends(8, 1, &a, FAILED, false);
    let _ = site.ends(8, 2, &b, Outcome::Success, false);
    let c = site.granted(9, 3);
    let _ = site.ends(9, 3, &c, Outcome::Success, false);
    site.told(&["0 closed → open 1", "5 open → half_open 1", "9 half_open → closed 1"]);
}
