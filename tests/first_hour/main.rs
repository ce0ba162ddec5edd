//! A stranger's first hour with the command line: the README's commands as they are written, a typo in each kind of
//! file, each verb on nothing, on something that runs and on something that ended. Every row is printed; exit code and
//! text are checked.
//!
//! It starts the example `supervise`, which `cargo test --workspace` builds; run alone, build it first:
//! `cargo build --examples`.

#![expect(clippy::disallowed_methods, reason = "a stranger starts programs, and waits for them")]
#![expect(clippy::expect_used, reason = "a scenario that cannot go on fails")]
#![expect(clippy::print_stdout, reason = "every row is shown")]

mod daemon;
mod listening;
mod readme;
mod reload;
mod rows;
mod stops;
mod terminal;
mod typos;
mod verbs;
