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

pub(in crate::manager) use self::runs::NoRoom;
pub use crate::clerk::NoAnswer;
use actix::Message;

/// Stop every tree, write everything down, end the keeper. Runs that are wanted go on with the next manager.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Shutdown;
