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
//! [`explain`] answers "why?" in sentences, [`figures`] counts what was decided, [`simulate`] decides it without processes.
//! [`model`] holds the nouns that the rooms share, [`store`] is sled, [`clock`] the only reader of a clock,
//! [`user_file`] the only place that opens a file whose path a user wrote, and [`owned`] the one that knows whose a store is.
//!
//! # By messages
//!
//! Every message is public. [`manager::open`] starts the actors on threads of their own and gives the Manager's
//! address, which is all that one needs:
//!
//! ```standalone_crate
//! use actix_process_actors::{
//!     manager::{Configure, Logs, Options, Shutdown, Start, Wait, open},
//!     model::{LogQuery, Program},
//! };
//!
//! #[actix::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     actix_process_actors::keeper::init();
//!     let folder = tempfile::tempdir()?;
//!     let running = open(Options::new(folder.path()))?;
//!     let manager = running.addr.clone();
//!
//!     let programs = vec![Program::command("greet", ["echo", "hello"])];
//!     manager.send(Configure::new(programs, [])).await?;
//!     let mut start = Start::default();
//!     start.program = "greet".into();
//!     let run = manager.send(start).await??;
//!     let run = manager.send(Wait { run: run.id }).await??;
//!
//!     let mut query = LogQuery::default();
//!     query.filter.run = Some(run.id);
//!     let page = manager.send(Logs { query, wait_ms: 0 }).await??;
//!     assert_eq!(page.records[0].bytes, b"hello");
//!
//!     manager.send(Shutdown).await?;
//!     drop(manager);
//!     running.join();
//!     Ok(())
//! }
//! ```
//!
//! Linux only: pidfds, `splice` and subreapers have no equal elsewhere.

#[cfg(not(target_os = "linux"))]
compile_error!(
    "actix-process supervises through pidfds, splice and subreapers, which only Linux (5.9 or newer) has"
);

pub mod breaker;
pub mod clerk;
pub mod clock;
pub mod explain;
pub mod figures;
pub mod keeper;
pub mod launcher;
pub mod manager;
pub mod model;
pub mod monitor;
pub mod owned;
pub mod retry;
pub mod simulate;
pub mod store;
pub mod user_file;
