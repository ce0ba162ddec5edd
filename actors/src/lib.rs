//! The five actors of [`actix-process`](https://docs.rs/actix-process) and the rules they play by.
//!
//! An application uses the facade crate; this one is for those who talk to the actors by their messages.
//! Each actor is a *room*: `machine` holds its decisions (pure, time is an argument), `actor` carries messages,
//! `messages` is what it can be told and what it tells, and the room's own page is the essay on why it is so.
//!
//! | room | it alone |
//! |---|---|
//! | [`launcher`] | finds scripts, builds argv and environment, has the [`keeper`] spawn, signal and reap |
//! | [`monitor`] | reads output, keeps the recent part in memory, stores it, classifies errors, answers queries |
//! | [`retry`] | counts failures, decides delay, parameters and give-up, schedules |
//! | [`breaker`] | moves CLOSED / OPEN / HALF_OPEN and hands out permits |
//! | [`manager`] | brings *actual* to *wanted*, is the only writer of state |
//!
//! [`model`] holds the nouns that the rooms share, [`store`] is sled, [`clock`] the only reader of a clock.
//! Linux only: pidfds, `splice` and subreapers have no equal elsewhere.

#[cfg(not(target_os = "linux"))]
compile_error!(
    "actix-process supervises through pidfds, splice and subreapers, which only Linux (5.9 or newer) has"
);

pub mod breaker;
pub mod clock;
pub mod keeper;
pub mod launcher;
pub mod manager;
pub mod model;
pub mod monitor;
pub mod retry;
pub mod store;
