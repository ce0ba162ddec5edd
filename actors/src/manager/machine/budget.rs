//! Starts that need tokens of the retry budget: asked for before the breakers, paid when the start is made, given back
//! when a breaker refuses it.

use super::{Effect, Machine, Stage, Wait};
use crate::{
    model::{EndReason, Event, HeldBack, HeldReason, Phase, RetryBudget, RunId, Scope, Timestamp},
    retry::{self, Leave},
};

impl Machine {
    /// Replaces the budget that retries of all programs share; `None` removes it. Called before what was saved is
    /// restored, so that what the bucket held is found.
    pub fn set_budget(&mut self, budget: Option<RetryBudget>, now: Timestamp) -> Vec<Effect> {
        self.settle_time(now);
        self.share_budget(budget);
        self.take_effects()
    }

    pub(super) fn share_budget(&mut self, budget: Option<RetryBudget>) {
        self.programs.set_budget(budget.is_some());
        self.ask_retry(retry::Ask::SetBudget(budget));
    }

    /// The budgets of the scopes that gate a run's starts.
    pub(super) fn budgets_of(&self, id: RunId) -> Vec<(Scope, RetryBudget)> {
        let live = self.runs.live(id);
        live.map(|live| self.programs.budgets_of(&live.run, &live.program)).unwrap_or_default()
    }

    pub(super) fn reserved(&mut self, id: RunId, leave: Leave) {
        // Stopped while Retry was asked: whoever stopped it has it forget the run, and what it has of it.
        let Some(live) = self.runs.live_mut(id).filter(|live| live.stage == Stage::Waits(Wait::Reserving))
        else {
            return;
        };
        if self.shutting_down {
            return self.suspend(id);
        }
        match leave {
            Leave::Free => self.ask_breakers(id),
            Leave::Promised => {
                live.promised = true;
                self.ask_breakers(id);
            }
            Leave::Denied { why } => self.finish(id, Phase::Failed, EndReason::Budget, why),
            Leave::Deferred { retry_at, why } => self.deferred(id, retry_at, why),
        }
    }

    fn deferred(&mut self, id: RunId, retry_at: Option<Timestamp>, why: String) {
        self.disarm(id);
        self.leave_lines(id);
        let now = self.now;
        let Some(live) = self.runs.live_mut(id) else { return };
        let before = live.run.held.take();
        let waits = before.as_ref().filter(|held| held.reason == HeldReason::Budget);
        let since = waits.map_or(now, |held| held.since);
        let news = waits.is_none_or(|held| held.retry_at != retry_at);
        live.stage = Stage::Waits(Wait::Blocked);
        live.run.phase = Phase::Blocked;
        live.run.next_attempt_at = retry_at;
        live.run.held =
            Some(HeldBack { reason: HeldReason::Budget, scope: None, retry_at, why: why.clone(), since });
        if news {
            let event = Event::StartBlocked { reason: HeldReason::Budget, retry_at, why };
            self.record_run(id, false, None, event);
        }
        self.ask_deadline(id);
        self.commit(false);
        // It left the line of a scope that let it go on: the next one there is not to wait for a grant that does not come.
        if let Some(scope) = before.and_then(|held| held.scope) {
            self.wake(&scope);
        }
    }

    /// A breaker holds the start back: others may have its tokens meanwhile.
    pub(super) fn give_tokens_back(&mut self, id: RunId) {
        if let Some(live) = self.runs.live_mut(id)
            && std::mem::take(&mut live.promised)
        {
            self.ask_retry(retry::Ask::Release(id));
        }
    }

    /// A start is made: the first one of a run brings tokens, a retry takes those that were set aside for it.
    pub(super) fn account(&mut self, id: RunId, number: u32) {
        let Some(live) = self.runs.live_mut(id) else { return };
        if std::mem::take(&mut live.promised) {
            self.ask_retry(retry::Ask::Pay(id));
        } else if number == 1 {
            let budgets = self.budgets_of(id);
            if self.programs.needs_tokens(&budgets) {
                self.ask_retry(retry::Ask::Deposit(budgets));
            }
        }
    }

    pub(super) fn waits_for_tokens(&self, id: RunId) -> bool {
        let held = self.runs.live(id).filter(|live| live.stage == Stage::Waits(Wait::Blocked));
        held.and_then(|live| live.run.held.as_ref()).is_some_and(|held| held.reason == HeldReason::Budget)
    }

    /// Whether an operator's start ends what the run waits for: its delay or its tokens, but no breaker.
    pub(super) fn skips_its_wait(&self, id: RunId) -> bool {
        self.runs.live(id).is_some_and(|live| live.stage == Stage::Waits(Wait::Backoff))
            || self.waits_for_tokens(id)
    }

    /// An operator starts a run that waits: it needs no tokens.
    pub(super) fn go_free(&mut self, id: RunId) {
        if let Some(live) = self.runs.live_mut(id) {
            live.free = true;
        }
        self.disarm(id);
        self.ask(id);
    }
}
