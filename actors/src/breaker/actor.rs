//! The clerk of the Breaker: carries messages to the machine and keeps its one alarm.

use super::{Admit, Advance, BreakerStatus, Changes, GetBreakers, Machine, Operate, Report, Restore, Settle};
use crate::{clock, model::Timestamp};
use actix::{Actor, AsyncContext, Context, Handler, MessageResult, Recipient, SpawnHandle};

/// The actor. See the room's page for what it promises.
#[derive(Debug)]
pub struct BreakerActor {
    machine: Machine,
    manager: Recipient<Report>,
    alarm: Option<(Timestamp, SpawnHandle)>,
    /// The Manager was told that a deadline is over, and has not asked yet what that changes.
    rung: bool,
}

impl BreakerActor {
    /// An actor that knows nothing yet and reports to `manager`.
    ///
    /// `seed` makes penalties replayable: draw it once for an installation and keep it.
    #[must_use]
    pub fn new(seed: u64, manager: Recipient<Report>) -> Self {
        Self { machine: Machine::new(seed), manager, alarm: None, rung: false }
    }

    /// The machine also hears of the clocks that outlive us.
    fn set_clock(&mut self, now: Timestamp) {
        self.machine.set_clock(now, clock::reading());
    }

    /// Sets the alarm to when the machine is to be woken. Called after every message that may move it.
    fn rearm(&mut self, ctx: &mut Context<Self>) {
        let next = self.machine.next_alarm();
        if self.rung || self.alarm.map(|(at, _)| at) == next {
            return;
        }
        if let Some((_, handle)) = self.alarm.take() {
            ctx.cancel_future(handle);
        }
        self.alarm = next.map(|at| {
            let handle = ctx.run_later(clock::until(at), |breaker, _| {
                (breaker.alarm, breaker.rung) = (None, true);
                breaker.manager.do_send(Report::Due);
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
        let now = msg.at;
        self.set_clock(now);
        let admission = self.machine.admit(now, msg.run, msg.gates, msg.peek);
        self.rearm(ctx);
        MessageResult(admission)
    }
}

impl Handler<Settle> for BreakerActor {
    type Result = MessageResult<Settle>;

    fn handle(&mut self, msg: Settle, ctx: &mut Context<Self>) -> Self::Result {
        let now = msg.at;
        self.set_clock(now);
        let changes = self.machine.settle(now, msg.run, msg.class.as_deref(), &msg.outcomes, msg.keep);
        self.rearm(ctx);
        MessageResult(changes)
    }
}

impl Handler<Advance> for BreakerActor {
    type Result = MessageResult<Advance>;

    fn handle(&mut self, msg: Advance, ctx: &mut Context<Self>) -> Self::Result {
        self.rung = false;
        self.set_clock(msg.at);
        let changes = self.machine.advance(msg.at);
        self.rearm(ctx);
        MessageResult(changes)
    }
}

impl Handler<GetBreakers> for BreakerActor {
    type Result = Vec<BreakerStatus>;

    fn handle(&mut self, get: GetBreakers, _: &mut Context<Self>) -> Vec<BreakerStatus> {
        match get {
            GetBreakers::All => self.machine.breakers(),
            GetBreakers::After(after, limit) => self.machine.breakers_after(after.as_ref(), limit),
            GetBreakers::Of(scopes) => self.machine.breakers_of(&scopes),
        }
    }
}

impl Handler<Operate> for BreakerActor {
    type Result = Option<Changes>;

    fn handle(&mut self, msg: Operate, ctx: &mut Context<Self>) -> Option<Changes> {
        let now = msg.at;
        self.set_clock(now);
        let (by, reason) = (msg.by.as_deref(), msg.reason.as_deref());
        let changes = self.machine.operate(now, &msg.scope, msg.act, by, reason);
        self.rearm(ctx);
        changes
    }
}

impl Handler<Restore> for BreakerActor {
    type Result = MessageResult<Restore>;

    fn handle(&mut self, msg: Restore, ctx: &mut Context<Self>) -> Self::Result {
        let now = msg.at;
        self.machine.set_clock(now, msg.clock);
        let (changes, unread) = self.machine.restore(now, &msg.saved);
        for key in unread {
            log::warn!("saved breaker state unreadable; key={key}");
        }
        self.rearm(ctx);
        MessageResult(changes)
    }
}
