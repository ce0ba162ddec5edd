//! From an end to what follows: the breakers hear how it went, Retry says what it means, and the run goes on or is over.

use super::{Effect, Machine, Next, Stage, StopCause, Wait};
use crate::{
    breaker::{self, Changes, Outcome, Settle},
    model::{Class, EndReason, Event, Phase, RunId, Scope},
    retry::{self, Decision, Verdict},
};

impl Machine {
    /// Tells every breaker that granted the start how it went: those that the class names hear of a failure, the rest
    /// hear "neutral".
    pub(super) fn settle(&mut self, id: RunId, class: Option<&str>) {
        let Some(live) = self.runs.live_mut(id) else { return };
        live.stage = Stage::Judging;
        let permits = self.take_permits(id);
        let Some(live) = self.runs.live(id) else { return };
        if permits.is_empty() {
            self.settled(id, false, Changes::default());
            return;
        }
        let rule = class.map(|class| live.program.class_rule(class));
        let params = live.run.current().map(|current| &current.params);
        let at_floor =
            rule.as_ref().zip(params).is_some_and(|(rule, params)| live.program.trips_at_floor(rule, params));
        let lowers =
            rule.as_ref().zip(params).is_some_and(|(rule, params)| live.program.lowers(rule, params));
        let job = !live.program.is_daemon();
        let outcome = |scope: &Scope| match &rule {
            None if job => Outcome::Success,
            None => Outcome::Neutral,
            Some(rule) if !rule.scopes.contains(&scope.kind()) => Outcome::Neutral,
            Some(rule) if rule.trips => Outcome::Trip,
            Some(_) if at_floor => Outcome::TripAtFloor,
            Some(rule) if rule.weight_permille > 0 => {
                let weight_permille = rule.weight_permille;
                if lowers {
                    Outcome::Lowering { weight_permille }
                } else {
                    Outcome::Failure { weight_permille }
                }
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
        self.ask_breaker(breaker::Ask::Settle(Settle { run: id, class, outcomes, keep: false }));
    }

    pub(super) fn settled(&mut self, id: RunId, keep: bool, changes: Changes) {
        self.absorb(changes);
        if keep {
            self.commit(true);
        } else if self.runs.live(id).is_some_and(|live| live.stage == Stage::Judging) {
            self.judge(id);
        } else {
            self.commit(false);
        }
    }

    // ── judging ────────────────────────────────────────────────────────────────────────────────────────────────────

    /// What a stop of ours means is decided here; everything else is Retry's.
    fn judge(&mut self, id: RunId) {
        let now = self.now;
        let Some(live) = self.runs.live(id) else { return };
        let cause = live.stop;
        if live.run.wanted == crate::model::Wanted::Down {
            return self
                .after(id, Next::Finish(Phase::Stopped, EndReason::Operator, "stopped as asked".into()));
        }
        match cause {
            // For a breaker: it asks, is refused, and waits in line.
            Some(StopCause::Restart | StopCause::Breaker) => return self.after(id, Next::Start(now)),
            Some(StopCause::Shutdown) => return self.suspend(id),
            Some(
                StopCause::Operator
                | StopCause::Timeout
                | StopCause::Idle
                | StopCause::Lost
                | StopCause::Errors
                | StopCause::TooManyErrors,
            )
            | None => {}
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
        let class = evidence.map_or("", |evidence| evidence.class.as_str());
        let ended = retry::Ended {
            run: id,
            program: retry::judged_by(&live.run, &live.program, class),
            base: live.run.params.clone(),
            effective,
            outcome,
            uptime_ms,
            quarantine: self.programs.quarantine_of(&live.run, &live.program),
        };
        self.ask_retry(retry::Ask::Judge(Box::new(ended)));
    }

    pub(super) fn judged(&mut self, id: RunId, verdict: Verdict) {
        self.ledger.save(verdict.saved);
        for (scope, event) in verdict.events {
            self.record_run(id, true, scope, event);
        }
        let Some(live) = self.runs.live(id).filter(|live| live.stage == Stage::Judging) else { return };
        if live.run.wanted == crate::model::Wanted::Down {
            return self
                .after(id, Next::Finish(Phase::Stopped, EndReason::Operator, "stopped as asked".into()));
        }
        let ends_keepers = self.ends_keepers(id).map(|(phase, reason, why)| Next::Finish(phase, reason, why));
        let instead = self.instead_of_a_start(id).or(ends_keepers);
        let next = match (verdict.decision, instead) {
            (Decision::RetryAt { .. }, Some(end)) => end,
            (Decision::RetryAt { .. }, None) if live.stop == Some(StopCause::TooManyErrors) => {
                let why = "its errors ended it, and inline.action = \"stop\" of their class".into();
                Next::Finish(Phase::Failed, EndReason::NotRetryable, why)
            }
            (Decision::RetryAt { at, n, raw_ms, delay_ms, why }, None) => {
                let (mut why, now) = (why.to_string(), self.now);
                if let Some(live) = self.runs.live(id)
                    && let Some(class) = live.run.current().and_then(|current| current.class.as_deref())
                    && retry::comes_back(&live.run, &live.program, class)
                {
                    why.push_str("; it has run before, and what it lacks may come back");
                }
                let due_at = self.runs.live(id).map_or(at, |live| live.due_after_end(at, now));
                let event = Event::RetryScheduled { n, raw_ms, delay_ms, due_at, why };
                self.record_run(id, true, None, event);
                if let Some(live) = self.runs.live_mut(id) {
                    live.run.quarantined = verdict.quarantined;
                }
                let overdue = due_at < at && due_at <= now;
                let spread = self.runs.live_mut(id).filter(|_| overdue).map(|live| live.spread(now));
                Next::Start(spread.unwrap_or(due_at))
            }
            (Decision::GiveUp { phase, reason, why }, _) => Next::Finish(phase, reason, why),
            (Decision::Done { why }, _) => Next::Finish(Phase::Succeeded, EndReason::Exit, why),
        };
        self.after(id, next);
    }

    /// Goes on at once, or when the tree is empty.
    fn after(&mut self, id: RunId, next: Next) {
        let Some(live) = self.runs.live_mut(id) else { return };
        if live.empty {
            return self.go_on(id, next);
        }
        live.stage = Stage::Emptying(next);
        live.run.phase = Phase::Stopping;
        self.ledger.save_run(id);
        self.commit(true);
    }

    pub(super) fn go_on(&mut self, id: RunId, next: Next) {
        let now = self.now;
        match next {
            Next::Finish(phase, reason, why) => self.finish(id, phase, reason, why),
            Next::Start(_) if !self.shutting_down && !self.is_configured(id) => self.end_removed(id),
            Next::Start(at) if self.shutting_down || at > now => {
                let shutting_down = self.shutting_down;
                let Some(live) = self.runs.live_mut(id) else { return };
                live.stage =
                    if shutting_down { Stage::Waits(Wait::Suspended) } else { Stage::Waits(Wait::Backoff) };
                live.run.phase = Phase::Backoff;
                live.run.next_attempt_at = Some(at);
                self.ledger.save_run(id);
                if !shutting_down {
                    self.ask_retry(retry::Ask::Schedule { run: id, at });
                }
                self.commit(true);
            }
            // Due now: what was decided so far is written together with the start it leads to.
            Next::Start(_) => self.ask(id),
        }
    }

    pub(super) fn due(&mut self, id: RunId) {
        if self.shutting_down {
            return;
        }
        match self.runs.live(id) {
            Some(live) if live.stage == Stage::Waits(Wait::Backoff) => self.ask(id),
            // Its tokens are there.
            Some(_) if self.waits_for_tokens(id) => self.wake_run(id),
            Some(_) | None => {}
        }
    }

    /// The run is over.
    pub(super) fn finish(&mut self, id: RunId, phase: Phase, end_reason: EndReason, why: String) {
        self.disarm(id);
        self.leave_lines(id);
        if let Some(scope) = self.runs.live(id).and_then(|live| live.run.held.as_ref()?.scope.clone()) {
            self.lines.recheck([scope]); // Whoever stood behind it is the first in line now.
        }
        let queued = self.runs.live(id).is_some_and(|live| live.stage == Stage::Waits(Wait::Queued));
        self.record_run(id, false, None, Event::RunEnded { phase, end_reason, why });
        let Some(mut live) = self.runs.take_live(id) else { return };
        live.run.phase = phase;
        live.run.end_reason = Some(end_reason);
        live.run.ended_at = Some(self.now);
        live.run.next_attempt_at = None;
        live.run.quarantined = false;
        live.run.held = None;
        let program = live.run.program.clone();
        self.note_end(&live.run);
        self.runs.end(live.run);
        self.ledger.act(Effect::ForgetSecrets(id));
        self.ask_retry(retry::Ask::Cancel(id));
        self.ledger.act(Effect::Ended(id));
        self.prune();
        self.commit(true);
        self.ask_retry(retry::Ask::Forget(id));
        if !queued {
            self.release_place(&program);
        }
    }
}
