//! The clerk: carries messages between the rooms and the machine, writes its decisions down before they are acted on,
//! and owns one alarm. No rule lives here.

use super::{
    Rooms,
    closing::Closing,
    ids::Ids,
    machine::{Effect, Input, Limits, Machine},
    metrics::{count, count_lines},
    outbox::Outbox,
    questions::Heard,
    recording::{Happening, Recorded},
};
use crate::{
    breaker,
    clerk::Due,
    clock,
    figures::Counters,
    launcher,
    model::{AttemptId, JournalRecord, Run, RunId, Timestamp},
    monitor, retry,
    store::{Loaded, Store, StoreError},
};
use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message, Recipient, SpawnHandle};
use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};
use tokio::sync::{oneshot, watch};

/// Recorded inputs that wait for a decision to be written with. More are written alone: a chatty child must not fill the
/// memory, and a death of ours loses what led to nothing.
pub(super) const RECORDED_MAX: usize = 256;

/// How long the wall clock is believed to be as it was: times that people see are wrong for so long after it was set.
const LOOK_AT_CLOCK_MS: u64 = 1_000;

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
    /// Whether the saved runs are taken up: the journal goes on from then.
    pub(super) taken_up: bool,
    /// What the store lost last since this manager runs.
    pub(super) damage: Option<(Timestamp, String)>,
    pub(super) started_at: Timestamp,
    /// What was decided since then, for monitoring.
    pub(super) counters: Counters,
    pub(super) ids: Ids,
    pub(super) waiters: HashMap<RunId, Vec<oneshot::Sender<Run>>>,
    /// Who waits for the end of an attempt and its tree.
    pub(super) attempt_waiters: Vec<(AttemptId, oneshot::Sender<Run>)>,
    pub(super) news: watch::Sender<u64>,
    pub(super) shutdown: Option<Vec<oneshot::Sender<()>>>,
    subscribers: Vec<Recipient<JournalRecord>>,
    pub(super) outbox: Outbox,
    closing: Closing,
    /// Since when the store refuses what goes out, and why.
    pub(super) refused: Option<(Timestamp, StoreError)>,
    /// What the machine wants and was not carried out yet.
    pub(super) effects: VecDeque<Effect>,
    /// The first room that was found to have ended.
    pub(super) ended_room: Option<&'static str>,
    /// A question to Retry or the Breaker is under way: nothing else is heard until its answer is.
    pub(super) asking: bool,
    /// When what is being carried out began.
    pub(super) at: Timestamp,
    /// What led to the next decision.
    recorded: Vec<Vec<u8>>,
    alarm: Option<(Timestamp, SpawnHandle)>,
    /// When it was looked whether the wall clock was set.
    looked_at_clock: Timestamp,
}

/// The store has written, or refused, a commit.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct Written(Result<(), StoreError>);

impl ManagerActor {
    /// A manager over this store. It does nothing before its first [`Configure`](super::Configure).
    pub fn new(store: Store, saved: Loaded, rooms: Rooms, limits: Limits, seed: u128) -> Self {
        let next_seq = saved.last_seq + 1;
        let mut manager = Self {
            machine: Machine::new(next_seq, limits),
            store,
            rooms,
            saved: Some(saved),
            taken_up: false,
            damage: None,
            started_at: clock::now(),
            counters: Counters::default(),
            ids: Ids::new(seed),
            waiters: HashMap::new(),
            attempt_waiters: Vec::new(),
            news: watch::Sender::new(0),
            shutdown: None,
            subscribers: Vec::new(),
            outbox: Outbox::default(),
            closing: Closing::default(),
            refused: None,
            effects: VecDeque::new(),
            ended_room: None,
            asking: false,
            at: clock::now(),
            recorded: Vec::new(),
            alarm: None,
            looked_at_clock: Timestamp(0),
        };
        manager.record(Happening::Opened { next_seq });
        manager
    }

    /// The body of every report's handler: write down what came, feed the machine, carry out what it says.
    pub(super) fn step(&mut self, input: Input, ctx: &mut Context<Self>) {
        let now = self.begin();
        if let Some(what) = self.worth_recording(&input) {
            self.record(what);
        }
        let effects = self.machine.step(input, now);
        self.carry_out(effects, ctx);
    }

    /// Something comes from outside: the time at which it, and all that follows from it, is decided.
    pub(super) fn begin(&mut self) -> Timestamp {
        self.at = clock::now();
        if self.at.since(self.looked_at_clock) >= LOOK_AT_CLOCK_MS {
            self.looked_at_clock = self.at;
            if let Some(by_ms) = clock::stepped() {
                log::warn!("the wall clock was set, or the machine slept, no deadline moved; by_ms={by_ms}");
                self.record(Happening::ClockSet { by_ms });
                self.effects.extend(self.machine.clock_set(by_ms, self.at));
            }
        }
        self.at
    }

    /// Carries effects out in order, and after them those that follow from the answers. Nothing from outside is heard
    /// before the last one: what the machines decide depends on what came, and on nothing that happened in between.
    pub(super) fn carry_out(&mut self, effects: Vec<Effect>, ctx: &mut Context<Self>) {
        self.effects.extend(effects);
        self.go_on(ctx);
    }

    pub(super) fn go_on(&mut self, ctx: &mut Context<Self>) {
        while !self.asking {
            match self.effects.pop_front() {
                Some(Effect::Commit { records, mut puts }) => {
                    if self.machine.is_clock_due(self.at) {
                        puts.push(self.machine.save_clock(&clock::all()));
                    }
                    count(&mut self.counters, &self.machine, &records);
                    let inputs = std::mem::take(&mut self.recorded);
                    self.outbox.push(records, puts, inputs);
                    self.send_out(ctx);
                }
                // An act never overtakes a decision that is still being written.
                Some(act) if act.is_act() => match self.outbox.newest() {
                    Some(decision) => decision.acts.push(act),
                    None => self.act(act, ctx),
                },
                Some(question) => self.ask(question, ctx),
                None => break,
            }
        }
        if !self.asking {
            self.write_recorded(RECORDED_MAX, ctx);
            self.tell_of_gone();
            self.rearm(ctx);
            self.finish_shutdown(ctx);
        }
    }

    /// Tells those who wait for attempts that are gone, once that is written.
    fn tell_of_gone(&mut self) {
        let gone = |(attempt, tell): &mut (AttemptId, oneshot::Sender<Run>)| {
            tell.is_closed() || self.machine.is_gone(*attempt)
        };
        let gone: Vec<_> = self.attempt_waiters.extract_if(.., gone).collect();
        for (attempt, tell) in gone {
            let Some(run) = self.machine.run(attempt.run).cloned() else { continue };
            let written = self.written();
            actix_rt::spawn(async move {
                if written.await.is_ok() {
                    let _ = tell.send(run); // Who waited may have gone.
                }
            });
        }
    }

    // ── recording ──────────────────────────────────────────────────────────────────────────────────────────────────

    fn worth_recording(&self, input: &Input) -> Option<Happening> {
        let passes = || self.machine.has_due(self.at).then_some(Happening::Tick);
        match input {
            Input::Tick => passes(),
            Input::Monitor(monitor::Report::ErrorSeen { attempt, evidence, .. })
                if !self.machine.is_of_note(*attempt, evidence) =>
            {
                passes()
            }
            other => Happening::of(other),
        }
    }

    /// Keeps what came for the next commit.
    pub(super) fn record(&mut self, what: Happening) {
        // Plain data with text keys: JSON cannot refuse it.
        let entry = serde_json::to_vec(&Recorded { at: self.at, what }).unwrap_or_default();
        self.recorded.push(entry);
    }

    /// A refused request changes nothing but what was due by its time.
    pub(super) fn record_passing(&mut self, was_due: bool) {
        if was_due {
            self.record(Happening::Tick);
        }
    }

    /// Writes what was recorded although it led to no decision, when it is more than this.
    pub(super) fn write_recorded(&mut self, most: usize, ctx: &Context<Self>) {
        if self.recorded.len() > most {
            let inputs = std::mem::take(&mut self.recorded);
            self.outbox.push(Vec::new(), Vec::new(), inputs);
            self.send_out(ctx);
        }
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
            // By the mailbox: what is decided now is decided before its acts are let go.
            ctx.address().do_send(Written(self.store.commit(commit)));
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
                self.act(act, ctx);
            }
            for waiter in decision.waiters {
                let _ = waiter.send(()); // Who asked may have gone.
            }
        }
        self.finish_shutdown(ctx);
    }

    // ── acting ─────────────────────────────────────────────────────────────────────────────────────────────────────

    fn act(&mut self, effect: Effect, ctx: &Context<Self>) {
        match effect {
            Effect::Launch(launch) => self.rooms.launcher.launch.do_send(launch),
            Effect::StopTree(stop) => self.rooms.launcher.stop.do_send(stop),
            Effect::Signal(signal) => self.rooms.launcher.signal.do_send(signal),
            Effect::Acknowledge(attempt) => {
                self.rooms.launcher.acknowledge.do_send(launcher::Acknowledge { attempt });
            }
            Effect::ForgetSecrets(run) => {
                if self.closing.is_over(run) {
                    self.rooms.launcher.forget_secrets.do_send(launcher::ForgetSecrets { run });
                }
            }
            // Only who has secrets waits for the answer: it costs two changes of thread.
            Effect::Close(close) if self.machine.has_secrets(close.attempt.run) => {
                let run = close.attempt.run;
                self.closing.begin(run);
                let (answer, manager) = (self.rooms.monitor.close.send(close), ctx.address());
                actix_rt::spawn(async move {
                    // Where the Monitor is gone, the next supervisor closes what is left, and forgets then.
                    if matches!(answer.await, Ok(true)) {
                        manager.do_send(Closed(run));
                    }
                });
            }
            Effect::Close(close) => self.rooms.monitor.close.do_send(close),
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
            // By the mailbox, which waits while a question is under way; actix polls timers once more before it waits.
            let handle = ctx.run_later(clock::until(at), |manager, ctx| {
                manager.alarm = None;
                ctx.address().do_send(Heard(Input::Tick));
            });
            (at, handle)
        });
    }

    // ── the end ────────────────────────────────────────────────────────────────────────────────────────────────────

    /// Once nobody's process is left and everything is written: output stored, keeper gone, store closed.
    fn finish_shutdown(&mut self, ctx: &mut Context<Self>) {
        if self.shutdown.is_none() || self.asking {
            return;
        }
        for effect in self.machine.write_out() {
            if let Effect::Commit { records, puts } = effect {
                self.outbox.push(records, puts, std::mem::take(&mut self.recorded));
            }
        }
        self.write_recorded(0, ctx);
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
            if gone.is_err() || !matches!(stored, Ok(true)) || !matches!(closed, Ok(Ok(()))) {
                log::error!("the end was not orderly; launcher={gone:?} monitor={stored:?} store={closed:?}");
            }
            for waiter in waiters {
                let _ = waiter.send(()); // Who asked may have gone.
            }
            manager.do_send(Gone);
        });
    }
}

/// A spool of a run with secrets is stored and gone.
#[derive(Message)]
#[rtype(result = "()")]
struct Closed(RunId);

impl Handler<Closed> for ManagerActor {
    type Result = ();

    fn handle(&mut self, Closed(run): Closed, _: &mut Context<Self>) {
        if self.closing.closed(run) {
            self.rooms.launcher.forget_secrets.do_send(launcher::ForgetSecrets { run });
        }
    }
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
        self.listen_to_store(ctx);
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
            Ok(()) => {
                self.refused = None;
                self.was_written(ctx);
            }
            Err(error) => {
                let since = self.refused.take().map_or_else(clock::now, |(since, _)| since);
                self.refused = Some((since, error.clone()));
                log::error!("a decision could not be stored and waits; error={error}");
                ctx.run_later(COMMIT_AGAIN, |manager, ctx| {
                    manager.outbox.refused();
                    manager.send_out(ctx);
                });
            }
        }
    }
}

impl Handler<launcher::Report> for ManagerActor {
    type Result = ();

    fn handle(&mut self, report: launcher::Report, ctx: &mut Context<Self>) {
        self.step(Input::Launcher(report), ctx);
    }
}

impl Handler<monitor::Report> for ManagerActor {
    type Result = ();

    fn handle(&mut self, report: monitor::Report, ctx: &mut Context<Self>) {
        count_lines(&mut self.counters, &self.machine, &report, clock::now());
        self.step(Input::Monitor(report), ctx);
    }
}

impl Handler<Due<retry::Machine>> for ManagerActor {
    type Result = ();

    fn handle(&mut self, _: Due<retry::Machine>, ctx: &mut Context<Self>) {
        let at = self.begin();
        self.record(Happening::RetryRang);
        let answer = self.rooms.retry.take_due(at);
        self.ask_then(answer, ctx, move |manager, due, ctx| {
            let Some(run) = due else { return }; // It was the last one.
            let effects = manager.machine.step(Input::Due(run), at);
            manager.carry_out(effects, ctx);
            // The next one after whatever has come meanwhile: thousands may be due at once.
            ctx.address().do_send(Due::<retry::Machine>::new());
        });
    }
}

impl Handler<Due<breaker::Machine>> for ManagerActor {
    type Result = ();

    fn handle(&mut self, _: Due<breaker::Machine>, ctx: &mut Context<Self>) {
        let at = self.begin();
        self.record(Happening::BreakerRang);
        self.question(self.rooms.breaker.take_due(at), ctx, Input::BreakerDue);
    }
}
