//! The clerk of the Breaker: carries messages to the machine and keeps its one alarm.

use super::{Admit, BreakerStatus, Changes, GetBreakers, Machine, Operate, Report, Restore, Settle};
use crate::{clock, model::Timestamp};
use actix::{Actor, AsyncContext, Context, Handler, MessageResult, Recipient, SpawnHandle};

/// The actor. See the room's page for what it promises.
#[derive(Debug)]
pub struct BreakerActor {
    machine: Machine,
    manager: Recipient<Report>,
    alarm: Option<(Timestamp, SpawnHandle)>,
}

impl BreakerActor {
    /// An actor that knows nothing yet and reports to `manager`.
    ///
    /// `seed` makes penalties replayable: draw it once for an installation and keep it.
    #[must_use]
    pub fn new(seed: u64, manager: Recipient<Report>) -> Self {
        Self { machine: Machine::new(seed), manager, alarm: None }
    }

    /// The time now; the machine also hears of the clocks that outlive us.
    fn now(&mut self) -> Timestamp {
        let now = clock::now();
        self.machine.set_clock(now, clock::reading());
        now
    }

    /// Tells the Manager what time changed; what a message changed goes into its answer instead.
    fn report(&self, changes: Changes) {
        if !changes.events.is_empty() || !changes.saved.is_empty() {
            self.manager.do_send(Report::Changed { changes });
        }
    }

    /// Sets the alarm to the machine's next deadline. Called after every message and by the alarm.
    fn rearm(&mut self, ctx: &mut Context<Self>) {
        let next = self.machine.next_deadline();
        if self.alarm.map(|(at, _)| at) == next {
            return;
        }
        if let Some((_, handle)) = self.alarm.take() {
            ctx.cancel_future(handle);
        }
        self.alarm = next.map(|at| {
            let handle = ctx.run_later(clock::until(at), |breaker, ctx| {
                breaker.alarm = None;
                let now = breaker.now();
                let changes = breaker.machine.advance(now);
                breaker.report(changes);
                breaker.rearm(ctx);
            });
            (at, handle)
        });
    }
}

impl Actor for BreakerActor {
    type Context = Context<Self>;
}

impl Handler<Admit> for BreakerActor {
    type Result = MessageResult<Admit>;

    fn handle(&mut self, msg: Admit, ctx: &mut Context<Self>) -> Self::Result {
        let now = self.now();
        let admission = self.machine.admit(now, msg.run, msg.gates, msg.peek);
        self.rearm(ctx);
        MessageResult(admission)
    }
}

impl Handler<Settle> for BreakerActor {
    type Result = MessageResult<Settle>;

    fn handle(&mut self, msg: Settle, ctx: &mut Context<Self>) -> Self::Result {
        let now = self.now();
        let changes = self.machine.settle(now, msg.run, msg.class.as_deref(), &msg.outcomes, msg.keep);
        self.rearm(ctx);
        MessageResult(changes)
    }
}

impl Handler<GetBreakers> for BreakerActor {
    type Result = Vec<BreakerStatus>;

    fn handle(&mut self, _: GetBreakers, ctx: &mut Context<Self>) -> Vec<BreakerStatus> {
        let now = self.now();
        let changes = self.machine.advance(now);
        self.report(changes);
        self.rearm(ctx);
        self.machine.breakers()
    }
}

impl Handler<Operate> for BreakerActor {
    type Result = Option<Changes>;

    fn handle(&mut self, msg: Operate, ctx: &mut Context<Self>) -> Option<Changes> {
        let now = self.now();
        let (by, reason) = (msg.by.as_deref(), msg.reason.as_deref());
        let changes = self.machine.operate(now, &msg.scope, msg.act, by, reason);
        self.rearm(ctx);
        changes
    }
}

impl Handler<Restore> for BreakerActor {
    type Result = MessageResult<Restore>;

    fn handle(&mut self, msg: Restore, ctx: &mut Context<Self>) -> Self::Result {
        let now = self.now();
        let (changes, unread) = self.machine.restore(now, &msg.saved);
        for key in unread {
            log::warn!("saved breaker state unreadable; key={key}");
        }
        self.rearm(ctx);
        MessageResult(changes)
    }
}
