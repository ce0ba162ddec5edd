//! Deaths of everybody at any moment, and what is told afterwards beside what the children wrote down themselves.
//!
//! The daemon is the example `supervise`, its children are `tests/programs/numbered_lines.rs`; `cargo test --workspace`
//! builds both, run alone `cargo build --examples` does. `CHAOS_ROUNDS=1000 CHAOS_SEED=7 cargo test --test chaos` goes on
//! for longer. Figures go to standard error, also when nothing is wrong.

#![expect(clippy::disallowed_methods, reason = "tests start and kill processes, and let time pass")]
#![expect(clippy::expect_used, reason = "a scenario that cannot go on fails")]

mod compare;
mod deadlines;
mod deaths;
mod draw;
mod found;
mod journal;
#[path = "../programs/ledger.rs"]
mod ledger;
mod ledgers;
mod plan;
mod rounds;
mod second_kill;
mod settle;
mod supervisor;
mod wall_clock;
mod world;

use std::{
    io::Write,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Tests of deaths take the machine for themselves: what is late because of another test is no finding.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A number from the environment.
fn number(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")),
        Err(_) => default,
    }
}

/// Past the harness, which shows nothing of a test that passes.
fn say(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// Shows the figures; what is wrong fails the test, and its folder stays.
fn verdict(found: &found::Found, world: world::World) {
    say(&found.report());
    assert!(
        found.is_clean(),
        "what is told is not what happened; kept in {}:\n{}",
        world.keep().display(),
        found.report()
    );
}
