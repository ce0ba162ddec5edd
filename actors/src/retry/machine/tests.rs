//! The rules of Retry as a user knows them.

mod adjusting;
mod budgeting;
mod conformance;
mod invariants;
mod quarantine;

use super::*;
use crate::model::{
    Adjust, ClassOverride, ClockReading, Command, EndReason, Event, Intensity, Jitter, OnLost, ParamReason,
    ParamSpec, ParamValue, Phase, ProbeParams, Restart, SavedClock,
};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn job() -> Program {
    let mut program = Program::new("scraper", Command::Argv(vec!["true".into()]));
    program.retry.jitter = Jitter::None;
    program
}

fn daemon() -> Program {
    Program { restart: Restart::Always, ..job() }
}

/// Halves `qpi` when rate limited; siblings of one host share it.
fn scraper() -> Program {
    let mut program = job();
    program.params.insert("host".into(), ParamSpec::string("host").required());
    let qpi = ParamSpec::integer("qpi").default(100).range(10..=200).adjust_scope("site:{host}");
    program.params.insert("qpi".into(), qpi);
    let adjust = BTreeMap::from([("qpi".into(), Adjust::Multiply { permille: 500 })]);
    program.classes.insert("rate_limited".into(), ClassOverride { adjust, ..ClassOverride::default() });
    program
}

fn at_host(host: &str) -> Params {
    Params::from([("host".into(), host.into()), ("qpi".into(), 100.into())])
}

fn failed(class: &str) -> Outcome {
    Outcome::Failed { class: class.into(), retry_after_ms: None }
}

fn run(n: u128) -> RunId {
    RunId::from_parts(0, n)
}

/// One machine, one program, one run; attempts start when they are due and end after `uptime`.
struct Life {
    machine: Machine,
    program: Program,
    base: Params,
    now: Timestamp,
}

impl Life {
    fn of(program: Program) -> Self {
        Self { machine: Machine::new(7), program, base: Params::new(), now: Timestamp(1_000_000) }
    }

    fn end(&mut self, outcome: &Outcome, uptime_ms: u64) -> Verdict {
        self.end_of(run(1), outcome, uptime_ms)
    }

    fn end_of(&mut self, run: RunId, outcome: &Outcome, uptime_ms: u64) -> Verdict {
        self.now = self.now.plus(uptime_ms);
        let end = End { run, program: &self.program, base: &self.base, outcome, uptime_ms, quarantine: None };
        let verdict = self.machine.ended(self.now, end);
        if let Decision::RetryAt { at, .. } = verdict.decision {
            self.now = at;
        }
        verdict
    }

    fn healthy(&mut self) -> Change {
        self.machine.healthy(self.now, run(1), &self.program, &self.base)
    }

    /// `n` and delay of the retry that follows.
    #[track_caller]
    fn retry(&mut self, class: &str, uptime_ms: u64) -> (u32, u64) {
        match self.end(&failed(class), uptime_ms).decision {
            Decision::RetryAt { n, delay_ms, .. } => (n, delay_ms),
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn gives_up(&mut self, outcome: &Outcome, uptime_ms: u64) -> (Phase, EndReason) {
        match self.end(outcome, uptime_ms).decision {
            Decision::GiveUp { phase, reason, .. } => (phase, reason),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_job_is_tried_five_more_times_with_doubling_delays() {
    let mut life = Life::of(job());
    let delays: Vec<_> = (0..5).map(|_| life.retry("crash", 10)).collect();
    assert_eq!(delays, [(1, 1_000), (2, 2_000), (3, 4_000), (4, 8_000), (5, 16_000)]);
    assert_eq!(life.gives_up(&failed("crash"), 10), (Phase::Failed, EndReason::MaxRetries));
}

#[test]
fn a_class_has_its_own_delay_and_longest_delay() {
    let mut life = Life::of(job());
    assert_eq!(life.retry("rate_limited", 10), (1, 30_000));
    assert_eq!(life.retry("rate_limited", 10), (2, 60_000));
    assert_eq!(life.retry("crash", 10), (3, 4_000), "the third failure in a row, by the program's delay");
}

#[test]
fn a_job_that_succeeds_is_done_and_leaves_nothing_behind() {
    let mut life = Life::of(job());
    let _ = life.retry("crash", 10);
    let verdict = life.end(&Outcome::Success, 10);
    assert!(matches!(verdict.decision, Decision::Done { .. }));
    assert_eq!(verdict.saved.iter().map(|put| put.value.is_none()).collect::<Vec<_>>(), [true]);
    assert!(life.machine.streaks.is_empty());
    assert_eq!(Life::of(job()).end(&Outcome::Success, 10).saved, [], "nothing was saved, nothing is removed");
}

#[test]
fn restart_no_never_retries() {
    for class in ["crash", "rate_limited", "lost", "config"] {
        let mut life = Life::of(Program { restart: Restart::No, ..job() });
        assert_eq!(life.gives_up(&failed(class), 10), (Phase::Failed, EndReason::Exit), "{class}");
    }
    let done = Life::of(Program { restart: Restart::No, ..job() }).end(&Outcome::Success, 10);
    assert!(matches!(done.decision, Decision::Done { .. }));
}

#[test]
fn a_class_that_cannot_be_helped_is_not_tried_again() {
    assert_eq!(Life::of(job()).gives_up(&failed("config"), 10), (Phase::Failed, EndReason::NotRetryable));
    let mut life = Life::of(daemon());
    assert_eq!(life.gives_up(&failed("spawn_permanent"), 0), (Phase::Failed, EndReason::NotRetryable));
}

#[test]
fn the_other_side_may_ask_for_a_longer_wait_within_reason() {
    for (hint, delay) in [(500, 1_000), (5_000, 5_000), (86_400_000, 3_600_000)] {
        let mut life = Life::of(job());
        let outcome = Outcome::Failed { class: "crash".into(), retry_after_ms: Some(hint) };
        let Decision::RetryAt { raw_ms, delay_ms, n, why, .. } = life.end(&outcome, 10).decision else {
            panic!("a hint is no reason to give up");
        };
        assert_eq!((raw_ms, delay_ms, n), (1_000, delay, 1), "{why}");
    }
}

#[test]
fn the_sentence_of_a_retry_says_what_made_the_delay() {
    let mut program = job();
    program.retry.jitter = Jitter::Equal;
    let mut life = Life::of(program);
    let outcome = Outcome::Failed { class: "rate_limited".into(), retry_after_ms: Some(90_000_000) };
    for (outcome, part) in [
        (failed("crash"), "the first failure (crash); next attempt in "),
        (failed("crash"), "(2s before jitter)"),
        (failed("lost"), "the first failure that does not count (lost)"),
        (outcome, "next attempt in 1h: the other side asks for 1d1h, and retry_after_max allows no more"),
    ] {
        let Decision::RetryAt { why, .. } = life.end(&outcome, 10).decision else { panic!("gave up") };
        assert!(why.to_string().contains(part), "{why}");
    }
}

#[test]
fn failures_that_do_not_count_leave_n_and_are_delayed_by_their_own_number() {
    let mut life = Life::of(job());
    assert_eq!(life.retry("crash", 10), (1, 1_000));
    let delays: Vec<_> = (0..7).map(|_| life.retry("spawn_transient", 0)).collect();
    assert_eq!(delays[0], (1, 1_000));
    assert_eq!(delays[3], (1, 8_000));
    assert_eq!(delays[6], (1, 30_000), "never above the class's longest delay, and no retries used up");
    assert_eq!(life.retry("crash", 10), (2, 2_000));
    assert_eq!(life.retry("spawn_transient", 0), (2, 1_000), "a new row of uncounted ones");
}

#[test]
fn a_daemon_that_ends_by_itself_starts_again_after_the_first_delay() {
    let mut life = Life::of(daemon());
    let verdict = life.end(&Outcome::Success, 700_000);
    let Decision::RetryAt { n: 0, raw_ms: 1_000, delay_ms: 1_000, why, .. } = verdict.decision else {
        panic!("{:?}", verdict.decision)
    };
    assert!(why.to_string().contains("after 11m40s"), "{why}");
}

#[test]
fn a_daemon_that_was_well_for_reset_after_begins_its_row_anew() {
    let mut life = Life::of(daemon());
    assert_eq!(life.retry("crash", 10), (1, 1_000));
    assert_eq!(life.retry("crash", 599_999), (2, 2_000));
    assert_eq!(life.retry("crash", 600_000), (1, 1_000));
    assert_eq!(life.retry("crash", 10), (2, 2_000));
    assert_eq!(life.healthy().saved.len(), 1);
    assert_eq!(life.healthy().saved, [], "nothing new to save");
    assert_eq!(life.retry("crash", 10), (1, 1_000));
}

#[test]
fn a_job_is_healed_by_success_alone() {
    let mut life = Life::of(job());
    assert_eq!(life.retry("crash", 10), (1, 1_000));
    assert_eq!(life.healthy(), Change::default());
    assert_eq!(life.retry("crash", 10_000_000), (2, 2_000));
}

#[test]
fn a_daemon_has_no_limit_of_retries_unless_it_is_given_one() {
    let mut life = Life::of(daemon());
    assert_eq!((0..40).map(|_| life.retry("crash", 10)).last(), Some((40, 300_000)));
    let mut program = daemon();
    program.retry.max_retries = Some(1);
    let mut life = Life::of(program);
    let _ = life.retry("crash", 10);
    assert_eq!(life.gives_up(&failed("crash"), 10), (Phase::Failed, EndReason::MaxRetries));
}

#[test]
fn a_run_gives_up_when_the_next_start_would_be_after_max_failing() {
    let mut program = job();
    program.retry.max_failing_ms = Some(10_000);
    let mut life = Life::of(program);
    let began = life.now;
    assert_eq!(life.retry("crash", 0), (1, 1_000));
    let program = life.program.clone();
    assert_eq!(life.machine.deadline(run(1), &program), Some(began.plus(10_000)));
    assert_eq!(life.retry("crash", 0), (2, 2_000));
    assert_eq!(life.retry("crash", 3_000), (3, 4_000), "starts exactly at the limit");
    assert_eq!(life.gives_up(&failed("crash"), 0), (Phase::Failed, EndReason::Deadline));
}

#[test]
fn restarts_beyond_the_intensity_are_quarantined_whatever_their_class() {
    let mut program = daemon();
    program.retry.delay_ms = 0;
    program.retry.min_delay_ms = 0;
    let mut life = Life::of(program);
    for class in ["crash", "lost", "spawn_transient", "crash", "early_exit"] {
        let _ = life.end(&failed(class), 1);
    }
    for _ in 0..5 {
        assert!(matches!(life.end(&Outcome::Success, 1).decision, Decision::RetryAt { .. }));
    }
    assert_eq!(life.gives_up(&failed("crash"), 1), (Phase::Quarantined, EndReason::Intensity));
}

#[test]
fn a_delay_of_zero_is_zero_only_when_no_shortest_delay_forbids_it() {
    let mut program = daemon();
    program.retry.delay_ms = 0;
    assert_eq!(Life::of(program.clone()).retry("crash", 10), (1, 100));
    program.retry.min_delay_ms = 0;
    for jitter in [Jitter::None, Jitter::Full, Jitter::Equal, Jitter::Decorrelated, Jitter::Proportional(200)]
    {
        program.retry.jitter = jitter;
        assert_eq!(Life::of(program.clone()).retry("crash", 10), (1, 0));
    }
}

#[test]
fn an_operator_who_starts_a_run_early_uses_up_none_of_its_intensity() {
    let mut program = daemon();
    program.retry.intensity = Some(Intensity { restarts: 1, window_ms: 600_000 });
    let mut life = Life::of(program);
    for _ in 0..5 {
        let _ = life.retry("crash", 10);
        life.machine.schedule(run(1), life.now);
        let _ = life.machine.cancel(run(1));
    }
    let _ = life.retry("crash", 10);
    assert_eq!(life.gives_up(&failed("crash"), 10), (Phase::Quarantined, EndReason::Intensity));
}

#[test]
fn a_start_that_was_held_back_counts_when_it_was_made() {
    let mut program = daemon();
    program.retry.intensity = Some(Intensity { restarts: 1, window_ms: 60_000 });
    let mut life = Life::of(program);
    let _ = life.retry("crash", 10);
    life.now = life.now.plus(100_000);
    assert_eq!(life.gives_up(&failed("crash"), 50_000), (Phase::Quarantined, EndReason::Intensity));
}

#[test]
fn decorrelated_delays_go_by_the_delay_before() {
    let mut program = daemon();
    program.retry.jitter = Jitter::Decorrelated;
    program.retry.intensity = None;
    let mut life = Life::of(program);
    let delays: Vec<_> = (0..40).map(|_| life.retry("crash", 10).1).collect();
    assert!(delays.windows(2).all(|pair| (1_000..pair[0] * 3).contains(&pair[1])), "{delays:?}");
    assert!(delays.iter().any(|delay| *delay > 9_000), "{delays:?}");
}

#[test]
fn an_unseen_end_means_what_on_lost_says() {
    assert_eq!(Life::of(job()).retry("lost", 10), (0, 1_000));
    let fail = Program { on_lost: OnLost::Fail, ..job() };
    assert_eq!(Life::of(fail).gives_up(&failed("lost"), 10), (Phase::Failed, EndReason::Exit));
    let success = Program { on_lost: OnLost::Success, ..job() };
    assert!(matches!(Life::of(success).end(&failed("lost"), 10).decision, Decision::Done { .. }));
}

#[test]
fn siblings_share_an_adjusted_parameter_and_one_incident_lowers_it_once() {
    let mut life = Life::of(scraper());
    life.base = at_host("shop.example");
    let first = life.end(&failed("rate_limited"), 10);
    let [(Some(scope), Event::ParamChanged { name, from, to, why })] = &first.events[..] else {
        panic!("{:?}", first.events)
    };
    assert_eq!((scope.0.as_str(), name.as_str()), ("site:shop.example", "qpi"));
    assert_eq!((from, to), (&100.into(), &50.into()));
    assert_eq!(why, "rate_limited: times 0.5 gives 50; shared by site:shop.example");
    let keys: Vec<_> = first.saved.iter().map(|put| put.key.as_str()).collect();
    assert_eq!(keys, ["param/site:shop.example/qpi", format!("retry/{}", run(1)).as_str()]);
    assert_eq!(life.end_of(run(2), &failed("rate_limited"), 10).events, [], "the same incident");
    let qpi = |life: &Life, who, host: &str, probe| {
        life.machine.prepare(run(who), &life.program, &at_host(host), probe)["qpi"].clone()
    };
    assert_eq!(qpi(&life, 3, "shop.example", None), 50.into());
    assert_eq!(qpi(&life, 3, "other.example", None), 100.into());
    for (probe, value) in [(ProbeParams::Floor, 10), (ProbeParams::Current, 50), (ProbeParams::Default, 100)]
    {
        assert_eq!(qpi(&life, 3, "shop.example", Some(probe)), value.into());
    }
    let mut modest = at_host("shop.example");
    modest.insert("qpi".into(), 20.into());
    assert_eq!(life.machine.prepare(run(4), &life.program, &modest, None)["qpi"], 20.into());
}

#[test]
fn a_run_that_gives_up_still_adjusts_what_it_shares() {
    let mut program = scraper();
    program.retry.max_retries = Some(0);
    let mut life = Life::of(program.clone());
    life.base = at_host("shop.example");
    let verdict = life.end(&failed("rate_limited"), 10);
    assert!(matches!(verdict.decision, Decision::GiveUp { .. }));
    assert_eq!((verdict.events.len(), verdict.saved.len()), (1, 1));
    program.params.insert("qpi".into(), ParamSpec::integer("qpi").default(100).range(10..=200));
    let mut life = Life::of(program);
    life.base = at_host("shop.example");
    assert_eq!(life.end(&failed("rate_limited"), 10).events, [], "its own dies with it");
}

#[test]
fn a_parameter_without_a_shared_key_belongs_to_its_run() {
    let mut program = scraper();
    program.params.insert("qpi".into(), ParamSpec::integer("qpi").default(100).range(30..=200));
    let mut life = Life::of(program);
    life.base = at_host("shop.example");
    let mut events = Vec::new();
    for _ in 0..4 {
        life.now = life.now.plus(60_000);
        events.extend(life.end(&failed("rate_limited"), 10).events.into_iter().map(|(scope, event)| {
            assert_eq!(scope, None);
            event
        }));
    }
    assert!(
        matches!(&events[1], Event::ParamChanged { to, why, .. } if *to == 30.into() && why.contains("floor"))
    );
    assert_eq!(events[2], Event::ParamExhausted { name: "qpi".into(), value: 30.into() });
    let qpi =
        |life: &Life, who| life.machine.prepare(run(who), &life.program, &life.base, None)["qpi"].clone();
    assert_eq!((qpi(&life, 1), qpi(&life, 2)), (ParamValue::Integer(30), ParamValue::Integer(100)));
    let _ = life.machine.forget(run(1));
    assert_eq!(qpi(&life, 1), 100.into(), "an operator starts it afresh");
}

#[test]
fn garbage_among_saved_records_is_named_and_the_rest_comes_back() {
    let mut life = Life::of(job());
    let saved = life.end(&failed("crash"), 10).saved;
    let mut records: Vec<_> = saved.into_iter().map(|put| (put.key, put.value.unwrap())).collect();
    records.push(("retry/nobody".into(), b"\x01{}".to_vec()));
    records.push(("param/site:x/qpi".into(), vec![9]));
    let mut machine = Machine::new(7);
    let (_, unread) = machine.restore(life.now, ClockShift::default(), &records);
    assert_eq!(unread, ["retry/nobody", "param/site:x/qpi"]);
    life.machine = machine;
    assert_eq!(life.retry("crash", 10), (2, 2_000));
}

/// What may happen to one of three runs.
#[derive(Clone, Debug)]
enum Happening {
    Ends(u128, &'static str, u64),
    Succeeds(u128),
    Healthy(u128),
}

fn happenings() -> impl Strategy<Value = Vec<(u64, Happening)>> {
    let class =
        prop::sample::select(vec!["crash", "rate_limited", "network", "lost", "spawn_transient", "config"]);
    let one = prop_oneof![
        8 => (0..3u128, class, 0..700_000u64).prop_map(|(r, c, up)| Happening::Ends(r, c, up)),
        1 => (0..3u128).prop_map(Happening::Succeeds),
        1 => (0..3u128).prop_map(Happening::Healthy),
    ];
    prop::collection::vec((0..120_000u64, one), 1..60)
}

fn happen(machine: &mut Machine, program: &Program, now: Timestamp, what: &Happening) -> Option<Verdict> {
    let base = at_host("shop.example");
    let mut end = |r: u128, outcome: &Outcome, uptime_ms| {
        machine.ended(now, End { run: run(r), program, base: &base, outcome, uptime_ms, quarantine: None })
    };
    match what {
        Happening::Ends(r, class, uptime) => Some(end(*r, &failed(class), *uptime)),
        Happening::Succeeds(r) => Some(end(*r, &Outcome::Success, 1_000_000)),
        Happening::Healthy(r) => {
            let _ = machine.healthy(now, run(*r), program, &base);
            None
        }
    }
}

fn restarting(jitter: bool, always: bool) -> Program {
    let mut program = scraper();
    program.restart = if always { Restart::Always } else { Restart::OnFailure };
    program.retry.jitter = if jitter { Jitter::Equal } else { Jitter::None };
    program
}

proptest! {
    #[test]
    fn a_restored_machine_decides_as_the_one_that_was_saved(
        log in happenings(), cut in 0..60usize, always in any::<bool>(),
    ) {
        let program = restarting(true, always);
        let (mut lasting, mut now) = (Machine::new(3), Timestamp(1_000_000_000));
        let mut store = BTreeMap::new();
        let mut restored: Option<Machine> = None;
        for (i, (gap, what)) in log.iter().enumerate() {
            now = now.plus(*gap);
            if i == cut {
                let mut machine = Machine::new(3);
                let saved: Vec<_> = store.clone().into_iter().collect();
                prop_assert_eq!(machine.restore(now, ClockShift::default(), &saved), (Vec::new(), Vec::new()));
                restored = Some(machine);
            }
            let verdict = happen(&mut lasting, &program, now, what);
            if let Happening::Healthy(_) = what {
                // Its record is written by the one who asked, which this log does not keep.
                store = lasting.streaks.iter().map(|(r, s)| saved::put_run(*r, s)).chain(
                    lasting.shared.all().iter().map(|(path, kept)| saved::put_shared(path, Some(kept)))
                ).map(|put| (put.key, put.value.unwrap())).collect();
            }
            for put in verdict.iter().flat_map(|v| v.saved.clone()) {
                match put.value {
                    Some(value) => { store.insert(put.key, value); }
                    None => { store.remove(&put.key); }
                }
            }
            if let Some(machine) = &mut restored {
                let again = happen(machine, &program, now, what);
                prop_assert_eq!(format!("{again:?}"), format!("{verdict:?}"));
            }
        }
    }

    #[test]
    fn delays_of_a_crash_loop_never_shrink(uptimes in prop::collection::vec(0..600_000u64, 1..40)) {
        let mut life = Life::of(daemon());
        let mut before = 0;
        for uptime in uptimes {
            let (_, delay) = life.retry("crash", uptime);
            prop_assert!(delay >= before);
            before = delay;
        }
    }

    #[test]
    fn effective_parameters_stay_between_floor_and_base(log in happenings()) {
        let program = restarting(false, false);
        let (mut machine, mut now) = (Machine::new(3), Timestamp(1_000_000_000));
        for (gap, what) in &log {
            now = now.plus(*gap);
            let _ = happen(&mut machine, &program, now, what);
            let qpi = machine.prepare(run(1), &program, &at_host("shop.example"), None)["qpi"].as_micros();
            prop_assert!(qpi >= Some(10_000_000) && qpi <= Some(100_000_000));
        }
    }
}
