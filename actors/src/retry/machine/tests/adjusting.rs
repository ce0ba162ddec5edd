//! Parameters: down for a failure, up for a success, and what happens at the floor.

use super::*;
use crate::model::{OnFloor, Restore};

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;

/// A scraper whose value finds its way back by these rules.
fn returning(restore: Restore) -> Program {
    let mut program = scraper();
    let qpi = ParamSpec::integer("qpi").default(100).range(10..=200).adjust_scope("site:{host}");
    program.params.insert("qpi".into(), qpi.restore(restore));
    program
}

fn life(program: Program) -> Life {
    let mut life = Life::of(program);
    life.base = at_host("shop.example");
    life
}

fn qpi(life: &Life) -> String {
    life.machine.prepare(run(9), &life.program, &life.base, None)["qpi"].to_string()
}

/// Another run of the same host succeeds after so long; the sentence of what that changed.
fn success_after(life: &mut Life, ms: u64) -> Option<String> {
    life.now = life.now.plus(ms);
    let verdict = life.end_of(run(5), &Outcome::Success, 10);
    verdict.events.into_iter().find_map(|(_, event)| match event {
        Event::ParamChanged { why, .. } => Some(why),
        _ => None,
    })
}

#[test]
fn success_raises_step_by_step_after_the_hold_and_avoids_what_was_bad() {
    let restore = Restore {
        hold_ms: 10 * MINUTE,
        every_ms: 5 * MINUTE,
        add_micros: Some(20_000_000),
        avoid_ms: 2 * HOUR,
    };
    let mut life = life(returning(restore));
    let _ = life.end(&failed("rate_limited"), 10);
    let began = life.now;
    assert_eq!(qpi(&life), "50");
    assert_eq!(success_after(&mut life, 9 * MINUTE), None, "too soon after the decrease");
    let why = success_after(&mut life, MINUTE);
    assert_eq!(
        why.as_deref(),
        Some("success: plus 20 gives 70 of the 100 that was asked for; shared by site:shop.example")
    );
    assert_eq!(success_after(&mut life, 4 * MINUTE), None, "one step in five minutes");
    let why = success_after(&mut life, MINUTE).unwrap_or_default();
    assert!(
        why.starts_with("success: plus 20 gives 90, to nine tenths of 100") || qpi(&life) == "90",
        "{why}"
    );
    assert_eq!(success_after(&mut life, 30 * MINUTE), None, "100 was bad, an hour ago");
    life.now = began.plus(2 * HOUR);
    let why = success_after(&mut life, MINUTE).unwrap_or_default();
    assert!(why.contains("gives 100, which is what was asked for"), "{why}");
    assert_eq!(qpi(&life), "100");
    assert!(life.machine.shared.all().is_empty(), "nothing is left to remember");
}

#[test]
fn without_a_word_a_value_comes_back_by_tenths_and_with_false_it_stays() {
    let mut life_of_default = life(scraper());
    let _ = life_of_default.end(&failed("rate_limited"), 10);
    let _ = success_after(&mut life_of_default, 10 * MINUTE);
    assert_eq!(qpi(&life_of_default), "60");
    let mut program = scraper();
    let spec = program.params.remove("qpi").unwrap().no_restore();
    program.params.insert("qpi".into(), spec);
    let mut stays = life(program);
    let _ = stays.end(&failed("rate_limited"), 10);
    assert_eq!(success_after(&mut stays, 100 * HOUR), None);
    assert_eq!(qpi(&stays), "50");
}

#[test]
fn a_way_back_that_was_forgotten_is_saved_as_forgotten() {
    let mut life =
        life(returning(Restore { hold_ms: 0, every_ms: 0, add_micros: Some(100_000_000), avoid_ms: 0 }));
    let _ = life.end(&failed("rate_limited"), 10);
    life.now = life.now.plus(1);
    let verdict = life.end_of(run(5), &Outcome::Success, 10);
    let removed = verdict.saved.iter().find(|put| put.key.starts_with("param/"));
    assert_eq!(removed.map(|put| put.value.is_none()), Some(true));
}

#[test]
fn a_modest_sibling_does_not_raise_what_is_above_its_own_wish() {
    let mut life = life(scraper());
    let _ = life.end(&failed("rate_limited"), 10);
    life.base.insert("qpi".into(), 30.into());
    assert_eq!(success_after(&mut life, 20 * MINUTE), None);
    life.base = at_host("shop.example");
    assert_eq!(qpi(&life), "50");
}

#[test]
fn each_span_of_health_gives_a_daemon_s_own_value_a_step_back() {
    let mut program = daemon();
    program.params.insert("qpi".into(), ParamSpec::integer("qpi").default(100).range(10..=200));
    program.classes = scraper().classes;
    let mut life = Life::of(program);
    life.base = Params::from([("qpi".into(), 100.into())]);
    let own = |life: &Life| life.machine.prepare(run(1), &life.program, &life.base, None)["qpi"].to_string();
    let _ = life.end(&failed("rate_limited"), 10);
    assert_eq!(own(&life), "50");
    let mut values = Vec::new();
    for _ in 0..40 {
        life.now = life.now.plus(10 * MINUTE);
        let change = life.healthy();
        if let Some((None, Event::ParamChanged { to, .. })) = change.events.first() {
            values.push(to.to_string());
            assert!(change.saved.iter().any(|put| put.key.starts_with("retry/")), "and it is saved");
        }
    }
    assert_eq!(values, ["60", "70", "80", "90", "100"], "90 until 100 is forgiven after six hours");
    assert_eq!(own(&life), "100");
}

#[test]
fn a_success_between_failures_does_not_undo_the_floor() {
    let mut program = scraper();
    let spec = program.params.remove("qpi").unwrap().range(50..=200);
    program.params.insert("qpi".into(), spec);
    program.retry.intensity = None;
    let mut life = life(program);
    let _ = life.end(&failed("rate_limited"), 10);
    for _ in 0..8 {
        life.now = life.now.plus(5 * MINUTE);
        let now = life.now;
        let _ = life.end_of(run(3), &failed("rate_limited"), 0);
        life.now = now;
        assert_eq!(success_after(&mut life, 5 * MINUTE), None, "each failure at the floor holds it there");
    }
    assert_eq!(qpi(&life), "50");
}

#[test]
fn at_the_floor_a_run_goes_on_or_gives_up_as_the_parameter_says() {
    for (on_floor, gives_up) in [(OnFloor::Continue, false), (OnFloor::GiveUp, true)] {
        let mut program = scraper();
        let spec = program.params.remove("qpi").unwrap().range(50..=200).on_floor(on_floor);
        program.params.insert("qpi".into(), spec);
        let mut life = life(program);
        assert!(matches!(life.end(&failed("rate_limited"), 10).decision, Decision::RetryAt { .. }));
        life.now = life.now.plus(MINUTE);
        let verdict = life.end(&failed("rate_limited"), 10);
        let exhausted = Event::ParamExhausted { name: "qpi".into(), value: 50.into() };
        assert!(verdict.events.iter().any(|(_, event)| *event == exhausted), "{:?}", verdict.events);
        match verdict.decision {
            Decision::GiveUp { reason, why, .. } if gives_up => {
                assert_eq!(reason, EndReason::NotRetryable);
                assert_eq!(
                    why,
                    "it failed (rate_limited) with qpi at its floor 50, and on_floor = \"give_up\""
                );
            }
            Decision::RetryAt { .. } if !gives_up => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn errors_of_a_living_attempt_lower_what_siblings_share_at_once() {
    let mut life = life(scraper());
    let base = life.base.clone();
    let change = life.machine.adjust(life.now, run(1), &life.program, &base, "rate_limited");
    assert_eq!(change.events.len(), 1);
    assert_eq!(
        change.saved.iter().map(|put| put.key.as_str()).collect::<Vec<_>>(),
        ["param/site:shop.example/qpi"]
    );
    assert_eq!(qpi(&life), "50");
    let again = life.machine.adjust(life.now.plus(59_999), run(2), &life.program, &base, "rate_limited");
    assert_eq!((again.events.len(), again.saved.len()), (0, 0), "the same incident");
    let told = "qpi stays 50: it was lowered 59s ago, and within adjust_cooldown = 1m that counts as the same incident";
    assert_eq!(again.unchanged, [told]);
}

#[test]
fn errors_of_a_living_attempt_and_its_end_are_one_incident_for_its_own_value() {
    let mut program = scraper();
    program.params.insert("qpi".into(), ParamSpec::integer("qpi").default(100).range(10..=200));
    let mut life = life(program);
    let base = life.base.clone();
    let own = |life: &Life| life.machine.prepare(run(1), &life.program, &life.base, None)["qpi"].to_string();
    let change = life.machine.adjust(life.now, run(1), &life.program, &base, "rate_limited");
    assert_eq!((change.events.len(), own(&life).as_str()), (1, "50"));
    let _ = life.end(&failed("rate_limited"), 10);
    assert_eq!(own(&life), "50", "it ran with 100 all the time");
    let _ = life.end(&failed("rate_limited"), 10);
    assert_eq!(own(&life), "25", "this one ran with 50");
}

#[test]
fn a_class_with_a_limit_of_its_own_gives_up_before_the_program_does() {
    let mut program = job();
    let limited = ClassOverride { max_retries: Some(2), ..ClassOverride::default() };
    program.classes.insert("blocked".into(), limited);
    let mut life = Life::of(program);
    let _ = (life.retry("blocked", 10), life.retry("crash", 10), life.retry("blocked", 10));
    let verdict = life.end(&failed("blocked"), 10);
    let Decision::GiveUp { reason: EndReason::MaxRetries, why, .. } = verdict.decision else {
        panic!("{:?}", verdict.decision)
    };
    assert_eq!(why, "failure 3 in a row by blocked; max_retries = 2 of this class allows no more");
}

#[test]
fn a_healthy_daemon_forgets_the_failures_of_a_class_too() {
    let mut program = daemon();
    let limited = ClassOverride { max_retries: Some(1), ..ClassOverride::default() };
    program.classes.insert("oom".into(), limited);
    let mut life = Life::of(program);
    for _ in 0..5 {
        assert_eq!(life.retry("oom", 700_000).0, 1);
    }
    assert_eq!(life.gives_up(&failed("oom"), 10), (Phase::Failed, EndReason::MaxRetries));
}

#[test]
fn an_attempt_knows_why_its_parameters_are_not_as_asked_for() {
    let mut life = life(scraper());
    let chain = |life: &Life, probe| {
        let (who, base) = (run(2), at_host("shop.example"));
        let params = life.machine.prepare(who, &life.program, &base, probe);
        let reasons = life.machine.reasons(who, &life.program, &base, &params, probe);
        let told = |step: &ParamReason| format!("{} → {}: {}", step.from, step.to, step.why);
        reasons.get("qpi").map(|chain| chain.iter().map(told).collect::<Vec<_>>()).unwrap_or_default()
    };
    assert!(chain(&life, None).is_empty());
    let lowered = "100 → 50: rate_limited: times 0.5 gives 50; shared by site:shop.example";
    let _ = life.end(&failed("rate_limited"), 10);
    assert_eq!(chain(&life, None), [lowered]);
    assert_eq!(
        chain(&life, Some(ProbeParams::Floor)),
        [lowered, "50 → 10: a probe of a half-open breaker: half_open.params = \"floor\""]
    );
    for _ in 0..20 {
        life.now = life.now.plus(MINUTE);
        let _ = life.end_of(run(3), &failed("rate_limited"), 10);
    }
    assert_eq!(
        chain(&life, None).last().map(String::as_str),
        Some("12 → 10: rate_limited: times 0.5 gives 10, which is its floor; shared by site:shop.example")
    );
    assert!(chain(&life, None).len() <= 8);
}

#[test]
fn a_choice_is_stepped_down_for_failures_and_finds_its_way_back_by_steps() {
    let mut program = scraper();
    let pace = ParamSpec::choice("pace", ["crawl", "walk", "run", "fly"]).adjust_scope("site:{host}");
    program.params.insert("pace".into(), pace);
    let rule = ClassOverride::retry().adjust("pace", Adjust::step(-2));
    program.classes.insert("rate_limited".into(), rule);
    let mut life = life(program);
    life.base.insert("pace".into(), "fly".into());
    let pace = |life: &Life, probe| {
        life.machine.prepare(run(9), &life.program, &life.base, probe)["pace"].to_string()
    };
    let verdict = life.end(&failed("rate_limited"), 10);
    let why = verdict.events.into_iter().find_map(|(_, event)| match event {
        Event::ParamChanged { why, .. } => Some(why),
        _ => None,
    });
    assert_eq!(why.as_deref(), Some("rate_limited: 2 steps down gives walk; shared by site:shop.example"));
    assert_eq!(pace(&life, None), "walk");
    assert_eq!(pace(&life, Some(ProbeParams::Floor)), "crawl", "a probe is as cautious as it can be");
    let why = success_after(&mut life, 10 * MINUTE);
    let expected =
        "success: 1 step up gives run, on the way to the fly that was asked for; shared by site:shop.example";
    assert_eq!(why.as_deref(), Some(expected));
    assert_eq!(success_after(&mut life, 5 * MINUTE), None, "fly was bad, not long ago");
    let why = success_after(&mut life, 6 * HOUR);
    let expected = "success: 1 step up gives fly, which is what was asked for; shared by site:shop.example";
    assert_eq!(why.as_deref(), Some(expected));
    assert!(life.machine.shared.all().is_empty(), "nothing is left to remember");
}

const DAY: u64 = 24 * HOUR;

/// A run of another host ends after so long, which forgets what is due.
fn elsewhere(life: &mut Life, ms: u64) -> Vec<Put> {
    life.now = life.now.plus(ms);
    let base = std::mem::replace(&mut life.base, at_host("other.example"));
    let verdict = life.end_of(run(6), &Outcome::Success, 0);
    life.base = base;
    verdict.saved
}

#[test]
fn a_shared_value_is_forgotten_after_eight_days_without_use() {
    let mut life = life(scraper());
    let used_at = life.now;
    let _ = life.end(&failed("rate_limited"), 0);
    life.now = used_at;
    assert_eq!(elsewhere(&mut life, 8 * DAY - 1), []);
    assert_eq!(qpi(&life), "50");
    let key = "param/site:shop.example/qpi".to_owned();
    assert_eq!(elsewhere(&mut life, 1), [Put { key, value: None }]);
    assert_eq!(qpi(&life), "100");
    assert_eq!(elsewhere(&mut life, DAY), [], "once");
}

#[test]
fn a_shared_value_that_somebody_runs_with_is_kept_over_restarts() {
    let mut program = scraper();
    if let Some(spec) = program.params.get_mut("qpi") {
        spec.restore = None;
    }
    let mut life = life(program);
    let mut saved: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut hear = |puts: Vec<Put>| {
        for put in puts {
            match put.value {
                Some(value) => drop(saved.insert(put.key, value)),
                None => drop(saved.remove(&put.key)),
            }
        }
        saved.clone()
    };
    hear(life.end(&failed("rate_limited"), 10).saved);
    for class in ["network", "rate_limited", "network"] {
        life.now = life.now.plus(5 * DAY);
        let verdict = life.end(&failed(class), 10);
        let known: Vec<_> = hear(verdict.saved).into_iter().collect();
        life.machine = Machine::new(1);
        assert_eq!(life.machine.restore(life.now, ClockShift::default(), &known), (vec![], vec![]));
    }
    assert_eq!(qpi(&life), "25");
    life.now = life.now.plus(5 * DAY);
    hear(life.end_of(run(5), &Outcome::Success, 10).saved);
    hear(elsewhere(&mut life, 7 * DAY));
    assert_eq!(qpi(&life), "25", "a success that raises nothing is a use");
    life.now = life.now.plus(9 * DAY);
    let known: Vec<_> = hear(Vec::new()).into_iter().collect();
    life.machine = Machine::new(1);
    let (forgotten, _) = life.machine.restore(life.now, ClockShift::default(), &known);
    assert_eq!(forgotten.iter().filter(|put| put.value.is_none()).count(), 1);
    assert!(life.machine.shared.all().is_empty());
}
