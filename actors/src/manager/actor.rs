//! The clerk: carries messages between the rooms and the machine, writes its decisions down before they are acted on,
//! and owns one alarm. No rule lives here.

use super::{
    Rooms,
    ids::Ids,
    machine::{Effect, Input, Limits, Machine},
    outbox::Outbox,
};
use crate::{
    breaker, clock, launcher,
    model::{JournalRecord, Run, RunId, Timestamp},
    monitor, retry,
    store::{Loaded, Store, StoreError},
};
use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message, Recipient, SpawnHandle};
use std::{collections::HashMap, time::Duration};
use tokio::sync::{oneshot, watch};

/// How long until a commit that the store refused is tried again: a full disk is not freed faster by asking more often,
/// and everything behind the commit waits meanwhile.
const COMMIT_AGAIN: Duration = Duration::from_millis(500);

/// The only writer of state: every request and every report comes here.
#[derive(Debug)]
pub struct ManagerActor {
    pub(super) machine: Machine,
    pub(super) store: Store,
    pub(super) rooms: Rooms,
    /// What the store held when it was opened, until the first configuration makes sense of it.
    pub(super) saved: Option<Loaded>,
    pub(super) started_at: Timestamp,
    pub(super) ids: Ids,
    pub(super) waiters: HashMap<RunId, Vec<oneshot::Sender<Run>>>,
    pub(super) news: watch::Sender<u64>,
    pub(super) shutdown: Option<Vec<oneshot::Sender<()>>>,
    subscribers: Vec<Recipient<JournalRecord>>,
    outbox: Outbox,
    alarm: Option<(Timestamp, SpawnHandle)>,
}

/// The store has written, or refused, a commit.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct Written(Result<(), StoreError>);

/// An answer of a room.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Heard(pub(super) Input);

impl ManagerActor {
    /// A manager over this store. It does nothing before its first [`Configure`](super::Configure).
    pub fn new(store: Store, saved: Loaded, rooms: Rooms, limits: Limits, seed: u128) -> Self {
        Self {
            machine: Machine::new(saved.last_seq + 1, limits),
            store,
            rooms,
            saved: Some(saved),
            started_at: clock::now(),
            ids: Ids::new(seed),
            waiters: HashMap::new(),
            news: watch::Sender::new(0),
            shutdown: None,
            subscribers: Vec::new(),
            outbox: Outbox::default(),
            alarm: None,
        }
    }

    /// The body of every report's handler: feed the machine, carry out what it says, re-arm the alarm.
    pub(super) fn step(&mut self, input: Input, ctx: &mut Context<Self>) {
        let effects = self.machine.step(input, clock::now());
        self.carry_out(effects, ctx);
    }

    /// Carries effects out in order. An act never overtakes a decision that is still being written.
    pub(super) fn carry_out(&mut self, effects: Vec<Effect>, ctx: &mut Context<Self>) {
        for effect in effects {
            match effect {
                Effect::Commit { records, mut puts } => {
                    if self.machine.is_clock_due(clock::now()) {
                        puts.push(self.machine.save_clock(&clock::all()));
                    }
                    self.outbox.push(records, puts);
                    self.send_out(ctx);
                }
                act if act.is_act() => match self.outbox.newest() {
                    Some(decision) => decision.acts.push(act),
                    None => self.act(act),
                },
                question => self.ask(question, ctx),
            }
        }
        self.rearm(ctx);
        self.finish_shutdown(ctx);
    }

    /// Resolves when everything decided so far is written.
    pub(super) fn written(&mut self) -> oneshot::Receiver<()> {
        let (tell, told) = oneshot::channel();
        match self.outbox.newest() {
            Some(decision) => decision.waiters.push(tell),
            None => drop(tell.send(())),
        }
        told
    }

    pub(super) fn subscribe(&mut self, recipient: Recipient<JournalRecord>) {
        self.subscribers.push(recipient);
    }

    // ── writing ────────────────────────────────────────────────────────────────────────────────────────────────────

    fn send_out(&mut self, ctx: &Context<Self>) {
        if let Some(commit) = self.outbox.next() {
            let manager = ctx.address();
            self.store.commit(commit, move |result| manager.do_send(Written(result)));
        }
    }

    fn was_written(&mut self, ctx: &mut Context<Self>) {
        let decisions = self.outbox.written();
        self.send_out(ctx);
        for decision in decisions {
            for record in &decision.records {
                self.subscribers.retain(|to| to.connected());
                for to in &self.subscribers {
                    to.do_send(record.clone());
                }
            }
            if let Some(last) = decision.records.last() {
                self.news.send_replace(last.seq);
            }
            for act in decision.acts {
                self.act(act);
            }
            for waiter in decision.waiters {
                let _ = waiter.send(()); // Who asked may have gone.
            }
        }
        self.finish_shutdown(ctx);
    }

    // ── asking and acting ──────────────────────────────────────────────────────────────────────────────────────────

    fn ask(&self, effect: Effect, ctx: &Context<Self>) {
        match effect {
            Effect::Admit(admit) => {
                let run = admit.run;
                question(&self.rooms.breaker.admit, admit, ctx, move |admission| Input::Admitted {
                    run,
                    admission,
                });
            }
            Effect::Settle(settle) => {
                let (run, keep) = (settle.run, settle.keep);
                question(&self.rooms.breaker.settle, settle, ctx, move |changes| Input::Settled {
                    run,
                    keep,
                    changes,
                });
            }
            Effect::Drain(drain) => {
                let attempt = drain.attempt;
                question(&self.rooms.monitor.drain, drain, ctx, move |drained| Input::Drained {
                    attempt,
                    drained,
                });
            }
            Effect::AskLastOutput(attempt) => {
                let ask = monitor::LastOutput { attempt };
                question(&self.rooms.monitor.last_output, ask, ctx, move |at| Input::WroteLast {
                    attempt,
                    at,
                });
            }
            of_retry => self.ask_retry(of_retry, ctx),
        }
    }

    fn ask_retry(&self, effect: Effect, ctx: &Context<Self>) {
        let to = &self.rooms.retry;
        match effect {
            Effect::Prepare(prepare) => {
                let run = prepare.run;
                question(&to.prepare, prepare, ctx, move |prepared| Input::Prepared { run, prepared });
            }
            Effect::Judge(ended) => {
                let run = ended.run;
                question(&to.ended, *ended, ctx, move |verdict| Input::Judged { run, verdict });
            }
            Effect::AskDeadline(ask) => {
                let run = ask.run;
                question(&to.deadline, ask, ctx, move |at| Input::FailsUntil { run, at });
            }
            Effect::Healthy(healthy) => {
                let run = healthy.run;
                question(&to.healthy, healthy, ctx, move |change| Input::Changed { run, change });
            }
            Effect::Adjust(adjust) => {
                let run = adjust.run;
                question(&to.adjust, adjust, ctx, move |change| Input::Changed { run, change });
            }
            Effect::Reserve(reserve) => {
                let run = reserve.run;
                question(&to.reserve, reserve, ctx, move |leave| Input::Reserved { run, leave });
            }
            Effect::Pay(run) => question(&to.pay, retry::Pay { run }, ctx, Input::Saved),
            Effect::Deposit(deposit) => question(&to.deposit, deposit, ctx, Input::Saved),
            Effect::Forgive(run) => question(&to.forgive, retry::Forgive { run }, ctx, Input::Saved),
            Effect::Release(run) => to.release.do_send(retry::Release { run }),
            Effect::SetBudget(budget) => to.set_budget.do_send(retry::SetBudget { budget }),
            Effect::Overrule(run) => {
                question(&to.overrule, retry::Overrule { run }, ctx, Input::Saved);
            }
            Effect::Forget(run) => question(&to.forget, retry::Forget { run }, ctx, Input::Saved),
            act => log::error!("an act was taken for a question; effect={act:?}"),
        }
    }

    fn act(&mut self, effect: Effect) {
        match effect {
            Effect::Launch(launch) => self.rooms.launcher.launch.do_send(launch),
            Effect::StopTree(stop) => self.rooms.launcher.stop.do_send(stop),
            Effect::Signal(signal) => self.rooms.launcher.signal.do_send(signal),
            Effect::Acknowledge(attempt) => {
                self.rooms.launcher.acknowledge.do_send(launcher::Acknowledge { attempt });
            }
            Effect::ForgetSecrets(run) => {
                self.rooms.launcher.forget_secrets.do_send(launcher::ForgetSecrets { run });
            }
            Effect::Watch(watch) => self.rooms.monitor.watch.do_send(watch),
            Effect::Close(close) => self.rooms.monitor.close.do_send(close),
            Effect::Schedule(schedule) => self.rooms.retry.schedule.do_send(schedule),
            Effect::Cancel(run) => self.rooms.retry.cancel.do_send(retry::Cancel { run }),
            Effect::Ended(run) => {
                let Some(ended) = self.machine.run(run).cloned() else { return };
                for waiter in self.waiters.remove(&run).unwrap_or_default() {
                    let _ = waiter.send(ended.clone()); // Who waited may have gone.
                }
            }
            other => log::error!("a question was taken for an act; effect={other:?}"),
        }
    }

    // ── time ───────────────────────────────────────────────────────────────────────────────────────────────────────

    fn rearm(&mut self, ctx: &mut Context<Self>) {
        let deadline = self.machine.next_deadline();
        if let (Some((set, _)), Some(at)) = (&self.alarm, deadline)
            && *set <= at
        {
            return; // An alarm that comes early finds nothing due and is set anew: cheaper than to set it at every step.
        }
        if let Some((_, stale)) = self.alarm.take() {
            ctx.cancel_future(stale);
        }
        self.alarm = deadline.map(|at| {
            let handle = ctx.run_later(clock::until(at), |manager, ctx| {
                manager.alarm = None;
                manager.step(Input::Tick, ctx);
            });
            (at, handle)
        });
    }

    // ── the end ────────────────────────────────────────────────────────────────────────────────────────────────────

    /// Once nobody's process is left and everything is written: output stored, keeper gone, store closed.
    fn finish_shutdown(&mut self, ctx: &mut Context<Self>) {
        if self.shutdown.is_none() {
            return;
        }
        for effect in self.machine.write_out() {
            if let Effect::Commit { records, puts } = effect {
                self.outbox.push(records, puts);
            }
        }
        self.send_out(ctx);
        if !self.machine.is_quiet() || !self.outbox.is_empty() {
            return;
        }
        let Some(waiters) = self.shutdown.take() else { return };
        let (launcher, monitor, store) =
            (self.rooms.launcher.clone(), self.rooms.monitor.clone(), self.store.clone());
        let manager = ctx.address();
        actix_rt::spawn(async move {
            let gone = launcher.shutdown.send(launcher::Shutdown).await;
            let stored = monitor.flush.send(monitor::Flush).await;
            let (tell, told) = oneshot::channel();
            store.close(move |result| drop(tell.send(result)));
            let closed = told.await;
            if gone.is_err() || stored.is_err() || !matches!(closed, Ok(Ok(()))) {
                log::error!("the end was not orderly; launcher={gone:?} monitor={stored:?} store={closed:?}");
            }
            for waiter in waiters {
                let _ = waiter.send(()); // Who asked may have gone.
            }
            manager.do_send(Gone);
        });
    }
}

/// Asks a room; its answer comes back as an input.
fn question<M>(
    to: &Recipient<M>,
    message: M,
    ctx: &Context<ManagerActor>,
    wrap: impl FnOnce(M::Result) -> Input + 'static,
) where
    M: Message + Send + 'static,
    M::Result: Send,
{
    let (answer, manager) = (to.send(message), ctx.address());
    // Not a future of the actor's own context, which would poll every waiting question at every message.
    actix_rt::spawn(async move {
        match answer.await {
            Ok(answer) => manager.do_send(Heard(wrap(answer))),
            Err(error) => {
                log::error!("a room does not answer; message={} error={error}", std::any::type_name::<M>())
            }
        }
    });
}

/// Everything is down: end this thread's system.
#[derive(Message)]
#[rtype(result = "()")]
struct Gone;

impl Actor for ManagerActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // Rooms report by `do_send`, which ignores the bound; requests of applications wait in line.
        ctx.set_mailbox_capacity(MAILBOX);
    }
}

/// Requests that may wait in the mailbox: a burst of a thousand starts is served without a sender having to wait, and a
/// request is a few hundred bytes. Beyond it senders wait.
const MAILBOX: usize = 1_024;

impl Handler<Gone> for ManagerActor {
    type Result = ();

    fn handle(&mut self, _: Gone, ctx: &mut Context<Self>) {
        ctx.stop();
        actix_rt::System::current().stop();
    }
}

impl Handler<Heard> for ManagerActor {
    type Result = ();

    fn handle(&mut self, Heard(input): Heard, ctx: &mut Context<Self>) {
        self.step(input, ctx);
    }
}

impl Handler<Written> for ManagerActor {
    type Result = ();

    fn handle(&mut self, Written(result): Written, ctx: &mut Context<Self>) {
        match result {
            Ok(()) => self.was_written(ctx),
            Err(error) => {
                log::error!("a decision could not be stored and waits; error={error}");
                ctx.run_later(COMMIT_AGAIN, |manager, ctx| {
                    manager.outbox.refused();
                    manager.send_out(ctx);
                });
            }
        }
    }
}

macro_rules! reports {
    ($($report:ty => $wrap:expr;)*) => {$(
        impl Handler<$report> for ManagerActor {
            type Result = ();

            fn handle(&mut self, report: $report, ctx: &mut Context<Self>) {
                self.step($wrap(report), ctx);
            }
        }
    )*};
}

reports! {
    launcher::Report => Input::Launcher;
    monitor::Report => Input::Monitor;
    retry::Report => Input::Retry;
    breaker::Report => |breaker::Report::Changed { changes }| Input::Breaker(changes);
}
