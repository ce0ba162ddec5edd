//! What an application holds of a run: its start, its handle, its output.

mod follow;
mod logs;
mod program;
mod run;
mod start;
#[cfg(test)]
mod tests;

pub(crate) use self::follow::Pages;
pub use self::{
    follow::LogStream,
    logs::LogReader,
    program::ProgramHandle,
    run::{RunEnd, RunHandle},
    start::{Request, RetryRequest, StartRequest},
};
