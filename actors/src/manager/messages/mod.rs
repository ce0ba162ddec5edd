//! What the Manager is told. Every message is public: an application may talk to `Addr<ManagerActor>` itself.

mod breakers;
mod configure;
mod info;
mod queries;
mod runs;

pub use self::{
    breakers::{GetBreakers, GetSomeBreakers, OperateBreaker, OperateError},
    configure::{Autostart, Configure, Configured, SetRetryBudget},
    info::{GetInfo, Info},
    queries::{
        GetAttempts, GetClasses, GetEvents, GetProgram, GetPrograms, GetRun, GetRuns, Logs, LookupError,
        ProgramStatus, Subscribe, Wait, WaitAttempt, Why, WhyProgram,
    },
    runs::{Restart, RetryRun, RetryRunError, RunError, SignalRun, Start, StartError, Stop},
};

use actix::Message;

/// A room of the supervisor gives no answer, because it has ended: a fault of ours, whose cause the log has. Children and
/// their output go on; whoever starts a supervisor on this store again finds all as it was.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the {room} gives no answer: it has ended, and only the next supervisor will have one again")]
pub struct NoAnswer {
    /// Its name.
    pub room: &'static str,
}

/// Stop every tree, write everything down, end the keeper. Runs that are wanted go on with the next manager.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Shutdown;
