//! Ways to the other rooms. Recipients, not addresses, so that a recorder can stand in for any of them.

use crate::{breaker, clerk::Door, launcher, monitor, retry};
use actix::{Actor, Addr, Context, Handler, Recipient};

macro_rules! ways {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $message:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name {
            $(pub(super) $field: Recipient<$message>,)*
        }

        impl $name {
            /// Whatever handles all of these messages.
            pub fn new<A>(to: &Addr<A>) -> Self
            where
                A: Actor<Context = Context<A>> $(+ Handler<$message>)*,
            {
                Self { $($field: to.clone().recipient(),)* }
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    )*};
}

ways! {
    /// What the Launcher is told.
    ToLauncher {
        launch: launcher::Launch,
        stop: launcher::Stop,
        signal: launcher::Signal,
        acknowledge: launcher::Acknowledge,
        keep_secrets: launcher::KeepSecrets,
        forget_secrets: launcher::ForgetSecrets,
        recover: launcher::Recover,
        ending: launcher::Ending,
        shutdown: launcher::Shutdown,
    }
    /// What the Monitor is told.
    ToMonitor {
        watch: monitor::Watch,
        drain: monitor::Drain,
        lose: monitor::Lose,
        close: monitor::Close,
        last_output: monitor::LastOutput,
        query: monitor::Query,
        get_rules: monitor::GetRules,
        flush: monitor::Flush,
    }
}

/// Ways to all four rooms.
#[derive(Clone, Debug)]
pub struct Rooms {
    /// To the Launcher.
    pub launcher: ToLauncher,
    /// To the Monitor.
    pub monitor: ToMonitor,
    /// To Retry.
    pub retry: Door<retry::Machine>,
    /// To the Breaker.
    pub breaker: Door<breaker::Machine>,
}
