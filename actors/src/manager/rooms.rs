//! Ways to the other rooms. Recipients, not addresses, so that a recorder can stand in for any of them.
//!
//! Retry and the Breaker answer questions and have a [`Door`] each. The Launcher and the Monitor act on other threads or
//! in other processes and take a message for each act.

use crate::{breaker, clerk::Door, launcher, monitor, retry};
use actix::{Actor, Addr, Context, Handler, Recipient};

/// What the Launcher is told.
#[derive(Clone, Debug)]
pub struct ToLauncher {
    pub(super) launch: Recipient<launcher::Launch>,
    pub(super) stop: Recipient<launcher::Stop>,
    pub(super) signal: Recipient<launcher::Signal>,
    pub(super) acknowledge: Recipient<launcher::Acknowledge>,
    pub(super) keep_secrets: Recipient<launcher::KeepSecrets>,
    pub(super) forget_secrets: Recipient<launcher::ForgetSecrets>,
    pub(super) recover: Recipient<launcher::Recover>,
    pub(super) ending: Recipient<launcher::Ending>,
    pub(super) shutdown: Recipient<launcher::Shutdown>,
}

impl ToLauncher {
    /// The way to whatever handles all of these messages.
    pub fn new<A>(to: &Addr<A>) -> Self
    where
        A: Actor<Context = Context<A>>
            + Handler<launcher::Launch>
            + Handler<launcher::Stop>
            + Handler<launcher::Signal>
            + Handler<launcher::Acknowledge>
            + Handler<launcher::KeepSecrets>
            + Handler<launcher::ForgetSecrets>
            + Handler<launcher::Recover>
            + Handler<launcher::Ending>
            + Handler<launcher::Shutdown>,
    {
        Self {
            launch: to.clone().recipient(),
            stop: to.clone().recipient(),
            signal: to.clone().recipient(),
            acknowledge: to.clone().recipient(),
            keep_secrets: to.clone().recipient(),
            forget_secrets: to.clone().recipient(),
            recover: to.clone().recipient(),
            ending: to.clone().recipient(),
            shutdown: to.clone().recipient(),
        }
    }
}

/// What the Monitor is told.
#[derive(Clone, Debug)]
pub struct ToMonitor {
    pub(super) watch: Recipient<monitor::Watch>,
    pub(super) drain: Recipient<monitor::Drain>,
    pub(super) lose: Recipient<monitor::Lose>,
    pub(super) close: Recipient<monitor::Close>,
    pub(super) last_output: Recipient<monitor::LastOutput>,
    pub(super) query: Recipient<monitor::Query>,
    pub(super) get_rules: Recipient<monitor::GetRules>,
    pub(super) flush: Recipient<monitor::Flush>,
}

impl ToMonitor {
    /// The way to whatever handles all of these messages.
    pub fn new<A>(to: &Addr<A>) -> Self
    where
        A: Actor<Context = Context<A>>
            + Handler<monitor::Watch>
            + Handler<monitor::Drain>
            + Handler<monitor::Lose>
            + Handler<monitor::Close>
            + Handler<monitor::LastOutput>
            + Handler<monitor::Query>
            + Handler<monitor::GetRules>
            + Handler<monitor::Flush>,
    {
        Self {
            watch: to.clone().recipient(),
            drain: to.clone().recipient(),
            lose: to.clone().recipient(),
            close: to.clone().recipient(),
            last_output: to.clone().recipient(),
            query: to.clone().recipient(),
            get_rules: to.clone().recipient(),
            flush: to.clone().recipient(),
        }
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
