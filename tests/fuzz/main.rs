//! Bad input without end: requests, configurations, parameters and damaged stores that a seed makes up. Nobody panics,
//! nobody hangs, no answer is a fault of ours, and what is lost is told.
//!
//! Seconds, unless `FUZZ_TIMES=100` makes it longer; `FUZZ_SEED=7` makes it different.

#![expect(clippy::expect_used, reason = "a scenario that cannot go on fails")]

mod configurations;
#[path = "../chaos/draw.rs"]
mod draw;
mod parameters;
mod requests;
mod stores;
mod witness;

/// A number from the environment.
fn number(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")),
        Err(_) => default,
    }
}

/// So many cases, in the short form; and the chance that makes them up.
fn cases(short: u64) -> (u64, draw::Draw) {
    let seed = number("FUZZ_SEED", 1);
    eprintln!("FUZZ_SEED={seed}");
    (short * number("FUZZ_TIMES", 1), draw::Draw::of(seed))
}
