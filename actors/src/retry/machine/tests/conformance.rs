//! What the test suites of others check of retries, as far as it holds here; named for the behaviour, with whose it is.

use super::*;

// Polly: delays stay positive and below the cap at 1,025 attempts, where 2^n no longer has a double (its issue 2163).
#[test]
fn delays_stay_positive_and_below_the_cap_far_beyond_where_powers_of_two_end() {
    let mut program = daemon();
    program.retry.intensity = None;
    for jitter in
        [Jitter::None, Jitter::Full, Jitter::Equal, Jitter::Decorrelated, Jitter::Proportional(1_000)]
    {
        program.retry.jitter = jitter;
        let mut life = Life::of(program.clone());
        for n in 1..=1_100 {
            let (counted, delay) = life.retry("crash", 10);
            assert_eq!(counted, n);
            assert!((100..=300_000).contains(&delay), "{jitter:?} n={n}: {delay}");
        }
    }
}

// Polly: jitter is spread; AWS: decorrelated jitter does not bunch at the cap.
#[test]
fn a_thousand_runs_that_fail_together_come_back_apart() {
    for jitter in [Jitter::Equal, Jitter::Full, Jitter::Decorrelated, Jitter::Proportional(200)] {
        let mut program = daemon();
        program.retry.jitter = jitter;
        program.retry.intensity = None;
        let mut machine = Machine::new(11);
        let mut delays = Vec::new();
        for who in 0..1_000 {
            for n in 0..12_u64 {
                let end = End {
                    run: run(who),
                    program: &program,
                    base: &Params::new(),
                    outcome: &failed("crash"),
                    uptime_ms: 1,
                    quarantine: None,
                };
                let verdict = machine.ended(Timestamp(n * 1_000_000), end);
                if let Decision::RetryAt { delay_ms, .. } = verdict.decision
                    && n == 11
                {
                    delays.push(delay_ms);
                }
            }
        }
        delays.sort_unstable();
        let at_the_cap = delays.iter().filter(|delay| **delay == 300_000).count();
        delays.dedup();
        assert!(delays.len() > 950 && at_the_cap < 20, "{jitter:?}: {} {at_the_cap}", delays.len());
    }
}

// Nomad: success is not restarted for a batch job, and restarted for a service; a service's exit 0 too soon is a failure.
#[test]
fn success_ends_a_job_and_restarts_a_service() {
    assert!(matches!(Life::of(job()).end(&Outcome::Success, 10).decision, Decision::Done { .. }));
    let clean = Life::of(daemon()).end(&failed("clean_exit"), 700_000).decision;
    assert!(matches!(clean, Decision::RetryAt { n: 0, raw_ms: 1_000, .. }), "{clean:?}");
    assert_eq!(Life::of(daemon()).retry("early_exit", 10), (1, 1_000));
}

// Nomad: zero attempts mean none.
#[test]
fn no_retries_mean_that_the_first_failure_ends_it() {
    for mut program in [job(), daemon()] {
        program.retry.max_retries = Some(0);
        assert_eq!(Life::of(program).gives_up(&failed("crash"), 10), (Phase::Failed, EndReason::MaxRetries));
    }
}

// Nomad: no extra attempt in the second interval (its issue 5737): the window slides, it does not roll over.
#[test]
fn the_second_interval_has_no_extra_attempt() {
    let mut program = daemon();
    program.retry.backoff = crate::model::Backoff::Constant;
    program.retry.delay_ms = 9_000;
    program.retry.intensity = Some(Intensity { restarts: 2, window_ms: 30_000 });
    let mut life = Life::of(program);
    let mut starts = Vec::new();
    while let Decision::RetryAt { at, .. } = life.end(&failed("crash"), 0).decision {
        starts.push(at.0);
        // The operator lets it go on ten seconds after each quarantine; the window stays what it is.
        if starts.len() > 20 {
            break;
        }
    }
    assert_eq!(starts.len(), 2, "the third within 30 s is not made: {starts:?}");
}

// Nomad: an unrecoverable start error is not tried again; a killed run is not a failed one (the Manager's: it never asks).
#[test]
fn a_start_that_cannot_succeed_is_not_tried_again_and_one_that_may_is_without_using_up_retries() {
    assert_eq!(
        Life::of(job()).gives_up(&failed("spawn_permanent"), 0),
        (Phase::Failed, EndReason::NotRetryable)
    );
    let mut life = Life::of(job());
    assert_eq!((0..9).map(|_| life.retry("spawn_transient", 0).0).max(), Some(0));
}

// Akka: the delay is reset automatically after a time of health, or by hand; the count is visible.
#[test]
fn the_count_is_visible_and_is_reset_by_health_or_by_hand() {
    let mut life = Life::of(daemon());
    assert_eq!([life.retry("crash", 1).0, life.retry("crash", 1).0, life.retry("crash", 1).0], [1, 2, 3]);
    assert_eq!(life.retry("crash", 600_000).0, 1);
    let _ = life.retry("crash", 1);
    let _ = life.machine.forget(run(1));
    assert_eq!(life.retry("crash", 1).0, 1);
}

// Akka (its issue 19246): the time that resets is not the shortest delay.
#[test]
fn a_daemon_that_outlives_its_delay_by_a_little_has_not_recovered() {
    let mut life = Life::of(daemon());
    assert_eq!(
        [life.retry("crash", 2_000).1, life.retry("crash", 4_000).1, life.retry("crash", 8_000).1],
        [1_000, 2_000, 4_000]
    );
}

// Akka: at most so many retries, with a window of time and without.
#[test]
fn retries_are_limited_with_and_without_a_window() {
    let mut program = daemon();
    program.retry.max_retries = Some(3);
    let mut life = Life::of(program.clone());
    let _ = (0..3).map(|_| life.retry("crash", 1)).last();
    assert_eq!(life.gives_up(&failed("crash"), 1), (Phase::Failed, EndReason::MaxRetries));
    program.retry.max_retries = None;
    program.retry.intensity = Some(Intensity { restarts: 3, window_ms: 3_600_000 });
    let mut life = Life::of(program);
    let _ = (0..3).map(|_| life.retry("crash", 1)).last();
    assert_eq!(life.gives_up(&failed("crash"), 1), (Phase::Quarantined, EndReason::Intensity));
}

// supervisord: a clock that is set back neither hangs a backoff nor makes it hot (its issue 1043).
#[test]
fn a_clock_that_is_set_back_between_two_lives_moves_no_counter_into_the_future() {
    let mut program = job();
    program.retry.max_failing_ms = Some(60_000);
    let mut life = Life::of(program.clone());
    life.now = Timestamp(9_000_000_000);
    let saved = life.end(&failed("crash"), 10).saved;
    let records: Vec<_> = saved.into_iter().filter_map(|put| Some((put.key, put.value?))).collect();
    let mut next = Life::of(program);
    next.now = Timestamp(1_000_000);
    assert_eq!(next.machine.restore(next.now, ClockShift::default(), &records), (Vec::new(), Vec::new()));
    assert_eq!(next.machine.deadline(run(1), &next.program), Some(Timestamp(1_060_000)));
    assert_eq!(next.retry("crash", 10), (2, 2_000));
}

// The same between two boots: what is saved is moved with the clock, and saved again.
#[test]
fn a_clock_that_was_set_between_two_lives_moves_all_that_is_saved_with_it() {
    let mut program = scraper();
    program.retry.max_failing_ms = Some(60_000);
    let base = at_host("shop.example");
    let mut life = Life::of(program.clone());
    (life.now, life.base) = (Timestamp(9_000_000_000), base.clone());
    life.machine.set_budget(life.now, Some(RetryBudget::tokens(1.0).refill_per_minute(1.0)));
    let began = life.now;
    let mut saved = life.end(&failed("rate_limited"), 0).saved;
    let _ = life.machine.reserve(began, run(1), 0, &[]);
    saved.extend(life.machine.pay(began, run(1)));
    let mut records = BTreeMap::new();
    records.extend(saved.into_iter().filter_map(|put| Some((put.key, put.value?))));
    let records: Vec<_> = records.into_iter().collect();
    let clocks = |ms, boottime_ms| SavedClock {
        at: Timestamp(ms),
        reading: ClockReading { wall_ms: ms, boot_id: 1, boottime_ms },
    };
    let before = clocks(9_000_000_000, 5_000);
    for now in [9_000_020_000, 9_900_000_000, 1_000_000] {
        let mut next = Life::of(program.clone());
        (next.now, next.base) = (Timestamp(now), base.clone());
        next.machine.set_budget(next.now, Some(RetryBudget::tokens(1.0).refill_per_minute(1.0)));
        let shift = ClockShift::between(&before, &clocks(now, 25_000));
        let (moved, unread) = next.machine.restore(next.now, shift, &records);
        assert_eq!((moved.len(), unread.len()), (if shift.is_none() { 0 } else { records.len() }, 0));
        assert_eq!(next.machine.deadline(run(1), &next.program), Some(Timestamp(now + 40_000)), "{now}");
        let lowered = next.machine.shared.all()["site:shop.example/qpi"].lowered_at;
        assert_eq!(lowered, Some(Timestamp(now - 20_000)), "{now}: its cooldown goes on for 40s");
        let _ = next.end(&failed("crash"), 0);
        let Leave::Deferred { retry_at, .. } = next.machine.reserve(next.now, run(1), 0, &[]) else {
            panic!("{now}")
        };
        assert_eq!(retry_at, Some(Timestamp(now + 40_000)), "{now}: a third of a token came meanwhile");
    }
}

// supervisord (its issue 1285): a start alone is no success, or `startretries` never ends.
#[test]
fn a_start_alone_does_not_reset_the_count() {
    let mut program = daemon();
    program.retry.max_retries = Some(3);
    let mut life = Life::of(program);
    assert_eq!((0..3).map(|_| life.retry("early_exit", 1_500).0).last(), Some(3));
    assert_eq!(life.gives_up(&failed("early_exit"), 1_500), (Phase::Failed, EndReason::MaxRetries));
}

// Scrapy: answers that are no success never speed it up; its limits hold.
#[test]
fn a_failure_never_raises_a_parameter_that_failures_lowered() {
    let mut life = Life::of(scraper());
    life.base = at_host("shop.example");
    let qpi = |life: &Life| life.machine.prepare(run(9), &life.program, &life.base, None)["qpi"].as_micros();
    let _ = life.end(&failed("rate_limited"), 10);
    let low = qpi(&life);
    for class in ["network", "upstream", "crash", "lost", "blocked"] {
        life.now = life.now.plus(86_400_000);
        let _ = life.end_of(run(3), &failed(class), 10);
        assert_eq!(qpi(&life), low, "{class}");
    }
}

// Scrapy: a request may opt out of retries; the count is each request's own.
#[test]
fn each_run_has_its_own_count_and_a_program_may_opt_out() {
    let mut life = Life::of(job());
    let n = |life: &mut Life, who: u128| match life.end_of(run(who), &failed("crash"), 1).decision {
        Decision::RetryAt { n, .. } => n,
        other => panic!("{other:?}"),
    };
    assert_eq!([n(&mut life, 1), n(&mut life, 2), n(&mut life, 1), n(&mut life, 3)], [1, 1, 2, 1]);
    life.program.restart = Restart::No;
    assert_eq!(life.gives_up(&failed("crash"), 1), (Phase::Failed, EndReason::Exit));
}

// Temporal: a retry policy has a first interval, a coefficient, a longest interval, a limit of attempts, and types of
// failure that are never tried again; the other side may name the next delay.
#[test]
fn a_policy_of_interval_coefficient_maximum_attempts_and_hopeless_failures_is_kept() {
    let mut program = job();
    program.retry.delay_ms = 1_000;
    program.retry.factor_permille = 2_000;
    program.retry.max_delay_ms = 4_000;
    program.retry.max_retries = Some(4);
    let mut life = Life::of(program.clone());
    assert_eq!((0..4).map(|_| life.retry("crash", 1).1).collect::<Vec<_>>(), [1_000, 2_000, 4_000, 4_000]);
    assert_eq!(life.gives_up(&failed("crash"), 1), (Phase::Failed, EndReason::MaxRetries));
    assert_eq!(Life::of(program.clone()).gives_up(&failed("config"), 1).1, EndReason::NotRetryable);
    let named = Outcome::Failed { class: "crash".into(), retry_after_ms: Some(30_000) };
    let decision = Life::of(program).end(&named, 1).decision;
    assert!(matches!(decision, Decision::RetryAt { delay_ms: 30_000, .. }), "{decision:?}");
}

// gRPC: a server's push-back counts as an attempt and, unlike there, leaves the curve where it is.
#[test]
fn a_wish_of_the_other_side_uses_up_a_retry_and_does_not_restart_the_curve() {
    let mut life = Life::of(job());
    let named = Outcome::Failed { class: "crash".into(), retry_after_ms: Some(60_000) };
    let _ = (life.end(&named, 1), life.end(&named, 1));
    assert_eq!(life.retry("crash", 1), (3, 4_000));
}

// backoff and its kin (comit-network/xmr-btc-swap 305): the limit of time begins with the first failure, not with the start.
#[test]
fn a_run_that_was_well_for_longer_than_max_failing_still_gets_its_retries() {
    let mut program = job();
    program.retry.max_failing_ms = Some(60_000);
    let mut life = Life::of(program);
    assert_eq!(life.retry("crash", 3_600_000), (1, 1_000));
}

// systemd (its issue 43813): a long life brings the delay back to where it began.
#[test]
fn a_month_of_health_between_two_crashes_makes_each_the_first() {
    let mut life = Life::of(daemon());
    for _ in 0..12 {
        assert_eq!(life.retry("crash", 30 * 86_400_000), (1, 1_000));
    }
}

// Erlang: the intensity of restarts is counted whatever happened in between; only time takes a start out of the window.
#[test]
fn health_does_not_clear_the_count_of_restarts() {
    let mut program = daemon();
    program.retry.reset_after_ms = Some(1_000);
    program.retry.intensity = Some(Intensity { restarts: 3, window_ms: 3_600_000 });
    let mut life = Life::of(program);
    for _ in 0..3 {
        assert_eq!(
            life.retry("crash", 60_000),
            (1, 1_000),
            "well each time, and the count of failures says so"
        );
        let _ = life.healthy();
    }
    assert_eq!(life.gives_up(&failed("crash"), 60_000), (Phase::Quarantined, EndReason::Intensity));
}

// backoff again: what was long ago and is over does not use up the time that a row of failures may last.
#[test]
fn health_ends_the_row_that_max_failing_measures() {
    let mut program = daemon();
    program.retry.max_failing_ms = Some(60_000);
    let mut life = Life::of(program);
    assert_eq!(life.retry("crash", 1), (1, 1_000));
    assert!(life.machine.deadline(run(1), &life.program).is_some());
    let _ = life.healthy();
    assert_eq!(life.machine.deadline(run(1), &life.program), None, "it is not failing");
    assert_eq!(life.retry("crash", 700_000), (1, 1_000), "a new row, with a minute of its own");
}

// Ours: a quarantine may end by itself, and what it lets go has one start to show that it is well.
#[test]
fn a_quarantine_that_ends_by_itself_allows_one_start_and_its_failure_begins_another() {
    const MINUTE: u64 = 60_000;
    let mut program = daemon();
    program.retry.intensity = Some(Intensity { restarts: 3, window_ms: MINUTE });
    program.retry.quarantine_ms = Some(10 * MINUTE);
    let mut life = Life::of(program);
    let end = |life: &mut Life, uptime_ms| {
        let began = life.now;
        let verdict = life.end(&failed("crash"), uptime_ms);
        let Decision::RetryAt { n, why, .. } = verdict.decision else { panic!("it goes on") };
        (life.now.since(began) / 1_000, n, verdict.quarantined, why.to_string())
    };
    let short = |told: (u64, u32, bool, String)| (told.0, told.1, told.2);
    assert_eq!(short(end(&mut life, 10)), (1, 1, false));
    assert_eq!(short(end(&mut life, 10)), (2, 2, false));
    assert_eq!(short(end(&mut life, 10)), (4, 3, false));
    let (seconds, n, quarantined, why) = end(&mut life, 10);
    assert_eq!((seconds, n, quarantined), (600, 4, true), "n is kept");
    assert_eq!(
        why,
        "failure 4 in a row (crash); 3 automatic restarts within 1m are the most that intensity allows; quarantined for 10m, then one start"
    );
    let (seconds, n, quarantined, why) = end(&mut life, 10);
    assert_eq!((seconds, n, quarantined), (600, 5, true), "{why}");
    assert!(why.contains("the start after its quarantine failed"), "{why}");
    let _ = life.healthy();
    assert_eq!(short(end(&mut life, 10)), (1, 1, false), "health ends it");
    let _ = life.machine.forgive(run(1));
    assert_eq!(short(end(&mut life, 10)), (1, 1, false), "and so do other rules");
}

#[test]
fn a_quarantine_ends_no_later_than_max_failing_and_no_sooner_than_intensity_allows() {
    let mut program = daemon();
    program.retry.intensity = Some(Intensity { restarts: 1, window_ms: 3_600_000 });
    program.retry.quarantine_ms = Some(60_000);
    let mut life = Life::of(program.clone());
    let _ = life.retry("crash", 0);
    let (_, delay_ms) = life.retry("crash", 0);
    assert_eq!(delay_ms, 3_600_000, "one start in any hour");
    program.retry.max_failing_ms = Some(600_000);
    let mut life = Life::of(program);
    let _ = life.retry("crash", 0);
    assert_eq!(life.gives_up(&failed("crash"), 0), (Phase::Failed, EndReason::Deadline));
}
