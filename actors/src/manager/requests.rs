//! What applications ask of the Manager: each handler checks, lets the machine decide, and answers when the decision is
//! written.

use super::{
    ManagerActor,
    actor::Heard,
    machine::{Input, SavedKey},
    messages::*,
};
use crate::{
    breaker, clock, launcher,
    model::{IfBlocked, Put, Run, RunId, Timestamp},
    retry,
};
use actix::{AsyncContext, Context, Handler, Message, ResponseFuture};
use std::collections::BTreeSet;
use tokio::sync::oneshot;

impl ManagerActor {
    /// Answers with the run as it stands once everything decided so far is written.
    fn when_written<E: From<String> + 'static>(&mut self, run: RunId) -> ResponseFuture<Result<Run, E>> {
        let (written, snapshot) = (self.written(), self.machine.run(run).cloned());
        Box::pin(async move {
            written.await.map_err(|_| E::from("the supervisor ended first".to_owned()))?;
            snapshot.ok_or_else(|| E::from("the run is gone".to_owned()))
        })
    }
}

impl From<String> for StartError {
    fn from(text: String) -> Self {
        Self::Store(text)
    }
}

impl From<String> for RunError {
    fn from(text: String) -> Self {
        Self::Store(text)
    }
}

// ── programs ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/// No old process is left: go on with the saved runs.
#[derive(Message)]
#[rtype(result = "()")]
struct Resume {
    recovered: Vec<launcher::Recovered>,
    changes: Option<breaker::Changes>,
    moved: Vec<Put>,
    down_ms: u64,
    clean: bool,
    fresh: bool,
}

impl Handler<SetRetryBudget> for ManagerActor {
    type Result = ();

    fn handle(&mut self, SetRetryBudget { budget }: SetRetryBudget, ctx: &mut Context<Self>) {
        let effects = self.machine.set_budget(budget, clock::now());
        self.carry_out(effects, ctx);
    }
}

impl Handler<Configure> for ManagerActor {
    type Result = ResponseFuture<Configured>;

    fn handle(&mut self, configure: Configure, ctx: &mut Context<Self>) -> Self::Result {
        let saved = self.saved.take();
        // Before anything is written in the time of now.
        let shift = saved.as_ref().map(|saved| self.machine.set_clock(&saved.state, &clock::all()));
        let (configured, effects) = self.machine.configure(configure, clock::now());
        self.carry_out(effects, ctx);
        let (Some(saved), Some(shift)) = (saved, shift) else { return Box::pin(async { configured }) };
        if let Some(damage) = &saved.damage {
            log::error!("the store was damaged and set aside; damage={damage}");
        }
        let unreadable = self.machine.restore(&saved.state, clock::now());
        if unreadable > 0 {
            log::error!("saved values could not be read; count={unreadable}");
        }
        let orphans = self.machine.orphans();
        let (mut for_retry, mut for_breaker) = (Vec::new(), Vec::new());
        for (key, value) in saved.state {
            match SavedKey::parse(&key) {
                SavedKey::Retry => for_retry.push((key, value)),
                SavedKey::Breaker => for_breaker.push((key, value)),
                SavedKey::Run(_)
                | SavedKey::Attempt(_)
                | SavedKey::IdempotencyKey(_)
                | SavedKey::Clock
                | SavedKey::Other => {}
            }
        }
        let (rooms, manager) = (self.rooms.clone(), ctx.address());
        let down_ms = clock::now().since(shift.apply(Timestamp(saved.last_at_ms)));
        Box::pin(async move {
            let restore = retry::Restore { saved: for_retry, shift };
            let moved = rooms.retry.restore.send(restore).await.unwrap_or_default();
            let changes = rooms.breaker.restore.send(breaker::Restore { saved: for_breaker }).await.ok();
            let recovered =
                rooms.launcher.recover.send(launcher::Recover { orphans }).await.unwrap_or_default();
            let resume =
                Resume { recovered, changes, moved, down_ms, clean: saved.clean, fresh: saved.fresh };
            let _ = manager.send(resume).await;
            configured
        })
    }
}

impl Handler<Resume> for ManagerActor {
    type Result = ();

    fn handle(&mut self, resume: Resume, ctx: &mut Context<Self>) {
        if let Some(changes) = resume.changes {
            self.step(Input::Breaker(changes), ctx);
        }
        self.step(Input::Saved(resume.moved), ctx);
        if !resume.fresh {
            let (adopted, now) = (BTreeSet::new(), clock::now());
            let effects = self.machine.resume(resume.recovered, &adopted, resume.down_ms, resume.clean, now);
            self.carry_out(effects, ctx);
        }
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
        if let Some(run) = start.idempotency_key.as_ref().and_then(|key| self.machine.run_by_key(key)) {
            return self.when_written(run);
        }
        let checked = match self.machine.check_start(&start) {
            Ok(checked) => checked,
            Err(error) => return Box::pin(async { Err(error) }),
        };
        let id = self.ids.next(clock::now());
        if checked.secrets.is_empty() && start.if_blocked == IfBlocked::Wait {
            let effects = self.machine.start(checked, &start, id, clock::now());
            self.carry_out(effects, ctx);
            return self.when_written(id);
        }
        let (rooms, manager) = (self.rooms.clone(), ctx.address());
        Box::pin(async move {
            if start.if_blocked == IfBlocked::Refuse && !checked.gates.is_empty() {
                let peek = breaker::Admit { run: id, gates: checked.gates, peek: true };
                if let Ok(breaker::Admission::Denied { scope, retry_at, why, changes }) =
                    rooms.breaker.admit.send(peek).await
                {
                    manager.do_send(Heard(Input::Breaker(changes)));
                    return Err(StartError::Blocked { program: start.program, scope, retry_at, why });
                }
            }
            if !checked.secrets.is_empty() {
                let keep = launcher::KeepSecrets { run: id, values: checked.secrets };
                let kept = rooms.launcher.keep_secrets.send(keep).await;
                kept.map_err(|error| StartError::Store(error.to_string()))?.map_err(StartError::Store)?;
            }
            manager
                .send(StartNow { start, id })
                .await
                .map_err(|error| StartError::Store(error.to_string()))?
        })
    }
}

impl Handler<StartNow> for ManagerActor {
    type Result = ResponseFuture<Result<Run, StartError>>;

    fn handle(&mut self, StartNow { start, id }: StartNow, ctx: &mut Context<Self>) -> Self::Result {
        // Checked again: the world went on while the breakers were asked.
        match self.machine.check_start(&start) {
            Ok(checked) => {
                let effects = self.machine.start(checked, &start, id, clock::now());
                self.carry_out(effects, ctx);
                self.when_written(id)
            }
            Err(error) => {
                self.rooms.launcher.forget_secrets.do_send(launcher::ForgetSecrets { run: id });
                Box::pin(async { Err(error) })
            }
        }
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
        match self.machine.stop(run, by, clock::now()) {
            Ok(effects) => {
                self.carry_out(effects, ctx);
                self.when_written(run)
            }
            Err(error) => Box::pin(async { Err(error) }),
        }
    }
}

impl Handler<Restart> for ManagerActor {
    type Result = ResponseFuture<Result<Run, RunError>>;

    fn handle(
        &mut self,
        Restart { run, by, stop_running }: Restart,
        ctx: &mut Context<Self>,
    ) -> Self::Result {
        match self.machine.restart(run, by, stop_running, clock::now()) {
            Ok(effects) => {
                self.carry_out(effects, ctx);
                self.when_written(run)
            }
            Err(error) => Box::pin(async { Err(error) }),
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
        let effects = self.machine.shutdown(clock::now());
        self.carry_out(effects, ctx);
        Box::pin(async {
            let _ = told.await; // An error means that it is gone already.
        })
    }
}
