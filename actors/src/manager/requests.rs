//! What applications ask of the Manager: each handler checks, lets the machine decide, and answers when the decision is
//! written.

use super::{
    ManagerActor,
    actor::RECORDED_MAX,
    machine::{Checked, Input, SavedKey},
    messages::*,
    queries::NO_BREAKER,
    recording::{Happening, Recovered, Saved},
};
use crate::{
    breaker, clock, launcher,
    model::{AttemptId, ClockReading, ClockShift, IfBlocked, Run, RunId, SavedClock, Timestamp},
    retry,
};
use actix::{AsyncContext, Context, Handler, Message, ResponseFuture};
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::oneshot;

impl ManagerActor {
    /// Answers with the run as it stands once everything decided so far is written.
    fn when_written<E: From<RunError> + 'static>(&mut self, run: RunId) -> ResponseFuture<Result<Run, E>> {
        let (written, snapshot) = (self.written(), self.machine.run(run).cloned());
        Box::pin(async move {
            written.await.map_err(|_| RunError::Closed)?;
            // Whoever asks has just changed it, so that it is there.
            Ok(snapshot.ok_or(RunError::Unknown(run))?)
        })
    }
}

// ── programs ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/// No old process is left: go on with the saved runs.
#[derive(Message)]
#[rtype(result = "()")]
struct Resume {
    recovery: launcher::Recovery,
    down_ms: u64,
    clean: bool,
    fresh: bool,
}

impl Handler<SetRetryBudget> for ManagerActor {
    type Result = ();

    fn handle(&mut self, SetRetryBudget { budget }: SetRetryBudget, ctx: &mut Context<Self>) {
        let now = self.begin();
        self.record(Happening::Budget { budget });
        let effects = self.machine.set_budget(budget, now);
        self.carry_out(effects, ctx);
    }
}

impl Handler<Configure> for ManagerActor {
    type Result = ResponseFuture<Configured>;

    fn handle(&mut self, mut configure: Configure, ctx: &mut Context<Self>) -> Self::Result {
        if self.saved.is_some()
            && let Some(set) = configure.retry_budget.take()
        {
            // Retry has its budget before it is given what it saved. The rest is heard when it has answered.
            <Self as Handler<SetRetryBudget>>::handle(self, set, ctx);
            let manager = ctx.address();
            // Without an answer we have ended, and so has who waits for it.
            return Box::pin(async move { manager.send(configure).await.unwrap_or_default() });
        }
        let now = self.begin();
        let saved = self.saved.take();
        // Before anything is written in the time of now.
        let clock = SavedClock { at: now, reading: clock::reading() };
        let shift = saved.as_ref().map(|saved| self.machine.set_clock(&saved.state, &clock));
        let budget = configure.retry_budget;
        let (configured, effects) = self.machine.configure(configure, now);
        self.counters.keep(|name| self.machine.program(name).is_some());
        self.record_rules(&configured, budget);
        self.carry_out(effects, ctx);
        let (Some(saved), Some(shift)) = (saved, shift) else { return Box::pin(async { configured }) };
        let restored = self.restore(saved.state, shift, clock.reading, ctx);
        let (orphans, recover) = (self.machine.orphans(), self.rooms.launcher.recover.clone());
        let manager = ctx.address();
        let down_ms = now.since(shift.apply(Timestamp(saved.last_at_ms)));
        Box::pin(async move {
            let _ = restored.await;
            let recovery = match recover.send(launcher::Recover { orphans }).await {
                Ok(recovery) => recovery,
                Err(error) => {
                    log::error!("the launcher does not say what was left; error={error}");
                    launcher::Recovery::default() // Every orphan counts as lost then.
                }
            };
            let resume = Resume { recovery, down_ms, clean: saved.clean, fresh: saved.fresh };
            let _ = manager.send(resume).await;
            configured
        })
    }
}

impl ManagerActor {
    fn record_rules(&mut self, configured: &Configured, retry_budget: Option<SetRetryBudget>) {
        let differs = configured.added.iter().chain(&configured.changed);
        let programs =
            differs.filter_map(|name| self.machine.program(name)).map(|p| p.rules_only()).collect();
        let (removed, shared_breakers) =
            (configured.removed.clone(), self.machine.shared_breakers().to_vec());
        self.record(Happening::Configured { programs, removed, shared_breakers, retry_budget });
    }

    /// Gives every room what it saved; resolves when they have it.
    fn restore(
        &mut self,
        state: BTreeMap<String, Vec<u8>>,
        shift: ClockShift,
        clock: ClockReading,
        ctx: &mut Context<Self>,
    ) -> oneshot::Receiver<()> {
        let at = self.at;
        let unreadable = self.machine.restore(&state, at);
        if unreadable > 0 {
            log::error!("saved values could not be read; count={unreadable}");
        }
        let (mut for_retry, mut for_breaker) = (Vec::new(), Vec::new());
        for (key, value) in state {
            let whose = SavedKey::parse(&key);
            if self.machine.depends_on(&whose) {
                self.record(Happening::Saved { saved: Saved::of(&key, &value) });
                self.write_recorded(RECORDED_MAX, ctx);
            }
            match whose {
                SavedKey::Retry => for_retry.push((key, value)),
                SavedKey::Breaker => for_breaker.push((key, value)),
                SavedKey::Run(_)
                | SavedKey::Attempt(_)
                | SavedKey::IdempotencyKey(_)
                | SavedKey::Clock
                | SavedKey::Other => {}
            }
        }
        self.record(Happening::restored(clock));
        let (tell, told) = oneshot::channel();
        let answer = self.rooms.retry.ask(at, retry::Ask::Restore { saved: for_retry, shift });
        self.ask_then(answer, ctx, move |manager, moved, ctx| {
            let answer = manager.rooms.breaker.ask(at, breaker::Ask::Restore { clock, saved: for_breaker });
            manager.ask_then(answer, ctx, move |manager, changes, ctx| {
                for input in [Input::Breaker(changes), Input::Retry(moved)] {
                    let effects = manager.machine.step(input, at);
                    manager.carry_out(effects, ctx);
                }
                let _ = tell.send(()); // Who configures may have gone.
            });
        });
        told
    }
}

impl Handler<Resume> for ManagerActor {
    type Result = ();

    fn handle(&mut self, resume: Resume, ctx: &mut Context<Self>) {
        self.taken_up = true;
        if resume.fresh {
            return self.hear_store(ctx);
        }
        let Resume { recovery: launcher::Recovery { ends, left, with_secrets }, down_ms, clean, .. } = resume;
        for (program, runs) in self.machine.unconfigured() {
            let count = runs.len();
            log::warn!("runs of a program that is no longer configured end; program={program} runs={count}");
        }
        let (now, adopted) = (self.begin(), BTreeSet::new());
        let recovered = ends.iter().map(Recovered::of).collect();
        self.record(Happening::Resumed { recovered, down_ms, clean });
        // First, so that the store has it before what the next attempts write.
        let mut effects = self.machine.take_in_left(left, with_secrets, now);
        effects.extend(self.machine.resume(ends, &adopted, down_ms, clean, now));
        self.carry_out(effects, ctx);
        self.hear_store(ctx);
    }
}

impl Handler<Autostart> for ManagerActor {
    type Result = ();

    fn handle(&mut self, _: Autostart, ctx: &mut Context<Self>) {
        for program in self.machine.autostarts() {
            let start = Start {
                program: program.clone(),
                requested_by: Some("autostart".to_owned()),
                ..Start::default()
            };
            let manager = ctx.address();
            actix_rt::spawn(async move {
                if let Ok(Err(error)) = manager.send(start).await {
                    log::error!("a program could not be started; program={program} error={error}");
                }
            });
        }
    }
}

// ── starts ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

/// A start whose breakers were asked and whose secrets are kept.
#[derive(Message)]
#[rtype(result = "Result<Run, StartError>")]
struct StartNow {
    start: Start,
    id: RunId,
}

impl Handler<Start> for ManagerActor {
    type Result = ResponseFuture<Result<Run, StartError>>;

    fn handle(&mut self, start: Start, ctx: &mut Context<Self>) -> Self::Result {
        match self.machine.same_start(&start) {
            Ok(None) => {}
            Ok(Some(run)) => return self.when_written(run),
            Err(error) => return Box::pin(async { Err(error) }),
        }
        let checked = match self.machine.check_start(&start) {
            Ok(checked) => checked,
            Err(error) => return Box::pin(async { Err(error) }),
        };
        let id = self.ids.next(clock::now());
        let looks = start.if_blocked == IfBlocked::Refuse && !start.force;
        if checked.secrets.is_empty() && !looks {
            return self.start(checked, &start, id, ctx);
        }
        let refusal =
            (looks && !checked.gates.is_empty()).then(|| self.peek(&start.program, id, checked.gates, ctx));
        let (keep_secrets, manager) = (self.rooms.launcher.keep_secrets.clone(), ctx.address());
        Box::pin(async move {
            if let Some(answer) = refusal
                && let Some(refused) = answer.await.map_err(|_| NO_BREAKER)?
            {
                return Err(refused);
            }
            if !checked.secrets.is_empty() {
                let keep = launcher::KeepSecrets { run: id, values: checked.secrets };
                let kept = keep_secrets.send(keep).await;
                kept.map_err(|_| NoAnswer { room: "Launcher" })?.map_err(StartError::Store)?;
            }
            manager.send(StartNow { start, id }).await.map_err(|_| StartError::Closed)?
        })
    }
}

impl Handler<StartNow> for ManagerActor {
    type Result = ResponseFuture<Result<Run, StartError>>;

    fn handle(&mut self, StartNow { start, id }: StartNow, ctx: &mut Context<Self>) -> Self::Result {
        // Checked again: the world went on while the breakers were asked, and the same request may have come twice.
        let same = match self.machine.same_start(&start) {
            Ok(None) => match self.machine.check_start(&start) {
                Ok(checked) => return self.start(checked, &start, id, ctx),
                Err(error) => Err(error),
            },
            Ok(Some(run)) => Ok(run),
            Err(error) => Err(error),
        };
        self.rooms.launcher.forget_secrets.do_send(launcher::ForgetSecrets { run: id });
        match same {
            Ok(run) => self.when_written(run),
            Err(error) => Box::pin(async { Err(error) }),
        }
    }
}

impl ManagerActor {
    fn start(
        &mut self,
        checked: Checked,
        start: &Start,
        run: RunId,
        ctx: &mut Context<Self>,
    ) -> ResponseFuture<Result<Run, StartError>> {
        let now = self.begin();
        let (program, params) = (start.program.clone(), checked.params.clone());
        let (requested_by, force, priority) = (start.requested_by.clone(), start.force, start.priority);
        self.record(Happening::Started { run, program, params, requested_by, force, priority });
        let effects = self.machine.start(checked, start, run, now);
        self.carry_out(effects, ctx);
        self.when_written(run)
    }

    /// Looks whether the breakers would refuse a start; the refusal, if so. Without an answer the channel closes.
    fn peek(
        &mut self,
        program: &str,
        run: RunId,
        gates: Vec<breaker::Gate>,
        ctx: &mut Context<Self>,
    ) -> oneshot::Receiver<Option<StartError>> {
        let (tell, told) = oneshot::channel();
        let (at, program) = (self.begin(), program.to_owned());
        self.record(Happening::BreakerRang); // A look takes nothing: it is as if only time had passed.
        let admit = breaker::Admit { run, gates, peek: true };
        let answer = self.rooms.breaker.ask(at, breaker::Ask::Admit(admit));
        self.ask_then(answer, ctx, move |manager, answer, ctx| {
            let breaker::Answer::Admitted { admission, .. } = answer else {
                return log::error!("the Breaker answers another question; answer={answer:?}");
            };
            let (changes, refused) = match admission {
                breaker::Admission::Granted { changes, .. } => (changes, None),
                breaker::Admission::Denied { scope, retry_at, why, changes } => {
                    (changes, Some(StartError::Blocked { program, scope, retry_at, why }))
                }
            };
            let effects = manager.machine.step(Input::BreakerDue(changes), at);
            manager.carry_out(effects, ctx);
            let _ = tell.send(refused); // Who asked may have gone.
        });
        told
    }
}

impl Handler<RetryRun> for ManagerActor {
    type Result = ResponseFuture<Result<Run, RetryRunError>>;

    fn handle(&mut self, retry: RetryRun, ctx: &mut Context<Self>) -> Self::Result {
        let Some(run) = self.machine.run(retry.run) else {
            return Box::pin(async move { Err(RunError::Unknown(retry.run).into()) });
        };
        let secret = |value: &crate::model::ParamValue| *value == crate::model::ParamValue::Secret;
        let mut params = run.params.clone();
        params.retain(|_, value| !secret(value));
        params.extend(retry.params);
        let start = Start {
            program: run.program.clone(),
            params,
            requested_by: retry.by.or_else(|| run.requested_by.clone()),
            labels: run.labels.clone(),
            priority: run.own_priority,
            ..Start::default()
        };
        let started = <Self as Handler<Start>>::handle(self, start, ctx);
        Box::pin(async move { Ok(started.await?) })
    }
}

// ── acts on runs ───────────────────────────────────────────────────────────────────────────────────────────────────────

impl Handler<Stop> for ManagerActor {
    type Result = ResponseFuture<Result<Run, RunError>>;

    fn handle(&mut self, Stop { run, by }: Stop, ctx: &mut Context<Self>) -> Self::Result {
        let now = self.begin();
        let due = self.machine.has_due(now);
        match self.machine.stop(run, by.clone(), now) {
            Ok(effects) => {
                self.record(Happening::Stop { run, by });
                self.carry_out(effects, ctx);
                self.when_written(run)
            }
            Err(error) => {
                self.record_passing(due);
                Box::pin(async { Err(error) })
            }
        }
    }
}

impl Handler<Restart> for ManagerActor {
    type Result = ResponseFuture<Result<Run, RunError>>;

    fn handle(&mut self, restart: Restart, ctx: &mut Context<Self>) -> Self::Result {
        let run = restart.run;
        let (now, ended) = (self.begin(), self.machine.saved_when_over(run));
        let due = self.machine.has_due(now);
        let ended = ended.and_then(|put| Some(Saved::of(&put.key, &put.value?)));
        match self.machine.restart(restart.clone(), now) {
            Ok(effects) => {
                let Restart { by, stop_running, force, .. } = restart;
                self.record(Happening::Restart { run, by, stop_running, force, ended });
                self.carry_out(effects, ctx);
                self.when_written(run)
            }
            Err(error) => {
                self.record_passing(due);
                Box::pin(async { Err(error) })
            }
        }
    }
}

impl Handler<SignalRun> for ManagerActor {
    type Result = Result<(), RunError>;

    fn handle(&mut self, SignalRun { run, signal }: SignalRun, ctx: &mut Context<Self>) -> Self::Result {
        let effects = self.machine.signal(run, signal)?;
        self.carry_out(effects, ctx);
        Ok(())
    }
}

impl Handler<Wait> for ManagerActor {
    type Result = ResponseFuture<Result<Run, RunError>>;

    fn handle(&mut self, Wait { run: id }: Wait, _: &mut Context<Self>) -> Self::Result {
        match self.machine.run(id) {
            None => Box::pin(async move { Err(RunError::Unknown(id)) }),
            Some(run) if run.phase.is_ended() => {
                let run = run.clone();
                Box::pin(async { Ok(run) })
            }
            Some(_) => {
                let (tell, told) = oneshot::channel();
                self.waiters.entry(id).or_default().push(tell);
                Box::pin(async { told.await.map_err(|_| RunError::ShuttingDown) })
            }
        }
    }
}

impl Handler<WaitAttempt> for ManagerActor {
    type Result = ResponseFuture<Result<Run, RunError>>;

    fn handle(&mut self, WaitAttempt { run, attempt }: WaitAttempt, ctx: &mut Context<Self>) -> Self::Result {
        if self.machine.run(run).is_none() {
            return Box::pin(async move { Err(RunError::Unknown(run)) });
        }
        let (tell, told) = oneshot::channel();
        self.attempt_waiters.push((AttemptId { run, number: attempt }, tell));
        self.go_on(ctx);
        Box::pin(async { told.await.map_err(|_| RunError::ShuttingDown) })
    }
}

// ── the manager itself ─────────────────────────────────────────────────────────────────────────────────────────────────

impl Handler<Subscribe> for ManagerActor {
    type Result = ();

    fn handle(&mut self, Subscribe { recipient }: Subscribe, _: &mut Context<Self>) {
        self.subscribe(recipient);
    }
}

impl Handler<Shutdown> for ManagerActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Shutdown, ctx: &mut Context<Self>) -> Self::Result {
        let (tell, told) = oneshot::channel();
        self.shutdown.get_or_insert_default().push(tell);
        let now = self.begin();
        self.record(Happening::Shutdown);
        self.rooms.launcher.ending.do_send(launcher::Ending);
        let effects = self.machine.shutdown(now);
        self.carry_out(effects, ctx);
        Box::pin(async {
            let _ = told.await; // An error means that it is gone already.
        })
    }
}
