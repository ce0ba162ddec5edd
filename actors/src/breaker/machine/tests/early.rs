//! Starts that become ready late, and probes that are proved before their end.

use super::*;
use crate::model::ClockReading;

/// Slow after 10 s; half of at least three starts open it. Failures alone never do.
fn slow() -> BreakerPolicy {
    BreakerPolicy {
        failures: 0,
        failure_rate_permille: 0,
        slow_ready_ms: Some(10_000),
        slow_rate_permille: Some(500),
        window: Window { size: 4, age_ms: 60_000, min: 3 },
        ..policy()
    }
}

fn proved_by(success: ProbeSuccess) -> BreakerPolicy {
    BreakerPolicy { half_open: HalfOpen { success, ..policy().half_open }, ..policy() }
}

impl Site {
    /// Says that it is ready, and lives on.
    fn is_ready(&mut self, at: u64, who: u128, permit: &Permit, after_ms: u64) -> Changes {
        self.ends(at, who, permit, Outcome::Ready { after_ms }, true)
    }

    /// Another run becomes ready, and lives on.
    fn start_and_be_ready(&mut self, at: u64, after_ms: u64) -> Changes {
        let who = 1_000 + u128::from(at);
        let permit = self.granted(at, who);
        self.is_ready(at, who, &permit, after_ms)
    }
}

#[test]
fn a_start_that_takes_as_long_as_slow_ready_is_in_time() {
    let mut site = Site::with(slow());
    for at in 0..4 {
        let _ = site.start_and_be_ready(at, 10_000);
    }
    site.told(&[]);
}

/// resilience4j: "opens on slow rate", at the rate and not above it, and not by a fast call.
#[test]
fn a_share_of_slow_starts_opens_it_once_there_are_enough() {
    let mut site = Site::with(slow());
    let _ = site.start_and_be_ready(0, 10_001);
    let _ = site.start_and_be_ready(1, 10_000);
    let _ = site.start_and_be_ready(2, 30_000);
    site.told(&["2 closed → open 1"]);
    site.tick(7);
    let changes = site.start_and_be_ready(7, 9_000);
    assert!(changes.events.is_empty(), "in time proves no probe unless the rules say so");
    let mut site = Site::with(slow());
    let _ = site.start_and_be_ready(0, 12_000);
    let _ = site.start_and_be_ready(1, 12_000);
    let changes = site.start_and_be_ready(2, 1_000);
    assert!(changes.events.is_empty(), "two of three are slow, and a start in time opens nothing");
    let changes = site.start_and_be_ready(3, 12_000);
    assert_eq!(
        why(&changes),
        "3 of the last 4 starts became ready later than slow_ready = 10s, \
         a share of 0.75 that reached slow_rate = 0.5; open for 5s, level 1"
    );
}

#[test]
fn slow_starts_that_are_too_old_or_too_many_leave_the_window() {
    let mut site = Site::with(slow());
    for at in [0, 1] {
        let _ = site.start_and_be_ready(at, 12_000);
    }
    for at in [2, 62, 63, 64] {
        let _ = site.start_and_be_ready(at, 0);
    }
    let _ = site.start_and_be_ready(65, 12_000);
    site.told(&[]);
    let _ = site.start_and_be_ready(66, 12_000);
    site.told(&["66 closed → open 1"]);
}

#[test]
fn readiness_and_ends_are_counted_apart() {
    let both = BreakerPolicy { failures: 3, failure_rate_permille: 1_000, ..slow() };
    let mut site = Site::with(both);
    for at in 0..2 {
        let permit = site.granted(at, 1);
        let _ = site.is_ready(at, 1, &permit, 0);
        let _ = site.ends(at, 1, &permit, FAILED, false);
    }
    assert_eq!(site.machine.breakers()[0].failures_permille, 2_000, "that it was ready ended no row");
    let permit = site.granted(2, 1);
    let _ = site.is_ready(2, 1, &permit, 99_000);
    assert_eq!(site.machine.breakers()[0].outcomes, 2, "and is no outcome of the other share");
    let changes = site.ends(2, 1, &permit, FAILED, false);
    assert!(why(&changes).starts_with("3 failures in a row"), "{}", why(&changes));
}

#[test]
fn a_probe_is_proved_when_it_is_ready_or_writes_and_its_later_end_counts() {
    for (success, outcome, proves) in [
        (ProbeSuccess::Ready, Outcome::Ready { after_ms: 99_000 }, true),
        (ProbeSuccess::FirstOutput, Outcome::FirstOutput, true),
        (ProbeSuccess::Ready, Outcome::FirstOutput, false),
        (ProbeSuccess::FirstOutput, Outcome::Ready { after_ms: 1 }, false),
        (ProbeSuccess::Auto, Outcome::Ready { after_ms: 1 }, false),
        (ProbeSuccess::Exit, Outcome::FirstOutput, false),
    ] {
        let mut site = Site::with(BreakerPolicy { failures: 1, ..proved_by(success) });
        let _ = site.start_and_end(0, FAILED);
        let permit = site.granted(5, 1);
        assert_eq!(permit.stable_ms.is_some(), success == ProbeSuccess::Auto);
        site.told.clear();
        let _ = site.ends(6, 1, &permit, outcome, true);
        site.told(if proves { &["6 half_open → closed 1"] } else { &[] });
        let _ = site.ends(7, 1, &permit, FAILED, false);
        site.told(if proves { &["7 closed → open 2"] } else { &["7 half_open → open 2"] });
    }
}

#[test]
fn a_probe_that_ends_or_says_nothing_is_judged_as_any_other() {
    for success in [ProbeSuccess::Ready, ProbeSuccess::FirstOutput] {
        for (outcome, told) in
            [(Outcome::Success, "6 half_open → closed 1"), (FAILED, "6 half_open → open 2")]
        {
            let mut site = Site::with(proved_by(success));
            site.trip(0);
            let permit = site.granted(5, 1);
            site.told.clear();
            let _ = site.ends(6, 1, &permit, outcome, false);
            site.told(&[told]);
        }
        let mut site = Site::with(proved_by(success));
        site.trip(0);
        let permit = site.granted(5, 1);
        site.told.clear();
        site.tick(305);
        site.told(&["305 expired", "305 half_open → open 2"]);
        let _ = site.is_ready(306, 1, &permit, 301_000);
        site.told(&[]);
    }
}

#[test]
fn a_slow_probe_has_failed_whatever_else_would_prove_it() {
    for success in [ProbeSuccess::Ready, ProbeSuccess::Auto, ProbeSuccess::Exit] {
        let half_open = HalfOpen { success, permits: 2, failures: 2, ..policy().half_open };
        let mut site = Site::with(BreakerPolicy { failures: 2, half_open, ..slow() });
        site.trip(0);
        let (a, b) = (site.granted(5, 1), site.granted(5, 2));
        site.told.clear();
        let changes = site.is_ready(17, 1, &a, 12_000);
        assert!(changes.freed.contains(&self::site()), "it has had its say");
        let _ = site.ends(18, 1, &a, Outcome::Success, false);
        site.told(&["18 late"]);
        let changes = site.is_ready(19, 2, &b, 14_000);
        assert_eq!(
            why(&changes),
            "the probe was ready after 14s, later than slow_ready = 10s; open for 10s, level 2"
        );
    }
}

#[test]
fn one_that_only_watches_says_that_slow_starts_would_have_opened_it() {
    let mut site = Site::with(BreakerPolicy { mode: crate::model::BreakerMode::MetricsOnly, ..slow() });
    for at in 0..6 {
        let _ = site.start_and_be_ready(at, 12_000);
    }
    site.told(&["2 would trip", "5 would trip"]);
}

fn saved(changes: Changes) -> Vec<(String, Vec<u8>)> {
    changes.saved.into_iter().filter_map(|put| Some((put.key, put.value?))).collect()
}

#[test]
fn starts_survive_a_restart_and_their_ages_go_on() {
    let wall = |seconds: u64| ClockReading { wall_ms: seconds * 1_000, ..ClockReading::default() };
    for (down_s, told) in [(20, &["900 closed → open 1"][..]), (70, &[])] {
        let mut site = Site::with(slow());
        let _ = site.start_and_be_ready(0, 12_000);
        site.machine.set_clock(Timestamp(30_000), wall(30));
        let records = saved(site.start_and_be_ready(30, 12_000));
        let mut next = Site::with(slow());
        next.machine.set_clock(Timestamp(900_000), wall(30 + down_s));
        let (_, unread) = next.machine.restore(Timestamp(900_000), &records);
        assert!(unread.is_empty());
        let _ = next.start_and_be_ready(900, 12_000);
        next.told(told);
    }
}

/// What stands in a record of a version before this.
#[test]
fn a_scope_without_such_rules_is_saved_as_ever() {
    let mut site = Site::with(policy());
    let permit = site.granted(0, 1);
    let records = saved(site.ends(0, 1, &permit, FAILED, true));
    let text = String::from_utf8_lossy(&records[0].1).into_owned();
    assert!(!text.contains("starts") && !text.contains("slow"), "{text}");
    assert!(!serde_json::to_string(&permit).unwrap().contains("success"), "{permit:?}");
    let (changes, unread) = Machine::new(1).restore(Timestamp(9), &records);
    assert!(changes.events.is_empty() && unread.is_empty());
}
