//! What one decision costs while 10,000 scopes and runs are alive. One module for each rule book.
//!
//! `cargo bench --bench decisions`; the column `median` counts, and `breaker` or `retry` after `--` runs one module alone.
//! The machines are called directly: no actor, no message, no store.

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

    /// The gates of one start: its program's (each of 100 programs has 100 runs), then `site:`, `user:` and the global
    /// one. The first gate alone is a scope of its own for each run, so that 10,000 scopes are alive in both cases.
    fn gates(run: u64, count: usize) -> Vec<Gate> {
        let own = if count == 1 { format!("program:p{run}") } else { format!("program:p{}", run % 100) };
        [own, format!("site:shop-{run}.example"), format!("user:u{}", run % 1_000), "global".into()]
            .into_iter()
            .take(count)
            .map(|name| Gate { scope: Scope(name), policy: BreakerPolicy::default() })
            .collect()
    }

    fn admit(machine: &mut Machine, number: u64, gates: &[Gate]) -> Vec<Permit> {
        match machine.admit(NOW, run(number), gates, false) {
            Admission::Granted { permits, .. } => permits,
            Admission::Denied { why, .. } => panic!("denied: {why}"),
        }
    }

    /// A machine in which every run of [`ALIVE`] holds its permits, the gates of all, and the permits.
    fn crowd(count: usize) -> (Machine, Vec<Vec<Gate>>, Vec<Vec<Permit>>) {
        let mut machine = Machine::new(1);
        let all: Vec<_> = (0..ALIVE).map(|run| gates(run, count)).collect();
        let permits = (0..).zip(&all).map(|(run, gates)| admit(&mut machine, run, gates)).collect();
        assert!(machine.breakers().len() as u64 >= ALIVE);
        (machine, all, permits)
    }

    /// Leave to start, asked for and granted: 60,000 more runs among the 10,000 alive.
    #[divan::bench(name = "admit", args = [1, 4], sample_size = 1_000, sample_count = 60)]
    fn admitting(bencher: Bencher<'_, '_>, scopes: usize) {
        let (mut machine, all, _) = crowd(scopes);
        // As in life, the question is put together right before it is asked; the scopes have not been touched for long.
        let mut asked = all[0].clone();
        let mut next = ALIVE;
        bencher.bench_local(|| {
            next += 1;
            // A stride that is coprime with the number of scopes: neighbours in memory do not help each other.
            let gates = &all[usize::try_from(next * 7_919 % ALIVE).unwrap()];
            for (asked, gate) in asked.iter_mut().zip(gates) {
                asked.scope.0.clone_from(&gate.scope.0);
            }
            admit(&mut machine, black_box(next), &asked)
        });
    }

    /// Leave to start, refused because the last of the scopes is open.
    #[divan::bench(name = "refuse", args = [1, 4], sample_size = 1_000, sample_count = 60)]
    fn refusing(bencher: Bencher<'_, '_>, scopes: usize) {
        let (mut machine, gates, permits) = crowd(scopes);
        let failed = Outcome::Failure { weight_permille: u32::MAX };
        let word = [(permits[0].last().unwrap().clone(), failed)];
        let _ = machine.settle(NOW, run(0), Some("network"), &word, false);
        let gates = &gates[0];
        bencher.bench_local(|| match machine.admit(NOW, run(black_box(1)), gates, false) {
            Admission::Denied { retry_at, .. } => retry_at,
            Admission::Granted { .. } => panic!("granted"),
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
