//! Lines of starts that a scope refuses: who stands where, what he is told, and whose turn it is.
//!
//! A run stands in the line of one scope, the one that refuses it longest. It stays there while it is asked about its tokens
//! and by its breakers, so that nobody overtakes it meanwhile, and leaves when the start is made, refused by another scope,
//! or not made after all.

use super::{InLine, Machine, Stage, Wait, timers::Timer};
use crate::{
    breaker::{self, Admission, Admit, Gate},
    model::{Event, HeldBack, HeldReason, Phase, RunId, Scope, Timestamp},
};

/// What refuses a start: which scope, until when at the earliest, and a sentence.
type Refusal = (Scope, Option<Timestamp>, String);

/// When a refusal is over; one without an end is over last.
fn ends_at(retry_at: Option<Timestamp>) -> Timestamp {
    retry_at.unwrap_or(Timestamp::NEVER)
}

impl Machine {
    /// What holds those back who wait before this run in the lines of its scopes: the longest.
    pub(super) fn ahead(&self, id: RunId, gates: &[Gate]) -> Option<Refusal> {
        let own = self.runs.live(id)?.in_line();
        let mut longest: Option<Refusal> = None;
        for gate in gates {
            let first = self.lines.first_refused(&gate.scope);
            let Some((_, _, first)) = first.filter(|first| *first < own) else { continue };
            let Some(held) = self.runs.live(first).and_then(|live| live.run.held.as_ref()) else { continue };
            if longest.as_ref().is_none_or(|(_, retry_at, _)| ends_at(held.retry_at) > ends_at(*retry_at)) {
                longest = Some((gate.scope.clone(), held.retry_at, held.why.clone()));
            }
        }
        longest
    }

    /// The answer to a look of one that stands behind somebody, or is about to: it waits for the scope that refuses longest.
    pub(super) fn looked(&mut self, id: RunId, admission: Admission) {
        let (refusal, changes) = match admission {
            Admission::Granted { changes, .. } => (None, changes),
            Admission::Denied { scope, retry_at, why, changes } => (Some((scope, retry_at, why)), changes),
        };
        self.absorb(changes);
        let stage = self.runs.live(id).map(|live| live.stage.clone());
        if !matches!(stage, Some(Stage::Waits(Wait::Asking | Wait::Blocked))) || self.shutting_down {
            return if stage == Some(Stage::Waits(Wait::Asking)) {
                self.suspend(id)
            } else {
                self.commit(false)
            };
        }
        let gates = self.gates_of(id);
        let longest = self.ahead(id, &gates).map(|ahead| match refusal {
            Some(own) if ends_at(own.1) > ends_at(ahead.1) => own,
            Some(_) | None => ahead,
        });
        match longest {
            // Nobody stands before it any more.
            None if stage == Some(Stage::Waits(Wait::Asking)) => {
                self.ask_breaker(breaker::Ask::Admit(Admit { run: id, gates, peek: false }));
            }
            None => self.commit(false),
            Some((scope, retry_at, why)) => {
                if self.refused(id, scope.clone(), retry_at, why.clone()) {
                    self.tell_line(&scope, retry_at, &why);
                }
                self.commit_refusal();
            }
        }
    }

    /// Gets in the line of a scope. Whether it is the first there.
    pub(super) fn refused(
        &mut self,
        id: RunId,
        scope: Scope,
        retry_at: Option<Timestamp>,
        why: String,
    ) -> bool {
        self.give_tokens_back(id);
        self.disarm(id);
        self.leave_lines(id);
        let now = self.now;
        let waits = |stage: &Stage| matches!(stage, Stage::Waits(Wait::Asking | Wait::Blocked));
        let Some(live) = self.runs.live_mut(id).filter(|live| waits(&live.stage)) else { return false };
        let before = live.run.held.take();
        let waits = before.as_ref().filter(|held| held.reason == HeldReason::Breaker);
        let since = waits.map_or(now, |held| held.since);
        let news = waits.is_none_or(|held| held.scope.as_ref() != Some(&scope) || held.retry_at != retry_at);
        live.stage = Stage::Waits(Wait::Blocked);
        live.run.phase = Phase::Blocked;
        live.run.next_attempt_at = retry_at;
        live.waiting_since = live.waiting_since.min(since);
        live.run.held = Some(HeldBack {
            reason: HeldReason::Breaker,
            scope: Some(scope.clone()),
            retry_at,
            why: why.clone(),
            since,
        });
        let left = before.and_then(|held| held.scope).filter(|left| *left != scope);
        let entry = live.in_line();
        let first = self.lines.refuse(scope.clone(), entry);
        if news {
            let event = Event::StartBlocked { reason: HeldReason::Breaker, retry_at, why };
            self.record_run(id, false, Some(scope), event);
        }
        if let Some(at) = retry_at.filter(|_| first) {
            self.arm(id, at.max(now.plus(1)), Timer::AskAgain);
        }
        self.lines.recheck(left); // Whoever stood behind it there is the first now.
        self.ask_deadline(id);
        first
    }

    /// Those behind the first in line see what it was told, unless another scope refuses them for longer. No record: theirs
    /// says when they came, and the breaker's own say what changed since.
    pub(super) fn tell_line(&mut self, scope: &Scope, retry_at: Option<Timestamp>, why: &str) {
        for (_, _, id) in self.lines.behind_first(scope) {
            let Some(live) = self.runs.live_mut(id) else { continue };
            let Some(held) = live.run.held.as_mut().filter(|held| held.retry_at != retry_at) else {
                continue;
            };
            let sooner = ends_at(held.retry_at) > ends_at(retry_at);
            held.retry_at = retry_at;
            why.clone_into(&mut held.why);
            live.run.next_attempt_at = retry_at;
            if sooner && live.stage == Stage::Waits(Wait::Blocked) {
                let gates = self.gates_of(id);
                if gates.len() > 1 {
                    self.ask_breaker(breaker::Ask::Admit(Admit { run: id, gates, peek: true }));
                }
            }
        }
    }

    /// Lets the first in the line of this scope ask again. Its grant wakes the next; a refusal ends the chain.
    pub(super) fn wake(&mut self, scope: &Scope) {
        if let Some((_, _, run)) = self.lines.first_refused(scope) {
            self.wake_run(run);
        }
    }

    /// One that is being asked already is not asked again.
    pub(super) fn wake_run(&mut self, id: RunId) {
        if !self.shutting_down
            && self.runs.live(id).is_some_and(|live| live.stage == Stage::Waits(Wait::Blocked))
        {
            self.ask(id);
        }
    }

    /// Takes a run out of every line it stands in.
    pub(super) fn leave_lines(&mut self, id: RunId) {
        let Some(live) = self.runs.live(id) else { return };
        let entry = live.in_line();
        self.lines.leave_queue(&live.run.program, &entry);
        let scope = live.run.held.as_ref().and_then(|held| held.scope.clone());
        if let Some(scope) = scope {
            self.lines.leave(&scope, &entry);
        }
    }

    /// Another priority moves a run within the line that it stands in.
    pub(super) fn set_priority(&mut self, id: RunId, priority: i32) {
        let Some(live) = self.runs.live_mut(id).filter(|live| live.run.priority != priority) else { return };
        let before: InLine = live.in_line();
        live.run.priority = priority;
        let after = live.in_line();
        let scope = live.run.held.as_ref().and_then(|held| held.scope.as_ref());
        if let Some(scope) = scope {
            self.lines.move_within(scope, &before, after);
        }
    }
}
