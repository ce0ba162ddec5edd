//! Stand-in until the Manager's own commit.

use super::messages::*;
use actix::{Actor, Context, Handler, Message, ResponseFuture};

/// The Manager.
#[derive(Debug)]
pub struct ManagerActor;

impl Actor for ManagerActor {
    type Context = Context<Self>;
}

macro_rules! stand_in {
    ($($message:ty),*) => {$(
        impl Handler<$message> for ManagerActor {
            type Result = ResponseFuture<<$message as Message>::Result>;
            fn handle(&mut self, _: $message, _: &mut Context<Self>) -> Self::Result {
                Box::pin(std::future::pending())
            }
        }
    )*};
}

stand_in!(
    Configure,
    Autostart,
    Start,
    Stop,
    Restart,
    RetryRun,
    SignalRun,
    GetRun,
    GetRuns,
    Wait,
    GetAttempts,
    GetPrograms,
    Why,
    GetEvents,
    Subscribe,
    Logs,
    GetClasses,
    GetBreakers,
    OperateBreaker,
    GetInfo,
    Shutdown
);
