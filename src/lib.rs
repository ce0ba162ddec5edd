//! A process supervisor to embed in an actix application.

pub use actix_process_actors as actors;

mod error;
mod handle;
mod process_manager;

pub use self::{
    error::{Error, ErrorKind, Result},
    handle::{LogReader, LogStream, RetryRequest, RunEnd, RunHandle, StartRequest},
    process_manager::{ProcessManager, ProcessManagerBuilder, Status},
};
/// A run as it is now: what is wanted, what is, why, and its newest attempts.
pub use actix_process_actors::model::Run as RunStatus;
