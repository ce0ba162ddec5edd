//! Starts under a budget, as the Manager asks for them.

use super::*;
use crate::model::RetryBudget;

fn budget(capacity: f64, refill_per_minute: f64) -> RetryBudget {
    RetryBudget::tokens(capacity).deposit(0.5).refill_per_minute(refill_per_minute)
}

/// Three runs of one job, with one token between them.
fn poor() -> Life {
    let mut life = Life::of(job());
    life.machine.set_budget(life.now, Some(budget(1.0, 1.0)));
    life
}

fn fails(life: &mut Life, who: u128, class: &str) {
    let now = life.now;
    let _ = life.end_of(run(who), &failed(class), 0);
    life.now = now;
}

fn due_at(leave: &Leave) -> Option<u64> {
    match leave {
        Leave::Deferred { retry_at, .. } => retry_at.map(|at| at.0),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_retry_takes_a_token_and_the_next_ones_are_due_when_theirs_are_there() {
    let mut life = poor();
    (1..=3).for_each(|who| fails(&mut life, who, "crash"));
    let began = life.now;
    assert_eq!(life.machine.reserve(began, run(1), 0, &[]), Leave::Promised);
    assert_eq!(life.machine.pay(began, run(1)).len(), 2, "the budget and the run that paid");
    assert_eq!(due_at(&life.machine.reserve(began, run(2), 0, &[])), Some(began.0 + 60_000));
    assert_eq!(due_at(&life.machine.reserve(began, run(3), 0, &[])), Some(began.0 + 120_000));
    assert_eq!(life.machine.next_due(), Some(began.plus(60_000)));
    assert_eq!(life.machine.take_due(began.plus(59_999)), None);
    assert_eq!(life.machine.take_due(began.plus(60_000)), Some(run(2)));
    assert_eq!(life.machine.reserve(began.plus(60_000), run(2), 0, &[]), Leave::Promised);
    assert_eq!(life.machine.take_due(began.plus(119_999)), None, "what is promised is not promised twice");
}

#[test]
fn what_an_operator_starts_and_what_costs_nothing_is_free() {
    let mut life = poor();
    (1..=3).for_each(|who| fails(&mut life, who, "crash"));
    fails(&mut life, 4, "spawn_transient");
    fails(&mut life, 5, "lost");
    let now = life.now;
    assert_eq!(life.machine.reserve(now, run(1), 0, &[]), Leave::Promised);
    assert!(matches!(life.machine.reserve(now, run(2), 0, &[]), Leave::Deferred { .. }));
    let _ = life.machine.cancel(run(2));
    for who in [2, 4, 5, 77] {
        assert_eq!(life.machine.reserve(now, run(who), 0, &[]), Leave::Free, "{who}");
    }
    let _ = life.machine.forget(run(1));
    assert_eq!(
        life.machine.reserve(now, run(3), 0, &[]),
        Leave::Promised,
        "a run that is gone needs no token"
    );
}

#[test]
fn a_class_costs_what_it_says() {
    for (class, cost) in
        [("crash", 1_000), ("blocked", 2_000), ("rate_limited", 1_000), ("lost", 0), ("mine", 1_000)]
    {
        assert_eq!(job().class_rule(class).cost_permille, cost, "{class}");
    }
    let mut life = Life::of(job());
    life.program.classes.insert("crash".into(), ClassOverride::default().cost(0.25));
    life.machine.set_budget(life.now, Some(budget(1.0, 1.0)));
    for who in 1..=4 {
        fails(&mut life, who, "crash");
        assert_eq!(life.machine.reserve(life.now, run(who), 0, &[]), Leave::Promised);
    }
    fails(&mut life, 5, "crash");
    assert_eq!(due_at(&life.machine.reserve(life.now, run(5), 0, &[])), Some(life.now.0 + 15_000));
}

#[test]
fn a_start_that_a_breaker_refuses_gives_its_token_to_the_next() {
    let mut life = poor();
    (1..=2).for_each(|who| fails(&mut life, who, "crash"));
    let (now, before) = (life.now, life.machine.budgets.level());
    assert_eq!(life.machine.reserve(now, run(1), 0, &[]), Leave::Promised);
    assert!(matches!(life.machine.reserve(now, run(2), 0, &[]), Leave::Deferred { .. }));
    life.machine.release(run(1));
    assert_eq!(life.machine.take_due(now), Some(run(2)));
    life.machine.release(run(2));
    assert_eq!(life.machine.budgets.level(), before, "as if nobody had asked");
    assert_eq!(life.machine.pay(now, run(1)), [], "nothing is paid for a start that was not made");
}

#[test]
fn a_first_start_brings_tokens_that_a_deferred_start_sees_at_once() {
    let mut life = poor();
    (1..=2).for_each(|who| fails(&mut life, who, "crash"));
    let now = life.now;
    assert_eq!(life.machine.reserve(now, run(1), 0, &[]), Leave::Promised);
    let _ = life.machine.pay(now, run(1));
    assert!(matches!(life.machine.reserve(now, run(2), 0, &[]), Leave::Deferred { .. }));
    assert_eq!(life.machine.deposit(now, &[]).len(), 1);
    assert_eq!(life.machine.next_due(), Some(now.plus(30_000)), "half a token less to wait for");
    let _ = life.machine.deposit(now, &[]);
    assert_eq!(life.machine.take_due(now), Some(run(2)));
}

#[test]
fn without_a_budget_whoever_waited_for_it_is_due() {
    let mut life = poor();
    (1..=3).for_each(|who| fails(&mut life, who, "crash"));
    let now = life.now;
    for who in 1..=3 {
        let _ = life.machine.reserve(now, run(who), 0, &[]);
    }
    life.machine.set_budget(now, None);
    assert_eq!((life.machine.take_due(now), life.machine.take_due(now)), (Some(run(2)), Some(run(3))));
    assert_eq!(life.machine.reserve(now, run(2), 0, &[]), Leave::Free);
    assert_eq!((life.machine.deposit(now, &[]), life.machine.pay(now, run(1))), (Vec::new(), Vec::new()));
}

#[test]
fn what_the_bucket_held_is_found_by_the_next_manager() {
    let mut life = poor();
    fails(&mut life, 1, "crash");
    let now = life.now;
    let _ = life.machine.reserve(now, run(1), 0, &[]);
    let saved: Vec<_> =
        life.machine.pay(now, run(1)).into_iter().filter_map(|put| Some((put.key, put.value?))).collect();
    for (later, wait) in [(0, 60_000), (45_000, 15_000)] {
        let mut next = Life::of(job());
        next.now = now.plus(later);
        next.machine.set_budget(next.now, Some(budget(1.0, 1.0)));
        assert_eq!(next.machine.restore(next.now, ClockShift::default(), &saved), (Vec::new(), Vec::new()));
        assert_eq!(
            next.machine.reserve(next.now, run(1), 0, &[]),
            Leave::Free,
            "its token was paid, its end not seen"
        );
        fails(&mut next, 2, "crash");
        assert_eq!(due_at(&next.machine.reserve(next.now, run(2), 0, &[])), Some(next.now.0 + wait));
    }
}

#[test]
fn less_capacity_takes_what_does_not_fit() {
    let mut life = Life::of(job());
    life.machine.set_budget(life.now, Some(budget(5.0, 1.0)));
    life.machine.set_budget(life.now, Some(budget(1.0, 1.0)));
    (1..=2).for_each(|who| fails(&mut life, who, "crash"));
    assert_eq!(life.machine.reserve(life.now, run(1), 0, &[]), Leave::Promised);
    assert!(matches!(life.machine.reserve(life.now, run(2), 0, &[]), Leave::Deferred { .. }));
}

#[test]
fn a_start_needs_tokens_of_its_scope_and_of_all_programs_and_keeps_the_first_while_it_waits_for_the_second() {
    let mut life = poor();
    let site = |name: &str| [(Scope(format!("site:{name}")), budget(1.0, 6.0))];
    for who in 1..=4 {
        fails(&mut life, who, "crash");
    }
    let now = life.now;
    let mut ask = |who, name: &str| life.machine.reserve(now, run(who), 0, &site(name));
    assert_eq!(ask(1, "a"), Leave::Promised);
    let Leave::Deferred { retry_at, why } = ask(2, "a") else { panic!() };
    assert_eq!(retry_at, Some(now.plus(10_000)), "{why}");
    assert_eq!(why, "the retry budget of site:a has 0 tokens, and this start costs 1");
    let Leave::Deferred { retry_at, why } = ask(3, "b") else { panic!() };
    assert_eq!((retry_at, why.contains(" of site")), (Some(now.plus(60_000)), false), "{why}");
    let saved: Vec<_> = life.machine.pay(now, run(1)).into_iter().map(|put| put.key).collect();
    assert_eq!(saved, ["budget/of/site:a".to_owned(), "budget/retry".into(), format!("retry/{}", run(1))]);
    // The site has tokens again for the second one, which then stands behind the third.
    assert_eq!(life.machine.next_due(), Some(now.plus(10_000)));
    let later = now.plus(10_000);
    assert_eq!(life.machine.take_due(later), Some(run(2)));
    let Leave::Deferred { retry_at, .. } = life.machine.reserve(later, run(2), 0, &site("a")) else {
        panic!()
    };
    assert_eq!(retry_at, Some(now.plus(120_000)));
    // The third gives up: nobody is before it, and what its site had promised is there again.
    life.machine.release(run(3));
    assert_eq!(life.machine.take_due(now.plus(60_000)), Some(run(2)));
    assert_eq!(life.machine.reserve(now.plus(60_000), run(2), 0, &site("a")), Leave::Promised);
    assert_eq!(life.machine.pay(now.plus(60_000), run(2)).len(), 3);
}

#[test]
fn a_first_start_feeds_the_budget_of_its_scope_and_one_that_is_full_is_forgotten() {
    let mut life = Life::of(job());
    let site = [(Scope("site:a".into()), budget(1.0, 0.0))];
    fails(&mut life, 1, "crash");
    let now = life.now;
    assert_eq!(life.machine.deposit(now, &site), [], "nobody has asked it yet: it is full");
    assert_eq!(life.machine.reserve(now, run(1), 0, &site), Leave::Promised);
    let saved: Vec<_> =
        life.machine.pay(now, run(1)).into_iter().filter_map(|put| Some((put.key, put.value?))).collect();
    let mut next = Life::of(job());
    let (moved, unread) = next.machine.restore(now, ClockShift::default(), &saved);
    assert_eq!((moved.len(), unread.len()), (0, 0));
    fails(&mut next, 2, "crash");
    assert!(matches!(next.machine.reserve(now, run(2), 0, &site), Leave::Deferred { retry_at: None, .. }));
    for _ in 0..2 {
        assert_eq!(next.machine.deposit(now, &site).len(), 1);
    }
    assert_eq!(next.machine.take_due(now), Some(run(2)), "two deposits of half a token");
}

#[test]
fn where_the_rules_say_so_who_finds_too_few_tokens_gives_up() {
    let mut life = Life::of(job());
    life.machine.set_budget(life.now, Some(budget(1.0, 1.0).give_up_when_empty()));
    for who in 1..=2 {
        fails(&mut life, who, "crash");
    }
    let now = life.now;
    let site = [(Scope("site:a".into()), budget(9.0, 1.0))];
    assert_eq!(life.machine.reserve(now, run(1), 0, &site), Leave::Promised);
    let why = "the retry budget has 0 tokens, and this start costs 1, and on_empty = \"give_up\"".to_owned();
    assert_eq!(life.machine.reserve(now, run(2), 0, &site), Leave::Denied { why });
    assert_eq!(life.machine.next_due(), None, "it stands in no line");
}

#[test]
fn what_a_scope_held_is_forgotten_after_eight_days_without_use() {
    let at = Timestamp(1_000_000);
    let scope = Scope("site:shop.example".into());
    let put = saved::put_budget(Some(&scope), Some(budget::Level { units: 0, at }));
    let records = [(put.key.clone(), put.value.unwrap_or_default())];
    let forgotten = [Put { key: put.key, value: None }];
    for (age_ms, expected) in [(params::UNUSED_MS - 1, &[][..]), (params::UNUSED_MS, &forgotten[..])] {
        let found = Machine::new(1).restore(at.plus(age_ms), ClockShift::default(), &records);
        assert_eq!(found, (expected.to_vec(), vec![]), "{age_ms}");
    }
}
