//! A process supervisor to embed in an actix application, Linux only.
//!
//! It starts programs with typed parameters on behalf of your users, streams, stores and searches their output, tries
//! again with *changed* parameters, and stops the bleeding with a circuit breaker. It can always say why.
//!
//! # Quick start
//!
//! ```standalone_crate
//! use actix_process::{Param, ProcessManager, Program};
//!
//! #[actix::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     actix_process::init(); // first: the keeper of the children becomes a process of its own
//!     let folder = tempfile::tempdir()?; // yours has a name, and is there tomorrow
//!     let pm = ProcessManager::builder()
//!         .store(folder.path())
//!         .program(
//!             Program::command("greet", ["echo", "hello, {name}"])
//!                 .param(Param::string("name").required()),
//!         )
//!         .start()
//!         .await?;
//!
//!     let run = pm.start("greet").param("name", "you; rm -rf ~").requested_by("alice").send().await?;
//!     assert!(run.wait().await?.is_success()); // all attempts, however many it takes
//!     let output = run.logs().tail(10).await?;
//!     assert_eq!(output[0].bytes, b"hello, you; rm -rf ~"); // no shell sees a parameter
//!     println!("{}", pm.why(run.id()).await?.summary);
//!     pm.shutdown().await?;
//!     Ok(())
//! }
//! ```
//!
//! The same from a file is [`ProcessManager::from_config`], and a file with settings in code [`ProcessManagerBuilder::config`];
//! [`config`] says how it is read, and [`config::reference()`] writes down its keys.
//!
//! # Where things are
//!
//! | to … | see |
//! |---|---|
//! | say what is run | [`Program`], [`Arg`], [`Param`], [`Classify`] |
//! | say what follows a failure | [`RetryPolicy`], [`ClassRule`], [`Adjust`], [`RetryBudget`], [`BreakerPolicy`] |
//! | start, stop, ask, shut down | [`ProcessManager`], [`StartRequest`], [`RunHandle`], [`ProgramHandle`] |
//! | read output | [`LogReader`], from [`RunHandle::logs`] or [`ProcessManager::logs`] |
//! | watch it by figures | [`ProcessManager::metrics`], [`ProcessManager::program`], [`ProcessManager::info`] |
//! | know why | [`ProcessManager::why`], [`ProcessManager::events`], [`ProcessManager::on_event`] |
//! | try a policy before it costs anything | [`simulate`] |
//! | mount the HTTP API | the module `web` |
//! | talk to the actors by messages | [`ProcessManager::addr`], [`actors`] |
//!
//! Each of the five actors is a room of [`actors`] whose page is an essay: what it promises, what it does not, and what
//! was rejected.
//!
//! # Features
//!
//! - `web` (default): the HTTP API as actix-web routes.
//! - `zstd` (default): stored output is compressed; needs a C compiler to build.
//!
//! The core builds with neither.
//!
//! # What to know first
//!
//! - Call [`init`] first in `main`. Without it the keeper is a thread of yours and dies with you.
//! - Dropping a [`ProcessManager`] or a [`RunHandle`] stops nothing; [`ProcessManager::shutdown`] does.
//! - Children run as your user, with its rights. This is no sandbox.

pub use actix_process_actors as actors;

pub mod config;

// The words in which programs are defined in code. `Param` and `ClassRule` are what a program says of them.
pub use actors::model::{
    Adjust, Arg, Backlog, BreakerMode, BreakerPolicy, ClassOverride as ClassRule, Classify, InlineAction,
    Jitter, Leftovers, OnEmpty, OnFloor, OnLost, OnOpen, OnProbeExpiry, OutputPolicy, ParamKind,
    ParamSpec as Param, ProbeParams, ProbeSuccess, Problem, Program, Ready, Restart, Restore, RetryBudget,
    RetryPolicy, ScopeKind, StderrMode, StreamChoice,
};

mod error;
mod handle;
mod metrics;
mod process_manager;
pub mod simulate;
#[cfg(feature = "web")]
pub mod web;

pub use self::{
    error::{Error, ErrorKind, Result},
    handle::{LogReader, LogStream, ProgramHandle, Request, RetryRequest, RunEnd, RunHandle, StartRequest},
    process_manager::{ProcessManager, ProcessManagerBuilder, Status, Usage},
};
/// A run as it is now: what is wanted, what is, why, and its newest attempts.
pub use actix_process_actors::model::Run as RunStatus;

/// Call this first in `main`: the keeper, which is the parent of every child, then gets a process of its own.
///
/// The keeper's process is this executable again; there this function never returns. Without the call the keeper is a
/// thread, and what outlives the application's death is less: see the README.
pub fn init() {
    actors::keeper::init();
}

/// The code of the README is compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
