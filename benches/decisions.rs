//! What one decision costs while 10,000 scopes and runs are alive. One module for each rule book.
//!
//! `cargo bench --bench decisions`; the column `median` counts, and `breaker` or `retry` after `--` runs one module alone.
//! The machines are called directly: no actor, no message, no store. Questions are put together before the clock runs,
//! a hundred at a time, so that they are as near as they are to somebody who just put them together; answers are dropped
//! after it stopped. What the machine keeps has not been touched for long: most of each time is memory that the processor
//! has to fetch, so a busy neighbour on the same chip shows.
//!
//! `ended` includes the state to save, as the bytes that are saved, but not the sentence of a retry, which whoever writes
//! it down asks for ([`Why`](actix_process::actors::retry::Why)); `said` is `ended` with it.

#![expect(clippy::unwrap_used, reason = "a bench stops at the first surprise")]

use actix_process::actors::model::{RunId, Timestamp};

/// Runs and scopes that are alive while one more is decided upon.
const ALIVE: u64 = 10_000;

/// When the bench takes place: a time of this decade, so that times have their usual length when they are written.
const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn run(number: u64) -> RunId {
    RunId::from_parts(NOW.0, number.into())
}

fn main() {
    divan::main();
}

mod breaker {
    use super::{ALIVE, NOW, run};
    use actix_process::actors::{
        breaker::{Admission, Gate, Machine, Outcome, Permit},
        model::{BreakerPolicy, Scope},
    };
    use divan::{Bencher, black_box};
    use std::{
        cell::RefCell,
        sync::{Arc, LazyLock},
    };

    /// As the Manager has them: one set of rules for all scopes that the configuration means by one name.
    static POLICY: LazyLock<Arc<BreakerPolicy>> = LazyLock::new(Arc::default);

    /// The gates of one start: its program's (each of 100 programs has 100 runs), then `site:`, `user:` and the global
    /// one. The first gate alone is a scope of its own for each run, so that 10,000 scopes are alive in both cases.
    fn gates(run: u64, count: usize) -> Vec<Gate> {
        let own = if count == 1 { format!("program:p{run}") } else { format!("program:p{}", run % 100) };
        [own, format!("site:shop-{run}.example"), format!("user:u{}", run % 1_000), "global".into()]
            .into_iter()
            .take(count)
            .map(|name| Gate { scope: Scope(name), policy: POLICY.clone() })
            .collect()
    }

    fn admit(machine: &mut Machine, number: u64, gates: Vec<Gate>) -> Vec<Permit> {
        match machine.admit(NOW, run(number), gates, false) {
            Admission::Granted { permits, .. } => permits,
            Admission::Denied { why, .. } => panic!("denied: {why}"),
        }
    }

    /// A machine in which every run of [`ALIVE`] holds its permits, the gates of all, and the permits.
    fn crowd(count: usize) -> (Machine, Vec<Vec<Gate>>, Vec<Vec<Permit>>) {
        let mut machine = Machine::new(1);
        let all: Vec<_> = (0..ALIVE).map(|run| gates(run, count)).collect();
        let permits = (0..).zip(&all).map(|(run, gates)| admit(&mut machine, run, gates.clone())).collect();
        assert!(machine.breakers().len() as u64 >= ALIVE);
        (machine, all, permits)
    }

    /// Leave to start, asked for and granted: of the 10,000 alive one has ended, and another takes its place.
    #[divan::bench(name = "admit", args = [1, 4], sample_size = 100, sample_count = 600)]
    fn admitting(bencher: Bencher<'_, '_>, scopes: usize) {
        let (machine, _, permits) = crowd(scopes);
        let machine = RefCell::new(machine);
        let (mut next, mut holders): (_, Vec<_>) = (ALIVE, (0..ALIVE).collect());
        bencher
            .with_inputs(|| {
                next += 1;
                // A stride that is coprime with the number of scopes: neighbours in memory do not help each other.
                let at = |step: u64| usize::try_from(step * 7_919 % ALIVE).unwrap();
                // Whoever ends now makes room for a start that is 5,000 starts away: by then it is out of every cache.
                let (ending, starting) = (at(next + ALIVE / 2), at(next));
                let word: Vec<_> =
                    permits[ending].iter().map(|permit| (permit.clone(), Outcome::Neutral)).collect();
                let _ = machine.borrow_mut().settle(NOW, run(holders[ending]), None, &word, false);
                holders[starting] = next;
                (next, gates(starting as u64, scopes))
            })
            .bench_local_values(|(who, gates)| admit(&mut machine.borrow_mut(), who, gates))
    }

    /// Leave to start, refused because the last of the scopes is open.
    #[divan::bench(name = "refuse", args = [1, 4], sample_size = 100, sample_count = 600)]
    fn refusing(bencher: Bencher<'_, '_>, scopes: usize) {
        let (mut machine, gates, permits) = crowd(scopes);
        let failed = Outcome::Failure { weight_permille: u32::MAX };
        let word = [(permits[0].last().unwrap().clone(), failed)];
        let _ = machine.settle(NOW, run(0), Some("network"), &word, false);
        bencher.with_inputs(|| gates[0].clone()).bench_local_values(|gates| {
            match machine.admit(NOW, run(black_box(1)), gates, false) {
                Admission::Denied { retry_at, .. } => retry_at,
                Admission::Granted { .. } => panic!("granted"),
            }
        });
    }

    /// How a start went: a success, heard and saved by each of its scopes.
    #[divan::bench(name = "settle", args = [1, 4], sample_size = 100, sample_count = 60)]
    fn settling(bencher: Bencher<'_, '_>, scopes: usize) {
        let (mut machine, _, permits) = crowd(scopes);
        let mut next = 0;
        bencher
            .with_inputs(|| {
                next += 1;
                let who = next * 7_919 % ALIVE;
                let of_run = &permits[usize::try_from(who).unwrap()];
                let word: Vec<_> = of_run.iter().map(|permit| (permit.clone(), Outcome::Success)).collect();
                (who, word)
            })
            .bench_local_values(|(who, word)| {
                let changes = machine.settle(NOW, run(who), None, black_box(&word), false);
                assert_eq!(changes.saved.len(), scopes);
                changes
            });
    }
}

mod retry {
    use super::{ALIVE, NOW, run};
    use actix_process::{
        Adjust, ClassRule, Param, Program, RetryBudget,
        actors::{
            model::{ParamValue, Params, Timestamp},
            retry::{Decision, End, Leave, Machine, Outcome},
        },
    };
    use divan::{Bencher, black_box};

    fn program() -> Program {
        Program::command("scraper", ["scrape"])
            .param(Param::string("host").required())
            .param(Param::integer("qpi").default(100).range(10..=200).adjust_scope("site:{host}"))
            .class("rate_limited", ClassRule::default().adjust("qpi", Adjust::multiply(0.5)))
            .retry(actix_process::RetryPolicy::default().max_retries(u32::MAX).no_intensity())
    }

    fn base(number: u64) -> Params {
        let host = ParamValue::from(format!("shop-{number}.example"));
        Params::from([("host".into(), host), ("qpi".into(), 100.into())])
    }

    fn failed(class: &str) -> Outcome {
        Outcome::Failed { class: class.into(), retry_after_ms: None }
    }

    /// A machine in which every run of [`ALIVE`] has failed twice, waits for its next attempt, and shares a parameter of its
    /// own site.
    fn crowd(program: &Program) -> (Machine, Vec<Params>) {
        let mut machine = Machine::new(1);
        let all: Vec<_> = (0..ALIVE).map(base).collect();
        for (number, base) in (0..).zip(&all) {
            for class in ["rate_limited", "crash"] {
                let _ = machine.ended(NOW, end(program, base, number, &failed(class)));
            }
            machine.schedule(run(number), Timestamp(NOW.0 + number));
        }
        (machine, all)
    }

    fn end<'a>(program: &'a Program, base: &'a Params, number: u64, outcome: &'a Outcome) -> End<'a> {
        End { run: run(number), program, base, outcome, uptime_ms: 10_000, quarantine: None }
    }

    /// What an end means: `crash` by delay alone, `rate_limited` with a look at the parameter that siblings share.
    #[divan::bench(name = "ended", args = ["crash", "rate_limited"], sample_size = 100, sample_count = 600)]
    fn ending(bencher: Bencher<'_, '_>, class: &str) {
        let program = program();
        let (mut machine, _) = crowd(&program);
        let outcome = failed(class);
        let mut next = 0;
        let question = || {
            next = (next + 7_919) % ALIVE;
            (next, base(next))
        };
        bencher
            .with_inputs(question)
            .bench_local_refs(|(who, base)| machine.ended(NOW, end(&program, base, *who, &outcome)));
    }

    /// The same, and the sentence that the journal gets.
    #[divan::bench(name = "said", sample_size = 100, sample_count = 600)]
    fn saying(bencher: Bencher<'_, '_>) {
        let program = program();
        let (mut machine, _) = crowd(&program);
        let outcome = failed("crash");
        let mut next = 0;
        let question = || {
            next = (next + 7_919) % ALIVE;
            (next, base(next))
        };
        bencher.with_inputs(question).bench_local_refs(|(who, base)| {
            match machine.ended(NOW, end(&program, base, *who, &outcome)).decision {
                Decision::RetryAt { why, .. } => why.to_string(),
                over => panic!("{over:?}"),
            }
        });
    }

    /// The next run that is due, taken and scheduled anew.
    #[divan::bench(name = "due", sample_size = 1_000, sample_count = 60)]
    fn taking(bencher: Bencher<'_, '_>) {
        let program = program();
        let (mut machine, _) = crowd(&program);
        let mut now = NOW.0;
        bencher.bench_local(|| {
            now += 1;
            let due = machine.take_due(Timestamp(black_box(now))).unwrap();
            machine.schedule(due, Timestamp(now + ALIVE));
        });
    }

    /// Tokens asked for and given back, while everybody else waits in line.
    #[divan::bench(name = "reserve", sample_size = 1_000, sample_count = 60)]
    fn reserving(bencher: Bencher<'_, '_>) {
        let program = program();
        let (mut machine, _) = crowd(&program);
        machine.set_budget(NOW, Some(RetryBudget::tokens(1.0)));
        for number in 0..ALIVE {
            let leave = machine.reserve(NOW, run(number), 0, &[]);
            assert_eq!(leave == Leave::Promised, number == 0);
        }
        bencher.bench_local(|| {
            machine.release(run(black_box(7)));
            machine.reserve(NOW, run(7), 0, &[])
        });
    }
}
