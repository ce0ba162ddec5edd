//! A process supervisor to embed in an actix application.

pub use actix_process_actors as actors;

pub mod config;

// The words in which programs are defined in code. `Param` and `ClassRule` are what a program says of them.
pub use actors::model::{
    Adjust, Backlog, BreakerPolicy, ClassOverride as ClassRule, Classify, InlineAction, Jitter, Leftovers,
    OnLost, OnOpen, OnProbeExpiry, OutputPolicy, ParamSpec as Param, ProbeParams, ProbeSuccess, Problem,
    Program, Restart, RetryPolicy, ScopeKind, StderrMode, StreamChoice,
};

mod error;
mod handle;
mod process_manager;
#[cfg(feature = "web")]
pub mod web;

pub use self::{
    error::{Error, ErrorKind, Result},
    handle::{LogReader, LogStream, RetryRequest, RunEnd, RunHandle, StartRequest},
    process_manager::{ProcessManager, ProcessManagerBuilder, Status},
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
