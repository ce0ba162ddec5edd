//! From an end to what follows: the breakers hear how it went, Retry says what it means, and the run goes on or is over.

use super::{Effect, Machine, Next, Stage, StopCause, admit::scope_kind};
use crate::{
    breaker::{Changes, Outcome, Settle},
    model::{Class, EndReason, Event, Phase, RunId},
    retry::{self, Decision, Verdict},
};

impl Machine {
    /// Tells every breaker that granted the start how it went: those that the class names hear of a failure, the rest
    /// hear "neutral".
    pub(super) fn settle(&mut self, id: RunId, class: Option<&str>) {
        let Some(live) = self.live.get_mut(&id) else { return };
        live.stage = Stage::Judging;
        let permits = std::mem::take(&mut live.permits);
        if permits.is_empty() {
            self.settled(id, false, Changes::default());
            return;
        }
        let rule = class.map(|class| live.program.class_rule(class));
        let job = !live.program.is_daemon();
        let outcome = |scope: &crate::model::Scope| match &rule {
            None if job => Outcome::Success,
            None => Outcome::Neutral,
            Some(rule) if rule.weight_permille > 0 && rule.scopes.contains(&scope_kind(scope)) => {
                Outcome::Failure { weight_permille: rule.weight_permille }
            }
            Some(_) => Outcome::Neutral,
        };
        let outcomes = permits
            .into_iter()
            .map(|permit| {
                let outcome = outcome(&permit.scope);
                (permit, outcome)
            })
            .collect();
        let class = class.map(str::to_owned);
        self.effects.push(Effect::Settle(Settle { run: id, class, outcomes, keep: false }));
    }

    pub(super) fn settled(&mut self, id: RunId, keep: bool, changes: Changes) {
        let scopes = self.absorb(changes);
        if keep {
            self.commit(true);
        } else if self.live.get(&id).is_some_and(|live| live.stage == Stage::Judging) {
            self.judge(id);
        } else {
            self.commit(false);
        }
        for scope in scopes {
            self.wake(&scope);
        }
    }

    // ── judging ────────────────────────────────────────────────────────────────────────────────────────────────────

    /// What a stop of ours means is decided here; everything else is Retry's.
    fn judge(&mut self, id: RunId) {
        let now = self.now;
        let Some(live) = self.live.get_mut(&id) else { return };
        let cause = live.stop;
        if live.run.wanted == crate::model::Wanted::Down {
            return self
                .after(id, Next::Finish(Phase::Stopped, EndReason::Operator, "stopped as asked".into()));
        }
        match cause {
            Some(StopCause::Restart) => return self.after(id, Next::Start(now)),
            Some(StopCause::Shutdown) => return self.suspend(id),
            Some(StopCause::Operator | StopCause::Timeout | StopCause::Idle | StopCause::Lost) | None => {}
        }
        let evidence = live.evidence.as_ref();
        let clean = evidence.is_none_or(|evidence| evidence.class == Class::CLEAN_EXIT);
        let outcome = match evidence {
            Some(evidence) if !clean => retry::Outcome::Failed {
                class: evidence.class.clone(),
                retry_after_ms: evidence.retry_after_ms,
            },
            Some(_) | None => retry::Outcome::Success,
        };
        let current = live.run.current();
        let uptime_ms = current.map_or(0, |c| c.ended_at.map_or(0, |ended| ended.since(c.started_at)));
        let effective = current.map(|current| current.params.clone()).unwrap_or_default();
        let ended = retry::Ended {
            run: id,
            program: live.program.clone(),
            base: live.run.params.clone(),
            effective,
            outcome,
            uptime_ms,
        };
        self.effects.push(Effect::Judge(Box::new(ended)));
    }

    pub(super) fn judged(&mut self, id: RunId, verdict: Verdict) {
        self.batch.puts.extend(verdict.saved);
        for (scope, event) in verdict.events {
            self.record_run(id, true, scope, event);
        }
        let Some(live) = self.live.get(&id).filter(|live| live.stage == Stage::Judging) else { return };
        if live.run.wanted == crate::model::Wanted::Down {
            return self
                .after(id, Next::Finish(Phase::Stopped, EndReason::Operator, "stopped as asked".into()));
        }
        let next = match verdict.decision {
            Decision::RetryAt { at, n, raw_ms, delay_ms, why } => {
                let event = Event::RetryScheduled { n, raw_ms, delay_ms, due_at: at, why };
                self.record_run(id, true, None, event);
                Next::Start(at)
            }
            Decision::GiveUp { phase, reason, why } => Next::Finish(phase, reason, why),
            Decision::Done { why } => Next::Finish(Phase::Succeeded, EndReason::Exit, why),
        };
        self.after(id, next);
    }

    /// Goes on at once, or when the tree is empty.
    fn after(&mut self, id: RunId, next: Next) {
        let Some(live) = self.live.get_mut(&id) else { return };
        if live.empty {
            return self.go_on(id, next);
        }
        live.stage = Stage::Emptying(next);
        live.run.phase = Phase::Stopping;
        self.batch.dirty.insert(id);
        self.commit(true);
    }

    pub(super) fn go_on(&mut self, id: RunId, next: Next) {
        let now = self.now;
        match next {
            Next::Finish(phase, reason, why) => self.finish(id, phase, reason, why),
            Next::Start(at) if self.shutting_down || at > now => {
                let shutting_down = self.shutting_down;
                let Some(live) = self.live.get_mut(&id) else { return };
                live.stage = if shutting_down { Stage::Suspended } else { Stage::Backoff };
                live.run.phase = Phase::Backoff;
                live.run.next_attempt_at = Some(at);
                self.batch.dirty.insert(id);
                if !shutting_down {
                    self.act(Effect::Schedule(retry::Schedule { run: id, at }));
                }
                self.commit(true);
            }
            // Due now: what was decided so far is written together with the start it leads to.
            Next::Start(_) => self.ask(id),
        }
    }

    pub(super) fn due(&mut self, id: RunId) {
        if self.live.get(&id).is_some_and(|live| live.stage == Stage::Backoff) && !self.shutting_down {
            self.ask(id);
        }
    }

    /// The run is over.
    pub(super) fn finish(&mut self, id: RunId, phase: Phase, end_reason: EndReason, why: String) {
        self.disarm(id);
        self.leave_lines(id);
        let queued = self.live.get(&id).is_some_and(|live| live.stage == Stage::Queued);
        self.record_run(id, false, None, Event::RunEnded { phase, end_reason, why });
        let Some(mut live) = self.live.remove(&id) else { return };
        live.run.phase = phase;
        live.run.end_reason = Some(end_reason);
        live.run.ended_at = Some(self.now);
        live.run.next_attempt_at = None;
        live.run.held = None;
        let program = live.run.program.clone();
        self.ended.insert(id, live.run);
        self.act(Effect::ForgetSecrets(id));
        self.act(Effect::Cancel(id));
        self.act(Effect::Ended(id));
        self.prune();
        self.commit(true);
        self.effects.push(Effect::Forget(id));
        if !queued {
            self.release_place(&program);
        }
    }
}
