//! The clerk of Retry: carries messages to the machine and keeps its one alarm.

use super::{
    AdjustInline, Cancel, Deposit, Ended, Forecast, Forget, Forgive, GetDeadline, Healthy, Machine, Overrule,
    Pay, Prepare, Prepared, Release, Report, Reserve, Restore, Schedule, SetBudget, TakeDue,
};
use crate::clock;
use crate::model::{RunId, Timestamp};
use actix::{Actor, AsyncContext, Context, Handler, MessageResult, Recipient, SpawnHandle};

/// The actor. See the room's page for what it promises.
#[derive(Debug)]
pub struct RetryActor {
    machine: Machine,
    manager: Recipient<Report>,
    alarm: Option<(Timestamp, SpawnHandle)>,
    /// The Manager was told that somebody is due, and has not taken the last of them yet.
    rung: bool,
}

impl RetryActor {
    /// An actor that knows nothing yet and reports to `manager`.
    ///
    /// `seed` makes delays replayable: draw it once for an installation and keep it.
    #[must_use]
    pub fn new(seed: u64, manager: Recipient<Report>) -> Self {
        Self { machine: Machine::new(seed), manager, alarm: None, rung: false }
    }

    /// Sets the alarm to who is due next. Called after every message that may change that.
    fn rearm(&mut self, ctx: &mut Context<Self>) {
        let next = self.machine.next_due();
        if self.rung || self.alarm.map(|(at, _)| at) == next {
            return;
        }
        if let Some((_, handle)) = self.alarm.take() {
            ctx.cancel_future(handle);
        }
        self.alarm = next.map(|at| {
            let handle = ctx.run_later(clock::until(at), |retry, _| {
                (retry.alarm, retry.rung) = (None, true);
                retry.manager.do_send(Report::Due);
            });
            (at, handle)
        });
    }
}

impl Actor for RetryActor {
    type Context = Context<Self>;
}

impl Handler<Prepare> for RetryActor {
    type Result = MessageResult<Prepare>;

    fn handle(&mut self, msg: Prepare, _: &mut Context<Self>) -> Self::Result {
        let Prepare { run, program, base, probe } = msg;
        let params = self.machine.prepare(run, &program, &base, probe);
        let reasons = self.machine.reasons(run, &program, &base, &params, probe);
        MessageResult(Prepared { params, reasons })
    }
}

impl Handler<Ended> for RetryActor {
    type Result = MessageResult<Ended>;

    fn handle(&mut self, msg: Ended, ctx: &mut Context<Self>) -> Self::Result {
        let verdict = self.machine.ended(msg.at, msg.as_end());
        self.rearm(ctx);
        MessageResult(verdict)
    }
}

impl Handler<Healthy> for RetryActor {
    type Result = MessageResult<Healthy>;

    fn handle(&mut self, msg: Healthy, _: &mut Context<Self>) -> Self::Result {
        MessageResult(self.machine.healthy(msg.at, msg.run, &msg.program, &msg.base))
    }
}

impl Handler<AdjustInline> for RetryActor {
    type Result = MessageResult<AdjustInline>;

    fn handle(&mut self, msg: AdjustInline, _: &mut Context<Self>) -> Self::Result {
        let AdjustInline { at, run, program, base, class } = msg;
        MessageResult(self.machine.adjust(at, run, &program, &base, &class))
    }
}

impl Handler<SetBudget> for RetryActor {
    type Result = ();

    fn handle(&mut self, msg: SetBudget, ctx: &mut Context<Self>) {
        self.machine.set_budget(msg.at, msg.budget);
        self.rearm(ctx);
    }
}

impl Handler<Reserve> for RetryActor {
    type Result = MessageResult<Reserve>;

    fn handle(&mut self, msg: Reserve, ctx: &mut Context<Self>) -> Self::Result {
        let leave = self.machine.reserve(msg.at, msg.run, msg.priority, &msg.budgets);
        self.rearm(ctx);
        MessageResult(leave)
    }
}

impl Handler<Pay> for RetryActor {
    type Result = MessageResult<Pay>;

    fn handle(&mut self, msg: Pay, _: &mut Context<Self>) -> Self::Result {
        MessageResult(self.machine.pay(msg.at, msg.run))
    }
}

impl Handler<Release> for RetryActor {
    type Result = ();

    fn handle(&mut self, msg: Release, ctx: &mut Context<Self>) {
        self.machine.release(msg.run);
        self.rearm(ctx);
    }
}

impl Handler<Deposit> for RetryActor {
    type Result = MessageResult<Deposit>;

    fn handle(&mut self, msg: Deposit, ctx: &mut Context<Self>) -> Self::Result {
        let saved = self.machine.deposit(msg.at, &msg.budgets);
        self.rearm(ctx);
        MessageResult(saved)
    }
}

impl Handler<Forgive> for RetryActor {
    type Result = MessageResult<Forgive>;

    fn handle(&mut self, msg: Forgive, _: &mut Context<Self>) -> Self::Result {
        MessageResult(self.machine.forgive(msg.run))
    }
}

impl Handler<GetDeadline> for RetryActor {
    type Result = MessageResult<GetDeadline>;

    fn handle(&mut self, msg: GetDeadline, _: &mut Context<Self>) -> Self::Result {
        MessageResult(self.machine.deadline(msg.run, &msg.program))
    }
}

impl Handler<Forecast> for RetryActor {
    type Result = MessageResult<Forecast>;

    fn handle(&mut self, msg: Forecast, _: &mut Context<Self>) -> Self::Result {
        MessageResult(self.machine.forecast(msg.as_supposed()))
    }
}

impl Handler<Schedule> for RetryActor {
    type Result = ();

    fn handle(&mut self, msg: Schedule, ctx: &mut Context<Self>) {
        self.machine.schedule(msg.run, msg.at);
        self.rearm(ctx);
    }
}

impl Handler<Cancel> for RetryActor {
    type Result = ();

    fn handle(&mut self, msg: Cancel, ctx: &mut Context<Self>) {
        // Nobody starts it now: what is known of the run is forgotten next, or it is due at another time.
        let _ = self.machine.cancel(msg.run);
        self.rearm(ctx);
    }
}

impl Handler<Overrule> for RetryActor {
    type Result = MessageResult<Overrule>;

    fn handle(&mut self, msg: Overrule, ctx: &mut Context<Self>) -> Self::Result {
        let saved = self.machine.cancel(msg.run);
        self.rearm(ctx);
        MessageResult(saved)
    }
}

impl Handler<Forget> for RetryActor {
    type Result = MessageResult<Forget>;

    fn handle(&mut self, msg: Forget, ctx: &mut Context<Self>) -> Self::Result {
        let saved = self.machine.forget(msg.run);
        self.rearm(ctx);
        MessageResult(saved)
    }
}

impl Handler<TakeDue> for RetryActor {
    type Result = Option<RunId>;

    fn handle(&mut self, msg: TakeDue, ctx: &mut Context<Self>) -> Option<RunId> {
        let due = self.machine.take_due(msg.at);
        self.rung = due.is_some();
        self.rearm(ctx);
        due
    }
}

impl Handler<Restore> for RetryActor {
    type Result = MessageResult<Restore>;

    fn handle(&mut self, msg: Restore, ctx: &mut Context<Self>) -> Self::Result {
        let (moved, unread) = self.machine.restore(msg.at, msg.shift, &msg.saved);
        for key in unread {
            log::warn!("saved retry state unreadable, run begins anew; key={key}");
        }
        self.rearm(ctx);
        MessageResult(moved)
    }
}
